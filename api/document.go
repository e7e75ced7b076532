package api

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Quotas, as AWS's defaults.
const (
	apisMax        = 600 // per account and region, HTTP and REST APIs each
	routesMax      = 300
	resourcesMax   = 300
	stagesMax      = 10
	deploymentsMax = 200
	tagsMax        = 50
	documentMax    = 16 << 20 // bytes of one API, or of one deployment
)

// chunkMax keeps a chunk under kv.ValueMax.
const chunkMax = kv.ValueMax - 1024

// document is all that is kept of one API, save the designs of its deployments.
type document struct {
	ID       string
	Account  string
	Revision uint64 // grows with each edit
	HTTP     *httpDocument
	REST     *restDocument
}

// design is what a deployment froze: never changed once written.
type design struct {
	HTTP *httpDesign
	REST *restDesign
}

// indexed is the value of an index key.
type indexed struct {
	Account  string
	Kind     Kind
	Revision uint64
}

// Keys: the documents by account; the index of all ids, which are global as they are host names, under no account.

func (c *core) indexKey(id string) []byte { return tuple.Key("", c.region, "api", "index", id) }

func (c *core) topic() []byte { return tuple.Key("", c.region, "api", "topic") }

func (c *core) documentKey(account, id string, chunk int) []byte {
	return tuple.Key(account, c.region, "api", "document", id, uint64(chunk))
}

func (c *core) designKey(account, id, deployment string, chunk int) []byte {
	return tuple.Key(account, c.region, "api", "design", id, deployment, uint64(chunk))
}

// getter is what View and Tx have in common.
type getter interface {
	Get(key []byte) ([]byte, bool, error)
	GetAll(keys [][]byte) ([][]byte, error)
}

// readChunks reads a value that writeChunks wrote; nil when there is none.
func readChunks(g getter, key func(chunk int) []byte) (body []byte, chunks int, err error) {
	first, ok, err := g.Get(key(0))
	if err != nil || !ok {
		return nil, 0, err
	}
	n, skip := binary.Uvarint(first)
	if skip <= 0 || n == 0 || n > documentMax/chunkMax+2 {
		return nil, 0, fmt.Errorf("api: a document starts with a bad chunk count")
	}
	body = first[skip:]
	if n == 1 {
		return body, 1, nil
	}
	keys := make([][]byte, 0, n-1)
	for i := 1; i < int(n); i++ {
		keys = append(keys, key(i))
	}
	rest, err := g.GetAll(keys)
	if err != nil {
		return nil, 0, err
	}
	for i, r := range rest {
		if r == nil {
			return nil, 0, fmt.Errorf("api: chunk %d of %d of a document is missing", i+1, n)
		}
		body = append(body, r...)
	}
	return body, int(n), nil
}

// writeChunks writes body over a value of old chunks.
func writeChunks(tx kv.Tx, key func(chunk int) []byte, body []byte, old int) {
	n := (len(body) + chunkMax - 1) / chunkMax
	n = max(n, 1)
	for i := range n {
		part := body[i*chunkMax : min((i+1)*chunkMax, len(body))]
		if i == 0 {
			part = append(binary.AppendUvarint(nil, uint64(n)), part...)
		}
		tx.Set(key(i), part)
	}
	for i := n; i < old; i++ {
		tx.Delete(key(i))
	}
}

// index reads the ids, accounts and revisions of all APIs.
func (c *core) index(ctx context.Context) (map[string]indexed, error) {
	all := map[string]indexed{}
	r := tuple.Prefix("", c.region, "api", "index")
	for more := true; more; {
		more = false
		err := c.store.View(ctx, func(v kv.View) error {
			n := 0
			for p, err := range v.Scan(r, indexPage) {
				if err != nil {
					return err
				}
				parts, err := tuple.Parse(p.Key)
				if err != nil {
					return err
				}
				var at indexed
				if err := json.Unmarshal(p.Value, &at); err != nil {
					return fmt.Errorf("api: index: %w", err)
				}
				all[parts[len(parts)-1].(string)] = at
				r.From = tuple.After(p.Key)
				n++
			}
			more = n == indexPage
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

const indexPage = 1000

// load reads a document; nil when there is none.
func (c *core) load(ctx context.Context, account, id string) (d *document, err error) {
	err = c.store.View(ctx, func(v kv.View) error {
		d, _, err = c.read(v, account, id)
		return err
	})
	return d, err
}

func (c *core) read(g getter, account, id string) (*document, int, error) {
	body, chunks, err := readChunks(g, func(i int) []byte { return c.documentKey(account, id, i) })
	if err != nil || body == nil {
		return nil, 0, err
	}
	d := new(document)
	if err := json.Unmarshal(body, d); err != nil {
		return nil, 0, fmt.Errorf("api: document %s: %w", id, err)
	}
	return d, chunks, nil
}

// loadDesign reads what a deployment froze.
func (c *core) loadDesign(ctx context.Context, account, id, deployment string) (*design, error) {
	ds := new(design)
	err := c.store.View(ctx, func(v kv.View) error {
		body, _, err := readChunks(v, func(i int) []byte { return c.designKey(account, id, deployment, i) })
		if err != nil {
			return err
		}
		if body == nil {
			return fmt.Errorf("api: deployment %s of %s is missing", deployment, id)
		}
		return json.Unmarshal(body, ds)
	})
	return ds, err
}

// edit is one attempt at a change: the document as read, and what is to be written beside it.
type edit struct {
	*document
	now     time.Time
	ids     *mrand.ChaCha8
	designs map[string]*design // deployments to write
	dropped []string           // deployments to delete
	auto    string             // the automatic deployment of this edit; "" until there is one
	quiet   bool               // nothing that is served has changed: no automatic deployment
	deleted bool
}

// newID draws an identifier of n letters and digits, the first a letter: ids become host names and YAML scalars.
func (e *edit) newID(n int) string {
	const letters, all = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
	b := make([]byte, n)
	for i := range b {
		from := all
		if i == 0 {
			from = letters
		}
		b[i] = from[e.ids.Uint64()%uint64(len(from))] // the bias of 2^64 mod 36 is of no account
	}
	return string(b)
}

// change edits an API in one transaction and publishes what came of it. missing is the error when the account has no such
// API of the kind; fn may run more than once.
func (c *core) change(ctx context.Context, account, id string, kind Kind, missing error, fn func(*edit) error) error {
	_, err := c.transact(ctx, func(tx kv.Tx, e *edit) (int, error) {
		d, chunks, err := c.read(tx, account, id)
		if err != nil {
			return 0, err
		}
		if d == nil || d.kind() != kind {
			return 0, missing
		}
		e.document = d
		return chunks, fn(e)
	})
	return err
}

// create makes an API in one transaction and publishes it.
func (c *core) create(ctx context.Context, account string, fn func(*edit) error) (*document, error) {
	return c.transact(ctx, func(tx kv.Tx, e *edit) (int, error) {
		id := e.newID(10)
		if _, taken, err := tx.Get(c.indexKey(id)); err != nil || taken {
			return 0, fmt.Errorf("api: id %s is taken: %w", id, kv.ErrConflict)
		}
		e.document = &document{ID: id, Account: account}
		return 0, fn(e)
	})
}

func (c *core) transact(ctx context.Context, fn func(kv.Tx, *edit) (chunks int, err error)) (*document, error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	var done *edit
	err := c.store.Update(ctx, func(tx kv.Tx) error {
		e := &edit{now: tx.Now().UTC().Truncate(time.Second), ids: mrand.NewChaCha8(seed), designs: map[string]*design{}}
		chunks, err := fn(tx, e)
		if err != nil {
			return err
		}
		if !e.deleted {
			e.autoDeploy()
		}
		e.Revision++
		done = e
		return c.write(tx, e, chunks)
	})
	if err != nil {
		return nil, err
	}
	if done.deleted {
		c.unpublish(done.ID, done.Revision)
		return done.document, nil
	}
	return done.document, c.publish(ctx, done.document, done.designs)
}

// write puts the outcome of an edit into its transaction.
func (c *core) write(tx kv.Tx, e *edit, chunks int) error {
	key := func(i int) []byte { return c.documentKey(e.Account, e.ID, i) }
	if e.deleted {
		for i := range chunks {
			tx.Delete(key(i))
		}
		tx.Delete(c.indexKey(e.ID))
	} else {
		body, err := json.Marshal(e.document)
		if err != nil {
			return err
		}
		if len(body) > documentMax {
			return overLimit("the API is larger than %d bytes", documentMax)
		}
		writeChunks(tx, key, body, chunks)
		at, _ := json.Marshal(indexed{e.Account, e.kind(), e.Revision})
		tx.Set(c.indexKey(e.ID), at)
	}
	for id, ds := range e.designs {
		body, err := json.Marshal(ds)
		if err != nil {
			return err
		}
		if len(body) > documentMax {
			return overLimit("the deployment is larger than %d bytes", documentMax)
		}
		writeChunks(tx, func(i int) []byte { return c.designKey(e.Account, e.ID, id, i) }, body, 0)
	}
	for _, id := range e.dropped {
		design := func(i int) []byte { return c.designKey(e.Account, e.ID, id, i) }
		_, n, err := readChunks(tx, design)
		if err != nil {
			return err
		}
		for i := range n {
			tx.Delete(design(i))
		}
	}
	tx.Wake(c.topic())
	return nil
}

// list reads the account's APIs of one kind, by id.
func (c *core) list(ctx context.Context, account string, kind Kind) ([]*document, error) {
	stored, err := c.index(ctx)
	if err != nil {
		return nil, err
	}
	var all []*document
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		if at := stored[id]; at.Account != account || at.Kind != kind {
			continue
		}
		d, err := c.load(ctx, account, id)
		if err != nil {
			return nil, err
		}
		if d != nil { // not deleted since
			all = append(all, d)
		}
	}
	return all, nil
}

// vacancy refuses another API when the account has its quota. Two at once may exceed it by one.
func (c *core) vacancy(ctx context.Context, account string, kind Kind) error {
	stored, err := c.index(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, at := range stored {
		if at.Account == account && at.Kind == kind {
			n++
		}
	}
	if n >= apisMax {
		return overLimit("Maximum number of APIs for this account has been reached: %d", apisMax)
	}
	return nil
}
