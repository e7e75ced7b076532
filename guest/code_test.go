package guest_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/guesttest"
)

// compiled compiles a function's files in a guest of its own.
func compiled(t testing.TB, p guesttest.Place, k guest.Kind, handler string) *guest.Code {
	t.Helper()
	h := guesttest.NewProcess(t, p)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	g, err := guest.Boot(ctx, h, guest.Config{Kind: k, Interpreter: p.Interpreter, MemoryMB: 512, Exited: h.Exited,
		Log: func(l guest.Line) { t.Errorf("something ran: %s", l.Bytes) }})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	defer h.Kill()
	c, err := g.Compile(ctx, handler)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return c
}

var compiledCases = []struct {
	name    string
	kind    guest.Kind
	handler string
	files   map[string]string
	paths   []string // that are compiled
	want    string
	newer   string // one of paths that is compiled since
	since   int
}{
	{"node", guest.Node, "index.handler", map[string]string{
		"index.js": "console.log('ran'); const lib = require('./lib'); exports.handler = async () => [lib.name(__filename), require.main === module, module.children.length, this === exports]",
		"lib.js":   "exports.name = (f) => f.split('/').pop() + (typeof require.resolve)",
	}, []string{"index.js", "lib.js"}, `["index.jsfunction",false,1,true]`, "", 0},
	{"node's stack", guest.Node, "index.handler", map[string]string{
		"index.js": "exports.handler = async () => new Error('x').stack.split('\\n')[1].replace(/.*at /, '').replace(/\\/.*\\//, '')",
	}, []string{"index.js"}, `"exports.handler (index.js:1:31)"`, "", 0},
	{"node, a package", guest.Node, "src/index.handler", map[string]string{
		"src/index.js":                  "const p = require('pkg'); exports.handler = async () => p() + await require('./later')()",
		"src/later.js":                  "module.exports = async () => (await import('./m.mjs')).default",
		"src/m.mjs":                     "export default 'm'",
		"node_modules/pkg/main.js":      "module.exports = () => 'pkg'",
		"node_modules/pkg/none.js":      "nothing asks for it",
		"node_modules/pkg/package.json": `{"main": "main.js"}`,
	}, []string{"src/index.js", "src/later.js", "node_modules/pkg/main.js"}, `"pkgm"`, "src/later.js", 22},
	{"python", guest.Python, "pkg/app.handler", map[string]string{
		"pkg/app.py":      "print('ran')\nfrom . import db\nimport lib.one\ndef handler(event, context):\n    return [db.name(), lib.one.two(), __file__.split('/')[-1], handler.__code__.co_filename.split('/')[-1]]\n",
		"pkg/__init__.py": "", "pkg/db.py": "def name():\n    return 'db'\n",
		"lib/one.py": "from .two import two\n", "lib/two.py": "two = lambda: 2\n", "lib/unused.py": "1/0",
	}, []string{"pkg/app.py", "pkg/__init__.py", "pkg/db.py", "lib/one.py", "lib/two.py"}, `["db", 2, "app.py", "app.py"]`, "", 0},
	{"python, broken beside", guest.Python, "app.handler", map[string]string{
		"app.py": "try:\n    import broken\nexcept SyntaxError as e:\n    line = e.lineno\ndef handler(event, context):\n    return line\n", "broken.py": "x = 1\ndef (\n",
	}, []string{"app.py"}, `2`, "", 0},
}

// TestCompile: compiling runs nothing, and a function is the same with what was compiled and without.
func TestCompile(t *testing.T) {
	for _, c := range compiledCases {
		t.Run(c.name, func(t *testing.T) {
			p := guesttest.Place{Task: tree(t, c.files), Runtime: t.TempDir(), Interpreter: interpreter(t, c.kind)}
			if err := guest.Install(p.Runtime); err != nil {
				t.Fatal(err)
			}
			code := compiled(t, p, c.kind, c.handler)
			want := slices.Clone(c.paths)
			if c.since > 0 && major(p.Interpreter) < c.since {
				want = slices.DeleteFunc(want, func(s string) bool { return s == c.newer })
			}
			if got := guest.CodePaths(code); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
				t.Errorf("compiled: got %s, want %s", got, want)
			}
			again, err := guest.DecodeCode(code.Encode())
			if err != nil {
				t.Fatalf("DecodeCode: %v", err)
			}
			runtime := map[guest.Kind]string{guest.Node: "nodejs20.x", guest.Python: "python3.11"}[c.kind]
			for what, use := range map[string]*guest.Code{"compiled": again, "nothing": nil} {
				g, _ := become(t, p, guest.Config{Kind: c.kind}, guest.Function{Name: "shop", Handler: c.handler, Runtime: runtime, Code: use})
				if got := asked(t, g); got != c.want {
					t.Errorf("with %s: got %s, want %s", what, got, c.want)
				}
			}
		})
	}
}

// major is the first number of an interpreter's version.
func major(i guest.Interpreter) int {
	first, _, _ := strings.Cut(i.Version, ".")
	n, _ := strconv.Atoi(first)
	return n
}

// TestCompiledWhole: all functions are compiled, also those that nobody calls when the file is loaded.
func TestCompiledWhole(t *testing.T) {
	source := "exports = [];\n" + strings.Repeat("exports.push(function (a) { return [a, a => a + 1, { b() { return a } }] });\n", 2000)
	p := guesttest.Place{Task: tree(t, map[string]string{"index.js": source}), Runtime: t.TempDir(), Interpreter: interpreter(t, guest.Node)}
	if err := guest.Install(p.Runtime); err != nil {
		t.Fatal(err)
	}
	if code := compiled(t, p, guest.Node, "index.handler"); code.Size() < len(source) {
		t.Errorf("got %d bytes of code for %d of source, want all its functions compiled", code.Size(), len(source))
	}
}

func TestCompileProvided(t *testing.T) {
	h := guesttest.NewProcess(t, guesttest.Place{Task: t.TempDir()})
	g, err := guest.Boot(context.Background(), h, guest.Config{Kind: guest.Provided})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Compile(context.Background(), "bootstrap"); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("got %v, want Unsupported", err)
	}
}

func FuzzCode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x02\x00\x00\x00[]"))
	f.Add([]byte("\x1c\x00\x00\x00[{\"path\":\"a.js\",\"bytes\":3 }]abc"))
	f.Add([]byte("\xff\xff\xff\xff[]"))
	f.Add([]byte("\x1f\x00\x00\x00[{\"path\":\"../a.js\",\"bytes\":3  }]abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := guest.DecodeCode(b)
		if err != nil {
			return
		}
		for _, p := range guest.CodePaths(c) {
			if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "..") {
				t.Errorf("got the path %q, want none that leads out", p)
			}
		}
		again, err := guest.DecodeCode(c.Encode())
		if err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Errorf("decoded again: got %v, %v, want the same", again, err)
		}
	})
}
