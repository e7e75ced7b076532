package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/identity/policy"
)

var effects = map[policy.Effect]string{policy.None: "none", policy.Allow: "allow", policy.Deny: "deny"}

// decision is one row: a statement (or several, comma-separated, without their braces' list), what is asked, and the
// answer. The rows follow the examples of AWS's IAM user guide, section by section.
type decision struct {
	name, statements string
	action, resource string
	keys             map[string]string // values separated by |
	want             policy.Effect
}

func (d decision) run(t *testing.T, version string) {
	t.Helper()
	doc, err := policy.Parse(`{"Version":"`+version+`","Statement":[`+d.statements+`]}`, policy.Identity)
	if err != nil {
		t.Fatalf("parse: got %v, want none", err)
	}
	got, _ := doc.Evaluate(&policy.Request{Action: d.action, Resource: d.resource, Key: keys(d.keys)})
	if got != d.want {
		t.Errorf("got %s, want %s", effects[got], effects[d.want])
	}
}

func keys(m map[string]string) func(string) []string {
	return func(name string) []string {
		for k, v := range m {
			if strings.EqualFold(k, name) {
				return strings.Split(v, "|")
			}
		}
		return nil
	}
}

func stmt(effect, action, resource, condition string) string {
	s := fmt.Sprintf(`{"Effect":%q,"Action":%s,"Resource":%s`, effect, action, resource)
	if condition != "" {
		s += `,"Condition":` + condition
	}
	return s + "}"
}

func allow(condition string) string { return stmt("Allow", `"*"`, `"*"`, condition) }

const (
	bucket = "arn:aws:s3:::photos/2026/cat.jpg"
	fn     = "arn:aws:lambda:us-east-1:123456789012:function:shop"
)

func TestActionsAndResources(t *testing.T) {
	const A, D, N = policy.Allow, policy.Deny, policy.None
	rows := []decision{
		{"default is none", stmt("Allow", `"s3:GetObject"`, `"*"`, ""), "s3:PutObject", bucket, nil, N},
		{"exact action", stmt("Allow", `"s3:GetObject"`, `"*"`, ""), "s3:GetObject", bucket, nil, A},
		{"actions fold case", stmt("Allow", `"S3:getobject"`, `"*"`, ""), "s3:GetObject", bucket, nil, A},
		{"action prefix", stmt("Allow", `"s3:Get*"`, `"*"`, ""), "s3:GetObjectAcl", bucket, nil, A},
		{"action prefix folds", stmt("Allow", `"s3:gEt*"`, `"*"`, ""), "s3:GetObjectAcl", bucket, nil, A},
		{"action inner star", stmt("Allow", `"iam:*AccessKey*"`, `"*"`, ""), "iam:CreateAccessKey", "*", nil, A},
		{"action question mark", stmt("Allow", `"s3:Get?bject"`, `"*"`, ""), "s3:GetObject", bucket, nil, A},
		{"question mark is one", stmt("Allow", `"s3:GetObject?"`, `"*"`, ""), "s3:GetObject", bucket, nil, N},
		{"all of a service", stmt("Allow", `"s3:*"`, `"*"`, ""), "s3:GetObject", bucket, nil, A},
		{"not another service", stmt("Allow", `"s3:*"`, `"*"`, ""), "s3-object-lambda:GetObject", bucket, nil, N},
		{"list of actions", stmt("Allow", `["sqs:*","s3:GetObject"]`, `"*"`, ""), "s3:GetObject", bucket, nil, A},
		{"deny wins", allow("") + "," + stmt("Deny", `"s3:GetObject"`, `"*"`, ""), "s3:GetObject", bucket, nil, D},
		{"deny first wins", stmt("Deny", `"s3:*"`, `"*"`, "") + "," + allow(""), "s3:GetObject", bucket, nil, D},
		{"NotAction allows the rest", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "s3:GetObject", bucket, nil, A},
		{"NotAction leaves out", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "iam:GetRole", "*", nil, N},
		{"NotAction deny", allow("") + `,{"Effect":"Deny","NotAction":["s3:*","iam:*"],"Resource":"*"}`, "sqs:SendMessage", "*", nil, D},
		{"exact resource", stmt("Allow", `"*"`, `"`+fn+`"`, ""), "lambda:InvokeFunction", fn, nil, A},
		{"resource is case-sensitive", stmt("Allow", `"*"`, `"`+fn+`"`, ""), "lambda:InvokeFunction", strings.Replace(fn, "shop", "Shop", 1), nil, N},
		{"resource prefix", stmt("Allow", `"*"`, `"arn:aws:s3:::photos/*"`, ""), "s3:GetObject", bucket, nil, A},
		{"star crosses slashes", stmt("Allow", `"*"`, `"arn:aws:s3:::photos/*.jpg"`, ""), "s3:GetObject", bucket, nil, A},
		{"bucket is not its objects", stmt("Allow", `"*"`, `"arn:aws:s3:::photos/*"`, ""), "s3:ListBucket", "arn:aws:s3:::photos", nil, N},
		{"question mark in resource", stmt("Allow", `"*"`, `"arn:aws:s3:::photos/202?/*"`, ""), "s3:GetObject", bucket, nil, A},
		{"star in region", stmt("Allow", `"*"`, `"arn:aws:lambda:*:123456789012:function:shop"`, ""), "lambda:InvokeFunction", fn, nil, A},
		{"star stays in its field", stmt("Allow", `"*"`, `"arn:aws:lambda:*:function:shop"`, ""), "lambda:InvokeFunction", fn, nil, N},
		{"incomplete ARN is completed", stmt("Allow", `"*"`, `"arn:aws:lambda"`, ""), "lambda:InvokeFunction", fn, nil, A},
		{"completed region", stmt("Allow", `"*"`, `"arn:aws:lambda:eu-west-1:*"`, ""), "lambda:InvokeFunction", fn, nil, N},
		{"version suffix needs a star", stmt("Allow", `"*"`, `"`+fn+`"`, ""), "lambda:InvokeFunction", fn + ":3", nil, N},
		{"version suffix", stmt("Allow", `"*"`, `"`+fn+`:*"`, ""), "lambda:InvokeFunction", fn + ":3", nil, A},
		{"no resource needs a star", stmt("Allow", `"*"`, `"arn:aws:lambda:*:*:*"`, ""), "lambda:ListFunctions", "*", nil, N},
		{"no resource", stmt("Allow", `"*"`, `"*"`, ""), "lambda:ListFunctions", "*", nil, A},
		{"NotResource denies the rest", allow("") + `,{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::HRBucket","arn:aws:s3:::HRBucket/*"]}`, "s3:GetObject", bucket, nil, D},
		{"NotResource spares", allow("") + `,{"Effect":"Deny","Action":"s3:*","NotResource":["arn:aws:s3:::photos/*"]}`, "s3:GetObject", bucket, nil, A},
		{"many stars", stmt("Allow", `"*"`, `"arn:aws:s3:::*a*a*a*a*a*a*b"`, ""), "s3:GetObject", "arn:aws:s3:::" + strings.Repeat("a", 500), nil, N},
	}
	for _, d := range rows {
		t.Run(d.name, func(t *testing.T) { d.run(t, "2012-10-17") })
	}
}

func TestVariables(t *testing.T) {
	const A, N = policy.Allow, policy.None
	home := stmt("Allow", `"s3:*"`, `"arn:aws:s3:::photos/home/${aws:username}/*"`, "")
	object := "arn:aws:s3:::photos/home/ann/x"
	rows := []decision{
		{"user name", home, "s3:GetObject", object, map[string]string{"aws:username": "ann"}, A},
		{"other user", home, "s3:GetObject", object, map[string]string{"aws:username": "bob"}, N},
		{"no user", home, "s3:GetObject", object, nil, N},
		{"value is literal", home, "s3:GetObject", object, map[string]string{"aws:username": "*"}, N},
		{"name folds", stmt("Allow", `"s3:*"`, `"arn:aws:s3:::photos/${AWS:UserName}"`, ""), "s3:GetObject", "arn:aws:s3:::photos/ann", map[string]string{"aws:username": "ann"}, A},
		{"default", stmt("Allow", `"s3:*"`, `"arn:aws:s3:::b/${aws:PrincipalTag/team, 'company-wide'}/*"`, ""), "s3:GetObject", "arn:aws:s3:::b/company-wide/x", nil, A},
		{"default unused", stmt("Allow", `"s3:*"`, `"arn:aws:s3:::b/${aws:PrincipalTag/team, 'company-wide'}/*"`, ""), "s3:GetObject", "arn:aws:s3:::b/yellow/x", map[string]string{"aws:principaltag/team": "yellow"}, A},
		{"escaped star", stmt("Allow", `"s3:*"`, `"arn:aws:s3:::b/${*}"`, ""), "s3:GetObject", "arn:aws:s3:::b/x", nil, N},
		{"escaped star is a star", stmt("Allow", `"s3:*"`, `"arn:aws:s3:::b/${*}${?}${$}"`, ""), "s3:GetObject", "arn:aws:s3:::b/*?$", nil, A},
		{"in a condition", allow(`{"StringLike":{"s3:prefix":"home/${aws:username}/*"}}`), "s3:ListBucket", "arn:aws:s3:::b", map[string]string{"s3:prefix": "home/ann/y", "aws:username": "ann"}, A},
		{"unknown never excludes", allow(`{"StringNotEquals":{"s3:prefix":"${aws:username}"}}`), "s3:ListBucket", "arn:aws:s3:::b", map[string]string{"s3:prefix": "x"}, N},
		{"a known alternative counts", allow(`{"StringEquals":{"s3:prefix":["${aws:username}","x"]}}`), "s3:ListBucket", "arn:aws:s3:::b", map[string]string{"s3:prefix": "x"}, A},
		{"unknown NotResource", `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::${aws:username}"}`, "s3:ListBucket", "arn:aws:s3:::b", nil, N},
	}
	for _, d := range rows {
		t.Run(d.name, func(t *testing.T) { d.run(t, "2012-10-17") })
	}
}

func TestConditions(t *testing.T) {
	const A, N = policy.Allow, policy.None
	rows := []struct {
		condition, keys string // keys: "k=v;k=v"
		want            policy.Effect
	}{
		{`{"StringEquals":{"aws:PrincipalTag/job":"iamuser-admin"}}`, "aws:PrincipalTag/job=iamuser-admin", A},
		{`{"StringEquals":{"aws:PrincipalTag/job":"iamuser-admin"}}`, "aws:PrincipalTag/job=Iamuser-admin", N},
		{`{"StringEquals":{"aws:PrincipalTag/job":"a"}}`, "", N},
		{`{"StringEquals":{"k:a":["x","y"]}}`, "k:a=y", A},
		{`{"StringEquals":{"k:a":"x","k:b":"y"}}`, "k:a=x;k:b=z", N},
		{`{"StringEquals":{"k:a":"x","k:b":"y"}}`, "k:a=x;k:b=y", A},
		{`{"StringEquals":{"k:a":"x*"}}`, "k:a=xy", N},
		{`{"StringEqualsIgnoreCase":{"k:a":"ABC"}}`, "k:a=aBc", A},
		{`{"StringNotEqualsIgnoreCase":{"k:a":"ABC"}}`, "k:a=aBc", N},
		{`{"StringNotEquals":{"k:a":"x"}}`, "k:a=y", A},
		{`{"StringNotEquals":{"k:a":["x","y"]}}`, "k:a=y", N},
		{`{"StringNotEquals":{"k:a":"x"}}`, "", A},
		{`{"StringLike":{"k:a":"home/*"}}`, "k:a=home/x", A},
		{`{"StringLike":{"k:a":"h?me"}}`, "k:a=home", A},
		{`{"StringNotLike":{"k:a":"home/*"}}`, "k:a=home/x", N},
		{`{"StringNotLike":{"k:a":"home/*"}}`, "", A},
		{`{"StringEqualsIfExists":{"k:a":"x"}}`, "", A},
		{`{"StringEqualsIfExists":{"k:a":"x"}}`, "k:a=y", N},
		{`{"StringLikeIfExists":{"ec2:InstanceType":["t1.*","t2.*","m3.*"]}}`, "ec2:InstanceType=t2.micro", A},
		{`{"NumericLessThanEquals":{"s3:max-keys":"10"}}`, "s3:max-keys=10", A},
		{`{"NumericLessThanEquals":{"s3:max-keys":10}}`, "s3:max-keys=11", N},
		{`{"NumericLessThan":{"k:a":10}}`, "k:a=9.5", A},
		{`{"NumericGreaterThan":{"k:a":10}}`, "k:a=10", N},
		{`{"NumericGreaterThanEquals":{"k:a":"10"}}`, "k:a=10", A},
		{`{"NumericEquals":{"k:a":"1e1"}}`, "k:a=10", A},
		{`{"NumericNotEquals":{"k:a":"10"}}`, "k:a=11", A},
		{`{"NumericEquals":{"k:a":"10"}}`, "k:a=ten", N},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2020-04-01T00:00:00Z"}}`, "aws:CurrentTime=2026-01-01T00:00:00Z", A},
		{`{"DateLessThan":{"aws:CurrentTime":"2020-06-30T23:59:59Z"}}`, "aws:CurrentTime=2026-01-01T00:00:00Z", N},
		{`{"DateLessThan":{"aws:TokenIssueTime":"2020-01-01"}}`, "aws:TokenIssueTime=2019-12-31T23:00:00Z", A},
		{`{"DateLessThanEquals":{"k:t":"1577836800"}}`, "k:t=2020-01-01T00:00:00Z", A},
		{`{"DateGreaterThanEquals":{"k:t":"2020-01-01T01:00:00+01:00"}}`, "k:t=1577836800", A},
		{`{"DateEquals":{"k:t":"2020-01-01"}}`, "k:t=1577836800", A},
		{`{"DateNotEquals":{"k:t":"2020-01-01"}}`, "k:t=1577836800", N},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, "aws:SecureTransport=false", A},
		{`{"Bool":{"aws:SecureTransport":true}}`, "aws:SecureTransport=false", N},
		{`{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`, "", N},
		{`{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`, "", A},
		{`{"BinaryEquals":{"k:b":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, "k:b=QmluYXJ5VmFsdWVJbkJhc2U2NA==", A},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.113.9", A},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=203.0.114.9", N},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.9"}}`, "aws:SourceIp=203.0.113.9", A},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "aws:SourceIp=::ffff:203.0.113.9", A},
		{`{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678::/64"]}}`, "aws:SourceIp=2001:db8:1234:5678::1", A},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, "", N},
		{`{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}}`, "aws:SourceIp=203.0.113.9", N},
		{`{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}`, "", A},
		{`{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:123:TOPIC"}}`, "aws:SourceArn=arn:aws:sns:us-east-1:123:TOPIC", A},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:execute-api:*:123:api/*/GET/items"}}`, "aws:SourceArn=arn:aws:execute-api:us-east-1:123:api/prod/GET/items", A},
		{`{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:123:*"}}`, "aws:SourceArn=arn:aws:sns:us-east-1:124:T", N},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:123:*"}}`, "aws:SourceArn=nonsense", N},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}}`, "aws:PrincipalArn=arn:aws:iam::1:role/admin", N},
		{`{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}}`, "", A},
		{`{"Null":{"aws:TokenIssueTime":"true"}}`, "", A},
		{`{"Null":{"aws:TokenIssueTime":"false"}}`, "", N},
		{`{"Null":{"aws:TokenIssueTime":false}}`, "aws:TokenIssueTime=x", A},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["environment","cost-center"]}}`, "aws:TagKeys=environment|cost-center", A},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["environment","cost-center"]}}`, "aws:TagKeys=environment|dept", N},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["environment"]}}`, "", A},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["environment"]}}`, "", N},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["webserver","environment"]}}`, "aws:TagKeys=x|environment", A},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["webserver"]}}`, "aws:TagKeys=x|environment", N},
		{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["x"]}}`, "aws:TagKeys=x|environment", A},
		{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["x"]}}`, "aws:TagKeys=x|environment", N},
		{`{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["u-*"]}}`, "dynamodb:LeadingKeys=u-1|u-2", A},
		{`{"ForAnyValue:StringLikeIfExists":{"k:a":["x"]}}`, "", A},
		{`{"StringNotEquals":{"k:a":"x"}}`, "k:a=x|y", N},
		{`{"StringEquals":{"k:a":"x"}}`, "k:a=x|y", A},
		{`{"StringEquals":{"AWS:sourceIP":"x"}}`, "aws:SourceIp=x", A},
		{`{}`, "", A},
	}
	for _, row := range rows {
		t.Run(row.condition+" "+row.keys, func(t *testing.T) {
			m := map[string]string{}
			for pair := range strings.SplitSeq(row.keys, ";") {
				if k, v, ok := strings.Cut(pair, "="); ok {
					m[k] = v
				}
			}
			decision{"", allow(row.condition), "s3:GetObject", bucket, m, row.want}.run(t, "2012-10-17")
		})
	}
}

func TestPrincipals(t *testing.T) {
	const acc, other = "111122223333", "444455556666"
	user := policy.Asker{Account: acc, ARN: "arn:aws:iam::" + acc + ":user/ann"}
	root := policy.Asker{Account: acc, ARN: "arn:aws:iam::" + acc + ":root", Root: true}
	session := policy.Asker{Account: acc, ARN: "arn:aws:sts::" + acc + ":assumed-role/app/i-1", Role: "arn:aws:iam::" + acc + ":role/app"}
	stranger := policy.Asker{Account: other, ARN: "arn:aws:iam::" + other + ":user/ann"}
	service := policy.Asker{Service: "lambda.amazonaws.com"}
	nobody := policy.Asker{}
	rows := []struct {
		element string
		asker   policy.Asker
		want    policy.Reach
	}{
		{`"Principal":"*"`, user, policy.Shared},
		{`"Principal":"*"`, nobody, policy.Shared},
		{`"Principal":{"AWS":"*"}`, stranger, policy.Shared},
		{`"Principal":{"AWS":"111122223333"}`, user, policy.Account},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`, session, policy.Account},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:root"}`, root, policy.Exact},
		{`"Principal":{"AWS":"111122223333"}`, stranger, policy.Nobody},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:user/ann"}`, user, policy.Exact},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:user/ann"}`, stranger, policy.Nobody},
		{`"Principal":{"AWS":"arn:aws:iam::111122223333:role/app"}`, session, policy.Shared},
		{`"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/app/i-1"}`, session, policy.Exact},
		{`"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/app/i-2"}`, session, policy.Nobody},
		{`"Principal":{"AWS":["444455556666","arn:aws:iam::111122223333:user/ann"]}`, user, policy.Exact},
		{`"Principal":{"Service":"lambda.amazonaws.com"}`, service, policy.Exact},
		{`"Principal":{"Service":["events.amazonaws.com","lambda.amazonaws.com"]}`, service, policy.Exact},
		{`"Principal":{"Service":"events.amazonaws.com"}`, service, policy.Nobody},
		{`"Principal":{"Service":"lambda.amazonaws.com"}`, user, policy.Nobody},
		{`"Principal":{"AWS":"444455556666","Service":"lambda.amazonaws.com"}`, service, policy.Exact},
		{`"Principal":{"Federated":"cognito-identity.amazonaws.com"}`, user, policy.Nobody},
	}
	for _, row := range rows {
		doc, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",`+row.element+`}}`, policy.Resource)
		if err != nil {
			t.Fatalf("%s: got %v, want no error", row.element, err)
		}
		effect, got := doc.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: bucket, Asker: row.asker, Key: keys(nil)})
		if got != row.want || (effect == policy.Allow) != (row.want > policy.Nobody) {
			t.Errorf("%s for %+v: got reach %d (%s), want %d", row.element, row.asker, got, effects[effect], row.want)
		}
	}
	denials := []struct {
		element string
		asker   policy.Asker
		want    policy.Effect
	}{
		{`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/ann"}`, user, policy.None},
		{`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/bob"}`, user, policy.Deny},
		{`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"}`, user, policy.Deny},
		{`"NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"}`, root, policy.None},
		{`"NotPrincipal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/app"]}`, session, policy.None},
		{`"NotPrincipal":{"AWS":"111122223333"}`, service, policy.Deny},
		{`"Principal":{"AWS":"111122223333"}`, user, policy.Deny},
		{`"Principal":{"AWS":"111122223333"}`, stranger, policy.None},
	}
	for _, row := range denials {
		doc, err := policy.Parse(`{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*",`+row.element+`}}`, policy.Resource)
		if err != nil {
			t.Fatalf("%s: got %v, want no error", row.element, err)
		}
		if got, _ := doc.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: bucket, Asker: row.asker, Key: keys(nil)}); got != row.want {
			t.Errorf("%s for %+v: got %s, want %s", row.element, row.asker, effects[got], effects[row.want])
		}
	}
}

// TestOldVersion: in 2008-10-17 variables are plain text.
func TestOldVersion(t *testing.T) {
	doc, err := policy.Parse(`{"Version":"2008-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}"}}`, policy.Resource)
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
	for resource, want := range map[string]policy.Effect{"arn:aws:s3:::b/ann": policy.None, "arn:aws:s3:::b/${aws:username}": policy.Allow} {
		got, _ := doc.Evaluate(&policy.Request{Action: "s3:GetObject", Resource: resource, Key: keys(map[string]string{"aws:username": "ann"})})
		if got != want {
			t.Errorf("%s: got %s, want %s", resource, effects[got], effects[want])
		}
	}
}

func TestMalformed(t *testing.T) {
	one := func(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }
	ok := `"Effect":"Allow","Action":"s3:*","Resource":"*"`
	rows := []struct {
		text string
		kind policy.Kind
		want string // a part of the error; "" for none
	}{
		{one("{" + ok + "}"), policy.Identity, ""},
		{`{"Version":"2012-10-17","Id":"x","Statement":{` + ok + `,"Sid":"A1"}}`, policy.Identity, ""},
		{``, policy.Identity, "invalid Json"},
		{`{"Version":`, policy.Identity, "invalid Json"},
		{one("{"+ok+"}") + "{}", policy.Identity, "invalid Json"},
		{`[]`, policy.Identity, "Syntax errors in policy."},
		{`{}`, policy.Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17"}`, policy.Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17","Statement":[]}`, policy.Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-17","Statement":"x"}`, policy.Identity, "Syntax errors in policy."},
		{`{"Version":"2012-10-18","Statement":{` + ok + `}}`, policy.Identity, "Syntax errors in policy."},
		{`{"Statement":{` + ok + `}}`, policy.Identity, "Policy document must be version 2012-10-17 or greater."},
		{`{"Version":"2012-10-17","Extra":1,"Statement":{` + ok + `}}`, policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"Effect":"Deny"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{"Action":"s3:*","Resource":"*"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{"Effect":"allow","Action":"s3:*","Resource":"*"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{"Effect":"Allow","Resource":"*"}`), policy.Identity, "Policy statement must contain actions."},
		{one(`{"Effect":"Allow","Action":[],"Resource":"*"}`), policy.Identity, "Policy statement must contain actions."},
		{one(`{"Effect":"Allow","Action":"s3:*"}`), policy.Identity, "Policy statement must contain resources."},
		{one(`{"Effect":"Allow","Action":"s3:*","Resource":[]}`), policy.Identity, "Policy statement must contain resources."},
		{one(`{"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"NotResource":"*"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{"Effect":"Allow","Action":"GetObject","Resource":"*"}`), policy.Identity, "must be prefaced by a vendor"},
		{one(`{"Effect":"Allow","Action":"s3:a:b","Resource":"*"}`), policy.Identity, "can contain only one colon"},
		{one(`{"Effect":"Allow","Action":"s 3:a","Resource":"*"}`), policy.Identity, "Vendor s 3 is not valid"},
		{one(`{"Effect":"Allow","Action":"s3:*","Resource":"bucket"}`), policy.Identity, `Resource bucket must be in ARN format or "*".`},
		{one(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:azure:s3:::b"}`), policy.Identity, `Partition "azure" is not valid for resource "arn:azure:s3:::b".`},
		{one(`{"Effect":"Allow","Action":7,"Resource":"*"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username"}`), policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"Sid":"a b"}`), policy.Identity, "Statement IDs (SID) must be alpha-numeric."},
		{one(`{` + ok + `,"Sid":"a"},{` + ok + `,"Sid":"a"}`), policy.Identity, "Statement IDs (SID) in a single policy must be unique."},
		{one(`{` + ok + `,"Principal":"*"}`), policy.Identity, "Policy document should not specify a principal."},
		{one(`{` + ok + `,"Condition":{"StringIs":{"aws:a":"b"}}}`), policy.Identity, "Invalid Condition type : StringIs."},
		{one(`{` + ok + `,"Condition":{"NullIfExists":{"aws:a":"true"}}}`), policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"Condition":{"StringEquals":{"nokey":"b"}}}`), policy.Identity, "must be prefaced by a vendor"},
		{one(`{` + ok + `,"Condition":{"StringEquals":{"aws:a":{}}}}`), policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"Condition":{"NumericEquals":{"aws:a":"x"}}}`), policy.Identity, "Syntax errors in policy."},
		{one(`{` + ok + `,"Condition":{"IpAddress":{"aws:SourceIp":"1.2.3"}}}`), policy.Identity, "Invalid IP address"},
		{one(`{` + ok + `}`), policy.Resource, "Missing required field Principal"},
		{one(`{` + ok + `,"Principal":"x"}`), policy.Resource, "Syntax errors in policy."},
		{one(`{` + ok + `,"Principal":{"AWS":"arn:aws:iam::1:user/x"}}`), policy.Resource, `Invalid principal in policy: "AWS":"arn:aws:iam::1:user/x"`},
		{one(`{` + ok + `,"Principal":{"AWS":"arn:aws:iam::111122223333:user/*"}}`), policy.Resource, "Invalid principal in policy"},
		{one(`{` + ok + `,"Principal":{"Service":"lambda"}}`), policy.Resource, `Invalid principal in policy: "SERVICE":"lambda"`},
		{one(`{` + ok + `,"NotPrincipal":{"AWS":"*"}}`), policy.Resource, "NotPrincipal is only supported with Effect Deny"},
		{one(`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}`), policy.Trust, ""},
		{one(`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"s3:Get"}`), policy.Trust, "AssumeRole policy may only specify STS AssumeRole actions."},
		{one(`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}`), policy.Trust, "Has prohibited field Resource"},
		{strings.Repeat("[", 100), policy.Identity, "Syntax errors in policy."},
		{strings.Repeat(" ", policy.TextMax+1), policy.Identity, "Syntax errors in policy."},
	}
	for _, row := range rows {
		_, err := policy.Parse(row.text, row.kind)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%s: got %v, want no error", row.text, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%.100s: got %v, want %q", row.text, err, row.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[`+allow(`{"StringLike":{"a:b":["x*","${a:c,'d'}"]},"IpAddress":{"aws:SourceIp":"::1/64"}}`)+`]}`, "s3:Get", "arn:aws:s3:::b/k", "v")
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"NotAction":"a:?","NotResource":"arn:aws"}}`, "a:b", "*", "")
	f.Add(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}`, "sts:AssumeRole", "*", "")
	f.Fuzz(func(t *testing.T, text, action, resource, value string) {
		for kind := policy.Identity; kind <= policy.Trust; kind++ {
			d, err := policy.Parse(text, kind)
			if err != nil {
				continue
			}
			r := policy.Request{Action: action, Resource: resource, Key: func(string) []string { return []string{value} }}
			first, _ := d.Evaluate(&r)
			if second, _ := d.Evaluate(&r); first != second {
				t.Errorf("got %v, then %v for one request", first, second)
			}
		}
	})
}
