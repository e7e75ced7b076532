// Package token remembers transactions by their idempotency tokens, so that one that comes again is not done again.
//
// A token is written in the transaction that it names, with a digest of the request: it is there exactly if that was
// committed. A request with a token that is there is answered from what the token keeps; with another digest it is
// refused. After Age a token means nothing, whether it is still there or not, and may be used for something else; Sweep
// deletes it later. Times are the store's.
//
// What goes into the digest is the caller's business: all that makes a request the same request.
package token

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/capacity"
	"github.com/rouse-dev/rouse/table/layout"
)

// Age is how long a token is remembered.
const Age = 10 * time.Minute

// Token is what is known about a transaction.
type Token struct {
	Digest   [32]byte            `json:"digest"`
	Due      time.Time           `json:"due"`
	Capacity []capacity.Consumed `json:"capacity,omitempty"` // what it consumed
}

// Remember writes a token.
func Remember(tx kv.Tx, at layout.Layout, account, text string, digest [32]byte, consumed []capacity.Consumed) error {
	due := tx.Now().Add(Age)
	value, err := json.Marshal(Token{Digest: digest, Due: due, Capacity: consumed})
	if err != nil {
		return err
	}
	tx.Set(at.Token(account, text), value)
	tx.Set(at.TokenDue(due, account, text), nil)
	return nil
}

// Recall reads what stands under a token, which may be nothing; nil: it means nothing, or nothing any more.
func Recall(tx kv.Tx, value []byte, digest [32]byte) (*Token, error) {
	t, err := parse(value)
	if err != nil || t == nil || !tx.Now().Before(t.Due) {
		return nil, err
	}
	if t.Digest != digest {
		return nil, rouse.Errorf(rouse.Invalid, "Request uses the same client token as a previous, but non-identical request").
			WithCode("IdempotentParameterMismatchException")
	}
	return t, nil
}

func parse(value []byte) (*Token, error) {
	if value == nil {
		return nil, nil
	}
	t := &Token{}
	if err := json.Unmarshal(value, t); err != nil {
		return nil, fmt.Errorf("token of a transaction: %w", err)
	}
	return t, nil
}

// page is how many tokens one transaction deletes.
const page = 100

// Sweep deletes old tokens. Several nodes may do so at once.
func Sweep(ctx context.Context, store kv.Store, at layout.Layout) error {
	for {
		pairs, err := store.Claim(ctx, at.TokensDue(store.Now()), page, func(tx kv.Tx, pairs []kv.Pair) error {
			return forget(tx, at, pairs)
		})
		if err != nil {
			return fmt.Errorf("forget tokens: %w", err)
		}
		if len(pairs) < page {
			return nil
		}
	}
}

// forget deletes the tokens that are due, unless they were used again meanwhile.
func forget(tx kv.Tx, at layout.Layout, pairs []kv.Pair) error {
	keys := make([][]byte, len(pairs))
	for i, p := range pairs {
		account, text, err := at.ParseTokenDue(p.Key)
		if err != nil {
			return err
		}
		keys[i] = at.Token(account, text)
	}
	values, err := tx.GetAll(keys)
	if err != nil {
		return err
	}
	for i, value := range values {
		t, err := parse(value)
		if err != nil {
			return err
		}
		if t != nil && !tx.Now().Before(t.Due) {
			tx.Delete(keys[i])
		}
	}
	return nil
}
