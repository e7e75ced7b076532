package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// The codes of this package's errors, as query services spell them.
const (
	CodeMissing    = "MissingAuthenticationToken"
	CodeIncomplete = "IncompleteSignature"
	CodeMismatch   = "SignatureDoesNotMatch"
	CodeUnknownKey = "InvalidClientTokenId"
	CodeExpired    = "ExpiredToken"
	CodePayload    = "XAmzContentSHA256Mismatch"
)

// CodeFor spells a code as JSON services do: with the ending Exception, and two names of their own.
func CodeFor(code string) string {
	switch code {
	case CodeMismatch:
		return "InvalidSignatureException"
	case CodeUnknownKey:
		return "UnrecognizedClientException"
	case CodeMissing, CodeIncomplete, CodeExpired, "AccessDenied":
		return code + "Exception"
	}
	return code
}

// Claim is what a request says about its signature. It is true only once Verify has said so.
type Claim struct {
	AccessKeyID  string
	SessionToken string // "" for long-term keys
	Region       string
	Service      string // signing name: "lambda"
	Presigned    bool   // by query string

	date      time.Time
	dateText  string
	scope     scope
	expires   time.Duration // of a presigned request; 0: SkewMax
	signed    []string
	few       [8]string // room for signed
	signature [sha256.Size]byte
	payload   string // the declared hash; "" when none is declared
}

// PayloadHash is the hash of the payload that the request declares and has signed: hex, or Unsigned. ok is false when it
// declares none: then the body itself has to be hashed.
func (c *Claim) PayloadHash() (hash string, ok bool) { return c.payload, c.payload != "" }

// Parse reads the claim of r, or says why there is none to be verified.
func Parse(r *http.Request) (*Claim, error) {
	auth := r.Header["Authorization"]
	query := strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") || strings.Contains(r.URL.RawQuery, "X-Amz-Signature=")
	var c *Claim
	var err error
	switch {
	case len(auth) > 1 || len(auth) == 1 && query:
		return nil, unauthenticated(CodeIncomplete, "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "+
			"Signature query string parameter or the Authorization header should be specified")
	case query:
		c, err = parseQuery(r.URL.Query())
	case len(auth) == 1 && auth[0] != "":
		c, err = parseHeader(auth[0], r.Header)
	default:
		return nil, unauthenticated(CodeMissing, "Request is missing Authentication Token")
	}
	if err != nil {
		return nil, err
	}
	if err := c.declare(r.Header.Get("X-Amz-Content-Sha256")); err != nil {
		return nil, err
	}
	if err := c.check(r); err != nil {
		return nil, err
	}
	return c, nil
}

func parseHeader(auth string, head http.Header) (*Claim, error) {
	scheme, rest, _ := strings.Cut(auth, " ")
	if err := checkScheme(scheme); err != nil {
		return nil, err
	}
	var credential, signed, signature string
	for rest != "" {
		var p string
		if i := strings.IndexAny(rest, ", "); i >= 0 {
			p, rest = rest[:i], rest[i+1:]
		} else {
			p, rest = rest, ""
		}
		k, v, _ := strings.Cut(p, "=")
		switch k {
		case "Credential":
			credential = v
		case "SignedHeaders":
			signed = v
		case "Signature":
			signature = v
		}
	}
	date := head.Get("X-Amz-Date")
	if date == "" {
		date = head.Get("Date")
	}
	var missing []string
	for _, p := range [][2]string{{"Credential", credential}, {"Signature", signature}, {"SignedHeaders", signed}} {
		if p[1] == "" {
			missing = append(missing, "Authorization header requires '"+p[0]+"' parameter.")
		}
	}
	if date == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if missing != nil {
		sum := sha256.Sum256([]byte(auth))
		return nil, unauthenticated(CodeIncomplete, "%s (Hashed with SHA-256 and encoded with Base64) Authorization=%s",
			strings.Join(missing, " "), base64.StdEncoding.EncodeToString(sum[:]))
	}
	c := &Claim{SessionToken: head.Get("X-Amz-Security-Token")}
	return c, c.fill(credential, date, signed, signature)
}

func checkScheme(scheme string) error {
	switch {
	case scheme == algorithm:
		return nil
	case scheme == "AWS":
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement Signature Version 2")
	case strings.HasPrefix(scheme, "AWS4-ECDSA-P256-SHA256"):
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement Signature Version 4A")
	}
	return unauthenticated(CodeIncomplete, "Unsupported AWS 'algorithm': '%.64s'.", scheme)
}

func parseQuery(q url.Values) (*Claim, error) {
	for _, k := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders"} {
		if len(q[k]) != 1 || q.Get(k) == "" {
			return nil, unauthenticated(CodeIncomplete, "AWS query-string parameters must include '%s'. Re-examine the "+
				"query-string parameters.", k)
		}
	}
	if err := checkScheme(q.Get("X-Amz-Algorithm")); err != nil {
		return nil, err
	}
	c := &Claim{Presigned: true, SessionToken: q.Get("X-Amz-Security-Token"), payload: q.Get("X-Amz-Content-Sha256")}
	if e := q.Get("X-Amz-Expires"); e != "" {
		sec, err := strconv.ParseInt(e, 10, 64)
		const code = "AuthorizationQueryParametersError"
		switch {
		case err != nil:
			return nil, unauthenticated(code, "X-Amz-Expires should be a number")
		case sec < 0:
			return nil, unauthenticated(code, "X-Amz-Expires must be non-negative")
		case sec > int64(ExpiresMax/time.Second):
			return nil, unauthenticated(code, "X-Amz-Expires must be less than a week (in seconds); that is, the given "+
				"X-Amz-Expires must be less than 604800 seconds")
		}
		c.expires = max(time.Duration(sec)*time.Second, time.Nanosecond)
	}
	err := c.fill(q.Get("X-Amz-Credential"), q.Get("X-Amz-Date"), q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Signature"))
	if c.Service == "sts" {
		c.expires = 0 // STS takes its URLs for SkewMax whatever they say; `aws eks get-token` builds on it
	}
	return c, err
}

// fill reads the parts that both ways share.
func (c *Claim) fill(credential, date, signed, signature string) error {
	var p [5]string
	if !split(p[:], credential) {
		return unauthenticated(CodeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. "+
			"keyid/date/region/service/term, got '%.128s'", credential)
	}
	if p[4] != terminator {
		return unauthenticated(CodeMismatch, "Credential should be scoped with a valid terminator: '%s', not '%.64s'.", terminator, p[4])
	}
	c.AccessKeyID, c.Region, c.Service = p[0], p[2], p[3]
	c.scope = scope{p[1], p[2], p[3]}
	t, err := parseDate(date)
	if err != nil {
		return unauthenticated(CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got '%.64s'. See "+
			"http://en.wikipedia.org/wiki/ISO_8601", date)
	}
	if c.date, c.dateText = t, date; len(date) != len(dateLayout) || date[8] != 'T' {
		c.dateText = t.Format(dateLayout)
	}
	if c.scope.date != c.dateText[:8] {
		return unauthenticated(CodeMismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "+
			"from HTTP: '%.64s' != '%s', from '%s'.", c.scope.date, c.dateText[:8], c.dateText)
	}
	c.signed = c.few[:0]
	for name := range strings.SplitSeq(strings.ToLower(signed), ";") {
		c.signed = append(c.signed, name)
	}
	if len(c.signed) > signedMax {
		return unauthenticated(CodeIncomplete, "More than %d headers are signed", signedMax)
	}
	if len(signature) != hex.EncodedLen(sha256.Size) {
		return unauthenticated(CodeMismatch, textMismatch)
	}
	var raw [2 * sha256.Size]byte
	copy(raw[:], signature)
	if _, err = hex.Decode(c.signature[:], raw[:]); err != nil {
		return unauthenticated(CodeMismatch, textMismatch)
	}
	return nil
}

// split cuts s at its slashes into exactly the given number of parts.
func split(parts []string, s string) bool {
	last := len(parts) - 1
	for i := range last {
		var ok bool
		if parts[i], s, ok = strings.Cut(s, "/"); !ok {
			return false
		}
	}
	parts[last] = s
	return strings.IndexByte(s, '/') < 0
}

// parseDate reads X-Amz-Date, or the Date header in either of its forms.
func parseDate(s string) (time.Time, error) {
	t, err := time.Parse(dateLayout, s)
	if err != nil {
		t, err = http.ParseTime(s)
	}
	return t.UTC(), err
}

// declare settles the payload's hash: that of the query string, or of the header. S3's presigned requests leave
// the payload unsigned without saying so; those of other services are hashed.
func (c *Claim) declare(header string) error {
	switch {
	case c.Presigned && c.payload == "" && c.Service == "s3":
		c.payload = Unsigned
	case !c.Presigned:
		c.payload = header
	}
	if strings.HasPrefix(c.payload, "STREAMING-") {
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement %.64s", c.payload)
	}
	if c.payload == Unsigned && c.Service != "s3" {
		return unauthenticated(CodeMismatch, "Only S3 takes unsigned payloads, not '%.64s'", c.Service)
	}
	return nil
}

// check requires that everything is signed that must be.
func (c *Claim) check(r *http.Request) error {
	if !slices.Contains(c.signed, "host") {
		return unauthenticated(CodeMismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header { // canonical, as net/http makes them
		if strings.HasPrefix(name, "X-Amz-") && name != "X-Amz-Security-Token" && !c.signs(name) {
			return unauthenticated(CodeMismatch, "'%.64s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	if !c.Presigned && r.Header.Get("X-Amz-Date") == "" && !slices.Contains(c.signed, "date") {
		return unauthenticated(CodeMismatch, "'Date' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

// signs reports whether the header is among those that are signed.
func (c *Claim) signs(header string) bool {
	for _, name := range c.signed {
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}

const textMismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret " +
	"Access Key and signing method. Consult the service documentation for details."

func unauthenticated(code, format string, args ...any) *rouse.Error {
	return rouse.Errorf(rouse.Unauthenticated, format, args...).WithCode(code)
}
