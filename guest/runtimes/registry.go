package runtimes

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse/guest"
)

// DefaultRegistry is the public npm registry.
const DefaultRegistry = "https://registry.npmjs.org"

const (
	askMax    = 5 * time.Second // for an interpreter to say its version
	askAtOnce = 4
)

// Config is where to look, and where to put what is fetched.
type Config struct {
	Dir      string       // the folder that guests see at /var/runtime; made when it is missing
	Path     []string     // folders of the PATH, in order
	Home     string       // where .nvm and .pyenv may be; "" for none
	Registry string       // npm registry, "" is DefaultRegistry
	HTTP     *http.Client // "" is a client without a timeout of its own: ctx bounds each request
	OS, Arch string       // Go's names; "" for this machine's
}

// Entry is one installed interpreter.
type Entry struct {
	guest.Interpreter
	Host   string // the executable on the host
	Origin string // "PATH", "nvm", "pyenv" or "rouse": who installed it
	SDK    string // the AWS SDK that comes with it: "boto3 1.26.27", "AWS SDK for JavaScript 3.1173.0"; "" for none
	SDKv2  string // the one before it: "AWS SDK for JavaScript 2.1693.0"; "" for none
}

// SDKs are those that come with it.
func (e Entry) SDKs() []string {
	return slices.DeleteFunc([]string{e.SDK, e.SDKv2}, func(s string) bool { return s == "" })
}

// Registry knows the installed interpreters. Safe for concurrent use.
type Registry struct {
	cfg     Config
	entries atomic.Pointer[[]Entry]
	adding  sync.Mutex // one Add at a time
}

// Open looks for interpreters. ctx bounds the search.
func Open(ctx context.Context, cfg Config) (*Registry, error) {
	if cfg.Dir == "" {
		return nil, fmt.Errorf("open runtimes: no folder")
	}
	cfg.Registry = strings.TrimSuffix(cmp.Or(cfg.Registry, DefaultRegistry), "/")
	cfg.OS, cfg.Arch = cmp.Or(cfg.OS, runtime.GOOS), cmp.Or(cfg.Arch, runtime.GOARCH)
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open runtimes: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open runtimes: %w", err)
	}
	r := &Registry{cfg: cfg}
	r.Refresh(ctx)
	return r, nil
}

// List is what is installed: Node before Python, newest first; of equal versions the one on the PATH first.
func (r *Registry) List() []Entry { return slices.Clone(*r.entries.Load()) }

// Refresh looks again.
func (r *Registry) Refresh(ctx context.Context) {
	found := r.candidates()
	var wg sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for i := range found {
		if found[i].Version != "" {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			found[i].Version = askVersion(ctx, found[i].Host)
			<-slots
		}()
	}
	wg.Wait()
	found = slices.DeleteFunc(found, func(e Entry) bool { return !supported(e.Interpreter) })
	for i := range found {
		r.complete(&found[i])
	}
	slices.SortStableFunc(found, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), parseVersion(b.Version).compare(parseVersion(a.Version)))
	})
	r.entries.Store(&found)
}

// supported reports whether the bootstraps run on it.
func supported(i guest.Interpreter) bool {
	oldest := version{3, 8}
	if i.Kind == guest.Node {
		oldest = version{16}
	}
	return parseVersion(i.Version).compare(oldest) >= 0
}

var (
	nodeName   = regexp.MustCompile(`^node$`)
	pythonName = regexp.MustCompile(`^python3(\.\d+)?$`)
)

// candidates are the executables that may be interpreters, each once. Those whose folder tells the version have it.
func (r *Registry) candidates() []Entry {
	var list []Entry
	seen := map[string]bool{}
	add := func(kind guest.Kind, path, origin, version string) {
		program, err := filepath.EvalSymlinks(path)
		if err != nil || seen[program] || !isProgram(program) {
			return
		}
		seen[program] = true
		list = append(list, Entry{Interpreter: guest.Interpreter{Kind: kind, Version: version}, Host: program, Origin: origin})
	}
	for _, dir := range r.cfg.Path {
		names, _ := os.ReadDir(dir)
		for _, n := range names {
			switch {
			case nodeName.MatchString(n.Name()):
				add(guest.Node, filepath.Join(dir, n.Name()), "PATH", "")
			case pythonName.MatchString(n.Name()):
				add(guest.Python, filepath.Join(dir, n.Name()), "PATH", "")
			}
		}
	}
	folders := func(pattern, prefix string, kind guest.Kind, origin string) {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			v := strings.TrimPrefix(filepath.Base(filepath.Dir(filepath.Dir(p))), prefix)
			if parseVersion(v) != (version{}) {
				add(kind, p, origin, v)
			}
		}
	}
	folders(filepath.Join(r.cfg.Dir, langDir, "node-*", "bin", "node"), "node-", guest.Node, "rouse")
	if r.cfg.Home != "" {
		folders(filepath.Join(r.cfg.Home, ".nvm", "versions", "node", "v*", "bin", "node"), "v", guest.Node, "nvm")
		folders(filepath.Join(r.cfg.Home, ".pyenv", "versions", "3.*", "bin", "python3"), "", guest.Python, "pyenv")
	}
	return list
}

// isProgram reports whether path is an executable and no script: the shims of pyenv and its kin look like interpreters
// and need their owner's home.
func isProgram(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [2]byte
	_, err = f.Read(head[:])
	return err == nil && string(head[:]) != "#!"
}

// askVersion runs the interpreter to learn its version; "" when it does not say.
func askVersion(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	v := strings.TrimSpace(string(out))
	return strings.TrimPrefix(strings.TrimPrefix(v, "Python "), "v")
}

// complete fills in what follows from where an interpreter is.
func (r *Registry) complete(e *Entry) {
	e.Path = e.Host
	prefix := filepath.Dir(filepath.Dir(e.Host))
	switch {
	case within(e.Host, r.cfg.Dir):
		rel, _ := filepath.Rel(r.cfg.Dir, e.Host)
		e.Path = "/var/runtime/" + filepath.ToSlash(rel)
	case within(e.Host, "/usr") || within(e.Host, "/bin") || within(e.Host, "/lib"):
		// what every image shows
	case hidden(prefix):
		e.Path = "/var/lang/" + filepath.ToSlash(strings.TrimPrefix(e.Host, prefix+"/"))
		e.Binds = []guest.Bind{{Source: prefix, Target: "/var/lang"}}
	default:
		e.Binds = []guest.Bind{{Source: prefix, Target: prefix}}
	}
	switch e.Kind {
	case guest.Node:
		e.SDK, e.SDKv2 = r.installedSDK("sdk-js"), r.installedSDK("sdk-js-v2")
	case guest.Python:
		if v := boto3(prefix, parseVersion(e.Version)); v != "" {
			e.SDK = "boto3 " + v
		}
	}
}

// installedSDK is the SDK of that name as people read it, "" when it is not installed.
func (r *Registry) installedSDK(name string) string {
	s, _ := sdkOf(name)
	if v := r.sdkVersion(s); v != "" {
		return "AWS SDK for JavaScript " + v
	}
	return ""
}

// hidden reports whether a sandbox has something of its own at that place.
func hidden(path string) bool {
	for _, p := range []string{"/opt", "/tmp", "/proc", "/dev", "/var/task", "/var/runtime", "/var/lang"} {
		if within(path, p) {
			return true
		}
	}
	return false
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// boto3 is the version of the AWS SDK that a Python finds by itself: the distribution's package, or one of its own.
func boto3(prefix string, v version) string {
	for _, dir := range []string{
		filepath.Join(prefix, "lib", fmt.Sprintf("python%d.%d", v[0], v[1]), "site-packages"),
		filepath.Join(prefix, "lib", "python3", "dist-packages"),
		filepath.Join(prefix, "local", "lib", fmt.Sprintf("python%d.%d", v[0], v[1]), "dist-packages"),
	} {
		info, _ := filepath.Glob(filepath.Join(dir, "boto3-*-info"))
		for _, i := range info {
			name := strings.TrimPrefix(filepath.Base(i), "boto3-")
			if at := strings.IndexAny(name, "-"); at > 0 {
				name = name[:at]
			}
			return strings.TrimSuffix(strings.TrimSuffix(name, ".dist"), ".egg")
		}
	}
	return ""
}

// version is major, minor, patch.
type version [3]int

var versionForm = regexp.MustCompile(`^(\d{1,4})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?`)

// parseVersion reads the numbers at the start of s; the zero version when there are none.
func parseVersion(s string) (v version) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return version{}
	}
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // "" is 0
	}
	return v
}

func (v version) compare(o version) int { return slices.Compare(v[:], o[:]) }
