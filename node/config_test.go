package node_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/meter"
	"github.com/rouse-dev/rouse/node"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// setting is one that can be made: a good value, what it becomes, and a value that is refused.
type setting struct {
	name, good string
	field      func(node.Config) any
	want       any
	bad        string // "" when every text is good
}

var everySetting = []setting{
	{"listen", "127.0.0.2:99", func(c node.Config) any { return c.Listen }, "127.0.0.2:99", "4566"},
	{"plain", "127.0.0.2:98", func(c node.Config) any { return c.Plain }, "127.0.0.2:98", "127.0.0.1:65536"},
	{"metrics", "127.0.0.2:97", func(c node.Config) any { return c.Metrics }, "127.0.0.2:97", "9469"},
	{"data", "/var/lib/rouse", func(c node.Config) any { return c.Data }, "/var/lib/rouse", ""},
	{"store", "postgres://u@h/d", func(c node.Config) any { return c.Store }, "postgres://u@h/d", "mysql://u@h/d"},
	{"region", "eu-central-1", func(c node.Config) any { return c.Region }, "eu-central-1", "Frankfurt"},
	{"account", "123456789012", func(c node.Config) any { return c.Account }, "123456789012", "12345678901"},
	{"dev-key", "on", func(c node.Config) any { return c.DevKey }, true, "perhaps"},
	{"isolation", "process", func(c node.Config) any { return c.Isolation }, "process", "docker"},
	{"allow-weak-isolation", "yes", func(c node.Config) any { return c.AllowWeak }, true, "2"},
	{"egress", "allow:*.example.org:443", func(c node.Config) any { return c.Egress.String() }, "allow:*.example.org:443", "perhaps"},
	{"memory", "512", func(c node.Config) any { return c.MemoryMB }, 512, "127"},
	{"spares", "512", func(c node.Config) any { return c.SparesMB }, 512, "0"},
	{"cache-tables", "64", func(c node.Config) any { return c.CacheMB }, 64, "0"},
	{"concurrency", "7", func(c node.Config) any { return c.Concurrency }, 7, "0"},
	{"keep-alive", "90s", func(c node.Config) any { return c.KeepAlive }, 90 * time.Second, "10"},
	{"log-max", "3", func(c node.Config) any { return c.LogMaxMB }, 3, "-1"},
	{"public-url", "https://rouse.example.org/", func(c node.Config) any { return c.PublicURL }, "https://rouse.example.org", "https://a/b"},
	{"price.name", "ours", func(c node.Config) any { return c.Book.Name }, "ours", ""},
	{"price.currency", "EUR", func(c node.Config) any { return c.Book.Currency }, "EUR", ""},
	{"price.request", "0.5", func(c node.Config) any { return c.Book.Request }, 0.5, "free"},
	{"price.gb-second", "0.25", func(c node.Config) any { return c.Book.GBSecond }, 0.25, "-0.1"},
}

// variable is a setting's name in the environment.
func variable(name string) string {
	return "ROUSE_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// write makes a rouse.toml.
func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rouse.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// line is a setting as a line of rouse.toml.
func line(name, value string) string { return name + " = '" + value + "'\n" }

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// sources are the three places where something can be set, and how an error names them.
func sources(t testing.TB, name, value string) map[string]func() (node.Config, error) {
	file := write(t, line(name, value))
	return map[string]func() (node.Config, error){
		"--" + name: func() (node.Config, error) {
			return node.Load(true, map[string]string{name: value}, noEnvironment, "", false)
		},
		variable(name): func() (node.Config, error) {
			return node.Load(true, nil, environment(variable(name), value), "", false)
		},
		file + ": " + name: func() (node.Config, error) { return node.Load(true, nil, noEnvironment, file, true) },
	}
}

func TestEverySettingFromEverySource(t *testing.T) {
	tested := map[string]bool{}
	for _, s := range everySetting {
		tested[s.name] = true
		for source, load := range sources(t, s.name, s.good) {
			c, err := load()
			if err != nil {
				t.Errorf("%s=%q: got error %v, want it taken", source, s.good, err)
				continue
			}
			if got := s.field(c); !reflect.DeepEqual(got, s.want) {
				t.Errorf("%s=%q: got %v, want %v", source, s.good, got, s.want)
			}
		}
	}
	for _, s := range node.Settings() {
		if !tested[s.Name] {
			t.Errorf("setting %s has no row in this test", s.Name)
		}
		if s.Help == "" {
			t.Errorf("setting %s has no help", s.Name)
		}
	}
}

func TestWrongValueNamesItsSource(t *testing.T) {
	type wrong struct{ name, text string }
	wrongs := []wrong{{"data", ""}, {"egress", "maybe"}, {"price.request", "NaN"}, {"price.request", "Inf"}, {"memory", "1e3"},
		{"listen", "127.0.0.1:"}, {"listen", "127.0.0.1:-1"}, {"keep-alive", "0s"}, {"account", "1234567890123"}}
	for _, s := range everySetting {
		if s.bad != "" {
			wrongs = append(wrongs, wrong{s.name, s.bad})
		}
	}
	for _, w := range wrongs {
		bad := w.text
		for source, load := range sources(t, w.name, bad) {
			_, err := load()
			if err == nil {
				t.Errorf("%s=%q: got nil, want it refused", source, bad)
				continue
			}
			if got, want := err.Error(), source+`: "`+bad+`": want `; !strings.HasPrefix(got, want) && !strings.Contains(got, ": the port is") &&
				!strings.HasPrefix(got, source+": the URL of a store ") { // which may hold a password
				t.Errorf("%s=%q: got %q, want it to begin with %q", source, bad, got, want)
			}
		}
	}
}

// TestPrecedence: a flag before the environment before the file before the default.
func TestPrecedence(t *testing.T) {
	file := write(t, line("region", "eu-west-3"))
	env := environment("ROUSE_REGION", "eu-west-2")
	flags := map[string]string{"region": "eu-west-1"}
	for _, c := range []struct {
		flags map[string]string
		env   func(string) (string, bool)
		file  string
		want  string
	}{
		{flags, env, file, "eu-west-1"},
		{nil, env, file, "eu-west-2"},
		{nil, noEnvironment, file, "eu-west-3"},
		{nil, noEnvironment, "", "us-east-1"},
	} {
		got, err := node.Load(false, c.flags, c.env, c.file, false)
		if err != nil || got.Region != c.want {
			t.Errorf("Load(flags %v, file %q): got region %q, %v; want %q", c.flags, c.file, got.Region, err, c.want)
		}
	}
	// What is overruled is not looked at: a wrong variable does not stop who gave a flag.
	if _, err := node.Load(false, flags, environment("ROUSE_REGION", "?"), "", false); err != nil {
		t.Errorf("Load with a wrong variable behind a flag: got %v, want nil", err)
	}
}

func TestDefaults(t *testing.T) {
	c, err := node.Load(true, nil, noEnvironment, filepath.Join(t.TempDir(), "none.toml"), false)
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".rouse")
	if err != nil {
		t.Fatal(err)
	}
	want := node.Config{Dev: true, Listen: "127.0.0.1:4566", Plain: "127.0.0.1:3000", Data: here, Region: "us-east-1",
		Account: "000000000000", Isolation: "auto", Egress: egress.Everything(), Book: meter.ListPrices()}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("Load of nothing: got %+v, want %+v", c, want)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"lissen = '127.0.0.1:1'\n", "lissen is not a setting"},
		{"[price]\nper-request = 1\n", "price.per-request is not a setting"},
		{"price = 1\n", "price is not a setting"},
		{"[listen]\naddress = '127.0.0.1:1'\n", "listen.address is not a setting"},
		{"region = 'eu-central-1\n", "rouse.toml:1:"},
		{"memory = 512\nmemory = 513\n", "memory"},
		{"\xff\xfe", "rouse.toml"},
	} {
		file := write(t, c.text)
		_, err := node.Load(true, nil, noEnvironment, file, false)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("Load of %q: got %v, want an error that names the file and says %q", c.text, err, c.want)
		}
	}
	none := filepath.Join(t.TempDir(), "none.toml")
	if _, err := node.Load(true, nil, noEnvironment, none, true); err == nil || !strings.Contains(err.Error(), none) {
		t.Errorf("Load of a file that must exist: got %v, want an error that names it", err)
	}
}

// TestFileTypes: TOML's own types are taken where they mean the same.
func TestFileTypes(t *testing.T) {
	file := write(t, "memory = 512\negress = false\n[price]\nrequest = 2e-7\ngb-second = 1\n")
	c, err := node.Load(true, nil, noEnvironment, file, true)
	if err != nil {
		t.Fatal(err)
	}
	if c.MemoryMB != 512 || !c.Egress.None() || c.Book.Request != 2e-7 || c.Book.GBSecond != 1 {
		t.Errorf("Load of TOML's types: got %+v", c)
	}
	file = write(t, "egress = ['allow:api.example.com:443', '93.184.215.0/24']\n")
	if c, err = node.Load(true, nil, noEnvironment, file, true); err != nil || c.Egress.String() != "allow:api.example.com:443,93.184.215.0/24" {
		t.Errorf("Load of a list: got %s, %v", c.Egress, err)
	}
}

// FuzzFile: whatever stands in rouse.toml, it is taken or refused by an error that names the file.
func FuzzFile(f *testing.F) {
	for _, s := range everySetting {
		f.Add(line(s.name, s.good))
		f.Add(line(s.name, s.bad))
	}
	f.Add("[price]\nrequest = 1\n[[price.x]]\ny = 1979-05-27T07:32:00Z\n")
	f.Add("memory = [[1], {a = 2}]\n")
	f.Add("memory = inf\nkeep-alive = 9999999999h\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := write(t, text)
		c, err := node.Load(true, nil, noEnvironment, file, true)
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		if !filepath.IsAbs(c.Data) || c.Listen == "" || c.Region == "" || len(c.Account) != 12 {
			t.Errorf("Load of %q: got %+v, want a whole configuration", text, c)
		}
	})
}
