package guest

import "strings"

// Interpreter is an installed language runtime, as guest/runtimes finds it.
type Interpreter struct {
	Kind    Kind   // Node or Python
	Version string // "20.20.2"
	Path    string // the executable, as seen from inside; below /var/runtime and /var/lang as the host shows these
	Binds   []Bind // what the sandbox's image has to contain for it to run, beside /usr, /lib and /var/runtime
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

// minor is the first two numbers of a Python version.
func (i Interpreter) minor() string {
	major, rest, _ := strings.Cut(i.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}
