package sigv4

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests as a client does: the command line and the tests are such.
type Signer struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // "" for long-term keys
	Region          string
	Service         string // signing name: "lambda"
}

// Sign adds the date, the token and the Authorization header to r. payload is HashPayload of the body, or Unsigned;
// for S3 it is declared in a header as well. All headers are signed but those that change on the way.
func (s Signer) Sign(r *http.Request, payload string, at time.Time) {
	date := at.UTC().Format(dateLayout)
	r.Header.Set("X-Amz-Date", date)
	if s.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", s.SessionToken)
	}
	if s.Service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", payload)
	}
	r.Header.Del("Authorization")
	sc := scope{date[:8], s.Region, s.Service}
	signed := signedHeaders(r)
	text := stringToSign(canonicalRequest(r, rawPath(s.Service), signed, payload), date, sc)
	r.Header.Set("Authorization", algorithm+" Credential="+s.AccessKeyID+"/"+sc.String()+", SignedHeaders="+
		strings.Join(signed, ";")+", Signature="+hex.EncodeToString(mac(derive(s.SecretAccessKey, sc), text)))
}

// Presign returns the URL of r with a signature in its query string, good for expires from at on. Headers of r are
// signed too and have to be sent as they are.
func (s Signer) Presign(r *http.Request, payload string, at time.Time, expires time.Duration) *url.URL {
	date := at.UTC().Format(dateLayout)
	sc := scope{date[:8], s.Region, s.Service}
	signed := signedHeaders(r)
	q := url.Values{
		"X-Amz-Algorithm":     {algorithm},
		"X-Amz-Credential":    {s.AccessKeyID + "/" + sc.String()},
		"X-Amz-Date":          {date},
		"X-Amz-Expires":       {strconv.FormatInt(int64(expires/time.Second), 10)},
		"X-Amz-SignedHeaders": {strings.Join(signed, ";")},
	}
	if s.SessionToken != "" {
		q.Set("X-Amz-Security-Token", s.SessionToken)
	}
	u := *r.URL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += strings.ReplaceAll(q.Encode(), "+", "%20")
	probe := *r
	probe.URL, probe.RequestURI = &u, ""
	text := stringToSign(canonicalRequest(&probe, rawPath(s.Service), signed, payload), date, sc)
	u.RawQuery += "&X-Amz-Signature=" + hex.EncodeToString(mac(derive(s.SecretAccessKey, sc), text))
	return &u
}

// signedHeaders lists the headers to be signed: all that proxies and clients leave alone.
func signedHeaders(r *http.Request) []string {
	names := []string{"host"}
	for k := range r.Header {
		switch n := strings.ToLower(k); n {
		case "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id", "accept-encoding",
			"te", "trailer", "upgrade", "keep-alive", "host":
		default:
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}
