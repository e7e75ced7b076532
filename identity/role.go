package identity

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/identity/policy"
	"github.com/rouse-dev/rouse/kv"
)

// NewRole is what CreateRole makes a role of.
type NewRole struct {
	Account     string
	Name        string
	Path        string // "" means "/"
	Description string
	Trust       string // the trust policy
	MaxSession  int    // seconds; 0 means 3600
	Boundary    string // ARN of a managed policy, or ""
	Tags        []Tag
}

const (
	maxSessionDefault = 3600
	maxSessionMax     = 43200
)

// CreateRole makes a role.
func (i *Identity) CreateRole(ctx context.Context, n NewRole) (*Role, error) {
	r := &Role{Description: n.Description, Trust: n.Trust, MaxSession: n.MaxSession}
	if r.MaxSession == 0 {
		r.MaxSession = maxSessionDefault
	}
	var err error
	r.Principal, err = i.newPrincipal(n.Account, n.Name, "roleName", n.Path, idRole, n.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkMaxSession(r.MaxSession); err != nil {
		return nil, err
	}
	if err := i.checkTrust(n.Trust); err != nil {
		return nil, err
	}
	if got := len(sorted(i.current.Load().roles, n.Account, all[*principal])); got >= i.cfg.RolesMax {
		return nil, quota("RolesPerAccount", i.cfg.RolesMax)
	}
	at := roleKey(n.Account, n.Name)
	err = i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		if _, ok, err := tx.Get(at); err != nil {
			return nil, err
		} else if ok {
			return nil, rouse.Errorf(rouse.Exists, "Role with name %s already exists.", n.Name)
		}
		r.Created, r.Boundary = tx.Now(), ""
		keys, err := setBoundary(tx, &r.Principal, n.Boundary)
		if err != nil {
			return nil, err
		}
		put(tx, at, r)
		return append(keys, at), nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// checkAccount refuses what would be made in an account that Bootstrap has not: nothing would find it again.
func (i *Identity) checkAccount(account string) error {
	if i.current.Load().accounts[account] == nil {
		return rouse.Errorf(rouse.NotFound, "The account %s cannot be found.", account)
	}
	return nil
}

func checkMaxSession(seconds int) error {
	if seconds < maxSessionDefault || seconds > maxSessionMax {
		return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%d' at 'maxSessionDuration' failed to "+
			"satisfy constraint: Member must have value between %d and %d", seconds, maxSessionDefault, maxSessionMax)
	}
	return nil
}

func (i *Identity) newPrincipal(account, name, field, path, prefix string, tags []Tag) (Principal, error) {
	if err := i.checkAccount(account); err != nil {
		return Principal{}, err
	}
	if err := checkName(field, name, NameMax); err != nil {
		return Principal{}, err
	}
	path, err := cleanPath(path)
	if err != nil {
		return Principal{}, err
	}
	tags, err = mergeTags(nil, tags)
	if err != nil {
		return Principal{}, err
	}
	return Principal{Account: account, Name: name, Path: path, ID: newID(prefix), Tags: tags}, nil
}

// checkTrust refuses a trust policy that is malformed, too long, or names users or roles that do not exist in accounts
// of this store.
func (i *Identity) checkTrust(doc string) error {
	d, err := policy.Parse(doc, policy.Trust)
	if err != nil {
		return malformed(err)
	}
	if err := checkDenials(d); err != nil {
		return err
	}
	if documentSize(doc) > TrustMax {
		return quota("ACLSizePerRole", TrustMax)
	}
	s := i.current.Load()
	for _, arn := range d.Principals() {
		if !strings.HasPrefix(arn, "arn:aws:iam:") || s.accounts[accountOf(arn)] == nil {
			continue
		}
		if s.principals[arn] == nil {
			return malformed(&policy.Malformed{Message: "Invalid principal in policy: \"AWS\":\"" + arn + "\""})
		}
	}
	return nil
}

func checkIdentityPolicy(doc string) error {
	d, err := policy.Parse(doc, policy.Identity)
	if err != nil {
		return malformed(err)
	}
	return checkDenials(d)
}

// checkDenials refuses a Deny under a global condition that is never answered here: it would be accepted and not deny.
// Policies that were stored before are read all the same.
func checkDenials(d *policy.Document) error {
	for _, name := range d.DenialKeys() {
		if global, ok := strings.CutPrefix(strings.ToLower(name), "aws:"); ok && !answered(global) {
			return rouse.Errorf(rouse.Unsupported, "Rouse does not implement the condition key %s; "+
				"a Deny statement that needs it would not deny", name)
		}
	}
	return nil
}

func malformed(err error) error {
	var m *policy.Malformed
	if !errors.As(err, &m) {
		return err
	}
	return rouse.Errorf(rouse.Invalid, "%s", m.Message).WithCode("MalformedPolicyDocument")
}

func quota(name string, n int) error {
	return rouse.Errorf(rouse.Limit, "Cannot exceed quota for %s: %d", name, n)
}

// all keeps everything, for sorted.
func all[V any](V) bool { return true }

// Role returns a role by name.
func (i *Identity) Role(account, roleName string) (*Role, error) {
	if p := i.current.Load().roles[key(account, roleName)]; p != nil {
		return p.role, nil
	}
	return nil, noRole(roleName)
}

func noRole(name string) error {
	return rouse.Errorf(rouse.NotFound, "The role with name %s cannot be found.", name)
}

// Roles lists the roles of account under a path, by name.
func (i *Identity) Roles(account, pathPrefix string) []*Role {
	list := sorted(i.current.Load().roles, account, func(p *principal) bool { return strings.HasPrefix(p.Path, pathPrefix) })
	out := make([]*Role, len(list))
	for n, p := range list {
		out[n] = p.role
	}
	return out
}

// UpdateRole sets the description and the longest session; nil leaves as is.
func (i *Identity) UpdateRole(ctx context.Context, account, roleName string, description *string, maxSession *int) error {
	if maxSession != nil {
		if err := checkMaxSession(*maxSession); err != nil {
			return err
		}
	}
	return i.changeRole(ctx, account, roleName, func(r *Role) {
		if description != nil {
			r.Description = *description
		}
		if maxSession != nil {
			r.MaxSession = *maxSession
		}
	})
}

// SetTrust replaces the trust policy of a role.
func (i *Identity) SetTrust(ctx context.Context, account, roleName, doc string) error {
	if err := i.checkTrust(doc); err != nil {
		return err
	}
	return i.changeRole(ctx, account, roleName, func(r *Role) { r.Trust = doc })
}

func (i *Identity) changeRole(ctx context.Context, account, roleName string, set func(*Role)) error {
	at := roleKey(account, roleName)
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		r := &Role{}
		ok, err := get(tx, at, r)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noRole(roleName)
		}
		set(r)
		put(tx, at, r)
		return [][]byte{at}, nil
	})
}

// DeleteRole deletes a role that has no policies any more.
func (i *Identity) DeleteRole(ctx context.Context, account, roleName string) error {
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		at := roleKey(account, roleName)
		r := &Role{}
		ok, err := get(tx, at, r)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noRole(roleName)
		}
		if err := bare(&r.Principal); err != nil {
			return nil, err
		}
		keys, err := setBoundary(tx, &r.Principal, "")
		if err != nil {
			return nil, err
		}
		tx.Delete(at)
		return append(keys, at), nil
	})
}

// bare refuses to delete what has policies.
func bare(p *Principal) error {
	switch {
	case len(p.Attached) > 0:
		return conflict("Cannot delete entity, must detach all policies first.")
	case len(p.Inline) > 0:
		return conflict("Cannot delete entity, must delete policies first.")
	}
	return nil
}

func conflict(text string) error {
	return rouse.Errorf(rouse.Conflict, "%s", text).WithCode("DeleteConflict")
}

// Who names a role or user whose policies or tags are changed.
type Who struct{ account, kind, name string }

// RoleNamed is the role of account called name.
func RoleNamed(account, name string) Who { return Who{account, kindRole, name} }

// UserNamed is the user of account called name.
func UserNamed(account, name string) Who { return Who{account, kindUser, name} }

// changePrincipal runs set on what both kinds have in common, and writes the entity back.
func (i *Identity) changePrincipal(ctx context.Context, w Who, set func(tx kv.Tx, p *Principal) ([][]byte, error)) error {
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		var at []byte
		var entity any
		var p *Principal
		missing := noRole(w.name)
		if w.kind == kindRole {
			r := &Role{}
			at, entity, p = roleKey(w.account, w.name), r, &r.Principal
		} else {
			u := &User{}
			at, entity, p, missing = userKey(w.account, w.name), u, &u.Principal, noUser(w.name)
		}
		ok, err := get(tx, at, entity)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, missing
		}
		keys, err := set(tx, p)
		if err != nil {
			return nil, err
		}
		put(tx, at, entity)
		return append(keys, at), nil
	})
}

// PutInline sets an inline policy.
func (i *Identity) PutInline(ctx context.Context, w Who, policyName, doc string) error {
	if err := checkName("policyName", policyName, PolicyNameMax); err != nil {
		return err
	}
	if err := checkIdentityPolicy(doc); err != nil {
		return err
	}
	longest := InlineRoleMax
	if w.kind == kindUser {
		longest = InlineUserMax
	}
	return i.changePrincipal(ctx, w, func(_ kv.Tx, p *Principal) ([][]byte, error) {
		if p.Inline == nil {
			p.Inline = map[string]string{}
		}
		p.Inline[policyName] = doc
		if inlineSize(p.Inline) > longest {
			return nil, rouse.Errorf(rouse.Limit, "Maximum policy size of %d bytes exceeded for %s %s", longest, w.kind, p.Name)
		}
		return nil, nil
	})
}

// Inline returns an inline policy's document.
func (i *Identity) Inline(w Who, policyName string) (string, error) {
	p, err := i.principal(w)
	if err != nil {
		return "", err
	}
	doc, ok := p.Inline[policyName]
	if !ok {
		return "", noInline(w, policyName)
	}
	return doc, nil
}

func noInline(w Who, policyName string) error {
	return rouse.Errorf(rouse.NotFound, "The %s policy with name %s cannot be found.", w.kind, policyName)
}

// InlineNames lists the names of the inline policies.
func (i *Identity) InlineNames(w Who) ([]string, error) {
	p, err := i.principal(w)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(p.Inline)), nil
}

// DeleteInline deletes an inline policy.
func (i *Identity) DeleteInline(ctx context.Context, w Who, policyName string) error {
	return i.changePrincipal(ctx, w, func(_ kv.Tx, p *Principal) ([][]byte, error) {
		if _, ok := p.Inline[policyName]; !ok {
			return nil, noInline(w, policyName)
		}
		delete(p.Inline, policyName)
		return nil, nil
	})
}

func (i *Identity) principal(w Who) (*principal, error) {
	s := i.current.Load()
	if w.kind == kindRole {
		if p := s.roles[key(w.account, w.name)]; p != nil {
			return p, nil
		}
		return nil, noRole(w.name)
	}
	if p := s.users[key(w.account, w.name)]; p != nil {
		return p, nil
	}
	return nil, noUser(w.name)
}

// Tag sets tags.
func (i *Identity) Tag(ctx context.Context, w Who, tags []Tag) error {
	return i.changePrincipal(ctx, w, func(_ kv.Tx, p *Principal) (_ [][]byte, err error) {
		p.Tags, err = mergeTags(p.Tags, tags)
		return nil, err
	})
}

// Untag removes tags; those that are not there do not matter.
func (i *Identity) Untag(ctx context.Context, w Who, keys []string) error {
	return i.changePrincipal(ctx, w, func(_ kv.Tx, p *Principal) ([][]byte, error) {
		p.Tags = removeTags(p.Tags, keys)
		return nil, nil
	})
}

// Attach attaches a managed policy; once attached it stays so.
func (i *Identity) Attach(ctx context.Context, w Who, arn string) error {
	return i.changePrincipal(ctx, w, func(tx kv.Tx, p *Principal) ([][]byte, error) {
		if slices.Contains(p.Attached, arn) {
			return nil, nil
		}
		if len(p.Attached) >= AttachedMax {
			return nil, quota("PoliciesPer"+strings.ToUpper(w.kind[:1])+w.kind[1:], AttachedMax)
		}
		keys, err := countUse(tx, p.Account, arn, func(m *Managed) { m.Attachments++ })
		p.Attached = append(p.Attached, arn)
		return keys, err
	})
}

// Detach detaches a managed policy.
func (i *Identity) Detach(ctx context.Context, w Who, arn string) error {
	return i.changePrincipal(ctx, w, func(tx kv.Tx, p *Principal) ([][]byte, error) {
		at := slices.Index(p.Attached, arn)
		if at < 0 {
			return nil, noPolicy(arn)
		}
		p.Attached = slices.Delete(p.Attached, at, at+1)
		return countUse(tx, p.Account, arn, func(m *Managed) { m.Attachments-- })
	})
}

// SetBoundary sets the permissions boundary, or removes it when arn is "".
func (i *Identity) SetBoundary(ctx context.Context, w Who, arn string) error {
	return i.changePrincipal(ctx, w, func(tx kv.Tx, p *Principal) ([][]byte, error) {
		return setBoundary(tx, p, arn)
	})
}

func setBoundary(tx kv.Tx, p *Principal, arn string) ([][]byte, error) {
	if p.Boundary == arn {
		return nil, nil
	}
	var keys [][]byte
	if p.Boundary != "" {
		k, err := countUse(tx, p.Account, p.Boundary, func(m *Managed) { m.Boundaries-- })
		if err != nil {
			return nil, err
		}
		keys = append(keys, k...)
	}
	if arn != "" {
		k, err := countUse(tx, p.Account, arn, func(m *Managed) { m.Boundaries++ })
		if err != nil {
			return nil, err
		}
		keys = append(keys, k...)
	}
	p.Boundary = arn
	return keys, nil
}
