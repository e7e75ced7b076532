package guest

import (
	"path/filepath"
	"strings"
)

// Interpreter is an installed language runtime, as guest/runtimes finds it.
type Interpreter struct {
	Kind    Kind     // Node or Python
	Version string   // "20.20.2"
	Path    string   // the executable, as seen from inside
	Modules []string // folders of packages that come with it (the AWS SDK), as seen from inside
	Binds   []Bind   // what the sandbox's image has to contain for it to run
}

// Bind is a host folder that an image shows read-only.
type Bind struct {
	Source string // on the host
	Target string // inside
}

// String is the interpreter's name for people: "node 20.20.2".
func (i Interpreter) String() string { return i.Kind.String() + " " + i.Version }

// major is the first number of a Node version.
func (i Interpreter) major() string {
	m, _, _ := strings.Cut(i.Version, ".")
	return m
}

func (i Interpreter) binDir() string {
	if i.Path == "" {
		return ""
	}
	dir := filepath.Dir(i.Path)
	switch dir {
	case "/usr/bin", "/bin", "/usr/local/bin":
		return ""
	}
	return dir
}
