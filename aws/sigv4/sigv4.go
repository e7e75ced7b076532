// Package sigv4 verifies, and makes, AWS Signature Version 4: by the Authorization header and by query string.
//
// # How a request is verified
//
//	Parse       what the request says of itself: access key, scope, date, signed headers, payload hash; nothing is
//	            believed yet
//	            ← the caller looks the key up and, unless the request declares the hash of its payload, reads the body
//	Verify      dates and lifetime, then the signature over the canonical request, compared in constant time
//	            ← the caller reads the body through Body, which compares it with the declared hash at its end
//
// Only Verify makes a claim true. What a request carries in headers called x-amz-… must be signed, save the session
// token, which proves itself; so no target, date or hash can be exchanged under a signature.
//
// # Paths
//
// S3 signs the path as it is sent. All others sign it normalised (no empty, "." and ".." steps) and encoded once more.
// The text of the request line counts, not what net/http makes of it.
//
// # Errors
//
// They are of Kind Unauthenticated, or Unsupported for what AWS has and Rouse has not (streaming signatures, 4A, 2), with
// AWS's texts and with the codes of the query protocol: MissingAuthenticationToken, IncompleteSignature,
// SignatureDoesNotMatch and so on. CodeFor names them as JSON services do. No error or log holds a secret or a signature.
//
// # Promises
//
// A Verifier is safe for concurrent use. It keeps up to KeysMax derived keys, and only such as have verified a request,
// so nobody can push others out by guessing. The functions are pure but for the clock, which is a parameter. Checked
// against AWS's public test vectors, in testdata/vectors.txt.
//
// Left to others: which keys exist and whether they have expired (identity), and what a principal may do.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Limits and names of the protocol.
const (
	SkewMax    = 15 * time.Minute   // between the client's clock and ours
	ExpiresMax = 7 * 24 * time.Hour // of a presigned URL

	Unsigned  = "UNSIGNED-PAYLOAD" // in place of a payload's hash: S3 only
	EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dateLayout = "20060102T150405Z"
	signedMax  = 200 // signed headers of one request
)

// HashPayload is the payload hash of body.
func HashPayload(body []byte) string {
	if len(body) == 0 {
		return EmptyHash
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// scope is what a key is derived for.
type scope struct {
	date    string // YYYYMMDD
	region  string
	service string
}

func (s scope) String() string { return s.date + "/" + s.region + "/" + s.service + "/" + terminator }

// derive makes the signing key of a secret for s.
func derive(secret string, s scope) []byte {
	k := mac([]byte("AWS4"+secret), s.date)
	k = mac(k, s.region)
	k = mac(k, s.service)
	return mac(k, terminator)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// stringToSign is the second step of the protocol; canonical the first.
func stringToSign(canonical []byte, date string, s scope) string {
	return string(appendToSign(nil, sha256.Sum256(canonical), date, s))
}

func appendToSign(b []byte, canonical [sha256.Size]byte, date string, s scope) []byte {
	b = append(append(append(append(b, algorithm...), '\n'), date...), '\n')
	b = append(append(b, s.date...), '/')
	b = append(append(b, s.region...), '/')
	b = append(append(b, s.service...), '/')
	b = append(append(b, terminator...), '\n')
	return hex.AppendEncode(b, canonical[:])
}

// rawPath reports whether service signs paths as they are sent.
func rawPath(service string) bool { return service == "s3" }

// canonicalRequest is the text that is signed. raw says that the path counts as it was sent. skip names query parameters
// that are left out: the signature itself, and the token where it was added after signing.
func canonicalRequest(r *http.Request, raw bool, signed []string, payload string, skip ...string) []byte {
	return appendCanonical(make([]byte, 0, 1024), r, raw, signed, payload, skip...)
}

func appendCanonical(b []byte, r *http.Request, raw bool, signed []string, payload string, skip ...string) []byte {
	path, query := target(r)
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = append(b, canonicalPath(path, raw)...)
	b = append(b, '\n')
	b = append(b, canonicalQuery(query, skip)...)
	b = append(b, '\n')
	for _, name := range signed {
		b = append(b, name...)
		b = append(b, ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	for i, name := range signed {
		if i > 0 {
			b = append(b, ';')
		} else {
			b = append(b, '\n')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, payload...)
}

// target is the path and the query as they stand in the request line; for requests that a client is still making, as
// they will.
func target(r *http.Request) (path, query string) {
	t := r.RequestURI
	if t == "" {
		return r.URL.EscapedPath(), r.URL.RawQuery
	}
	if !strings.HasPrefix(t, "/") {
		if _, rest, ok := strings.Cut(t, "://"); ok {
			t = "/"
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				t = rest[i:]
			}
		}
	}
	path, query, _ = strings.Cut(t, "?")
	return path, query
}

func canonicalPath(path string, raw bool) string {
	if path == "" {
		return "/"
	}
	if raw {
		return encode(path, true)
	}
	return encode(normalise(path), false)
}

// normalise drops empty, "." and ".." steps. A slash at the end stays.
func normalise(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var out []string
	steps := strings.Split(path, "/")
	for _, s := range steps {
		switch s {
		case "", ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
		}
	}
	p := "/" + strings.Join(out, "/")
	if last := steps[len(steps)-1]; p != "/" && last == "" {
		p += "/"
	}
	return p
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"

// encode percent-encodes a path, its slashes excepted. With keep, what is encoded already stays so: S3 encodes once.
func encode(path string, keep bool) string {
	const hex = "0123456789ABCDEF"
	if strings.Trim(path, unreserved+"/") == "" {
		return path
	}
	b := make([]byte, 0, len(path)+16)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/' || strings.IndexByte(unreserved, c) >= 0:
			b = append(b, c)
		case keep && c == '%' && i+2 < len(path) && unhex(path[i+1]) >= 0 && unhex(path[i+2]) >= 0:
			d := byte(unhex(path[i+1])<<4 | unhex(path[i+2]))
			if i += 2; strings.IndexByte(unreserved, d) >= 0 {
				b = append(b, d)
			} else {
				b = append(b, '%', hex[d>>4], hex[d&15])
			}
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// encodeQuery encodes a name or value of a query string, slashes included.
func encodeQuery(s string) string { return strings.ReplaceAll(encode(s, false), "/", "%2F") }

// canonicalQuery sorts the parameters by name, then value, as encoded.
func canonicalQuery(query string, skip []string) string {
	if query == "" {
		return ""
	}
	type pair struct{ k, v string }
	var pairs []pair
next:
	for _, p := range strings.Split(query, "&") {
		if p == "" {
			continue
		}
		k, v, _ := strings.Cut(p, "=")
		k, v = decode(k), decode(v)
		for _, s := range skip {
			if k == s {
				continue next
			}
		}
		pairs = append(pairs, pair{encodeQuery(k), encodeQuery(v)})
	}
	sort.Slice(pairs, func(i, j int) bool {
		if pairs[i].k != pairs[j].k {
			return pairs[i].k < pairs[j].k
		}
		return pairs[i].v < pairs[j].v
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.k)
		b.WriteByte('=')
		b.WriteString(p.v)
	}
	return b.String()
}

// decode undoes percent-encoding; what is not encoded well stays, and will not match a signature.
func decode(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

// appendHeader appends the header's values, trimmed, their inner runs of spaces shortened to one, joined by commas.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	switch name {
	case "host":
		if r.Host == "" && r.URL != nil {
			return append(b, r.URL.Host...)
		}
		return append(b, r.Host...)
	case "content-length":
		if r.Header.Get("Content-Length") == "" && r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10)
		}
	}
	for i, v := range r.Header.Values(name) {
		if i > 0 {
			b = append(b, ',')
		}
		if tidy(v) {
			b = append(b, v...)
			continue
		}
		for j, word := range strings.Fields(v) {
			if j > 0 {
				b = append(b, ' ')
			}
			b = append(b, word...)
		}
	}
	return b
}

// tidy reports whether v has no spaces to be shortened, as nearly all headers.
func tidy(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' || c >= 0x80 || c == ' ' && (i == 0 || i == len(v)-1 || v[i-1] == ' ') {
			return false
		}
	}
	return true
}
