package guest

import (
	"regexp"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Kind is how a guest is spoken to.
type Kind uint8

// The kinds.
const (
	Node     Kind = iota + 1 // the Node bootstrap, framed
	Python                   // the Python bootstrap, framed
	Provided                 // Lambda's Runtime API
	Web                      // a program that listens on $PORT
)

var kindNames = [...]string{"", "node", "python", "provided", "web"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Interpreted reports whether the kind needs an installed interpreter.
func (k Kind) Interpreted() bool { return k == Node || k == Python }

// webPrefix marks the handler of a program that listens on $PORT: web:PROGRAM, or web: alone for bootstrap.
const webPrefix = "web:"

// KindOf says how a function with this runtime and handler is spoken to. Errors are of Kind Unsupported for runtimes
// that Lambda has and Rouse has not, and Invalid for names that are none.
func KindOf(runtime, handler string) (Kind, error) {
	lang, err := languageOf(runtime)
	if err != nil {
		return 0, err
	}
	if strings.HasPrefix(handler, webPrefix) {
		return Web, nil
	}
	return lang, nil
}

// amazonLinux are the names of runtimes that bring nothing but a system. All are this machine's own, whichever is asked for.
var amazonLinux = regexp.MustCompile(`^provided\.al[1-9]\d*$`)

// languageOf is the kind of the runtime's name alone: which interpreter, or Provided for none.
func languageOf(runtime string) (Kind, error) {
	switch {
	case strings.HasPrefix(runtime, "nodejs") && strings.HasSuffix(runtime, ".x"):
		return Node, nil
	case strings.HasPrefix(runtime, "python3."):
		return Python, nil
	case amazonLinux.MatchString(runtime):
		return Provided, nil
	}
	for _, p := range []string{"java", "dotnet", "ruby", "go1.x", "provided", "nodejs", "python"} {
		if strings.HasPrefix(runtime, p) {
			return 0, rouse.Errorf(rouse.Unsupported, "Rouse does not implement the runtime %s: use an image", runtime)
		}
	}
	return 0, rouse.Errorf(rouse.Invalid, "%q is not a runtime", runtime)
}
