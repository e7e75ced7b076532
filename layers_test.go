package rouse_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rouse-dev/rouse"

// The floor plan of docs/DESIGN.md §3 as a table: each room stands on a floor and imports only floors below its own.
// A folder that is not named here does not exist in the plan, and the test says so.
var floors = [][]string{
	{"."},
	{"kv", "blob"},
	{"outbox", "timer", "lease"},
	{"identity", "catalog", "api", "table", "bucket", "queue", "topic", "bus", "schedule", "flow", "logs", "meter", "param", "mail"},
	{"sandbox", "guest", "pool", "dispatch", "deliver", "trigger"},
	{"stack"},
	{"gateway", "aws", "console", "cli"},
	{"cluster"},
	{"node"},
	{"cmd/rouse"},
}

// Stairs are the imports within one floor that the plan allows.
var stairs = map[string][]string{
	"pool":     {"sandbox", "guest"},
	"dispatch": {"pool"},
	"deliver":  {"dispatch"},
	"console":  {"aws"},
	"cli":      {"aws"},
}

// Forbidden are the imports that go down and still lead through a wall, with the reason.
var forbidden = []struct{ from, to, why string }{
	{"kv", ".", "Ground does not know Words"},
	{"blob", ".", "Ground does not know Words"},
	{"stack", "floor:identity", "stack acts through Caller and imports no room"},
	{"stack", "floor:sandbox", "stack acts through Caller and does not run functions"},
	{"gateway", "floor:sandbox", "doors do not import the workshop"},
	{"aws", "floor:sandbox", "doors do not import the workshop"},
	{"console", "floor:sandbox", "doors do not import the workshop"},
	{"cli", "floor:sandbox", "the command line is a client of the doors"},
	{"cli", "floor:identity", "the command line is a client of the doors"},
	{"sandbox", "floor:identity", "the sandbox knows nothing of what is said in it"},
	{"guest", "floor:identity", "a guest is told what it needs"},
}

// Walls are third-party modules that only one room may open.
var walls = map[string][]string{
	"github.com/cockroachdb/pebble": {"kv/pebble", "kv/kvtest"},
	"github.com/jackc/pgx":          {"kv/postgres"},
	"golang.org/x/sys/unix":         {"sandbox"},
	"github.com/elastic":            {"sandbox"},
	"github.com/landlock-lsm":       {"sandbox"},
	"github.com/google/nftables":    {"sandbox"},
	"github.com/vishvananda":        {"sandbox"},
	"github.com/dop251/goja":        {"flow"},
	"github.com/cockroachdb/apd":    {"table"},
	"github.com/prometheus":         {"meter"},
	"github.com/spf13/cobra":        {"cli"},
	"charm.land":                    {"cli"},
	"github.com/fsnotify":           {"cli"},
	"github.com/pelletier/go-toml":  {"node"},
	"go.yaml.in/yaml":               {"stack", "api", "cli"},
}

// doorsOwnRoom names the room that a service's door opens; every other room is closed to it.
var doorsOwnRoom = map[string][]string{
	"aws/lambda": {"catalog"}, "aws/logs": {"logs"}, "aws/iam": {"identity"}, "aws/sts": {"identity"},
	"aws/apigateway": {"api"}, "aws/apigatewayv2": {"api"}, "aws/cloudformation": {"stack"}, "aws/events": {"bus"},
	"aws/scheduler": {"schedule"}, "aws/dynamodb": {"table"}, "aws/dynamodb/streams": {"table"},
	"gateway": {"api"},
}

type imports struct {
	dir   string // folder within the module, "." for the root
	file  string
	paths []string
}

// walk yields the imports of every non-test Go file of the project's program; separate modules are not part of it.
func walk(t *testing.T, visit func(imports)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipDir(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		im := imports{dir: filepath.ToSlash(filepath.Dir(p)), file: p}
		for _, s := range f.Imports {
			v, _ := strconv.Unquote(s.Path.Value)
			im.paths = append(im.paths, v)
		}
		visit(im)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// skipDir leaves out what is not the program: hidden folders, fixtures, separate modules, examples and benchmarks.
func skipDir(p, name string) bool {
	if p == "." {
		return false
	}
	return strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" ||
		p == "test" || p == "examples" || p == "bench" || p == "bin" || p == "dist"
}

// room is the folder on the floor plan that dir belongs to.
func room(dir string) string {
	if dir == "cmd/rouse" {
		return dir
	}
	return strings.SplitN(dir, "/", 2)[0]
}

func floorOf(room string) int {
	for i, f := range floors {
		for _, r := range f {
			if r == room {
				return i
			}
		}
	}
	return -1
}

func TestImportsGoDown(t *testing.T) {
	walk(t, func(im imports) {
		from := room(im.dir)
		if floorOf(from) < 0 {
			t.Errorf("%s: folder %q is not on the floor plan (docs/DESIGN.md §3)", im.file, im.dir)
			return
		}
		for _, p := range im.paths {
			if p != module && !strings.HasPrefix(p, module+"/") {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
			if to == "" {
				to = "."
			}
			if why := wrong(im.dir, to); why != "" {
				t.Errorf("%s imports %q: %s", im.file, p, why)
			}
		}
	})
}

// wrong says why the folder dir may not import the folder to, or "".
func wrong(dir, to string) string {
	from, target := room(dir), room(to)
	if from == target {
		return wrongInside(dir, to)
	}
	if own, ok := doorsOwnRoom[dir]; ok && floorOf(target) == floorOf("identity") && !contains(own, target) {
		return "this door opens " + strings.Join(own, ", ") + " only"
	}
	for _, f := range forbidden {
		hit := f.to == target
		if fl, ok := strings.CutPrefix(f.to, "floor:"); ok {
			hit = floorOf(target) == floorOf(fl)
		}
		if f.from == from && hit {
			return f.why
		}
	}
	switch {
	case floorOf(target) > floorOf(from):
		return "imports go down only"
	case floorOf(target) == floorOf(from) && !contains(stairs[from], target):
		return "imports do not go sideways, except on the stairs"
	}
	return ""
}

// wrongInside holds the service doors apart: they share wire and sigv4 and nothing else of aws.
func wrongInside(dir, to string) string {
	if room(dir) != "aws" || dir == "aws" || to == dir || strings.HasPrefix(to, dir+"/") || strings.HasPrefix(dir, to+"/") {
		return ""
	}
	if strings.HasPrefix(to, "aws/wire") || strings.HasPrefix(to, "aws/sigv4") {
		return ""
	}
	return "service doors share aws/wire and aws/sigv4 and nothing else"
}

func TestThirdPartyWalls(t *testing.T) {
	walk(t, func(im imports) {
		for _, p := range im.paths {
			for wall, open := range walls {
				if p != wall && !strings.HasPrefix(p, wall+"/") {
					continue
				}
				ok := false
				for _, o := range open {
					ok = ok || im.dir == o || strings.HasPrefix(im.dir, o+"/")
				}
				if !ok {
					t.Errorf("%s imports %q: only %s may", im.file, p, strings.Join(open, ", "))
				}
			}
		}
	})
}

// TestDependenciesAreListed keeps docs/DESIGN.md §9 and the program's third-party imports the same.
func TestDependenciesAreListed(t *testing.T) {
	design := read(t, "docs/DESIGN.md")
	seen := map[string]bool{}
	walk(t, func(im imports) {
		for _, p := range im.paths {
			if strings.Contains(strings.SplitN(p, "/", 2)[0], ".") && !strings.HasPrefix(p, module) {
				seen[p] = true
			}
		}
	})
	var missing []string
	for p := range seen {
		if !listed(design, p) {
			missing = append(missing, p)
		}
	}
	sort.Strings(missing)
	if len(missing) > 0 {
		t.Errorf("imported but not listed in docs/DESIGN.md §9: %s", strings.Join(missing, ", "))
	}
}

// listed reports whether some last part of the import path's module stands in the design.
func listed(design, p string) bool {
	parts := strings.Split(p, "/")
	for n := len(parts); n > 1; n-- {
		if strings.Contains(design, path.Join(parts[max(1, n-2):n]...)) {
			return true
		}
	}
	return strings.Contains(design, parts[0])
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
