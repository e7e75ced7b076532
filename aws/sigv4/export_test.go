package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// SignatureOf is what the door cannot show: AWS's vectors for paths that are not normalised use a service that is not
// S3. It returns the hash of the canonical request and the signature over it.
func SignatureOf(r *http.Request, raw bool, signed, payload, date, secret, region, service string, skip ...string) (hash, sig string) {
	canonical := canonicalRequest(r, raw, strings.Split(signed, ";"), payload, append(skip, "X-Amz-Signature")...)
	sum := sha256.Sum256(canonical)
	s := scope{date[:8], region, service}
	return hex.EncodeToString(sum[:]), hex.EncodeToString(mac(derive(secret, s), stringToSign(canonical, date, s)))
}

// KeysKept is the number of derived keys that v remembers.
func (v *Verifier) KeysKept() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.keys)
}
