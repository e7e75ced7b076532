package sts_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sts"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	acc   = "123456789012"
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}]}`
)

func open(t *testing.T) (*identity.Identity, *sts.Door) {
	t.Helper()
	i, err := identity.Open(t.Context(), identity.Config{Store: kvtest.Memory(t), Account: acc, SealKey: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return i, sts.New(i)
}

// call sends a form as from and returns status and body.
func call(t *testing.T, d *sts.Door, from rouse.Origin, form string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form+"&Version=2011-06-15"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp := wiretest.Roundtrip(t, d.Service(), from, r)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// element is the text of the first XML element called name.
func element(body, name string) string {
	_, rest, _ := strings.Cut(body, "<"+name+">")
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

// rootOf is the root user of account.
func rootOf(account string) rouse.Origin {
	return rouse.Origin{Root: true, Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account}}
}

func TestTable(t *testing.T) {
	_, d := open(t)
	wiretest.Check(t, d.Service())
	wiretest.CheckModel(t, os.Getenv, d.Service(), "sts/2011-06-15")
}

func TestCallerIdentity(t *testing.T) {
	_, d := open(t)
	status, body := call(t, d, rootOf(acc), "Action=GetCallerIdentity")
	for _, want := range []string{`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`,
		"<Arn>arn:aws:iam::123456789012:root</Arn>", "<UserId>123456789012</UserId>", "<Account>123456789012</Account>", "<RequestId>"} {
		if !strings.Contains(body, want) {
			t.Errorf("got %d %s, want %s", status, body, want)
		}
	}
}

func TestAssumeRole(t *testing.T) {
	i, d := open(t)
	r, err := i.CreateRole(t.Context(), identity.NewRole{Account: acc, Name: "app", Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	form := "Action=AssumeRole&RoleSessionName=s1&DurationSeconds=900&RoleArn=" + url.QueryEscape(r.ARN())
	status, body := call(t, d, rootOf(acc), form)
	if status != 200 || element(body, "Arn") != "arn:aws:sts::123456789012:assumed-role/app/s1" || element(body, "AssumedRoleId") != r.ID+":s1" {
		t.Fatalf("got %d %s, want a session of app", status, body)
	}
	k, err := i.Credentials(t.Context(), element(body, "AccessKeyId"), element(body, "SessionToken"))
	if err != nil || k.Secret != element(body, "SecretAccessKey") {
		t.Errorf("got %v, want credentials that work", err)
	}
	status, body = call(t, d, k.Origin, "Action=GetCallerIdentity")
	if element(body, "UserId") != r.ID+":s1" {
		t.Errorf("got %d %s, want the session", status, body)
	}
	status, body = call(t, d, rootOf("999988887777"), form)
	if status != 403 || element(body, "Code") != "AccessDenied" || !strings.Contains(body, "is not authorized to perform: sts:AssumeRole on resource: "+r.ARN()) {
		t.Errorf("got %d %s, want AccessDenied", status, body)
	}
	for extra, want := range map[string]string{
		"&Policy=%7B%7D": "Policy",
		"&PolicyArns.member.1.arn=arn:aws:iam::aws:": "PolicyArns",
		"&Tags.member.1.Key=a&Tags.member.1.Value=b": "Tags",
		"&SerialNumber=123456789&TokenCode=123456":   "SerialNumber",
	} {
		status, body := call(t, d, rootOf(acc), form+extra)
		if status != 501 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want 501 naming %s", extra, status, body, want)
		}
	}
	for extra, want := range map[string]string{
		"Action=AssumeRole&RoleSessionName=s1": "roleArn", form + "&DurationSeconds=1": "ValidationError",
		strings.Replace(form, "=s1", "=s%201", 1): "roleSessionName",
	} {
		if status, body := call(t, d, rootOf(acc), extra); status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want 400 with %s", extra, status, body, want)
		}
	}
}

func TestSessionToken(t *testing.T) {
	i, d := open(t)
	_, body := call(t, d, rootOf(acc), "Action=GetSessionToken")
	k, err := i.Credentials(t.Context(), element(body, "AccessKeyId"), element(body, "SessionToken"))
	if err != nil || !k.Origin.Root {
		t.Fatalf("got %s, %v; want credentials of root", body, err)
	}
	status, body := call(t, d, k.Origin, "Action=GetSessionToken")
	if status != 403 || !strings.Contains(body, "Cannot call GetSessionToken with session credentials") {
		t.Errorf("got %d %s, want a refusal", status, body)
	}
	_, body = call(t, d, k.Origin, "Action=GetAccessKeyInfo&AccessKeyId="+k.Origin.AccessKey)
	if element(body, "Account") != acc {
		t.Errorf("got %s, want %s", body, acc)
	}
	if status, body := call(t, d, k.Origin, "Action=GetAccessKeyInfo&AccessKeyId=AAAAAAAAAAAAAAAA"); status != 400 {
		t.Errorf("got %d %s, want 400", status, body)
	}
	if status, body := call(t, d, k.Origin, "Action=GetFederationToken&Name=x"); status != 501 || !strings.Contains(body, "GetFederationToken") {
		t.Errorf("got %d %s, want 501 naming the operation", status, body)
	}
}
