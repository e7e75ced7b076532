package identity

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// NewPolicy is what CreatePolicy makes a managed policy of.
type NewPolicy struct {
	Account     string
	Name        string
	Path        string // "" means "/"
	Description string
	Document    string
	Tags        []Tag
}

// CreatePolicy makes a managed policy with the version v1.
func (i *Identity) CreatePolicy(ctx context.Context, n NewPolicy) (*Managed, error) {
	if err := i.checkAccount(n.Account); err != nil {
		return nil, err
	}
	if err := checkName("policyName", n.Name, PolicyNameMax); err != nil {
		return nil, err
	}
	path, err := cleanPath(n.Path)
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, n.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkDocument(n.Document); err != nil {
		return nil, err
	}
	if got := len(sorted(i.current.Load().named, n.Account, all[*livePolicy])); got >= PoliciesMax {
		return nil, quota("PoliciesPerAccount", PoliciesMax)
	}
	m := &Managed{Account: n.Account, Name: n.Name, Path: path, ID: newID(idPolicy), Description: n.Description,
		Default: "v1", Next: 2, Tags: tags}
	at := policyKey(n.Account, n.Name)
	err = i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		if _, ok, err := tx.Get(at); err != nil {
			return nil, err
		} else if ok {
			return nil, rouse.Errorf(rouse.Exists, "A policy called %s already exists. Duplicate names are not allowed.", n.Name)
		}
		m.Created = tx.Now()
		m.Updated = m.Created
		m.Versions = []Version{{ID: "v1", Document: n.Document, Created: m.Created}}
		put(tx, at, m)
		return [][]byte{at}, nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

func checkDocument(doc string) error {
	if err := checkIdentityPolicy(doc); err != nil {
		return err
	}
	if documentSize(doc) > DocumentMax {
		return quota("PolicySize", DocumentMax)
	}
	return nil
}

func noPolicy(arn string) error { return rouse.Errorf(rouse.NotFound, "Policy %s was not found.", arn) }

func isAWS(arn string) bool { return strings.HasPrefix(arn, "arn:aws:iam::aws:policy/") }

// Policy returns a managed policy, of account or one that AWS maintains.
func (i *Identity) Policy(account, arn string) (*Managed, error) {
	s := i.current.Load()
	if isAWS(arn) {
		m := awsManaged(arn)
		if m == nil {
			return nil, noPolicy(arn)
		}
		u := s.inUse[arn]
		m.Attachments, m.Boundaries = u.attachments, u.boundaries
		return m, nil
	}
	if m := s.policies[arn]; m != nil && m.Account == account {
		return m.Managed, nil
	}
	return nil, noPolicy(arn)
}

// Scope says which managed policies to list.
type Scope string

// The scopes of IAM.
const (
	ScopeAll   Scope = "All"
	ScopeAWS   Scope = "AWS"
	ScopeLocal Scope = "Local"
)

// Policies lists managed policies under a path: those of account by name, then those that AWS maintains.
func (i *Identity) Policies(account, pathPrefix string, scope Scope) []*Managed {
	var out []*Managed
	if scope != ScopeAWS {
		for _, m := range sorted(i.current.Load().named, account, all[*livePolicy]) {
			out = append(out, m.Managed)
		}
	}
	if scope != ScopeLocal {
		for _, arn := range awsManagedARNs() {
			if m, err := i.Policy(account, arn); err == nil {
				out = append(out, m)
			}
		}
	}
	return slices.DeleteFunc(out, func(m *Managed) bool { return !strings.HasPrefix(m.Path, pathPrefix) })
}

// changePolicy runs set on a policy of account and writes it back, or deletes it when set clears its versions.
func (i *Identity) changePolicy(ctx context.Context, account, arn string, set func(tx kv.Tx, m *Managed) error) error {
	if isAWS(arn) {
		return rouse.Errorf(rouse.Denied, "Policy %s is maintained by AWS and cannot be changed.", arn)
	}
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		at, m, err := policyAt(tx, account, arn)
		if err != nil {
			return nil, err
		}
		if m == nil {
			return nil, noPolicy(arn)
		}
		if err := set(tx, m); err != nil {
			return nil, err
		}
		if len(m.Versions) == 0 {
			tx.Delete(at)
		} else {
			put(tx, at, m)
		}
		return [][]byte{at}, nil
	})
}

// policyAt reads a customer managed policy by ARN; nil if there is none.
func policyAt(tx kv.Tx, account, arn string) ([]byte, *Managed, error) {
	at := policyKey(account, arn[strings.LastIndexByte(arn, '/')+1:])
	m := &Managed{}
	ok, err := get(tx, at, m)
	if err != nil || !ok || m.ARN() != arn {
		return at, nil, err
	}
	return at, m, nil
}

// countUse changes the use counts of a managed policy that is being attached or detached; those that AWS maintains are
// counted in the snapshot.
func countUse(tx kv.Tx, account, arn string, count func(*Managed)) ([][]byte, error) {
	missing := rouse.Errorf(rouse.NotFound, "Policy %s does not exist or is not attachable.", arn)
	if isAWS(arn) {
		if awsManaged(arn) == nil {
			return nil, missing
		}
		return nil, nil
	}
	at, m, err := policyAt(tx, account, arn)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, missing
	}
	count(m)
	put(tx, at, m)
	return [][]byte{at}, nil
}

// CreateVersion adds a version of a managed policy.
func (i *Identity) CreateVersion(ctx context.Context, account, arn, doc string, setDefault bool) (v Version, err error) {
	if err := checkDocument(doc); err != nil {
		return v, err
	}
	err = i.changePolicy(ctx, account, arn, func(tx kv.Tx, m *Managed) error {
		if len(m.Versions) >= VersionsMax {
			return rouse.Errorf(rouse.Limit, "A managed policy can have up to %d versions. Before you create a new version, "+
				"you must delete an existing version.", VersionsMax)
		}
		v = Version{ID: "v" + strconv.Itoa(m.Next), Document: doc, Created: tx.Now()}
		m.Next++
		m.Versions = append(m.Versions, v)
		m.Updated = v.Created
		if setDefault {
			m.Default = v.ID
		}
		return nil
	})
	return v, err
}

func noVersion(arn, id string) error {
	return rouse.Errorf(rouse.NotFound, "Policy %s version %s does not exist or is not attachable.", arn, id)
}

// PolicyVersion returns one version of a managed policy.
func (i *Identity) PolicyVersion(account, arn, id string) (v Version, isDefault bool, err error) {
	m, err := i.Policy(account, arn)
	if err != nil {
		return v, false, err
	}
	p := m.Version(id)
	if p == nil {
		return v, false, noVersion(arn, id)
	}
	return *p, m.Default == id, nil
}

// SetDefaultVersion puts a version of a managed policy into force.
func (i *Identity) SetDefaultVersion(ctx context.Context, account, arn, id string) error {
	return i.changePolicy(ctx, account, arn, func(tx kv.Tx, m *Managed) error {
		if m.Version(id) == nil {
			return noVersion(arn, id)
		}
		m.Default, m.Updated = id, tx.Now()
		return nil
	})
}

// DeleteVersion deletes a version that is not the default.
func (i *Identity) DeleteVersion(ctx context.Context, account, arn, id string) error {
	return i.changePolicy(ctx, account, arn, func(_ kv.Tx, m *Managed) error {
		switch {
		case m.Version(id) == nil:
			return noVersion(arn, id)
		case m.Default == id:
			return conflict("Cannot delete the default version of a policy.")
		}
		m.Versions = slices.DeleteFunc(m.Versions, func(v Version) bool { return v.ID == id })
		return nil
	})
}

// DeletePolicy deletes a managed policy that is not in use and has one version.
func (i *Identity) DeletePolicy(ctx context.Context, account, arn string) error {
	return i.changePolicy(ctx, account, arn, func(_ kv.Tx, m *Managed) error {
		switch {
		case m.Attachments > 0 || m.Boundaries > 0:
			return conflict("Cannot delete a policy attached to entities.")
		case len(m.Versions) > 1:
			return conflict("This policy has more than one version. Before you delete a policy, you must delete the " +
				"policy's versions. The default version is deleted with the policy.")
		}
		m.Versions = nil
		return nil
	})
}

// TagPolicy sets tags of a managed policy.
func (i *Identity) TagPolicy(ctx context.Context, account, arn string, tags []Tag) error {
	return i.changePolicy(ctx, account, arn, func(_ kv.Tx, m *Managed) (err error) {
		m.Tags, err = mergeTags(m.Tags, tags)
		return err
	})
}

// UntagPolicy removes tags of a managed policy.
func (i *Identity) UntagPolicy(ctx context.Context, account, arn string, keys []string) error {
	return i.changePolicy(ctx, account, arn, func(_ kv.Tx, m *Managed) error {
		m.Tags = removeTags(m.Tags, keys)
		return nil
	})
}

// Attached lists the managed policies attached to a role or user, in the order of attachment.
func (i *Identity) Attached(w Who) ([]string, error) {
	p, err := i.principal(w)
	if err != nil {
		return nil, err
	}
	return p.Principal.Attached, nil
}

// AttachedTo lists the users and roles that have a managed policy attached, by name.
func (i *Identity) AttachedTo(account, arn string) (users []*User, roles []*Role, err error) {
	if _, err := i.Policy(account, arn); err != nil {
		return nil, nil, err
	}
	s := i.current.Load()
	has := func(p *principal) bool { return slices.Contains(p.Principal.Attached, arn) }
	for _, p := range sorted(s.users, account, has) {
		users = append(users, p.user)
	}
	for _, p := range sorted(s.roles, account, has) {
		roles = append(roles, p.role)
	}
	return users, roles, nil
}
