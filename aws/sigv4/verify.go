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
	keys map[keyID][]byte // guarded by mu
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
	return &Verifier{now: now, keys: map[keyID][]byte{}}
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
		key = derive(secret, c.scope)
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
func (v *Verifier) keep(id keyID, key []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.keys) >= KeysMax {
		clear(v.keys)
	}
	v.keys[id] = key
}

// matches compares signatures. A presigned request may carry its token outside the signature: some services sign first
// and add it then, as IoT does; the token still has to fit the key.
func (c *Claim) matches(r *http.Request, key []byte, payload string) bool {
	want := mac(key, stringToSign(canonicalRequest(r, rawPath(c.Service), c.signed, payload, "X-Amz-Signature"), c.dateText, c.scope))
	if hmac.Equal(want, c.signature) {
		return true
	}
	if !c.Presigned || c.SessionToken == "" {
		return false
	}
	want = mac(key, stringToSign(canonicalRequest(r, rawPath(c.Service), c.signed, payload, "X-Amz-Signature", "X-Amz-Security-Token"),
		c.dateText, c.scope))
	return hmac.Equal(want, c.signature)
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
