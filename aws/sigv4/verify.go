package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"
)

// KeysMax is how many derived keys a Verifier keeps. A key serves one secret for a day, a region and a service.
const KeysMax = 4096

// Verifier checks signatures. Make it with New; safe for concurrent use.
type Verifier struct {
	now func() time.Time

	mu   sync.RWMutex
	keys map[keyID]*signingKey // guarded by mu
}

// signingKey is a derived key, with ready-made MACs: setting one up is as dear as using it.
type signingKey struct {
	key  []byte
	macs sync.Pool // hash.Hash
}

// scratch is what one verification writes, and the next again.
type scratch struct {
	text []byte
	sum  [sha256.Size]byte
}

var scratches = sync.Pool{New: func() any { return &scratch{text: make([]byte, 0, 2048)} }}

// scratchMax is the longest text whose buffer is kept.
const scratchMax = 64 << 10

func newSigningKey(secret string, s scope) *signingKey {
	k := &signingKey{key: derive(secret, s)}
	k.macs.New = func() any { return hmac.New(sha256.New, k.key) }
	return k
}

// signs reports whether signature is that of the text in s.
func (k *signingKey) signs(s *scratch, signature []byte) bool {
	h := k.macs.Get().(hash.Hash)
	defer k.macs.Put(h)
	h.Reset()
	h.Write(s.text)
	return hmac.Equal(h.Sum(s.sum[:0]), signature)
}

type keyID struct {
	secret string
	scope  scope
}

// New makes a Verifier that lives by the clock now; nil means time.Now.
func New(now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	return &Verifier{now: now, keys: map[keyID]*signingKey{}}
}

// Verify checks that r, whose claim is c, was signed with secret and carries the payload with that hash: the declared
// one, or HashPayload of the whole body. nil means that it was, and that it was meant for now.
func (v *Verifier) Verify(r *http.Request, c *Claim, secret, payload string) error {
	if err := c.checkDate(v.now()); err != nil {
		return err
	}
	id := keyID{secret, c.scope}
	v.mu.RLock()
	key := v.keys[id]
	v.mu.RUnlock()
	known := key != nil
	if !known {
		key = newSigningKey(secret, c.scope)
	}
	if !c.matches(r, key, payload) {
		return unauthenticated(CodeMismatch, textMismatch)
	}
	if !known {
		v.keep(id, key)
	}
	return nil
}

// keep remembers a key that has proved itself. When there are too many, all go: they are old days' mostly, and
// a key costs two microseconds.
func (v *Verifier) keep(id keyID, key *signingKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.keys) >= KeysMax {
		clear(v.keys)
	}
	v.keys[id] = key
}

// matches compares signatures. A presigned request may carry its token outside the signature: some services sign first
// and add it then, as IoT does; the token still has to fit the key.
func (c *Claim) matches(r *http.Request, key *signingKey, payload string) bool {
	s := scratches.Get().(*scratch)
	defer func() {
		if cap(s.text) <= scratchMax {
			scratches.Put(s)
		}
	}()
	s.toSign(r, c, payload, "X-Amz-Signature")
	if key.signs(s, c.signature[:]) {
		return true
	}
	if !c.Presigned || c.SessionToken == "" {
		return false
	}
	s.toSign(r, c, payload, "X-Amz-Signature", "X-Amz-Security-Token")
	return key.signs(s, c.signature[:])
}

// toSign writes the text that the signature of r should be over.
func (s *scratch) toSign(r *http.Request, c *Claim, payload string, skip ...string) {
	s.text = appendCanonical(s.text[:0], r, rawPath(c.Service), c.signed, payload, skip...)
	s.text = appendToSign(s.text[:0], sha256.Sum256(s.text), c.dateText, c.scope)
}

// checkDate holds the claim against the clock.
func (c *Claim) checkDate(now time.Time) error {
	now = now.UTC()
	if c.date.After(now.Add(SkewMax)) {
		return unauthenticated(CodeMismatch, "Signature not yet current: %s is still later than %s (%s + %d min.)",
			c.dateText, now.Add(SkewMax).Format(dateLayout), now.Format(dateLayout), SkewMax/time.Minute)
	}
	if c.expires > 0 {
		if now.After(c.date.Add(c.expires)) {
			return unauthenticated("AccessDenied", "Request has expired")
		}
		return nil
	}
	if c.date.Before(now.Add(-SkewMax)) {
		return unauthenticated(CodeMismatch, "Signature expired: %s is now earlier than %s (%s - %d min.)",
			c.dateText, now.Add(-SkewMax).Format(dateLayout), now.Format(dateLayout), SkewMax/time.Minute)
	}
	return nil
}

// Body returns a reader of r that answers an error instead of io.EOF when what was read does not have the hash. What
// it gave before must then be thrown away. Unsigned bodies pass.
func Body(r io.Reader, payload string) io.Reader {
	if payload == Unsigned {
		return r
	}
	return &body{r: r, want: payload, hash: sha256.New()}
}

type body struct {
	r    io.Reader
	want string
	hash hash.Hash
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.hash.Write(p[:n])
	if err != io.EOF {
		return n, err
	}
	if got := hex.EncodeToString(b.hash.Sum(nil)); !hmac.Equal([]byte(got), []byte(b.want)) {
		return n, ErrPayload()
	}
	return n, io.EOF
}

// ErrPayload is the error of a body that does not have the hash that was signed.
func ErrPayload() error {
	return unauthenticated(CodePayload, "The provided 'x-amz-content-sha256' header does not match what was computed.")
}
