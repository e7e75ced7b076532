package node

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/meter"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// Config is all that can be said to a node. Each value comes from the first that names it: a flag, an environment
// variable ROUSE_…, the file rouse.toml, the default.
type Config struct {
	Dev         bool          // development: the key test/test works on loopback, plain HTTP at Plain
	Listen      string        // host:port of the doors; default 127.0.0.1:4566
	Plain       string        // dev: host:port that serves the first API at /; default 127.0.0.1:3000; "off"
	Metrics     string        // host:port of the page for Prometheus; "off"; "" on the doors; default "" in dev, else 127.0.0.1:9469
	Data        string        // folder of all state; default .rouse
	Store       string        // postgres://… : the store is there and not in Data, where blobs and the seal key stay; may hold a password
	Region      string        // of this node; default us-east-1
	Account     string        // of its root user; default 000000000000
	DevKey      bool          // accept the key test/test from anywhere, in any mode: for closed networks only
	Isolation   string        // "auto", "ns" or "process"; default auto
	AllowWeak   bool          // serve although the isolation in force has no limits
	Egress      egress.Policy // what functions reach of the public internet at most; default everything
	MemoryMB    int           // budget of all instances; default three quarters of the machine
	SparesMB    int           // what workers kept ready may take beside it, beyond two of each kind; default a tenth of the machine
	CacheMB     int           // what cache tables hold together; default an eighth of the memory that the node may use
	Concurrency int           // attempts at once per account; default 1000
	KeepAlive   time.Duration // how long an idle instance stays; default 10 minutes
	LogMaxMB    int           // of one log group, oldest dropped first; default 256
	PublicURL   string        // how clients reach the doors, when that is not http://Listen
	Book        meter.Book    // prices; default AWS's list

	keysLast time.Duration // how long the keys of an instance are good; default pool.CredentialsTTL
}

// settings are the names that a value has in rouse.toml, as a flag (--name) and in the environment (ROUSE_NAME, dashes
// and dots as underscores), with what takes its text.
var settings = []struct {
	Name string
	Help string
	set  func(*Config, string) error // an error of it is told with the text, but for store's
}{
	{"listen", "address of the doors, host:port", func(c *Config, s string) error { c.Listen = s; return hostPort(s) }},
	{"plain", "development: address that serves the first API at /, or off", orOff(func(c *Config) *string { return &c.Plain })},
	{"metrics", "address of the page for Prometheus, host:port or off; unset: 127.0.0.1:9469, in development the doors",
		orOff(func(c *Config) *string { return &c.Metrics })},
	{"data", "folder of all state", func(c *Config, s string) error {
		c.Data = s
		return match(s, `.`, "a folder")
	}},
	{storeSetting, "postgres://user@host/database: keep the store there; its password better in PGPASSWORD or ~/.pgpass",
		func(c *Config, s string) error {
			c.Store = s
			_, err := postgres.ParseURL(s)
			return err
		}},
	{"region", "AWS region that this node is", func(c *Config, s string) error {
		c.Region = s
		return match(s, `^[a-z]{2}(-[a-z]+)+-\d$`, "a region such as eu-central-1")
	}},
	{"account", "AWS account id of the root user", func(c *Config, s string) error {
		c.Account = s
		return match(s, `^\d{12}$`, "12 digits")
	}},
	{"dev-key", "accept the key test/test from anywhere", boolean(func(c *Config) *bool { return &c.DevKey })},
	{"isolation", "auto, ns or process", func(c *Config, s string) error {
		c.Isolation = s
		return match(s, `^(auto|ns|process)$`, "auto, ns or process")
	}},
	{"allow-weak-isolation", "serve although sandboxes have no limits", boolean(func(c *Config) *bool { return &c.AllowWeak })},
	{"egress", "what functions reach of the public internet: on, off or allow:HOST[:PORT],CIDR[:PORT],… (see docs/SECURITY.md)", setEgress},
	{"memory", "MiB that all instances may use together", integer(func(c *Config) *int { return &c.MemoryMB }, 128, 1<<24)},
	{"spares", "MiB that workers kept ready for starts may use", integer(func(c *Config) *int { return &c.SparesMB }, 1, 1<<24)},
	{"cache-tables", "MiB that tables tagged rouse:cache may hold together; unset: an eighth of the memory",
		integer(func(c *Config) *int { return &c.CacheMB }, 1, 1<<24)},
	{"concurrency", "invocations at once per account", integer(func(c *Config) *int { return &c.Concurrency }, 1, 1_000_000)},
	{"keep-alive", "how long an idle instance stays, such as 10m", func(c *Config, s string) error {
		d, err := time.ParseDuration(s)
		c.KeepAlive = d
		if err != nil || d < time.Second {
			return errors.New("want a duration of at least 1s, such as 10m")
		}
		return nil
	}},
	{"log-max", "MiB kept of one log group", integer(func(c *Config) *int { return &c.LogMaxMB }, 1, 1<<20)},
	{"public-url", "how clients reach this node, such as https://rouse.example.org", func(c *Config, s string) error {
		c.PublicURL = strings.TrimSuffix(s, "/")
		return match(s, `^https?://[^/]+/?$`, "a URL without a path, such as https://rouse.example.org")
	}},
	{"price.name", "name of the price book", func(c *Config, s string) error { c.Book.Name = s; return nil }},
	{"price.currency", "currency of the price book", func(c *Config, s string) error { c.Book.Currency = s; return nil }},
	{"price.request", "price of one invocation", price(func(c *Config) *float64 { return &c.Book.Request })},
	{"price.gb-second", "price of one GiB for one second", price(func(c *Config) *float64 { return &c.Book.GBSecond })},
}

// storeSetting is the one setting that may hold a secret.
const storeSetting = "store"

// Load puts a configuration together. flags and env hold texts by setting name and by variable name; file is the path of
// rouse.toml, which need not exist unless mustExist. Errors name the setting and where it was set.
func Load(dev bool, flags map[string]string, env func(string) (string, bool), file string, mustExist bool) (Config, error) {
	c := Config{Dev: dev, Listen: "127.0.0.1:4566", Plain: "127.0.0.1:3000", Data: ".rouse", Region: rouse.DefaultRegion,
		Account: rouse.DefaultAccount, Isolation: "auto", Egress: egress.Everything(), Book: meter.ListPrices()}
	if !dev {
		c.Metrics = "127.0.0.1:9469"
	}
	inFile, err := readFile(file, mustExist)
	if err != nil {
		return Config{}, err
	}
	for _, s := range settings {
		variable := "ROUSE_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(s.Name))
		text, from, ok := flags[s.Name], "--"+s.Name, false
		if _, ok = flags[s.Name]; !ok {
			if text, ok = env(variable); ok {
				from = variable
			} else if text, ok = inFile[s.Name]; ok {
				from = file + ": " + s.Name
			}
		}
		if !ok {
			continue
		}
		if err := s.set(&c, text); err != nil && s.Name == storeSetting {
			return Config{}, fmt.Errorf("%s: %w", from, err) // the text may hold a password
		} else if err != nil {
			return Config{}, fmt.Errorf("%s: %q: %w", from, text, err)
		}
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return Config{}, err
	}
	return c, nil
}

// readFile flattens rouse.toml to setting names and texts, and refuses names that are none.
func readFile(file string, mustExist bool) (map[string]string, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !mustExist {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var tree map[string]any
	if err := toml.Unmarshal(b, &tree); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return nil, fmt.Errorf("%s:%d:%d: %s", file, row, column, strings.TrimPrefix(at.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	flat := map[string]string{}
	flatten("", tree, flat)
	for name := range flat {
		if !known(name) {
			return nil, fmt.Errorf("%s: %s is not a setting; `rouse help configuration` lists them", file, name)
		}
	}
	return flat, nil
}

func flatten(prefix string, tree map[string]any, into map[string]string) {
	for k, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			flatten(prefix+k+".", v, into)
		case []any:
			parts := make([]string, len(v))
			for i, p := range v {
				parts[i] = fmt.Sprint(p)
			}
			into[prefix+k] = strings.Join(parts, ",")
		default:
			into[prefix+k] = fmt.Sprint(v)
		}
	}
}

func known(name string) bool {
	for _, s := range settings {
		if s.Name == name {
			return true
		}
	}
	return false
}

func hostPort(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("want host:port, such as 127.0.0.1:4566")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("the port is a number up to 65535")
	}
	return nil
}

func orOff(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, s string) error {
		*field(c) = s
		if s == "off" {
			return nil
		}
		return hostPort(s)
	}
}

func match(s, form, want string) error {
	if !regexp.MustCompile(form).MatchString(s) {
		return errors.New("want " + want)
	}
	return nil
}

func boolean(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, s string) error {
		switch strings.ToLower(s) {
		case "true", "on", "yes", "1":
			*field(c) = true
		case "false", "off", "no", "0":
			*field(c) = false
		default:
			return errors.New("want on or off")
		}
		return nil
	}
}

func integer(field func(*Config) *int, low, high int) func(*Config, string) error {
	return func(c *Config, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want a number from %d to %d", low, high)
		}
		*field(c) = n
		return nil
	}
}

func price(field func(*Config) *float64) func(*Config, string) error {
	return func(c *Config, s string) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("want a price, such as 0.0000002")
		}
		*field(c) = f
		return nil
	}
}

// loopback reports whether the address is one that only this machine reaches.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
