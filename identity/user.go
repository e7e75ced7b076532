package identity

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// NewUser is what CreateUser makes a user of.
type NewUser struct {
	Account  string
	Name     string
	Path     string // "" means "/"
	Boundary string // ARN of a managed policy, or ""
	Tags     []Tag
}

// CreateUser makes a user.
func (i *Identity) CreateUser(ctx context.Context, n NewUser) (*User, error) {
	u := &User{}
	var err error
	u.Principal, err = i.newPrincipal(n.Account, n.Name, "userName", n.Path, idUser, n.Tags)
	if err != nil {
		return nil, err
	}
	if got := len(sorted(i.current.Load().users, n.Account, all[*principal])); got >= UsersMax {
		return nil, quota("UsersPerAccount", UsersMax)
	}
	at := userKey(n.Account, n.Name)
	err = i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		if _, ok, err := tx.Get(at); err != nil {
			return nil, err
		} else if ok {
			return nil, rouse.Errorf(rouse.Exists, "User with name %s already exists.", n.Name)
		}
		u.Created, u.Boundary = tx.Now(), ""
		keys, err := setBoundary(tx, &u.Principal, n.Boundary)
		if err != nil {
			return nil, err
		}
		put(tx, at, u)
		return append(keys, at), nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// User returns a user by name.
func (i *Identity) User(account, userName string) (*User, error) {
	if p := i.current.Load().users[key(account, userName)]; p != nil {
		return p.user, nil
	}
	return nil, noUser(userName)
}

func noUser(name string) error {
	return rouse.Errorf(rouse.NotFound, "The user with name %s cannot be found.", name)
}

// Users lists the users of account under a path, by name.
func (i *Identity) Users(account, pathPrefix string) []*User {
	list := sorted(i.current.Load().users, account, func(p *principal) bool { return strings.HasPrefix(p.Path, pathPrefix) })
	out := make([]*User, len(list))
	for n, p := range list {
		out[n] = p.user
	}
	return out
}

// DeleteUser deletes a user that has neither policies nor access keys any more.
func (i *Identity) DeleteUser(ctx context.Context, account, userName string) error {
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		at := userKey(account, userName)
		u := &User{}
		ok, err := get(tx, at, u)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, noUser(userName)
		}
		if err := bare(&u.Principal); err != nil {
			return nil, err
		}
		if len(u.Keys) > 0 {
			return nil, conflict("Cannot delete entity, must delete access keys first.")
		}
		keys, err := setBoundary(tx, &u.Principal, "")
		if err != nil {
			return nil, err
		}
		tx.Delete(at)
		return append(keys, at), nil
	})
}

// keyring is who holds access keys: a user, or the root user of an account when userName is "".
func keyring(tx kv.Tx, account, userName string) (at []byte, entity any, ids *[]string, err error) {
	if userName == "" {
		a := &accountRecord{}
		at, entity, ids = accountKey(account), a, &a.Keys
		ok, err := get(tx, at, a)
		if err == nil && !ok {
			err = rouse.Errorf(rouse.NotFound, "The account %s cannot be found.", account)
		}
		return at, entity, ids, err
	}
	u := &User{}
	at, entity, ids = userKey(account, userName), u, &u.Keys
	ok, err := get(tx, at, u)
	if err == nil && !ok {
		err = noUser(userName)
	}
	return at, entity, ids, err
}

// CreateAccessKey makes an access key of a user; of the account's root user when userName is "".
func (i *Identity) CreateAccessKey(ctx context.Context, account, userName string) (NewAccessKey, error) {
	id, secret := newAccessKeyID(longTerm, account), newSecret()
	sealed := i.vault.seal(id, secret)
	k := NewAccessKey{AccessKey: AccessKey{ID: id, Account: account, User: userName, Status: StatusActive}, Secret: secret}
	err := i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		at, entity, ids, err := keyring(tx, account, userName)
		if err != nil {
			return nil, err
		}
		if len(*ids) >= AccessKeysMax {
			return nil, quota("AccessKeysPerUser", AccessKeysMax)
		}
		if u, ok := entity.(*User); ok {
			k.User = u.Name // in the case that it was made with
		}
		k.Created = tx.Now()
		*ids = append(*ids, id)
		put(tx, at, entity)
		put(tx, keyKey(id), keyRecord{Account: account, User: k.User, Status: StatusActive, Created: k.Created, Sealed: sealed})
		return [][]byte{at, keyKey(id)}, nil
	})
	if err != nil {
		return NewAccessKey{}, err
	}
	return k, nil
}

// AccessKeys lists the access keys of a user, or of the root user, oldest first.
func (i *Identity) AccessKeys(account, userName string) ([]AccessKey, error) {
	s := i.current.Load()
	var ids []string
	if userName == "" {
		if a := s.accounts[account]; a != nil {
			ids = a.Keys
		}
	} else {
		u := s.users[key(account, userName)]
		if u == nil {
			return nil, noUser(userName)
		}
		ids = u.user.Keys
	}
	out := make([]AccessKey, 0, len(ids))
	for _, id := range ids {
		if k := s.keys[id]; k != nil {
			out = append(out, AccessKey{ID: id, Account: k.Account, User: k.User, Status: k.Status, Created: k.Created})
		}
	}
	slices.SortStableFunc(out, func(a, b AccessKey) int { return cmp.Compare(a.Created.UnixNano(), b.Created.UnixNano()) })
	return out, nil
}

func noKey(id string) error {
	return rouse.Errorf(rouse.NotFound, "The Access Key with id %s cannot be found.", id)
}

// SetAccessKeyStatus makes a key StatusActive or StatusInactive.
func (i *Identity) SetAccessKeyStatus(ctx context.Context, account, userName, id, status string) error {
	if status != StatusActive && status != StatusInactive {
		return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at 'status' failed to satisfy "+
			"constraint: Member must satisfy enum value set: [Active, Inactive]", status)
	}
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		var r keyRecord
		ok, err := get(tx, keyKey(id), &r)
		if err != nil {
			return nil, err
		}
		if !ok || r.Account != account || !strings.EqualFold(r.User, userName) {
			return nil, noKey(id)
		}
		r.Status = status
		put(tx, keyKey(id), r)
		return [][]byte{keyKey(id)}, nil
	})
}

// DeleteAccessKey deletes a key of a user, or of the root user.
func (i *Identity) DeleteAccessKey(ctx context.Context, account, userName, id string) error {
	return i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
		at, entity, ids, err := keyring(tx, account, userName)
		if err != nil {
			return nil, err
		}
		n := slices.Index(*ids, id)
		if n < 0 {
			return nil, noKey(id)
		}
		*ids = slices.Delete(*ids, n, n+1)
		put(tx, at, entity)
		tx.Delete(keyKey(id))
		return [][]byte{at, keyKey(id)}, nil
	})
}

// KeyOwner finds the account and user of a long-term key of this store; user is "" for the root user.
func (i *Identity) KeyOwner(id string) (account, user string, ok bool) {
	if id == DevKeyID && i.cfg.DevKey {
		return i.cfg.Account, "", true
	}
	k := i.current.Load().keys[id]
	if k == nil {
		return "", "", false
	}
	return k.Account, k.User, true
}
