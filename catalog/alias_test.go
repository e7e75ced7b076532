package catalog_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
)

func TestAliasesAreWeighted(t *testing.T) {
	c := open(t)
	r := ref("f")
	in := newFunction(t, "1")
	in.Publish = true
	if _, err := c.Create(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateCode(t.Context(), r, catalog.CodeChange{Code: newFunction(t, "2").Code, Publish: true}); err != nil {
		t.Fatal(err)
	}
	a, err := c.CreateAlias(t.Context(), r, "live", catalog.AliasChange{Version: ptr("1"), Weights: map[string]float64{"2": 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	const n = 4000
	var second int
	for range n {
		v, err := c.Resolve(rouse.FunctionARN(region, account, "f", "live"))
		if err != nil {
			t.Fatal(err)
		}
		if v.Number == "2" {
			second++
		}
	}
	if share := float64(second) / n; math.Abs(share-0.25) > 0.05 {
		t.Errorf("share of version 2: got %.3f, want 0.25", share)
	}
	if v, err := c.Version(catalog.Ref{Account: account, Name: "f", Qualifier: "live"}); err != nil || v.Number != "1" {
		t.Errorf("shown: got %v, %v; want version 1, always", v, err)
	}
	if err := c.Delete(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: "2"}); rouse.KindOf(err) != rouse.Conflict {
		t.Errorf("deleting a version with a weight: got %v, want a conflict", err)
	}
	b, err := c.UpdateAlias(t.Context(), r, "live", catalog.AliasChange{Weights: map[string]float64{}, RevisionID: a.RevisionID})
	if err != nil || len(b.Weights) != 0 || b.Version != "1" {
		t.Errorf("update: got %+v, %v; want version 1 alone", b, err)
	}
	_, err = c.UpdateAlias(t.Context(), r, "live", catalog.AliasChange{Version: ptr("2"), RevisionID: a.RevisionID})
	wantErr(t, err, rouse.Conflict, "PreconditionFailedException", "The Revision Id provided does not match")
}

func TestAliasRefusals(t *testing.T) {
	c := open(t)
	r := ref("f")
	in := newFunction(t, "1")
	in.Publish = true
	if _, err := c.Create(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:lambda:eu-west-1:111122223333:function:"
	for _, k := range []struct {
		name    string
		version string
		weights map[string]float64
		kind    rouse.Kind
		text    string
	}{
		{"2024", "1", nil, rouse.Invalid, "1 validation error detected: Value '2024' at 'name'"},
		{"a.b", "1", nil, rouse.Invalid, "1 validation error detected"},
		{strings.Repeat("a", 129), "1", nil, rouse.Invalid, "1 validation error detected"},
		{"a", "9", nil, rouse.NotFound, "Function not found: " + arn + "f:9"},
		{"a", "1", map[string]float64{"9": 0.5}, rouse.NotFound, "Function not found: " + arn + "f:9"},
		{"a", "1", map[string]float64{"1": 0.5}, rouse.Invalid, "Invalid function version 1. Function version 1 is already included in routing configuration."},
		{"a", "1", map[string]float64{"1": 0.5, "2": 0.1}, rouse.Invalid, "Number of items in AdditionalVersionWeights cannot be greater than 1"},
		{"a", "1", map[string]float64{"2": 1.5}, rouse.Invalid, "1 validation error detected: Value '{2=1.5}' at 'routingConfig.additionalVersionWeights'"},
		{"a", "1", map[string]float64{"2": math.NaN()}, rouse.Invalid, "1 validation error detected"},
		{"a", "1", map[string]float64{"$LATEST": 0.5}, rouse.Invalid, "1 validation error detected: Value '{$LATEST=0.5}' at 'routingConfig.additionalVersionWeights'"},
		{"a", "$LATEST", map[string]float64{"1": 0.5}, rouse.Invalid, "$LATEST is not supported for an alias pointing to more than 1 version"},
	} {
		_, err := c.CreateAlias(t.Context(), r, k.name, catalog.AliasChange{Version: &k.version, Weights: k.weights})
		if rouse.KindOf(err) != k.kind || !strings.HasPrefix(err.Error(), k.text) {
			t.Errorf("%s -> %s %v: got %v, want %s", k.name, k.version, k.weights, err, k.text)
		}
	}
	_, err := c.CreateAlias(t.Context(), ref("nobody"), "a", catalog.AliasChange{Version: ptr("1")})
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException", "Function not found: "+arn+"nobody:1")
	_, err = c.Alias(r, "nope")
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException", "Cannot find alias arn: "+arn+"f:nope")
	if err := c.DeleteAlias(t.Context(), r, "nope"); err != nil {
		t.Errorf("deleting no alias: got %v, want nil", err)
	}
}

func TestPolicy(t *testing.T) {
	c := open(t)
	create(t, c, "f")
	r := ref("f")
	fn := rouse.FunctionARN(region, account, "f", "")
	const arn = "arn:aws:lambda:eu-west-1:111122223333:function:f"
	for _, g := range []catalog.Grant{
		{Sid: "s3", Action: "lambda:InvokeFunction", Principal: "s3.amazonaws.com", SourceARN: "arn:aws:s3:::bucket", SourceAccount: account},
		{Sid: "all", Action: "lambda:InvokeFunctionUrl", Principal: "*", URLAuthType: "NONE"},
		{Sid: "account", Action: "lambda:InvokeFunction", Principal: "444455556666"},
		{Sid: "arn", Action: "lambda:InvokeFunction", Principal: "arn:aws:iam::444455556666:role/r", ViaURL: ptr(true)},
	} {
		if _, err := c.AddPermission(t.Context(), r, g); err != nil {
			t.Fatalf("%s: %v", g.Sid, err)
		}
	}
	want := `{"Version":"2012-10-17","Id":"default","Statement":[` +
		`{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `",` +
		`"Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"},"StringEquals":{"AWS:SourceAccount":"111122223333"}}},` +
		`{"Sid":"all","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunctionUrl","Resource":"` + arn + `",` +
		`"Condition":{"StringEquals":{"lambda:FunctionUrlAuthType":"NONE"}}},` +
		`{"Sid":"account","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `"},` +
		`{"Sid":"arn","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/r"},"Action":"lambda:InvokeFunction","Resource":"` + arn + `",` +
		`"Condition":{"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}}]}`
	if got := c.Policy(fn); got != want {
		t.Errorf("policy: got\n%s\nwant\n%s", got, want)
	}
	if got := c.Policy(rouse.FunctionARN(region, account, "f", "1")); got != "" {
		t.Errorf("policy of another qualifier: got %s, want none", got)
	}
	_, revision, err := c.GetPolicy(r)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, c.RemovePermission(t.Context(), r, "s3", "old"), rouse.Conflict, "PreconditionFailedException", "The Revision Id provided")
	if err := c.RemovePermission(t.Context(), r, "s3", revision); err != nil {
		t.Fatal(err)
	}
	wantErr(t, c.RemovePermission(t.Context(), r, "s3", ""), rouse.NotFound, "ResourceNotFoundException", "Statement s3 is not found in resource policy.")
	wantErr(t, c.RemovePermission(t.Context(), ref("nobody"), "s3", ""), rouse.NotFound, "ResourceNotFoundException", "No policy found for: arn:aws:lambda")
	for _, sid := range []string{"all", "account", "arn"} {
		if err := c.RemovePermission(t.Context(), r, sid, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Policy(fn); got != "" {
		t.Errorf("policy after the last statement: got %s, want none", got)
	}
	wantErr(t, c.RemovePermission(t.Context(), r, "all", ""), rouse.NotFound, "ResourceNotFoundException", "No policy is associated with the given resource.")
}

func TestPolicyRefusals(t *testing.T) {
	c := open(t)
	create(t, c, "f")
	grant := catalog.Grant{Sid: "s", Action: "lambda:InvokeFunction", Principal: "*"}
	for _, k := range []struct {
		qualifier string
		change    func(*catalog.Grant)
		kind      rouse.Kind
		text      string
	}{
		{"$LATEST", func(*catalog.Grant) {}, rouse.Invalid, "We currently do not support adding policies for $LATEST."},
		{"42", func(*catalog.Grant) {}, rouse.NotFound, "Function not found: arn:aws:lambda:eu-west-1:111122223333:function:f:42"},
		{"alias", func(*catalog.Grant) {}, rouse.NotFound, "Cannot find alias arn: arn:aws:lambda:eu-west-1:111122223333:function:f:alias"},
		{"", func(g *catalog.Grant) { g.Sid = "example.com" }, rouse.Invalid, "1 validation error detected: Value 'example.com' at 'statementId'"},
		{"", func(g *catalog.Grant) { g.Principal = "nobody" }, rouse.Invalid, "The provided principal was invalid. Please check the principal and try again."},
		{"", func(g *catalog.Grant) { g.Principal = "arn:aws:s3:::b" }, rouse.Invalid, "The provided principal was invalid."},
		{"", func(g *catalog.Grant) { g.RevisionID = "x" }, rouse.Conflict, "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API"},
		{"", func(g *catalog.Grant) { g.SourceARN = "arn:aws:s3:::" + strings.Repeat("x", catalog.PolicyMax) }, rouse.Limit, "The final policy size ("},
	} {
		g := grant
		k.change(&g)
		_, err := c.AddPermission(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: k.qualifier}, g)
		if rouse.KindOf(err) != k.kind || !strings.HasPrefix(err.Error(), k.text) {
			t.Errorf("%s %+v: got %v, want %s", k.qualifier, g, err, k.text)
		}
	}
}

// Principals of the function's own account have to exist; those of others may live elsewhere.
func TestPrincipalsExist(t *testing.T) {
	known := "arn:aws:iam::" + account + ":role/team/r"
	c := open(t, func(cfg *catalog.Config) {
		cfg.Principal = func(_ context.Context, arn string) bool { return arn == known }
	})
	create(t, c, "f")
	for i, k := range []struct {
		principal string
		ok        bool
	}{
		{known, true}, {"arn:aws:iam::" + account + ":role/r", false}, {"arn:aws:iam::" + account + ":user/r", false},
		{"arn:aws:iam::" + account + ":root", true}, {account, true}, {"arn:aws:iam::444455556666:role/r", true},
		{"*", true}, {"s3.amazonaws.com", true},
	} {
		_, err := c.AddPermission(t.Context(), ref("f"), catalog.Grant{Sid: fmt.Sprint("s", i), Action: "lambda:InvokeFunction",
			Principal: k.principal})
		if k.ok && err != nil {
			t.Errorf("%s: got %v, want it taken", k.principal, err)
		}
		if !k.ok {
			wantErr(t, err, rouse.Invalid, "InvalidParameterValueException",
				"The provided principal was invalid. Please check the principal and try again.")
		}
	}
}

func TestURLs(t *testing.T) {
	c := open(t)
	create(t, c, "f")
	r := ref("f")
	u, err := c.CreateURL(t.Context(), r, catalog.URLChange{AuthType: catalog.AuthIAM})
	if err != nil || len(u.ID) != 32 || u.InvokeMode != catalog.InvokeBuffered {
		t.Fatalf("create: got %+v, %v", u, err)
	}
	w, err := c.UpdateURL(t.Context(), r, catalog.URLChange{AuthType: catalog.AuthNone, InvokeMode: catalog.InvokeStream})
	if err != nil || w.ID != u.ID || w.AuthType != catalog.AuthNone || w.InvokeMode != catalog.InvokeStream {
		t.Errorf("update: got %+v, %v; want the same address", w, err)
	}
	if got, err := c.ResolveURL(u.ID); err != nil || got != w {
		t.Errorf("resolve: got %+v, %v; want %+v", got, err, w)
	}
	yes := true
	_, err = c.UpdateURL(t.Context(), r, catalog.URLChange{CORS: &catalog.CORS{AllowCredentials: &yes, AllowOrigins: []string{"*"}}})
	wantErr(t, err, rouse.Invalid, "InvalidParameterValueException", "CORS configuration is not valid.")
	_, err = c.CreateURL(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: "1"}, catalog.URLChange{AuthType: catalog.AuthNone})
	wantErr(t, err, rouse.Invalid, "ValidationException", "1 validation error detected: Value '1' at 'qualifier'")
	_, err = c.CreateURL(t.Context(), ref("nobody"), catalog.URLChange{AuthType: catalog.AuthNone})
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException", "Function does not exist")
	if err := c.DeleteURL(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ResolveURL(u.ID); rouse.KindOf(err) != rouse.NotFound {
		t.Errorf("resolve after delete: got %v, want not found", err)
	}
	if u, err = c.CreateURL(t.Context(), r, catalog.URLChange{AuthType: catalog.AuthNone}); err != nil || u.ID == w.ID {
		t.Errorf("create again: got %+v, %v; want another address", u, err)
	}
	if err := c.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ResolveURL(u.ID); rouse.KindOf(err) != rouse.NotFound {
		t.Errorf("resolve after the function's end: got %v, want not found", err)
	}
}

func TestEventConfigs(t *testing.T) {
	c := open(t)
	create(t, c, "f")
	create(t, c, "g")
	r := ref("f")
	const fn = "arn:aws:lambda:eu-west-1:111122223333:function:"
	e, err := c.PutEventConfig(t.Context(), r, catalog.EventChange{Retries: ptr(0), OnFailure: ptr(fn + "g")}, false)
	if err != nil || *e.Retries != 0 || e.OnFailure != fn+"g" || e.Function.String() != fn+"f:$LATEST" {
		t.Fatalf("put: got %+v, %v", e, err)
	}
	if e, err = c.PutEventConfig(t.Context(), r, catalog.EventChange{AgeSeconds: ptr(60)}, true); err != nil || *e.Retries != 0 || *e.AgeSeconds != 60 {
		t.Errorf("update: got %+v, %v; want both", e, err)
	}
	if e, err = c.PutEventConfig(t.Context(), catalog.Ref{Account: account, Name: "f", Qualifier: "$LATEST"}, catalog.EventChange{AgeSeconds: ptr(70)}, false); err != nil || e.Retries != nil || e.OnFailure != "" {
		t.Errorf("put again: got %+v, %v; want only the age", e, err)
	}
	for _, k := range []struct {
		ch   catalog.EventChange
		kind rouse.Kind
		text string
	}{
		{catalog.EventChange{}, rouse.Invalid, "You must specify at least one of error handling or destination setting."},
		{catalog.EventChange{Retries: ptr(3)}, rouse.Invalid, "MaximumRetryAttempts"},
		{catalog.EventChange{AgeSeconds: ptr(59)}, rouse.Invalid, "MaximumEventAgeInSeconds"},
		{catalog.EventChange{AgeSeconds: ptr(21601)}, rouse.Invalid, "MaximumEventAgeInSeconds"},
		{catalog.EventChange{OnSuccess: ptr("arn:aws:sns:eu-west-1:111122223333:t")}, rouse.Unsupported, "Rouse does not implement destinations of sns"},
		{catalog.EventChange{OnSuccess: ptr("arn:aws:iam::111122223333:role/x")}, rouse.Invalid, "The destination ARN arn:aws:iam::111122223333:role/x is invalid."},
		{catalog.EventChange{OnSuccess: ptr(fn + "nobody")}, rouse.Invalid, "The destination ARN " + fn + "nobody is invalid."},
		{catalog.EventChange{OnSuccess: ptr(fn + "f")}, rouse.Invalid, "You can't specify the function as a destination for itself."},
	} {
		_, err := c.PutEventConfig(t.Context(), r, k.ch, false)
		if rouse.KindOf(err) != k.kind || !strings.HasPrefix(err.Error(), k.text) {
			t.Errorf("%+v: got %v, want %s", k.ch, err, k.text)
		}
	}
	if err := c.DeleteEventConfig(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, err = c.PutEventConfig(t.Context(), r, catalog.EventChange{Retries: ptr(1)}, true)
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException", "The function "+fn+"f:$LATEST doesn't have an EventInvokeConfig")
	_, err = c.PutEventConfig(t.Context(), ref("nobody"), catalog.EventChange{Retries: ptr(1)}, false)
	wantErr(t, err, rouse.NotFound, "ResourceNotFoundException", "The function doesn't exist.")
}
