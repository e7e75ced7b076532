package build_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/cli/build"
)

const one = "Resources:\n  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: src } }\n"

// archive builds the one function of src.
func archive(t *testing.T, dir string) build.Artifact {
	t.Helper()
	return run(t, dir, one).Artifacts[0]
}

// TestSameBytes: an archive depends on names, contents and who may execute; not on times, owners, umasks or places.
func TestSameBytes(t *testing.T) {
	files := map[string]string{"src/b.js": "bb", "src/a/deep.js": strings.Repeat("d", 5000), "src/run*": "#!", "src/to": "-> b.js"}
	first, second := folder(t, files), folder(t, files)
	old := time.Now().Add(-50 * time.Hour)
	if err := os.Chtimes(filepath.Join(second, "src/b.js"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "src/b.js"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b := archive(t, first), archive(t, second)
	x, err := os.ReadFile(a.File)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b.File)
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash != b.Hash || !bytes.Equal(x, y) {
		t.Errorf("got archives %s and %s, want the same bytes", a.Hash, b.Hash)
	}
	if filepath.Base(a.File) != a.Hash+".zip" || a.Size != int64(len(x)) {
		t.Errorf("got file %s of %d bytes, want %s.zip of %d", a.File, a.Size, a.Hash, len(x))
	}
	put(t, second, map[string]string{"src/b.js": "bc"})
	if c := archive(t, second); c.Hash == a.Hash {
		t.Error("another content, the same archive")
	}
}

func TestWhatIsPacked(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "1", "src/.env": "2", "src/node_modules/x/index.js": "3", "src/.git/config": "4",
		"src/.rouse/store/x": "5", "src/a.pyc": "6", "src/__pycache__/a.pyc": "7", "src/.venv/bin/x": "8", "src/.DS_Store": "9", "src/x~": "10",
		"src/.#index.js": "-> nobody@nowhere.1"})
	same(t, "archive", contents(t, archive(t, dir)), "index.js", ".env", "node_modules/x/index.js")
}

// TestLinks: links within the code stay links, since packages find each other by them; what they lead to elsewhere comes
// along; those that lead nowhere are left out; and none makes a build go on for ever.
func TestLinks(t *testing.T) {
	dir := folder(t, map[string]string{
		"src/index.js": "1", "src/same": "-> index.js", "src/lib/x.js": "2", "src/lib/back": "-> ..", "src/here": "-> .", "src/alias": "-> lib",
		"src/gone": "-> nothing", "src/out.js": "-> ../shared/s.js", "src/shared": "-> ../shared", "src/venvlink": "-> venv/p.py", "src/venv/p.py": "4",
		"shared/s.js": "3", "shared/again": "-> .", "shared/up": "-> ../src",
	})
	if err := os.Symlink(filepath.Join(dir, "src/lib/x.js"), filepath.Join(dir, "src/absolute")); err != nil {
		t.Fatal(err)
	}
	got := contents(t, archive(t, dir))
	same(t, "archive", got, "index.js", "same", "lib/x.js", "lib/back", "here", "alias", "out.js", "shared/s.js", "venvlink", "absolute")
	for name, want := range map[string]string{"same": "-> index.js", "lib/back": "-> ..", "here": "-> .", "alias": "-> lib", "absolute": "-> lib/x.js",
		"out.js": "3", "shared/s.js": "3", "venvlink": "4"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}

// TestLinksOutOfTheProject: what a cloned repository's links name elsewhere on the machine is not packed in silence.
func TestLinksOutOfTheProject(t *testing.T) {
	elsewhere := folder(t, map[string]string{"credentials": "secret"})
	dir := folder(t, map[string]string{"app/src/index.js": "1", "app/src/code": "-> ../../lib", "lib/x.js": "2"})
	template := strings.ReplaceAll(one, "src", "app/src")
	inApp := func() (build.Result, error) {
		return build.Build(context.Background(), []byte(one), config(t, filepath.Join(dir, "app")))
	}
	if _, err := inApp(); err == nil || !strings.Contains(err.Error(), "leads out of the project, to "+filepath.Join(dir, "lib")) {
		t.Errorf("beside the template's folder: got %v, want a refusal", err)
	}
	put(t, dir, map[string]string{".git/HEAD": ""})
	if _, err := inApp(); err != nil {
		t.Errorf("in the same repository: %v", err)
	}
	same(t, "archive", contents(t, run(t, dir, template).Artifacts[0]), "index.js", "code/x.js")
	if err := os.Symlink(filepath.Join(elsewhere, "credentials"), filepath.Join(dir, "app/src/data")); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, template, "F: CodeUri: the link "+filepath.Join(dir, "app/src/data")+" leads out of the project")
}

// TestArchivesAsTheyAre: a path that is an archive already is taken as it is; one that is another file is packed alone.
func TestArchivesAsTheyAre(t *testing.T) {
	dir := folder(t, map[string]string{"src": "not really a zip", "x/y": ""})
	same(t, "a file", contents(t, archive(t, dir)), "src")
	if err := os.Rename(filepath.Join(dir, "src"), filepath.Join(dir, "code.zip")); err != nil {
		t.Fatal(err)
	}
	a := run(t, dir, strings.ReplaceAll(one, "src", "code.zip")).Artifacts[0]
	if a.File != filepath.Join(dir, "code.zip") || a.Size != 16 {
		t.Errorf("got %+v, want the archive itself", a)
	}
}

// TestPackedOnce: unchanged files are not packed again, and a change of any of them is seen.
func TestPackedOnce(t *testing.T) {
	dir := folder(t, map[string]string{"src/index.js": "1", "src/link": "-> index.js"})
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(dir, "src/index.js"), old, old); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, dir)
	packs := 0
	cfg.Step = func(what string) {
		if strings.HasSuffix(what, "pack") {
			packs++
		}
	}
	hash := func() string {
		res, err := build.Build(context.Background(), []byte(one), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(res.Artifacts[0].File); err != nil {
			t.Fatal(err)
		}
		return res.Artifacts[0].Hash
	}
	lookBack(t, filepath.Join(dir, "src/link"))
	first := hash()
	if second := hash(); second != first || packs != 1 {
		t.Errorf("unchanged: got %d packs, want 1", packs)
	}
	if err := os.Chmod(filepath.Join(dir, "src/index.js"), 0o755); err != nil {
		t.Fatal(err)
	}
	if hash() == first {
		t.Error("a changed mode was not seen")
	}
	put(t, dir, map[string]string{"src/index.js": "2"})
	changed := hash()
	if changed == first {
		t.Error("a changed content was not seen")
	}
	if err := os.Chtimes(filepath.Join(dir, "src/index.js"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "src/index.js"), 0o644); err != nil {
		t.Fatal(err)
	}
	hash()
	zips, err := filepath.Glob(filepath.Join(cfg.Work, "*.zip"))
	if err != nil || len(zips) != 1 {
		t.Errorf("got %d archives in the work folder (%v), want the last one", len(zips), err)
	}
}

// lookBack waits until a link, whose time cannot be set, is old enough to be trusted.
func lookBack(t *testing.T, path string) {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(st.ModTime().Add(100 * time.Millisecond)))
}

// TestLimits: too much is refused before it is read.
func TestLimits(t *testing.T) {
	dir := folder(t, map[string]string{"src/big": ""})
	if err := os.Truncate(filepath.Join(dir, "src/big"), 250<<20); err != nil {
		t.Fatal(err)
	}
	put(t, dir, map[string]string{"src/more": "x"})
	refused(t, dir, one, "template:2:", "F: CodeUri: ", "holds more than a function may (100000 files, 250 MiB)")

	if testing.Short() {
		return
	}
	dir = folder(t, map[string]string{"src/x": ""})
	for i := range 100_000 {
		name := filepath.Join(dir, "src", fmt.Sprint(i))
		if i%10_000 == 0 { // file systems bound the names of one file
			put(t, dir, map[string]string{fmt.Sprint("src/", i): ""})
		} else if err := os.Link(filepath.Join(dir, "src", fmt.Sprint(i/10_000*10_000)), name); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, dir, one, "holds more than a function may")
}
