package guest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/guesttest"
)

// tree writes files below a new folder.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWants(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    guest.Kind
		handler string
		files   map[string]string
		want    guest.Preload
	}{
		{"require", guest.Node, "index.handler", map[string]string{"index.js": `const {S3} = require("@aws-sdk/client-s3")`}, guest.PreloadSDK},
		{"minified", guest.Node, "a/b.handler", map[string]string{"a/b.cjs": `let x=1,y=require('@aws-sdk/client-s3');`}, guest.PreloadSDK},
		{"import", guest.Node, "index.handler", map[string]string{"index.mjs": `import {S3} from '@aws-sdk/client-s3'`}, guest.PreloadModules},
		{"module folder", guest.Node, "index.handler", map[string]string{"index.js": `import '@smithy/core'`, "package.json": `{"type": "module"}`}, guest.PreloadModules},
		{"dynamic", guest.Node, "index.handler", map[string]string{"index.js": `import("@aws-sdk/client-s3")`}, guest.PreloadSDK},
		{"in a file beside", guest.Node, "src/index.handler", map[string]string{"src/index.js": `require('../lib/db')`, "lib/db.js": `require('@aws-sdk/lib-dynamodb')`}, guest.PreloadSDK},
		{"web", guest.Node, "index.mjs#fetch", map[string]string{"index.mjs": `import {S3} from '@aws-sdk/client-s3'`}, guest.PreloadModules},
		{"a word of it", guest.Node, "index.handler", map[string]string{"index.js": `console.log("@aws-sdk/client-s3")`}, 0},
		{"its own", guest.Node, "index.handler", map[string]string{"index.js": `require("@aws-sdk/client-s3")`, "node_modules/@aws-sdk/client-s3/index.js": ""}, 0},
		{"nothing", guest.Node, "index.handler", map[string]string{"index.js": `exports.handler = () => 1`}, 0},
		{"no file", guest.Node, "index.handler", nil, 0},
		{"a handler that leads out", guest.Node, "../../etc/passwd.handler", nil, 0},
		{"circle", guest.Node, "index.handler", map[string]string{"index.js": `require('./index')`}, 0},
		{"python", guest.Python, "app.handler", map[string]string{"app.py": "import os\nimport boto3\n"}, guest.PreloadSDK},
		{"python from", guest.Python, "app.handler", map[string]string{"app.py": "from botocore.config import Config\n"}, guest.PreloadSDK},
		{"python beside", guest.Python, "pkg/app.handler", map[string]string{"pkg/app.py": "from .db import table\n", "pkg/db.py": "import boto3\n"}, guest.PreloadSDK},
		{"python above", guest.Python, "pkg.app.handler", map[string]string{"pkg/app.py": "import lib.db\n", "lib/db.py": "    import boto3\n"}, guest.PreloadSDK},
		{"python web", guest.Python, "app:app", map[string]string{"app.py": "import boto3\n"}, guest.PreloadSDK},
		{"python's own", guest.Python, "app.handler", map[string]string{"app.py": "import boto3\n", "boto3/__init__.py": ""}, 0},
		{"python without", guest.Python, "app.handler", map[string]string{"app.py": "import boto3000\n# import boto3\n"}, 0},
		{"provided", guest.Provided, "bootstrap", map[string]string{"bootstrap": "import boto3"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := guest.Wants(c.kind, tree(t, c.files), c.handler); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// TestWantsFollowsNoLink: the code is hostile, and reads nothing of the host through Rouse.
func TestWantsFollowsNoLink(t *testing.T) {
	outside := tree(t, map[string]string{"index.js": `require("@aws-sdk/client-s3")`})
	task := t.TempDir()
	if err := os.Symlink(filepath.Join(outside, "index.js"), filepath.Join(task, "index.js")); err != nil {
		t.Fatal(err)
	}
	if got := guest.Wants(guest.Node, task, "index.handler"); got != guest.PreloadNothing {
		t.Errorf("a link out of the code: got %d, want nothing read", got)
	}
}

// A small SDK in a runtime's folder: what it says of itself shows where it came from and when it was loaded.
func sdk(t testing.TB, extra string) string {
	t.Helper()
	dir := tree(t, map[string]string{
		"node_modules/@aws-sdk/client-dynamodb/package.json": `{"name": "@aws-sdk/client-dynamodb", "main": "index.js"}`,
		"node_modules/@aws-sdk/client-dynamodb/index.js": `exports.from = 'runtime'; exports.ahead = process.cwd() !== process.env.LAMBDA_TASK_ROOT;
			if (process.env.SDK_SWITCH === 'on') exports.from = 'switched'; globalThis.awslambda = globalThis.awslambda || {};` + extra,
	})
	if err := guest.Install(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// become boots a guest, and makes it a function unless it does not suit.
func become(t testing.TB, p guesttest.Place, cfg guest.Config, fn guest.Function) (g *guest.Guest, suits bool) {
	t.Helper()
	h := guesttest.NewProcess(t, p)
	cfg.Interpreter, cfg.Exited, cfg.MemoryMB = p.Interpreter, h.Exited, 128
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	g, err := guest.Boot(ctx, h, cfg)
	if err != nil {
		t.Fatalf("Boot: %v", err)
	}
	t.Cleanup(func() { h.Kill(); g.Close() })
	if !g.Suits(fn) {
		return g, false
	}
	if err := g.Load(ctx, fn); err != nil {
		t.Fatalf("Load: %v", err)
	}
	return g, true
}

// asked is what the function answers.
func asked(t testing.TB, g *guest.Guest) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out rouse.Buffer
	r, err := g.Invoke(ctx, guest.Call{ID: "1", Event: []byte("{}"), Deadline: time.Now().Add(time.Minute)}, &out)
	if err != nil || r.Error != nil {
		t.Fatalf("Invoke: got %v, %+v, want an answer", err, r.Error)
	}
	return out.String()
}

// nodeFunction answers with what it sees of the SDK.
const nodeFunction = `const s = require('@aws-sdk/client-dynamodb');
	exports.handler = async () => [s.from, s.ahead ? 'ahead' : 'then', Object.keys(awslambda).join(), process.argv.length].join(' ')`

// TestPreloadNode: a function finds the SDK loaded, unless it has its own or sets what that read.
func TestPreloadNode(t *testing.T) {
	node := interpreter(t, guest.Node)
	runtime := sdk(t, "")
	own := map[string]string{"from": "exports.from = 'own'; exports.ahead = process.cwd() !== process.env.LAMBDA_TASK_ROOT"}
	for _, c := range []struct {
		name   string
		files  map[string]string
		layers map[string]string
		env    map[string]string
		ahead  guest.Preload
		want   string // "": the guest does not suit
	}{
		{"found", map[string]string{"index.js": nodeFunction}, nil, nil, guest.PreloadSDK, `"runtime ahead streamifyResponse,HttpResponseStream 2"`},
		{"not asked for", map[string]string{"index.js": nodeFunction}, nil, nil, 0, `"runtime then streamifyResponse,HttpResponseStream 2"`},
		{"its own", map[string]string{"index.js": nodeFunction, "node_modules/@aws-sdk/client-dynamodb/index.js": own["from"]}, nil, nil,
			guest.PreloadSDK, `"own then streamifyResponse,HttpResponseStream 2"`},
		{"a module", map[string]string{"index.mjs": `import s from '@aws-sdk/client-dynamodb'; export const handler = async () => s.from + s.ahead`},
			nil, nil, guest.PreloadModules, `"runtimetrue"`},
		{"a setting that it read", map[string]string{"index.js": nodeFunction}, nil, map[string]string{"SDK_SWITCH": "on"}, guest.PreloadSDK, ""},
		{"the same, nothing ahead", map[string]string{"index.js": nodeFunction}, nil, map[string]string{"SDK_SWITCH": "on"}, 0,
			`"switched then streamifyResponse,HttpResponseStream 2"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fn := guest.Function{Name: "shop", Handler: "index.handler", Runtime: "nodejs20.x", Environment: c.env}
			g, suits := become(t, guesttest.Place{Task: tree(t, c.files), Runtime: runtime, Interpreter: node}, guest.Config{Kind: guest.Node, Preload: c.ahead}, fn)
			if c.ahead != 0 && c.name != "a module" && c.want == `"runtime ahead streamifyResponse,HttpResponseStream 2"` && !suits {
				t.Fatal("it does not suit a function that sets nothing of what was read")
			}
			if suits != (c.want != "") {
				t.Fatalf("suits: got %v, want %v", suits, c.want != "")
			}
			if suits {
				if got := asked(t, g); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

// TestPreloadUnfit: an SDK that does more than define itself while it loads makes a guest that suits nobody.
func TestPreloadUnfit(t *testing.T) {
	node := interpreter(t, guest.Node)
	for name, what := range map[string]string{
		"a global":            "globalThis.leak = 1",
		"a listener":          "process.on('exit', () => {})",
		"a warning":           "process.emitWarning('x')",
		"a variable":          "process.env.LEAK = '1'",
		"all variables":       "Object.keys(process.env)",
		"a fixed variable":    "process.env.AWS_REGION",
		"a platform's global": "globalThis.awslambda.mine = 1",
	} {
		t.Run(name, func(t *testing.T) {
			fn := guest.Function{Name: "shop", Handler: "index.handler", Runtime: "nodejs20.x"}
			p := guesttest.Place{Task: tree(t, map[string]string{"index.js": nodeFunction}), Runtime: sdk(t, what), Interpreter: node}
			if _, suits := become(t, p, guest.Config{Kind: guest.Node, Preload: guest.PreloadSDK}, fn); suits {
				t.Error("got a guest that suits, want none")
			}
		})
	}
}

// boto3 is as much of it as the bootstrap asks for, in a folder of a Python's own packages.
var boto3 = map[string]string{
	"boto3/__init__.py":            "import os, json.tool, botocore.session\norigin = 'runtime'\nahead = os.getcwd() != os.environ['LAMBDA_TASK_ROOT']\nswitch = os.environ.get('SDK_SWITCH')\n",
	"boto3/session.py":             "",
	"boto3/dynamodb/__init__.py":   "",
	"boto3/dynamodb/conditions.py": "",
	"boto3/dynamodb/types.py":      "",
	"botocore/__init__.py":         "",
	"botocore/config.py":           "",
	"botocore/loaders.py":          "made = []\nclass Loader:\n  def load_data(self, name): pass\n  def load_service_model(self, service, kind): pass\ndef create_loader(search_path_string=None):\n  made.append(Loader())\n  return made[-1]\n",
	"botocore/session.py":          "from botocore.loaders import create_loader\n",
}

const pythonFunction = `import boto3, botocore.session, botocore.loaders, sys
def handler(event, context):
    a, b = botocore.session.create_loader(None), botocore.session.create_loader(None)
    return [boto3.origin, boto3.ahead and 'ahead' or 'then', a is botocore.loaders.made[0], a is b,
        botocore.session.create_loader is botocore.loaders.create_loader, len(sys.argv)]
`

// TestPreloadPython: the same for boto3, and the loader of descriptions is handed out once.
func TestPreloadPython(t *testing.T) {
	python := interpreter(t, guest.Python)
	runtime := tree(t, boto3) // on PYTHONPATH
	if err := guest.Install(runtime); err != nil {
		t.Fatal(err)
	}
	own := "origin = 'own'\nimport os\nahead = os.getcwd() != os.environ['LAMBDA_TASK_ROOT']\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		env   map[string]string
		ahead guest.Preload
		want  string // "": the guest does not suit
	}{
		{"found", nil, nil, guest.PreloadSDK, `["runtime", "ahead", true, false, true, 1]`},
		{"not asked for", nil, nil, 0, `["runtime", "then", true, false, true, 1]`},
		{"its own", map[string]string{"boto3/__init__.py": own}, nil, guest.PreloadSDK, `["own", "then", true, false, true, 1]`},
		{"a name of the library", map[string]string{"json/__init__.py": "", "botocore.py": ""}, nil, guest.PreloadSDK, "fails"},
		{"a setting that it read", nil, map[string]string{"SDK_SWITCH": "on"}, guest.PreloadSDK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{"app.py": pythonFunction}
			for name, text := range c.files {
				files[name] = text
			}
			if c.want == "fails" { // its botocore is a file, which has no session: it must meet its own
				files["app.py"] = "import botocore\ndef handler(event, context):\n    return botocore.__file__.endswith('/botocore.py')\n"
				c.want = "true"
			}
			fn := guest.Function{Name: "shop", Handler: "app.handler", Runtime: "python3.11", Environment: c.env}
			g, suits := become(t, guesttest.Place{Task: tree(t, files), Runtime: runtime, Interpreter: python}, guest.Config{Kind: guest.Python, Preload: c.ahead}, fn)
			if suits != (c.want != "") {
				t.Fatalf("suits: got %v, want %v", suits, c.want != "")
			}
			if suits {
				if got := asked(t, g); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			}
		})
	}
}

// TestImportsWithoutThread: on versions where the hook that finds packages costs a thread, an ES module has it only when it
// may need it, and always when it does.
func TestImportsWithoutThread(t *testing.T) {
	node := interpreter(t, guest.Node)
	if strings.HasPrefix(node.Version, "22.") || strings.HasPrefix(node.Version, "24.") {
		t.Skipf("Node.js %s hooks without a thread", node.Version)
	}
	runtime := sdk(t, "")
	const threads = `import {readdirSync} from 'node:fs'; const threads = () => readdirSync('/proc/self/task').length;`
	const tell = `export const handler = async () => s.from`
	count := func(t *testing.T, files map[string]string) string {
		fn := guest.Function{Name: "shop", Handler: "index.handler", Runtime: "nodejs20.x"}
		g, _ := become(t, guesttest.Place{Task: tree(t, files), Runtime: runtime, Interpreter: node}, guest.Config{Kind: guest.Node}, fn)
		return asked(t, g)
	}
	if _, err := os.Stat("/proc/self/task"); err == nil {
		without := count(t, map[string]string{"index.mjs": threads + `import './a.mjs'; export const handler = async () => threads()`, "a.mjs": ""})
		with := count(t, map[string]string{"index.mjs": threads + `import '@aws-sdk/client-dynamodb'; export const handler = async () => threads()`})
		var a, b int
		if _, err := fmt.Sscan(without+" "+with, &a, &b); err != nil || a >= b {
			t.Errorf("threads: got %s without the hook and %s with it, want fewer", without, with)
		}
	}
	for name, files := range map[string]map[string]string{
		"a package":         {"index.mjs": `import s from '@aws-sdk/client-dynamodb';` + tell},
		"minified":          {"index.mjs": `import*as s from"@aws-sdk/client-dynamodb";` + tell},
		"after a comment":   {"index.mjs": `import s from/* x */'@aws-sdk/client-dynamodb';` + tell},
		"in a file beside":  {"index.mjs": `import {s} from './a.mjs';` + tell, "a.mjs": `import s from '@aws-sdk/client-dynamodb'; export {s}`},
		"later":             {"index.mjs": `export const handler = async () => (await import('@aws-sdk/client-dynamodb')).default.from`},
		"by a name made up": {"index.mjs": "const n = '@aws-sdk/client-dynamodb'; export const handler = async () => (await import(n)).default.from"},
		"through require":   {"index.mjs": `import a from './a.cjs'; export const handler = async () => (await a()).default.from`, "a.cjs": "module.exports = () => import('@aws-sdk/client-dynamodb')"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := count(t, files); got != `"runtime"` {
				t.Errorf("got %s, want the runtime's package", got)
			}
		})
	}
}
