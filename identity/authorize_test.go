package identity_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/format"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

func newer(t *testing.T) kv.Store {
	store := kvtest.Memory(t)
	ok(t, store.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set(format.Key("identity"), []byte(`{"version":99}`))
		return nil
	}))
	return store
}

// on is a resource's policy.
func on(effect, principal, extra string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Principal":%s,"Action":"lambda:InvokeFunction","Resource":%q%s}]}`,
		effect, principal, fn, extra)
}

// TestDecisions walks AWS's flow chart: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func TestDecisions(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	none, allowed, denied := user(t, i, "none"), user(t, i, "allowed"), user(t, i, "denied")
	bounded, fenced := user(t, i, "bounded"), user(t, i, "fenced")
	inline := func(name, doc string) {
		t.Helper()
		ok(t, i.PutInline(ctx, identity.UserNamed(acc, name), "p", doc))
	}
	inline("allowed", allowInvoke)
	inline("denied", allowInvoke)
	ok(t, i.PutInline(ctx, identity.UserNamed(acc, "denied"), "d", denyInvoke))
	inline("bounded", allowAll)
	ok(t, i.SetBoundary(ctx, identity.UserNamed(acc, "bounded"), "arn:aws:iam::aws:policy/AmazonSQSFullAccess"))
	inline("fenced", allowAll)
	fence := must[*identity.Managed](t)(i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "fence", Document: denyInvoke}))
	ok(t, i.SetBoundary(ctx, identity.UserNamed(acc, "fenced"), fence.ARN()))
	r := role(t, i, "app", trustLambda)
	app := session(t, i, r)
	box := role(t, i, "box", trustLambda)
	ok(t, i.SetBoundary(ctx, identity.RoleNamed(acc, "box"), "arn:aws:iam::aws:policy/AmazonSQSFullAccess"))
	boxed := session(t, i, box)
	root := rootOf(acc)
	stranger := rootOf(other)
	api := rouse.Origin{Principal: rouse.Principal{Service: "apigateway.amazonaws.com"}, SourceARN: "arn:aws:execute-api:us-east-1:123456789012:abc/*/GET/x"}
	far := allowed
	far.Principal.Account = other // an allowed user asking for a function of another account

	arn := func(s string) string { return `{"AWS":"arn:aws:iam::123456789012:` + s + `"}` }
	const (
		noIdentity = "because no identity-based policy allows the lambda:InvokeFunction action"
		noResource = "because no resource-based policy allows the lambda:InvokeFunction action"
	)
	rows := []struct {
		name   string
		from   rouse.Origin
		policy string
		want   string // how the refusal ends; "" when allowed
	}{
		{"nobody", rouse.Origin{}, "", noIdentity},
		{"nobody, though all are allowed", rouse.Origin{}, on("Allow", `"*"`, ""), noIdentity},
		{"default deny", none, "", noIdentity},
		{"identity allows", allowed, "", ""},
		{"identity denies", denied, "", "with an explicit deny in an identity-based policy"},
		{"identity denies though the resource allows", denied, on("Allow", arn("user/denied"), ""), "with an explicit deny in an identity-based policy"},
		{"resource denies", allowed, on("Deny", `"*"`, ""), "with an explicit deny in a resource-based policy"},
		{"resource denies root", root, on("Deny", `"*"`, ""), "with an explicit deny in a resource-based policy"},
		{"resource allows the user", none, on("Allow", arn("user/none"), ""), ""},
		{"resource allows everyone", none, on("Allow", `"*"`, ""), ""},
		{"resource allows another", none, on("Allow", arn("user/allowed"), ""), noIdentity},
		{"resource delegates to the account", none, on("Allow", arn("root"), ""), noIdentity},
		{"delegated and allowed", allowed, on("Allow", arn("root"), ""), ""},
		{"a condition of the resource fails", none, on("Allow", arn("user/none"), `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), noIdentity},
		{"the boundary does not allow", bounded, "", "because no permissions boundary allows the lambda:InvokeFunction action"},
		{"the boundary denies", fenced, "", "with an explicit deny in a permissions boundary"},
		{"a grant to the user passes the boundary", bounded, on("Allow", arn("user/bounded"), ""), ""},
		{"a grant to all does not", bounded, on("Allow", `"*"`, ""), "because no permissions boundary allows the lambda:InvokeFunction action"},
		{"a role without policies", app, "", noIdentity},
		{"resource allows the role", app, on("Allow", arn("role/app"), ""), ""},
		{"resource allows the session", app, on("Allow", `{"AWS":"arn:aws:sts::123456789012:assumed-role/app/shop"}`, ""), ""},
		{"a grant to the role is bounded", boxed, on("Allow", arn("role/box"), ""), noIdentity},
		{"a grant to the session is not", boxed, on("Allow", `{"AWS":"arn:aws:sts::123456789012:assumed-role/box/shop"}`, ""), ""},
		{"root", root, "", ""},
		{"root of another account", stranger, "", noResource},
		{"root of another account, allowed", stranger, on("Allow", `{"AWS":"999988887777"}`, ""), ""},
		{"cross account needs both", far, on("Allow", `{"AWS":"999988887777"}`, ""), ""},
		{"cross account, identity only", far, "", noResource},
		{"a service", api, "", noResource},
		{"a service, allowed", api, on("Allow", `{"Service":"apigateway.amazonaws.com"}`, ""), ""},
		{"another service", api, on("Allow", `{"Service":"s3.amazonaws.com"}`, ""), noResource},
		{"a service with its source", api, on("Allow", `{"Service":"apigateway.amazonaws.com"}`, `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:execute-api:us-east-1:123456789012:abc/*"},"StringEquals":{"aws:SourceAccount":"123456789012"}}`), ""},
		{"a service with another source", api, on("Allow", `{"Service":"apigateway.amazonaws.com"}`, `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:execute-api:us-east-1:123456789012:xyz/*"}}`), noResource},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := i.Authorize(ctx, row.from, invoke(row.policy))
			if row.want == "" {
				ok(t, err)
				return
			}
			who := row.from.Principal.ARN + row.from.Principal.Service
			if who == "" {
				who = "anonymous"
			}
			wantError(t, err, rouse.Denied, "", "User: "+who+" is not authorized to perform: lambda:InvokeFunction on resource: "+fn+" "+row.want)
		})
	}
}

func TestAllNeedsCount(t *testing.T) {
	i := world(t)
	ann := user(t, i, "ann")
	ok(t, i.PutInline(t.Context(), identity.UserNamed(acc, "ann"), "p", allowInvoke))
	needs := append(invoke(""), rouse.Need{Action: "iam:PassRole", Resource: "arn:aws:iam::123456789012:role/app"})
	wantError(t, i.Authorize(t.Context(), ann, needs), rouse.Denied, "",
		"is not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/app because no identity-based policy allows the iam:PassRole action")
	ok(t, i.Authorize(t.Context(), ann, nil))
	needs[0].Policy = `{"broken"`
	if err := i.Authorize(t.Context(), ann, needs); err == nil || rouse.KindOf(err) != rouse.Internal {
		t.Errorf("a resource's policy that cannot be read: got %v, want an internal error", err)
	}
}

// TestKeys: the condition keys that are known without the operation's help.
func TestKeys(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	ann := user(t, i, "ann")
	ok(t, i.Tag(ctx, identity.UserNamed(acc, "ann"), []identity.Tag{{Key: "Team", Value: "blue"}}))
	r := role(t, i, "app", trustLambda)
	app := session(t, i, r)
	from := func(o rouse.Origin) rouse.Origin {
		o.SourceIP, o.UserAgent, o.Secure, o.SourceARN = "203.0.113.7", "aws-cli/2", true, "arn:aws:sns:us-east-1:123456789012:topic"
		return o
	}
	rows := []struct {
		who       string
		condition string
		want      bool
	}{
		{"ann", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, true},
		{"ann", `{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:*:topic"}}`, true},
		{"ann", `{"StringEquals":{"aws:SourceAccount":"123456789012"}}`, true},
		{"ann", `{"StringLike":{"aws:UserAgent":"aws-cli/*"}}`, true},
		{"ann", `{"Bool":{"aws:SecureTransport":"true"}}`, true},
		{"ann", `{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`, true},
		{"ann", `{"NumericGreaterThan":{"aws:EpochTime":"1577836800"}}`, true},
		{"ann", `{"DateLessThan":{"aws:EpochTime":"2020-01-01T00:00:00Z"}}`, false},
		{"ann", `{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`, true},
		{"ann", `{"StringEquals":{"aws:ResourceAccount":"123456789012"}}`, true},
		{"ann", `{"StringEquals":{"aws:username":"ann"}}`, true},
		{"ann", `{"StringEquals":{"aws:PrincipalType":"User"}}`, true},
		{"ann", `{"StringEquals":{"aws:PrincipalAccount":"123456789012"}}`, true},
		{"ann", `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/ann"}}`, true},
		{"ann", `{"StringEquals":{"aws:PrincipalTag/team":"blue"}}`, true},
		{"ann", `{"StringEquals":{"aws:PrincipalTag/other":"blue"}}`, false},
		{"ann", `{"StringLike":{"aws:userid":"AIDA*"}}`, true},
		{"ann", `{"Bool":{"aws:PrincipalIsAWSService":"false","aws:ViaAWSService":"false"}}`, true},
		{"ann", `{"Null":{"aws:MultiFactorAuthPresent":"true"}}`, true},
		{"ann", `{"StringEquals":{"lambda:FunctionArn":"` + fn + `"}}`, true},
		{"ann", `{"StringEquals":{"Lambda:functionarn":"` + fn + `"}}`, true},
		{"app", `{"StringEquals":{"aws:PrincipalType":"AssumedRole"}}`, true},
		{"app", `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/app"}}`, true},
		{"app", `{"StringLike":{"aws:userid":"AROA*:shop"}}`, true},
		{"app", `{"Null":{"aws:username":"true"}}`, true},
		{"app", `{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`, true},
		{"app", `{"DateGreaterThan":{"aws:TokenIssueTime":"2000-01-01T00:00:00Z"}}`, true},
		{"app", `{"DateLessThan":{"aws:TokenIssueTime":"2000-01-01T00:00:00Z"}}`, false},
		{"ann", `{"Null":{"aws:TokenIssueTime":"true"}}`, true},
	}
	for _, row := range rows {
		doc := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + row.condition + `}}`
		origin, who := from(ann), identity.UserNamed(acc, "ann")
		if row.who == "app" {
			origin, who = from(app), identity.RoleNamed(acc, "app")
		}
		ok(t, i.PutInline(ctx, who, "p", doc))
		needs := invoke("")
		needs[0].Conditions = map[string][]string{"lambda:FunctionArn": {fn}}
		if got := i.Authorize(ctx, origin, needs) == nil; got != row.want {
			t.Errorf("%s %s: got %v, want %v", row.who, row.condition, got, row.want)
		}
	}
}

// TestRevokedSessions: AWS's own way to end sessions that were issued before a moment, and none that come after.
func TestRevokedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := world(t)
		r := role(t, i, "app", trustLambda)
		ok(t, i.PutInline(t.Context(), identity.RoleNamed(acc, "app"), "p", allowInvoke))
		issue := func() rouse.Origin {
			t.Helper()
			c := must[identity.Credentials](t)(i.Session(t.Context(), acc, r.ARN(), "s", time.Hour))
			return must[identity.Key](t)(i.Credentials(t.Context(), c.AccessKeyID, c.SessionToken)).Origin
		}
		old := issue()
		<-time.After(time.Minute)
		revoke := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"` +
			time.Now().UTC().Format(time.RFC3339) + `"}}}}`
		ok(t, i.PutInline(t.Context(), identity.RoleNamed(acc, "app"), "AWSRevokeOlderSessions", revoke))
		wantError(t, i.Authorize(t.Context(), old, invoke("")), rouse.Denied, "", "with an explicit deny")
		<-time.After(time.Minute)
		ok(t, i.Authorize(t.Context(), issue(), invoke("")))
	})
}

// TestDenialsThatWouldNotDeny: a Deny under a condition that is never answered is refused wherever a policy is put, by the
// key's name; an Allow under it allows nothing, and stands.
func TestDenialsThatWouldNotDeny(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	user(t, i, "ann")
	document := func(effect, who, operator, key string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `",` + who + `"Action":"sts:AssumeRole","Condition":{"` + operator +
			`":{"` + key + `":"2020-01-01T00:00:00Z"}}}]}`
	}
	everything := func(doc string) string { return strings.Replace(doc, `"Condition"`, `"Resource":"*","Condition"`, 1) }
	for _, key := range []string{"aws:PrincipalOrgID", "aws:SourceVpc", "AWS:sourcevpce", "aws:CalledVia", "aws:ResourceTag/team", "aws:NoSuchKey"} {
		for _, operator := range []string{"StringEquals", "StringNotEqualsIfExists", "ForAnyValue:StringLike"} {
			own, anybody := everything(document("Deny", "", operator, key)), document("Deny", `"Principal":"*",`, operator, key)
			_, created := i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "p", Document: own})
			_, made := i.CreateRole(ctx, identity.NewRole{Account: acc, Name: "r", Trust: anybody})
			for where, err := range map[string]error{"inline": i.PutInline(ctx, identity.UserNamed(acc, "ann"), "p", own), "managed": created,
				"trust": made} {
				if rouse.KindOf(err) != rouse.Unsupported || !strings.Contains(err.Error(), key) {
					t.Errorf("%s policy that denies under %s %s: got %v, want it refused by that name", where, operator, key, err)
				}
			}
			ok(t, i.PutInline(ctx, identity.UserNamed(acc, "ann"), "p", everything(document("Allow", "", operator, key))))
		}
	}
	for _, key := range []string{"aws:TokenIssueTime", "aws:PrincipalArn", "aws:MultiFactorAuthAge", "aws:RequestTag/team", "aws:PrincipalTag/team", "lambda:FunctionArn"} {
		ok(t, i.PutInline(ctx, identity.UserNamed(acc, "ann"), "p", everything(document("Deny", "", "StringEquals", key))))
	}
}

// TestManagedPolicyInForce: attached policies decide by the version in force, from the moment it changes.
func TestManagedPolicyInForce(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	ann := user(t, i, "ann")
	w := identity.UserNamed(acc, "ann")
	m := must[*identity.Managed](t)(i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "p", Path: "/team/", Document: allowInvoke}))
	if got, want := m.ARN(), "arn:aws:iam::123456789012:policy/team/p"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	check := func(want bool) {
		t.Helper()
		if got := i.Authorize(ctx, ann, invoke("")) == nil; got != want {
			t.Errorf("got allowed %v, want %v", got, want)
		}
	}
	check(false)
	ok(t, i.Attach(ctx, w, m.ARN()))
	check(true)
	must[identity.Version](t)(i.CreateVersion(ctx, acc, m.ARN(), denyInvoke, false))
	check(true)
	ok(t, i.SetDefaultVersion(ctx, acc, m.ARN(), "v2"))
	check(false)
	ok(t, i.SetDefaultVersion(ctx, acc, m.ARN(), "v1"))
	check(true)
	ok(t, i.Detach(ctx, w, m.ARN()))
	check(false)
	ok(t, i.Attach(ctx, w, "arn:aws:iam::aws:policy/AdministratorAccess"))
	check(true)
	keys := must[[]identity.AccessKey](t)(i.AccessKeys(acc, "ann"))
	ok(t, i.Detach(ctx, w, "arn:aws:iam::aws:policy/AdministratorAccess"))
	ok(t, i.SetAccessKeyStatus(ctx, acc, "ann", keys[0].ID, identity.StatusInactive))
	_, err := i.Credentials(ctx, keys[0].ID, "")
	wantError(t, err, rouse.Unauthenticated, "", "invalid")
	ok(t, i.DeleteAccessKey(ctx, acc, "ann", keys[0].ID))
	ok(t, i.DeleteUser(ctx, acc, "ann"))
	wantError(t, i.Authorize(ctx, ann, invoke(on("Allow", `"*"`, ""))), rouse.Denied, "", "is not authorized")
}

// TestAWSPoliciesRead: every policy of the table compiles and can be attached.
func TestAWSPoliciesRead(t *testing.T) {
	i := world(t)
	role(t, i, "app", trustLambda)
	w := identity.RoleNamed(acc, "app")
	list := i.Policies(acc, "", identity.ScopeAWS)
	if len(list) < 30 {
		t.Fatalf("got %d policies, want at least 30", len(list))
	}
	for _, m := range list {
		ok(t, i.Attach(t.Context(), w, m.ARN()))
		if again := must[*identity.Managed](t)(i.Policy(acc, m.ARN())); again.Attachments != 1 || again.ID != m.ID {
			t.Errorf("%s: got %d attachments and id %s, want 1 and %s", m.ARN(), again.Attachments, again.ID, m.ID)
		}
		ok(t, i.Detach(t.Context(), w, m.ARN()))
	}
	if got := i.Policies(acc, "/service-role/", identity.ScopeAll); len(got) == 0 || !strings.HasPrefix(got[0].ARN(), "arn:aws:iam::aws:policy/service-role/") {
		t.Errorf("by path: got %d policies, want those under /service-role/", len(got))
	}
	wantError(t, i.Attach(t.Context(), w, "arn:aws:iam::aws:policy/Imaginary"), rouse.NotFound, "",
		"Policy arn:aws:iam::aws:policy/Imaginary does not exist or is not attachable.")
}

// BenchmarkAuthorize: no I/O and no lock; the cost is hashing the principal's ARN, and one pass over its policies.
// BenchmarkCredentials: one AES-GCM opening and one HMAC.
func BenchmarkAuthorize(b *testing.B) {
	i := world(b)
	r := role(b, i, "app", trustLambda)
	w := identity.RoleNamed(acc, "app")
	ok(b, i.Attach(b.Context(), w, "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"))
	ok(b, i.PutInline(b.Context(), w, "p", allowInvoke))
	ok(b, i.PutInline(b.Context(), w, "q", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:GetItem","dynamodb:PutItem"],"Resource":"arn:aws:dynamodb:*:123456789012:table/shop*"}]}`))
	app := session(b, i, r)
	for name, needs := range map[string][]rouse.Need{
		"identity": invoke(""),
		"resource": invoke(on("Allow", `{"Service":"apigateway.amazonaws.com"}`, "")),
		"arn":      {{Action: "dynamodb:GetItem", Resource: "arn:aws:dynamodb:us-east-1:123456789012:table/shop-items"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := i.Authorize(b.Context(), app, needs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCredentials(b *testing.B) {
	i := world(b)
	r := role(b, i, "app", trustLambda)
	c := must[identity.Credentials](b)(i.Session(b.Context(), acc, r.ARN(), "shop", 3600e9))
	b.Run("redeem", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Credentials(b.Context(), c.AccessKeyID, c.SessionToken); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Session(b.Context(), acc, r.ARN(), "shop", 3600e9); err != nil {
				b.Fatal(err)
			}
		}
	})
}
