package catalog

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// Latest is the qualifier of the version that changes.
const Latest = "$LATEST"

// States of a function and of its last update.
const (
	Pending    = "Pending"
	Active     = "Active"
	Failed     = "Failed" // also of an update
	InProgress = "InProgress"
	Successful = "Successful"
)

// Version is what runs: a published version or $LATEST, as it was at one moment. Immutable; do not change what it points to.
type Version struct {
	Account string    `json:"-"`
	Name    string    `json:"-"`
	ARN     rouse.ARN `json:"-"` // qualified by Number
	Number  string    // "$LATEST" or "1", "2", …

	Description    string            `json:",omitempty"`
	Runtime        string            `json:",omitempty"`
	Handler        string            `json:",omitempty"`
	Role           string            // ARN
	PackageType    string            // "Zip"
	Architectures  []string          // one of x86_64, arm64
	TimeoutSeconds int               // 1–900
	MemoryMB       int               // 128–10240
	TmpMB          int               // 512–10240
	Environment    map[string]string `json:",omitempty"` // nil: the function was made without any
	Layers         []LayerRef        `json:",omitempty"` // in the order in which they are unpacked over one another

	CodeSHA256   string // base64, as AWS shows it
	CodeKey      string // the archive's blob
	CodeSize     int64  // bytes of the archive
	CodeUnzipped int64  // bytes of what is in it

	Tracing     string // "PassThrough" or "Active"
	LogGroup    string
	LogFormat   string // "Text" or "JSON"
	LogLevel    string `json:",omitempty"` // of the application, with JSON
	SystemLevel string `json:",omitempty"` // of the platform's lines, with JSON

	RevisionID       string
	LastModified     time.Time
	State            string
	StateReason      string `json:",omitempty"`
	StateReasonCode  string `json:",omitempty"`
	LastUpdateStatus string
	UpdateReason     string `json:",omitempty"`
	UpdateReasonCode string `json:",omitempty"`

	Reserved *int              `json:"-"` // concurrency reserved for the function; nil: none
	Tags     map[string]string `json:"-"` // of the function
}

// LayerRef is a layer version that a function uses. The code stays for the function when the layer is deleted.
type LayerRef struct {
	ARN          string
	CodeSHA256   string
	CodeKey      string
	CodeSize     int64
	CodeUnzipped int64
}

// Timeout is TimeoutSeconds as a duration.
func (v *Version) Timeout() time.Duration { return time.Duration(v.TimeoutSeconds) * time.Second }

// same reports whether publishing v would make a version equal to other.
func (v *Version) same(other *Version) bool {
	return v.Runtime == other.Runtime && v.Handler == other.Handler && v.Role == other.Role &&
		v.TimeoutSeconds == other.TimeoutSeconds && v.MemoryMB == other.MemoryMB && v.TmpMB == other.TmpMB &&
		v.CodeSHA256 == other.CodeSHA256 && slices.Equal(v.Architectures, other.Architectures) &&
		slices.EqualFunc(v.Layers, other.Layers, func(a, b LayerRef) bool { return a.ARN == b.ARN }) &&
		sameMap(v.Environment, other.Environment) && v.Tracing == other.Tracing && v.LogGroup == other.LogGroup &&
		v.LogFormat == other.LogFormat && v.LogLevel == other.LogLevel && v.SystemLevel == other.SystemLevel
}

func sameMap(a, b map[string]string) bool {
	if len(a) != len(b) || (a == nil) != (b == nil) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// name is a function or layer of an account.
type name struct{ account, name string }

// function is everything of one function on the shelf. Immutable.
type function struct {
	name     name
	asked    *Version   // $LATEST as the last change wants it
	running  *Version   // $LATEST as it runs: asked, or what was before an update that is in progress
	versions []*Version // published, ascending
	aliases  []*Alias   // by name
	policies []*Policy  // by qualifier
	urls     []*URL     // by qualifier
	events   []*EventConfig
	reserved *int
	tags     map[string]string
}

// version finds a published version by its number.
func (f *function) version(number string) *Version {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(f.versions, n, func(v *Version, n uint64) int {
		m, _ := strconv.ParseUint(v.Number, 10, 64)
		switch {
		case m < n:
			return -1
		case m > n:
			return 1
		}
		return 0
	})
	if !ok || f.versions[i].Number != number {
		return nil
	}
	return f.versions[i]
}

func (f *function) alias(alias string) *Alias {
	i, ok := slices.BinarySearchFunc(f.aliases, alias, func(a *Alias, s string) int { return strings.Compare(a.Name, s) })
	if !ok {
		return nil
	}
	return f.aliases[i]
}

func (f *function) policy(qualifier string) *Policy {
	for _, p := range f.policies {
		if p.Qualifier == qualifier {
			return p
		}
	}
	return nil
}

func (f *function) url(qualifier string) *URL {
	for _, u := range f.urls {
		if u.Qualifier == qualifier {
			return u
		}
	}
	return nil
}

func (f *function) event(qualifier string) *EventConfig {
	for _, e := range f.events {
		if e.Qualifier == qualifier {
			return e
		}
	}
	return nil
}

// Resolve answers the version that an invocation of fn runs now: for an alias with weights it is drawn anew at each call.
// NotFound when there is none. It reads memory only, and the version may be Pending or Failed.
func (c *Catalog) Resolve(fn rouse.ARN) (*Version, error) {
	fnName, qualifier, ok := fn.FunctionName()
	if !ok {
		return nil, rouse.Errorf(rouse.Invalid, "%s is not a function", fn)
	}
	f, ok := c.functions.get(name{fn.Account, fnName})
	if !ok || fn.Region != c.cfg.Region {
		return nil, notFound(fn)
	}
	if qualifier == "" || qualifier == Latest {
		return f.running, nil
	}
	if a := f.alias(qualifier); a != nil {
		qualifier = a.draw()
		if qualifier == Latest {
			return f.running, nil
		}
	}
	if v := f.version(qualifier); v != nil {
		return v, nil
	}
	return nil, notFound(fn)
}

// Version answers a version as the API shows it: of $LATEST what the last change wants, of an alias its main version.
func (c *Catalog) Version(r Ref) (*Version, error) {
	f, err := c.function(r)
	if err != nil {
		return nil, err
	}
	return f.qualified(c, r)
}

func (f *function) qualified(c *Catalog, r Ref) (*Version, error) {
	number := r.Qualifier
	if number == "" || number == Latest {
		return f.asked, nil
	}
	if a := f.alias(number); a != nil {
		number = a.Version
	}
	if number == Latest {
		return f.asked, nil
	}
	if v := f.version(number); v != nil {
		return v, nil
	}
	return nil, notFound(c.ARN(r))
}

// function is the shelf's entry, or NotFound naming r as it was asked for.
func (c *Catalog) function(r Ref) (*function, error) {
	f, ok := c.functions.get(r.name())
	if !ok {
		return nil, notFound(c.ARN(r))
	}
	return f, nil
}

func notFound(fn rouse.ARN) *rouse.Error {
	return rouse.Errorf(rouse.NotFound, "Function not found: %s", fn).WithCode("ResourceNotFoundException")
}

// Functions lists the account's functions by name after the name after, at most limit, with every published version
// beside $LATEST when all is set. next is the name to go on after, "" at the end.
func (c *Catalog) Functions(account, after string, limit int, all bool) (versions []*Version, next string) {
	var fs []*function
	for n, f := range c.functions.all {
		if n.account == account && n.name > after {
			fs = append(fs, f)
		}
	}
	slices.SortFunc(fs, func(a, b *function) int { return strings.Compare(a.name.name, b.name.name) })
	for i, f := range fs {
		// A function's versions stay on one page, so that a name is enough to go on after.
		if i > 0 && len(versions) >= limit {
			return versions, fs[i-1].name.name
		}
		versions = append(versions, f.asked)
		if all {
			versions = append(versions, f.versions...)
		}
	}
	return versions, ""
}

// Versions lists a function's versions, $LATEST first, then ascending, after the number after.
func (c *Catalog) Versions(r Ref, after string, limit int) (versions []*Version, next string, err error) {
	f, err := c.function(r.unqualified())
	if err != nil {
		return nil, "", err
	}
	all := append([]*Version{f.asked}, f.versions...)
	if after != "" {
		from, _ := strconv.ParseUint(after, 10, 64) // $LATEST is before 1
		all = slices.DeleteFunc(all, func(v *Version) bool {
			n, _ := strconv.ParseUint(v.Number, 10, 64)
			return n <= from
		})
	}
	if len(all) > limit {
		return all[:limit], all[limit-1].Number, nil
	}
	return all, "", nil
}

// Tags of the function.
func (c *Catalog) Tags(r Ref) (map[string]string, error) {
	f, err := c.function(r.unqualified())
	if err != nil {
		return nil, err
	}
	return f.tags, nil
}
