package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Limits of AWS (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html). Sizes of documents do not
// count white space.
const (
	NameMax            = 64
	PolicyNameMax      = 128
	PathMax            = 512
	TrustMax           = 2048  // of a role's trust policy
	InlineRoleMax      = 10240 // of a role's inline policies together
	InlineUserMax      = 2048
	DocumentMax        = 6144 // of a version of a managed policy
	AttachedMax        = 10   // managed policies of one role or user
	VersionsMax        = 5
	AccessKeysMax      = 2
	TagsMax            = 50
	UsersMax           = 5000
	PoliciesMax        = 1500
	SessionMin         = 15 * time.Minute
	SessionDefault     = time.Hour
	SessionMax         = 12 * time.Hour
	SessionTokenMax    = 36 * time.Hour // GetSessionToken for a user; an hour for root
	sessionNameMin     = 2
	instanceSessionMax = 12 * time.Hour
)

// Tag is a name and a value; names of one entity differ.
type Tag struct{ Key, Value string }

// Principal is what users and roles have in common. Values of this type handed out are copies of the store's: read them.
type Principal struct {
	Account  string
	Name     string
	Path     string
	ID       string // AIDA…, AROA…
	Created  time.Time
	Inline   map[string]string `json:",omitempty"` // name to document, as it was given
	Attached []string          `json:",omitempty"` // ARNs of managed policies, in the order of attachment
	Boundary string            `json:",omitempty"` // ARN of the managed policy that is the permissions boundary
	Tags     []Tag             `json:",omitempty"`
}

// Role is what can be assumed.
type Role struct {
	Principal
	Description string `json:",omitempty"`
	Trust       string // the trust policy, as it was given
	MaxSession  int    // seconds
}

// ARN names the role.
func (r *Role) ARN() string { return "arn:aws:iam::" + r.Account + ":role" + r.Path + r.Name }

// User is a person or program with keys of its own.
type User struct {
	Principal
	Keys []string `json:",omitempty"` // ids of access keys
}

// ARN names the user.
func (u *User) ARN() string { return "arn:aws:iam::" + u.Account + ":user" + u.Path + u.Name }

// Managed is a managed policy.
type Managed struct {
	Account     string // "aws" for those that AWS maintains
	Name        string
	Path        string
	ID          string // ANPA…
	Description string `json:",omitempty"`
	Created     time.Time
	Updated     time.Time
	Default     string // id of the version in force
	Versions    []Version
	Next        int   // number of the next version
	Attachments int   // of customer policies; counted in the snapshot for those of AWS
	Boundaries  int   // how many principals have it as their boundary
	Tags        []Tag `json:",omitempty"`
}

// ARN names the policy.
func (m *Managed) ARN() string { return "arn:aws:iam::" + m.Account + ":policy" + m.Path + m.Name }

// Version returns the version named id; nil if there is none.
func (m *Managed) Version(id string) *Version {
	for i := range m.Versions {
		if m.Versions[i].ID == id {
			return &m.Versions[i]
		}
	}
	return nil
}

// Version of a managed policy.
type Version struct {
	ID       string // "v1"
	Document string
	Created  time.Time
}

// Status of an access key.
const (
	StatusActive   = "Active"
	StatusInactive = "Inactive"
)

// AccessKey is a long-term key without its secret.
type AccessKey struct {
	ID      string
	Account string
	User    string // "" for the root user
	Status  string
	Created time.Time
}

// NewAccessKey is an access key with its secret, which is shown once.
type NewAccessKey struct {
	AccessKey
	Secret string
}

type accountRecord struct {
	ID      string
	Created time.Time
	Keys    []string // of the root user
}

type keyRecord struct {
	Account string
	User    string `json:",omitempty"`
	Status  string
	Created time.Time
	Sealed  []byte // the secret
}

// Keys in the store. IAM has no regions, so that part is empty; names are unique whatever their case.

func topic() []byte               { return tuple.Key("", "", "identity") }
func generationKey() []byte       { return tuple.Key("", "", "identity", "generation") }
func accountsRange() kv.Range     { return tuple.Prefix("", "", "identity", "account") }
func accountKey(id string) []byte { return tuple.Key("", "", "identity", "account", id) }
func keysRange() kv.Range         { return tuple.Prefix("", "", "identity", "key") }
func keyKey(id string) []byte     { return tuple.Key("", "", "identity", "key", id) }
func roleKey(a, n string) []byte  { return tuple.Key(a, "", "identity", kindRole, strings.ToLower(n)) }
func userKey(a, n string) []byte  { return tuple.Key(a, "", "identity", kindUser, strings.ToLower(n)) }
func policyKey(a, n string) []byte {
	return tuple.Key(a, "", "identity", kindPolicy, strings.ToLower(n))
}

const (
	kindRole   = "role"
	kindUser   = "user"
	kindPolicy = "policy"
)

// put stores v as JSON. These types always marshal.
func put(tx kv.Tx, key []byte, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("identity: %T does not marshal: %v", v, err))
	}
	tx.Set(key, b)
}

// get reads the value of key into v.
func get(tx interface {
	Get(key []byte) ([]byte, bool, error)
}, key []byte, v any) (ok bool, err error) {
	b, ok, err := tx.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("read %q: %w", key, err)
	}
	return true, nil
}

// Prefixes of unique ids.
const (
	longTerm  = "AKIA"
	temporary = "ASIA"
	idRole    = "AROA"
	idUser    = "AIDA"
	idPolicy  = "ANPA"
)

const idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// newAccessKeyID makes an id that carries its account as those of AWS do: after the prefix, in base32, one set bit, 40
// bits of account and 39 random ones. So the account of a temporary key is known without keeping it.
func newAccessKeyID(prefix, account string) string {
	n, _ := strconv.ParseUint(account, 10, 64)
	var b [12]byte
	rand.Read(b[8:])
	var low [1]byte
	rand.Read(low[:])
	binary.BigEndian.PutUint64(b[:8], 1<<47|n<<7|uint64(low[0]&0x7f))
	return prefix + base32.StdEncoding.EncodeToString(b[2:12])
}

// AccountOfKey reads the account from an access key id.
func AccountOfKey(id string) (account string, ok bool) {
	if len(id) != 20 {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(id[4:])
	if err != nil || b[0]&0x80 == 0 {
		return "", false
	}
	var z [8]byte
	copy(z[2:], b[:6])
	n := binary.BigEndian.Uint64(z[:]) & 0x7fffffffff80 >> 7
	if n > 999_999_999_999 {
		return "", false
	}
	return fmt.Sprintf("%012d", n), true
}

// newID makes a unique id of 21 characters.
func newID(prefix string) string {
	var b [17]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = idAlphabet[b[i]&31]
	}
	return prefix + string(b[:])
}

// newSecret makes a secret of 40 characters, as long as those of AWS.
func newSecret() string {
	var b [30]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	namePattern    = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathPattern    = regexp.MustCompile(`^/$|^/[\x21-\x7e]+/$`)
)

func checkName(field, name string, longest int) error {
	switch {
	case !namePattern.MatchString(name):
		return rouse.Errorf(rouse.Invalid, "The specified value for %s is invalid. It must contain only alphanumeric "+
			"characters and/or the following: +=,.@_-", field)
	case len(name) > longest:
		return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value at '%s' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", field, longest)
	}
	return nil
}

// cleanPath checks a path; "" means "/".
func cleanPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	if !pathPattern.MatchString(path) || len(path) > PathMax {
		return "", rouse.Errorf(rouse.Invalid, "The specified value for path is invalid. It must begin and end with / "+
			"and contain only alphanumeric characters and/or / characters.")
	}
	return path, nil
}

// documentSize is the size of a document as AWS counts it, without white space.
func documentSize(doc string) int {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(doc)); err != nil {
		return len(doc)
	}
	return b.Len()
}

func inlineSize(docs map[string]string) int {
	n := 0
	for _, d := range docs {
		n += documentSize(d)
	}
	return n
}

// mergeTags sets tags, replacing those of the same key, whose case does not count.
func mergeTags(have, set []Tag) ([]Tag, error) {
	out := slices.Clone(have)
	for n, t := range set {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return nil, rouse.Errorf(rouse.Invalid, "The tag key or value is invalid: %q", t.Key)
		}
		if slices.ContainsFunc(set[:n], func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) }) {
			return nil, rouse.Errorf(rouse.Invalid, "Duplicate tag keys found. Please note that Tag keys are case insensitive.").
				WithCode("InvalidInput")
		}
		at := slices.IndexFunc(out, func(o Tag) bool { return strings.EqualFold(o.Key, t.Key) })
		if at >= 0 {
			out[at] = t
			continue
		}
		out = append(out, t)
	}
	if len(out) > TagsMax {
		return nil, rouse.Errorf(rouse.Limit, "The number of tags has reached the maximum limit.")
	}
	return out, nil
}

func removeTags(have []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(have), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}
