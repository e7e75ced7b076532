package rouse_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goFiles lists the program's Go files; tests are included when asked for.
func goFiles(t *testing.T, tests bool) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skipDir(p, d.Name()) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(p, ".go") && (tests || !strings.HasSuffix(p, "_test.go")) {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestEveryPackageHasAPage: rule 13. A page is a package comment that a colleague can learn from, not a line.
func TestEveryPackageHasAPage(t *testing.T) {
	pages := map[string]int{}
	for _, f := range goFiles(t, false) {
		dir := filepath.Dir(f)
		a, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		pages[dir] += len(a.Doc.Text())
	}
	for dir, n := range pages {
		want := 400
		if strings.HasPrefix(dir, "cmd") {
			want = 100
		}
		if n < want {
			t.Errorf("package %s: its page has %d characters, want at least %d", dir, n, want)
		}
	}
}

// TestSizes: rule 44.
func TestSizes(t *testing.T) {
	packages := map[string]int{}
	for _, f := range goFiles(t, true) {
		n := strings.Count(read(t, f), "\n")
		if n > 800 {
			t.Errorf("%s has %d lines, at most 800 are allowed", f, n)
		}
		if !strings.HasSuffix(f, "_test.go") {
			packages[filepath.Dir(f)] += n
		}
	}
	for p, n := range packages {
		if n > 5000 {
			t.Errorf("package %s has %d lines, at most 5,000 are allowed", p, n)
		}
		if p == "." && n > 1000 {
			t.Errorf("the root package has %d lines, at most 1,000 are allowed", n)
		}
	}
}

// TestNoSleepingTests: rule 36.
func TestNoSleepingTests(t *testing.T) {
	for _, f := range goFiles(t, true) {
		if !strings.HasSuffix(f, "_test.go") || f == "style_test.go" {
			continue
		}
		src := read(t, f)
		if strings.Contains(src, "time.Sleep(") && !strings.Contains(src, "testing/synctest") {
			t.Errorf("%s sleeps to wait for something; use synctest, a channel or a deadline", f)
		}
	}
}

var dull = regexp.MustCompile(`^(util|utils|common|helper|helpers|base|types|manager|misc)$`)

// TestNamesAreNouns: rule 3.
func TestNamesAreNouns(t *testing.T) {
	for _, f := range goFiles(t, false) {
		if name := filepath.Base(filepath.Dir(f)); dull.MatchString(name) {
			t.Errorf("%s: no package is named %s", f, name)
		}
	}
}

// TestNoHiddenState: rules 6, 23 and 24: no init functions, no context in a struct, no reading of the environment outside
// node and cmd (and cli, whose environment is the user's).
func TestNoHiddenState(t *testing.T) {
	for _, f := range goFiles(t, false) {
		fset := token.NewFileSet()
		a, err := parser.ParseFile(fset, f, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(filepath.Dir(f))
		mayReadEnv := dir == "node" || strings.HasPrefix(dir, "cmd") || dir == "cli" || strings.HasPrefix(dir, "cli/")
		ast.Inspect(a, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: an init function", fset.Position(n.Pos()))
				}
			case *ast.StructType:
				for _, fd := range n.Fields.List {
					if s, ok := fd.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" {
						if x, ok := s.X.(*ast.Ident); ok && x.Name == "context" {
							t.Errorf("%s: a context kept in a struct", fset.Position(fd.Pos()))
						}
					}
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "os" && !mayReadEnv &&
					(n.Sel.Name == "Getenv" || n.Sel.Name == "LookupEnv" || n.Sel.Name == "Environ") {
					t.Errorf("%s: os.%s outside node, cmd and cli", fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}
