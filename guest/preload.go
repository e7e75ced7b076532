package guest

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Preload is what of the AWS SDK a runtime loads before it has a function. The bootstraps (node/preload.cjs,
// python/preload.py) see to it that a function cannot tell; Guest.Suits says for which functions they could.
type Preload uint8

// What there is.
const (
	PreloadNothing Preload = iota
	PreloadSDK             // so that require and import (Python) find it
	PreloadModules         // the same for Node's ES modules
)

// argument is what a bootstrap is told.
func (p Preload) argument() []string {
	switch p {
	case PreloadSDK:
		return []string{"sdk"}
	case PreloadModules:
		return []string{"modules"}
	}
	return nil
}

// Limits of Wants: it stands in the way of a first start.
const (
	wantsFilesMax = 16
	wantsFileMax  = 1 << 20 // bytes read of one file
)

var (
	nodeSDK    = regexp.MustCompile(`(?:\bfrom|\bimport|\brequire)\s*\(?\s*["']@(?:aws-sdk|smithy)/`)
	nodeLocal  = regexp.MustCompile(`(?:\bfrom|\bimport|\brequire)\s*\(?\s*["'](\.{1,2}/[^"'\n]+)["']`)
	pythonSDK  = regexp.MustCompile(`(?m)^\s*(?:import|from)\s+(?:boto3|botocore)\b`)
	pythonFrom = regexp.MustCompile(`(?m)^\s*(?:from\s+(\.*[\w.]*)\s+import\b|import\s+([\w.]+))`)
)

// Wants reads off a function's text which of the SDK it is going to load: that of the runtime, for one that brings its own
// gets nothing from it. A guess that decides on speed alone: it looks at the handler's file and at some that lead on from it.
func Wants(k Kind, task, handler string) Preload {
	switch k {
	case Node:
		return wantsNode(task, handler)
	case Python:
		return wantsPython(task, handler)
	}
	return PreloadNothing
}

func wantsNode(task, handler string) Preload {
	if exists(filepath.Join(task, "node_modules", "@aws-sdk")) {
		return PreloadNothing
	}
	file, _, _ := strings.Cut(handler, "#")
	name := path.Base(file)
	if name == handler || !strings.Contains(handler, "#") {
		name, _, _ = strings.Cut(name, ".")
	}
	module := false
	list := look(task, path.Join(path.Dir(file), name), nodeFile, func(at, text string) (more []string, found bool) {
		if strings.HasSuffix(at, ".mjs") {
			module = true
		}
		for _, m := range nodeLocal.FindAllStringSubmatch(text, wantsFilesMax) {
			more = append(more, path.Join(path.Dir(at), m[1]))
		}
		return more, nodeSDK.MatchString(text)
	})
	switch {
	case !list:
		return PreloadNothing
	case module || strings.Contains(readSome(task, "package.json"), `"module"`):
		return PreloadModules
	}
	return PreloadSDK
}

func wantsPython(task, handler string) Preload {
	for _, own := range []string{"boto3", "botocore"} {
		if exists(filepath.Join(task, own)) {
			return PreloadNothing
		}
	}
	module, _, web := strings.Cut(handler, ":")
	if dot := strings.LastIndexByte(handler, '.'); !web && dot > 0 {
		module = handler[:dot]
	}
	start := strings.ReplaceAll(module, ".", "/")
	if look(task, start, pythonFile, func(at, text string) (more []string, found bool) {
		for _, m := range pythonFrom.FindAllStringSubmatch(text, wantsFilesMax) {
			name, up := m[1]+m[2], "."
			if rest := strings.TrimLeft(name, "."); rest != name {
				up = path.Join(path.Dir(at), strings.Repeat("../", len(name)-len(rest)-1))
				name = rest
			}
			more = append(more, path.Join(up, strings.ReplaceAll(name, ".", "/")))
		}
		return more, pythonSDK.MatchString(text)
	}) {
		return PreloadSDK
	}
	return PreloadNothing
}

// look reads a file and those that it leads to, until one has what is looked for.
func look(task, start string, resolve func(task, name string) string, read func(at, text string) (more []string, found bool)) bool {
	seen := map[string]bool{}
	todo := []string{path.Clean(start)}
	for len(todo) > 0 && len(seen) < wantsFilesMax {
		at := resolve(task, todo[0])
		todo = todo[1:]
		if at == "" || seen[at] {
			continue
		}
		seen[at] = true
		more, found := read(at, readSome(task, at))
		if found {
			return true
		}
		todo = append(todo, more...)
	}
	return false
}

func nodeFile(task, name string) string {
	return first(task, name, name+".js", name+".mjs", name+".cjs", name+"/index.js")
}

func pythonFile(task, name string) string { return first(task, name+".py", name+"/__init__.py") }

// first is the first of some names that is a file below task.
func first(task string, names ...string) string {
	for _, n := range names {
		if !filepath.IsLocal(n) {
			continue
		}
		if st, err := os.Lstat(filepath.Join(task, n)); err == nil && st.Mode().IsRegular() {
			return n
		}
	}
	return ""
}

// readSome is the beginning of a file below task. A link leads nowhere: the code is hostile.
func readSome(task, name string) string {
	root, err := os.OpenRoot(task)
	if err != nil {
		return ""
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, wantsFileMax)
	n := 0
	for n < len(b) {
		m, err := f.Read(b[n:])
		if n += m; err != nil || m == 0 {
			break
		}
	}
	return string(b[:n])
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// anything is what a bootstrap says when what it loaded did more than define itself.
const anything = "*"

// upMessage is the payload of an 'U' frame, as far as it is of use.
type upMessage struct {
	Reads []string `json:"reads"` // names that were read from the environment by what was loaded ahead
}

func (u upMessage) suits(env map[string]string) bool {
	for _, name := range u.Reads {
		if _, set := env[name]; set || name == anything {
			return false
		}
	}
	return true
}

func parseUp(b []byte) upMessage {
	var u upMessage
	if json.Unmarshal(b, &u) != nil {
		return upMessage{Reads: []string{anything}}
	}
	return u
}

// Suits reports whether a guest that loaded something ahead may become fn: fn sets nothing that was read then.
func (g *Guest) Suits(fn Function) bool {
	w, ok := g.wire.(*framed)
	return !ok || w.said.suits(fn.environment(g.cfg.Kind))
}
