package compat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// call is a request to one service, before it is signed.
type call struct {
	service, method, path, kind, target, body string
}

// One call for each protocol.
var (
	queryCall = call{"sts", "POST", "/", "application/x-www-form-urlencoded; charset=utf-8", "",
		"Action=GetCallerIdentity&Version=2011-06-15"}
	iamCall = call{"iam", "POST", "/", "application/x-www-form-urlencoded; charset=utf-8", "",
		"Action=ListRoles&Version=2010-05-08"}
	restCall = call{"lambda", "GET", "/2015-03-31/functions?MaxItems=1", "", "", ""}
	jsonCall = call{"logs", "POST", "/", "application/x-amz-json-1.1", "Logs_20140328.DescribeLogGroups", "{}"}
)

func (c call) request(t *testing.T, n *node) *http.Request {
	t.Helper()
	r := request(t, c.method, n.url+c.path, c.body)
	if c.kind != "" {
		r.Header.Set("Content-Type", c.kind)
	}
	if c.target != "" {
		r.Header.Set("X-Amz-Target", c.target)
	}
	return r
}

// sign signs the call with a key at a time.
func (c call) sign(t *testing.T, r *http.Request, id, secret, token string, at time.Time) {
	t.Helper()
	sum := sha256.Sum256([]byte(c.body))
	keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}
	check(t, v4.NewSigner().SignHTTP(t.Context(), keys, r, hex.EncodeToString(sum[:]), c.service, region, at), "sign")
}

// refusal is a way to get in without a right to.
type refusal struct {
	name string
	do   func(t *testing.T, c call, r *http.Request)
	// What AWS answers: by services of the query protocol, and by those of the JSON protocols.
	query, json string
	text        string // part of the message
}

func refusals() []refusal {
	now := time.Now()
	return []refusal{
		{"wrong secret", func(t *testing.T, c call, r *http.Request) { c.sign(t, r, "test", "wrong", "", now) },
			"SignatureDoesNotMatch", "InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."},
		{"unknown key", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "AKIAIOSFODNN7EXAMPLE", "test", "",
				now)
		},
			"InvalidClientTokenId", "UnrecognizedClientException",
			"The security token included in the request is invalid."},
		{"made up token", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "ASIAIOSFODNN7EXAMPLE", "test", "made-up", now)
		},
			"InvalidClientTokenId", "UnrecognizedClientException",
			"The security token included in the request is invalid"},
		{"old date", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "test", "test", "", now.Add(-20*time.Minute))
		},
			"SignatureDoesNotMatch", "InvalidSignatureException", "Signature expired: "},
		{"early date", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "test", "test", "",
				now.Add(20*time.Minute))
		},
			"SignatureDoesNotMatch", "InvalidSignatureException", "Signature not yet current: "},
		{"no signature", func(*testing.T, call, *http.Request) {}, "MissingAuthenticationToken",
			"MissingAuthenticationTokenException", "issing"},
		{"another query", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "test", "test", "", now)
			r.URL.RawQuery += "&a=b"
		}, "SignatureDoesNotMatch", "InvalidSignatureException", "does not match"},
		{"another method", func(t *testing.T, c call, r *http.Request) {
			r.Method = "PUT"
			c.sign(t, r, "test", "test", "", now)
			r.Method = c.method
		}, "SignatureDoesNotMatch", "InvalidSignatureException", "does not match"},
		{"half a header", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "test", "test", "", now)
			head, _, _ := strings.Cut(r.Header.Get("Authorization"), ", Signature=")
			r.Header.Set("Authorization", head)
		}, "IncompleteSignature", "IncompleteSignatureException",
			"Authorization header requires 'Signature' parameter."},
		{"another service's scope", func(t *testing.T, c call, r *http.Request) {
			c.sign(t, r, "test", "test", "", now)
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "/"+c.service+"/", "/events/",
				1))
		}, "", "", ""},
	}
}

// wireSuite makes requests that no SDK makes.
func wireSuite(t *testing.T, n *node) {
	for _, c := range []call{queryCall, iamCall, restCall, jsonCall} {
		t.Run(c.service, func(t *testing.T) {
			good := c.request(t, n)
			c.sign(t, good, "test", "test", "", time.Now())
			got := n.send(t, good)
			want(t, got.status, 200, "status of a good signature")
			for _, refusal := range refusals() {
				t.Run(refusal.name, func(t *testing.T) {
					r := c.request(t, n)
					refusal.do(t, c, r)
					refuse(t, n, c, r, refusal)
				})
			}
		})
	}
	t.Run("presigned", func(t *testing.T) { testPresigned(t, n) })
	t.Run("health", func(t *testing.T) { testHealth(t, n) })
	t.Run("unknown operations", func(t *testing.T) { testUnknown(t, n) })
}

// refuse sends what has to be refused, and reads the error as the protocol has it.
func refuse(t *testing.T, n *node, c call, r *http.Request, as refusal) {
	t.Helper()
	got := n.send(t, r)
	if got.status < 400 || got.status > 499 {
		t.Fatalf("got %d %s, want 403", got.status, got.body)
	}
	if as.query == "" {
		return // any refusal will do
	}
	contains(t, got.body, as.text, "body")
	switch c.service {
	case "sts", "iam":
		contains(t, got.body, "<Code>"+as.query+"</Code>", "body")
		contains(t, got.body, "<RequestId>", "body")
		contains(t, got.header.Get("Content-Type"), "xml", "Content-Type")
	case "logs":
		contains(t, got.body, `"__type":"`+as.json+`"`, "body")
	default:
		want(t, got.header.Get("X-Amzn-Errortype"), as.json, "X-Amzn-Errortype")
	}
	want(t, got.header.Get("X-Amzn-Requestid") != "", true, "there is a request id")
}

// testPresigned reads a presigned URL as `aws eks get-token` makes one, and spoils it.
func testPresigned(t *testing.T, n *node) {
	presign := func(expires string, at time.Time) string {
		r := request(t, "GET", n.url+"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires="+expires, "")
		sum := sha256.Sum256(nil)
		u, _, err := v4.NewSigner().PresignHTTP(t.Context(),
			aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, r,
			hex.EncodeToString(sum[:]), "sts", region, at)
		check(t, err, "presign")
		return u
	}
	got := n.send(t, request(t, "GET", presign("60", time.Now()), ""))
	want(t, got.status, 200, "status of a presigned URL")
	contains(t, got.body, "<Arn>arn:aws:iam::000000000000:root</Arn>", "body")
	old := n.send(t, request(t, "GET", presign("60", time.Now().Add(-20*time.Minute)), ""))
	want(t, old.status, 403, "status of one that has expired")
	contains(t, old.body, "expired", "body of one that has expired")
	spoilt := strings.Replace(presign("60", time.Now()), "X-Amz-Expires=60", "X-Amz-Expires=600", 1)
	bad := n.send(t, request(t, "GET", spoilt, ""))
	want(t, bad.status, 403, "status of one that was changed")
	contains(t, bad.body, "<Code>SignatureDoesNotMatch</Code>", "body of one that was changed")

	cfg := loadAs(n, "test", "test")
	link, err := sts.NewPresignClient(sts.NewFromConfig(cfg)).PresignGetCallerIdentity(t.Context(),
		&sts.GetCallerIdentityInput{})
	check(t, err, "presign by the SDK")
	r := request(t, link.Method, link.URL, "")
	for k, v := range link.SignedHeader {
		if !strings.EqualFold(k, "Host") {
			r.Header[k] = v
		}
	}
	want(t, n.send(t, r).status, 200, "status of the SDK's presigned request")
}

func testHealth(t *testing.T, n *node) {
	for _, path := range []string{"/_rouse/health", "/_localstack/health"} {
		got := n.send(t, request(t, "GET", n.url+path, ""))
		want(t, got.status, 200, "status of "+path)
		contains(t, got.body, `"status":"ready"`, path)
	}
}

// testUnknown asks for what AWS has and Rouse has not, and for what nobody has: refused by name, never served.
func testUnknown(t *testing.T, n *node) {
	for what, c := range map[string]call{
		"PutQueryDefinition": {"logs", "POST", "/", "application/x-amz-json-1.1",
			"Logs_20140328.PutQueryDefinition", `{"name":"a","queryString":"b"}`},
		"CreateEventSourceMapping": {"lambda", "POST", "/2015-03-31/event-source-mappings", "application/json", "",
			`{"FunctionName":"f"}`},
		"redshift": {"redshift", "POST", "/", "application/x-www-form-urlencoded", "",
			"Action=DescribeClusters&Version=2012-12-01"},
	} {
		r := c.request(t, n)
		c.sign(t, r, "test", "test", "", time.Now())
		got := n.send(t, r)
		if got.status < 400 {
			t.Errorf("%s: got %d %s, want a refusal", what, got.status, got.body)
		}
		contains(t, got.body, "Rouse does not implement", what)
		contains(t, got.body, what, what)
	}
	odd := call{"logs", "POST", "/", "application/x-amz-json-1.1", "Logs_20140328.Nonsense", `{}`}
	r := odd.request(t, n)
	odd.sign(t, r, "test", "test", "", time.Now())
	got := n.send(t, r)
	if got.status < 400 || !strings.Contains(got.body, "Nonsense") {
		t.Errorf("an operation that nobody has: got %d %s, want a refusal that names it", got.status, got.body)
	}
}

// loadAs is a configuration of one key.
func loadAs(n *node, id, secret string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: aws.String(n.url), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		})}
}

// testRegion: a node is one region, and in development it takes what a developer's tools are set to; what it shows is its
// own.
func testRegion(t *testing.T, c *goClients) {
	cfg := c.cfg.Copy()
	cfg.Region = "eu-central-1"
	far := newClients(c.node, cfg)
	out, err := far.lambda.ListFunctions(t.Context(), &lambda.ListFunctionsInput{MaxItems: aws.Int32(1)})
	check(t, err, "list functions with another region's signature")
	for _, f := range out.Functions {
		contains(t, aws.ToString(f.FunctionArn), ":us-east-1:000000000000:", "FunctionArn")
	}
	who, err := far.sts.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	check(t, err, "who am I with another region's signature")
	want(t, aws.ToString(who.Account), account, "Account")
}
