// Package identity knows who may do what: accounts, their root user, users, roles, policies, access keys and temporary
// credentials, and the decision "may this principal do this to that?".
//
// # Three ideas
//
// Decisions come from a snapshot. All principals of the store are held in memory, their policies compiled, behind one
// atomic pointer; Authorize and Credentials read it once and do no I/O, for they stand on every request.
//
// Sessions are stateless. A session token is a sealed statement (whose role, which session, until when); the secret is
// derived from it. Giving an instance the credentials of its role costs some microseconds and no write. What the token
// names is looked up at every use, by name and by unique id, so that a deleted role stops working at once, and one made
// again under the same name does not bring old sessions back.
//
// Secrets at rest are sealed with Config.SealKey, which never enters the store.
//
// # The decision
//
//	a resource's policy denies                                  → denied
//	a service of the platform asks                              → the resource's policy, or the role's trust, must allow it
//	the root user asks for what is in its account               → allowed
//	an identity policy or the boundary denies                   → denied
//	same account:  an identity policy and the boundary allow,
//	               or the resource's policy names the asker     → allowed (one that names the account only delegates to it)
//	other account: the resource's policy and an identity policy → both must allow
//	otherwise                                                   → denied, with AWS's text
//
// To assume a role its trust policy must allow in every case. Unlike on AWS the root user may assume a role whose trust
// policy names its account, as development tools that only know a root key do. Sessions of the platform's own services
// are made without an sts call but pass the same trust policy.
//
// # Changes
//
// Every change is one Update of the entity's key and of a generation counter, and leaves a wake-up. After the commit,
// before the change returns, the entity is read back and published, so that this node sees its own changes at once.
// Other nodes notice the generation within a second (Run) and read everything again. Lists come from the snapshot.
// Quotas of entities per account are checked against the snapshot: concurrent creations may pass them by a few.
//
// # Limits
//
// Those of AWS, as constants beside the entities. Compiled policies of resources are cached, at most cacheMax of them.
//
// Left to others: signatures (aws/sigv4), the APIs (aws/iam, aws/sts), who asks for which permission (the doors' needs).
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
)

// Config of an Identity.
type Config struct {
	Store kv.Store // required
	// Region is the value of aws:RequestedRegion. Default rouse.DefaultRegion.
	Region string
	// Account is the account that Bootstrap makes, and whose root the development key is. Default rouse.DefaultAccount.
	Account string
	// SealKey seals secrets at rest and session tokens; at least SealKeyMin bytes of a good random source, the same on
	// every node and at every start. Required.
	SealKey []byte
	// DevKey makes the access key "test" with the secret "test" a key of the account's root user.
	DevKey bool
	// DevKeyAnywhere accepts the development key from other machines too.
	DevKeyAnywhere bool
	// RolesMax is the quota of roles of one account. Default 5000, the most that AWS grants.
	RolesMax int
	// Logger gets what Run cannot return. Default: none.
	Logger *slog.Logger
}

// SealKeyMin is the least length of Config.SealKey in bytes.
const SealKeyMin = 32

const (
	formatVersion   = 1 // of the room's keys in the store
	rolesMaxDefault = 5000
	bootstrapTries  = 10          // of a store that does not know
	pollEvery       = time.Second // how late a node notices the changes of another, at most
)

// Identity is safe for concurrent use.
type Identity struct {
	cfg     Config
	vault   *vault
	cache   *cache
	current atomic.Pointer[snapshot]

	mu sync.Mutex // held while a new snapshot is built from the current one
	// applied holds generations above the current snapshot's that this node has published out of order; guarded by mu.
	applied map[uint64]bool
}

// Open reads all principals from the store. It fails if their secrets cannot be opened with Config.SealKey.
func Open(ctx context.Context, cfg Config) (*Identity, error) {
	if cfg.Store == nil {
		return nil, errors.New("identity: Config.Store is missing")
	}
	if len(cfg.SealKey) < SealKeyMin {
		return nil, fmt.Errorf("identity: Config.SealKey has %d bytes, want at least %d", len(cfg.SealKey), SealKeyMin)
	}
	if cfg.Region == "" {
		cfg.Region = rouse.DefaultRegion
	}
	if cfg.Account == "" {
		cfg.Account = rouse.DefaultAccount
	}
	if !accountPattern.MatchString(cfg.Account) {
		return nil, fmt.Errorf("identity: Config.Account is %q, want 12 digits", cfg.Account)
	}
	if cfg.RolesMax == 0 {
		cfg.RolesMax = rolesMaxDefault
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	v, err := newVault(cfg.SealKey)
	if err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	cfg.SealKey = nil
	i := &Identity{cfg: cfg, vault: v, cache: newCache(), applied: map[uint64]bool{}}
	if err := format.Check(ctx, cfg.Store, "identity", formatVersion); err != nil {
		return nil, err
	}
	if err := i.reload(ctx); err != nil {
		return nil, fmt.Errorf("read principals: %w", err)
	}
	return i, nil
}

// Run keeps the snapshot up to date with the changes of other nodes until ctx ends.
func (i *Identity) Run(ctx context.Context) error {
	hint, stop := i.cfg.Store.Wake(topic())
	defer stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hint:
		case <-tick.C:
		}
		err := i.follow(ctx)
		switch {
		case errors.Is(err, kv.ErrClosed):
			return err
		case err != nil && ctx.Err() == nil && !failing:
			i.cfg.Logger.Error("identities could not be read again; the last known ones stay in force", "err", err)
		}
		failing = err != nil
	}
}

// Bootstrap makes the account and an access key of its root user if the store has none yet. The key is returned with
// created true that one time, and its secret is nowhere to be read again. So it is not left open whether it was made: where the
// store does not know, it is asked again.
func (i *Identity) Bootstrap(ctx context.Context) (key NewAccessKey, created bool, err error) {
	account := i.cfg.Account
	id, secret := newAccessKeyID(longTerm, account), newSecret()
	sealed := i.vault.seal(id, secret)
	keys := [][]byte{accountKey(account), keyKey(id)}
	for range bootstrapTries {
		err = i.change(ctx, func(tx kv.Tx) ([][]byte, error) {
			_, there, err := tx.Get(accountKey(account))
			if err != nil {
				return nil, err
			}
			if there {
				if _, created, err = tx.Get(keyKey(id)); !created {
					return nil, err
				}
				return keys, nil // by the try before
			}
			created = true
			now := tx.Now()
			put(tx, accountKey(account), accountRecord{ID: account, Created: now, Keys: []string{id}})
			put(tx, keyKey(id), keyRecord{Account: account, Status: StatusActive, Created: now, Sealed: sealed})
			key = NewAccessKey{AccessKey: AccessKey{ID: id, Account: account, Status: StatusActive, Created: now}, Secret: secret}
			return keys, nil
		})
		if !errors.Is(err, kv.ErrUnknown) || ctx.Err() != nil {
			break
		}
	}
	if err != nil || !created {
		return NewAccessKey{}, false, err
	}
	return key, true, nil
}

// Since is when an account was made; zero for an unknown one.
func (i *Identity) Since(account string) time.Time {
	if a := i.current.Load().accounts[account]; a != nil {
		return a.Created
	}
	return time.Time{}
}

// failed turns an error of the store into one that a client can act on; errors that have a kind pass.
func failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*rouse.Error)):
		return err
	case errors.Is(err, kv.ErrConflict):
		return rouse.Errorf(rouse.Conflict, "The request was rejected because multiple requests to change this object "+
			"were submitted simultaneously. Wait a few minutes and submit your request again.").
			WithCode("ConcurrentModification")
	case errors.Is(err, kv.ErrTooLarge):
		return rouse.Errorf(rouse.Limit, "The entity has grown too large: %w", err)
	}
	return fmt.Errorf("change identities: %w", err)
}
