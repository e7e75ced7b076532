package identity

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/identity/policy"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// snapshot is all principals at one generation. It is immutable: a change clones the map that it touches.
type snapshot struct {
	generation uint64
	accounts   map[string]*accountRecord
	keys       map[string]*liveKey
	principals map[string]*principal   // users and roles by ARN
	roles      map[name]*principal     // the same by name
	users      map[name]*principal     //
	policies   map[string]*livePolicy  // customer managed ones by ARN
	named      map[name]*livePolicy    // the same by name
	inUse      map[string]attachedUses // uses of policies that AWS maintains, by ARN
}

// name is unique within an account whatever its case.
type name struct{ account, lower string }

type attachedUses struct{ attachments, boundaries int }

// principal is a user or role, ready to decide.
type principal struct {
	*Principal
	arn      string
	role     *Role // one of the two
	user     *User
	docs     []*policy.Document // inline ones, and those that AWS maintains
	attached []string           // ARNs of customer managed ones: looked up when deciding, as they change on their own
	trust    *policy.Document   // of a role
	bound    *policy.Document   // the boundary, if AWS maintains it
}

type liveKey struct {
	keyRecord
	secret string
}

type livePolicy struct {
	*Managed
	doc *policy.Document // the version in force
}

func emptySnapshot() *snapshot {
	return &snapshot{
		accounts: map[string]*accountRecord{}, keys: map[string]*liveKey{},
		principals: map[string]*principal{}, roles: map[name]*principal{}, users: map[name]*principal{},
		policies: map[string]*livePolicy{}, named: map[name]*livePolicy{}, inUse: map[string]attachedUses{},
	}
}

// clone copies the maps; the entries are shared.
func (s *snapshot) clone() *snapshot {
	return &snapshot{
		generation: s.generation, accounts: maps.Clone(s.accounts), keys: maps.Clone(s.keys),
		principals: maps.Clone(s.principals), roles: maps.Clone(s.roles), users: maps.Clone(s.users),
		policies: maps.Clone(s.policies), named: maps.Clone(s.named), inUse: maps.Clone(s.inUse),
	}
}

// getter reads points: a kv.View or a kv.Tx.
type getter interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

// load puts the entity of key, as it stands in the store, into s, or takes it out.
func (i *Identity) load(s *snapshot, from getter, key []byte) error {
	parts, err := tuple.Parse(key)
	if err != nil || len(parts) != 5 {
		return fmt.Errorf("key %q is none of the identity room", key)
	}
	account, _ := parts[0].(string)
	kind, _ := parts[3].(string)
	id, _ := parts[4].(string)
	switch kind {
	case "account":
		var r accountRecord
		ok, err := get(from, key, &r)
		if ok {
			s.accounts[id] = &r
		} else {
			delete(s.accounts, id)
		}
		return err
	case "key":
		return i.loadKey(s, from, key, id)
	case kindPolicy:
		return i.loadPolicy(s, from, key, name{account, id})
	case kindRole:
		r := &Role{}
		ok, err := get(from, key, r)
		if err != nil {
			return err
		}
		var p *principal
		if ok {
			if p, err = i.compileRole(r); err != nil {
				return err
			}
		}
		s.place(s.roles, name{account, id}, p)
		return nil
	case kindUser:
		u := &User{}
		ok, err := get(from, key, u)
		if err != nil {
			return err
		}
		var p *principal
		if ok {
			if p, err = i.compileUser(u); err != nil {
				return err
			}
		}
		s.place(s.users, name{account, id}, p)
		return nil
	}
	return fmt.Errorf("key %q is none of the identity room", key)
}

func (i *Identity) loadKey(s *snapshot, from getter, key []byte, id string) error {
	var r keyRecord
	ok, err := get(from, key, &r)
	if err != nil || !ok {
		delete(s.keys, id)
		return err
	}
	secret, err := i.vault.open(id, r.Sealed)
	if err != nil {
		return err
	}
	s.keys[id] = &liveKey{r, secret}
	return nil
}

func (i *Identity) loadPolicy(s *snapshot, from getter, key []byte, n name) error {
	m := &Managed{}
	ok, err := get(from, key, m)
	if err != nil {
		return err
	}
	if old := s.named[n]; old != nil {
		delete(s.policies, old.ARN())
		delete(s.named, n)
	}
	if !ok {
		return nil
	}
	v := m.Version(m.Default)
	if v == nil {
		return fmt.Errorf("policy %s has no version %s", m.ARN(), m.Default)
	}
	doc, err := i.cache.compile(v.Document, policy.Identity)
	if err != nil {
		return fmt.Errorf("policy %s: %w", m.ARN(), err)
	}
	live := &livePolicy{m, doc}
	s.policies[m.ARN()], s.named[n] = live, live
	return nil
}

// place puts p under n, or takes out what is there when p is nil.
func (s *snapshot) place(kind map[name]*principal, n name, p *principal) {
	if old := kind[n]; old != nil {
		delete(s.principals, old.arn)
		delete(kind, n)
		s.count(old, -1)
	}
	if p != nil {
		s.principals[p.arn], kind[n] = p, p
		s.count(p, 1)
	}
}

// count keeps the number of uses of policies that AWS maintains.
func (s *snapshot) count(p *principal, by int) {
	for _, arn := range p.Attached {
		if isAWS(arn) {
			u := s.inUse[arn]
			u.attachments += by
			s.inUse[arn] = u
		}
	}
	if isAWS(p.Boundary) {
		u := s.inUse[p.Boundary]
		u.boundaries += by
		s.inUse[p.Boundary] = u
	}
}

func (i *Identity) compileRole(r *Role) (*principal, error) {
	p := &principal{Principal: &r.Principal, arn: r.ARN(), role: r}
	var err error
	if p.trust, err = i.cache.compile(r.Trust, policy.Trust); err != nil {
		return nil, fmt.Errorf("trust policy of %s: %w", p.arn, err)
	}
	return p, i.compileDocs(p)
}

func (i *Identity) compileUser(u *User) (*principal, error) {
	p := &principal{Principal: &u.Principal, arn: u.ARN(), user: u}
	return p, i.compileDocs(p)
}

func (i *Identity) compileDocs(p *principal) error {
	for _, n := range slices.Sorted(maps.Keys(p.Inline)) {
		doc, err := i.cache.compile(p.Inline[n], policy.Identity)
		if err != nil {
			return fmt.Errorf("policy %s of %s: %w", n, p.arn, err)
		}
		p.docs = append(p.docs, doc)
	}
	for _, arn := range p.Attached {
		if !isAWS(arn) {
			p.attached = append(p.attached, arn)
			continue
		}
		doc, err := i.compileAWS(arn)
		if err != nil {
			return fmt.Errorf("policies of %s: %w", p.arn, err)
		}
		p.docs = append(p.docs, doc)
	}
	var err error
	if isAWS(p.Boundary) {
		p.bound, err = i.compileAWS(p.Boundary)
	}
	return err
}

func (i *Identity) compileAWS(arn string) (*policy.Document, error) {
	m := awsManaged(arn)
	if m == nil {
		return nil, fmt.Errorf("policy %s is not known", arn)
	}
	doc, err := i.cache.compile(m.Versions[0].Document, policy.Identity)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", arn, err)
	}
	return doc, nil
}

// reload reads everything from one view.
func (i *Identity) reload(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := emptySnapshot()
	err := i.cfg.Store.View(ctx, func(v kv.View) error {
		var err error
		if s.generation, err = generation(v); err != nil {
			return err
		}
		ranges := []kv.Range{accountsRange(), keysRange()}
		for pair, err := range v.Scan(accountsRange(), scanMax) {
			if err != nil {
				return err
			}
			parts, err := tuple.Parse(pair.Key)
			if err != nil {
				return err
			}
			ranges = append(ranges, tuple.Prefix(parts[4], "", "identity"))
		}
		for _, r := range ranges {
			for pair, err := range v.Scan(r, scanMax) {
				if err != nil {
					return err
				}
				if err := i.load(s, loaded(pair), pair.Key); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.publish(s, s.generation)
	return nil
}

// scanMax bounds a scan; with every quota used up an account has some ten thousand entities.
const scanMax = 1 << 20

// loaded serves load from a pair that a scan has read already.
type loaded kv.Pair

func (p loaded) Get([]byte) ([]byte, bool, error) { return p.Value, true, nil }

func generation(from getter) (uint64, error) {
	var g uint64
	_, err := get(from, generationKey(), &g)
	return g, err
}

// follow reloads when the store's generation is not the snapshot's. A change of this node that has committed and is
// about to be published causes a reload too many, no harm.
func (i *Identity) follow(ctx context.Context) error {
	var g uint64
	err := i.cfg.Store.View(ctx, func(v kv.View) (err error) {
		g, err = generation(v)
		return err
	})
	if err != nil || g == i.current.Load().generation {
		return err
	}
	return i.reload(ctx)
}

// change runs fn in an Update and publishes the keys that it returns. None means that nothing was changed.
func (i *Identity) change(ctx context.Context, fn func(tx kv.Tx) (keys [][]byte, err error)) error {
	var g uint64
	var keys [][]byte
	err := i.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var err error
		if keys, err = fn(tx); err != nil || len(keys) == 0 {
			return err
		}
		if g, err = generation(tx); err != nil {
			return err
		}
		g++
		put(tx, generationKey(), g)
		tx.Wake(topic())
		return nil
	})
	if err != nil || len(keys) == 0 {
		return failed(err)
	}
	// What is committed has to be seen, even if the client has gone.
	return failed(i.refresh(context.WithoutCancel(ctx), g, keys))
}

// refresh reads keys back and publishes them. Reading under mu orders concurrent changes of one entity: the last one to
// publish has read the last one to commit.
func (i *Identity) refresh(ctx context.Context, g uint64, keys [][]byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.current.Load().clone()
	err := i.cfg.Store.View(ctx, func(v kv.View) error {
		for _, key := range keys {
			if err := i.load(s, v, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.publish(s, g)
	return nil
}

// publish makes s current, which now includes generation g. The snapshot's own generation is the last up to which all
// are included: an unknown one in between is another node's. The caller holds mu.
func (i *Identity) publish(s *snapshot, g uint64) {
	if g > s.generation {
		i.applied[g] = true
	}
	for i.applied[s.generation+1] {
		s.generation++
	}
	maps.DeleteFunc(i.applied, func(g uint64, _ bool) bool { return g <= s.generation })
	i.current.Store(s)
}

// sorted lists the values of m that belong to account by name.
func sorted[V any](m map[name]V, account string, keep func(V) bool) []V {
	var names []name
	for n, v := range m {
		if n.account == account && keep(v) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b name) int { return cmp.Compare(a.lower, b.lower) })
	out := make([]V, len(names))
	for n := range names {
		out[n] = m[names[n]]
	}
	return out
}

func key(account, n string) name { return name{account, strings.ToLower(n)} }
