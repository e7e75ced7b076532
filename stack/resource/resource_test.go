package resource_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/resource"
	"github.com/rouse-dev/rouse/stack/template"
)

var rewrite = flag.Bool("rewrite", false, "write what was got into testdata")

// recorder writes calls down and answers with fixed ids.
type recorder struct {
	log     strings.Builder
	answers map[string]string // by operation
	fail    string            // operation that is refused
	tables  tables
}

func (r *recorder) Call(_ context.Context, service, operation string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	fmt.Fprintf(&r.log, "  %s %s %s\n", service, operation, b)
	if operation == r.fail {
		return rouse.Errorf(rouse.Invalid, "%s is refused", operation)
	}
	answer, ok := r.answers[operation]
	if !ok {
		answer = `{}`
	}
	if service == "dynamodb" {
		if answer, err = r.ofTables(operation, b); err != nil {
			return err
		}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer), out)
}

func (r *recorder) ofTables(operation string, in []byte) (string, error) {
	if r.tables.all == nil {
		r.tables = tables{map[string]map[string]any{}, map[string]string{}}
	}
	var m map[string]any
	if err := json.Unmarshal(in, &m); err != nil {
		return "", err
	}
	out, err := r.tables.call(operation, m)
	b, _ := json.Marshal(out)
	return string(b), err
}

var answers = map[string]string{
	"CreateRole": `{"Role":{"Arn":"arn:role","RoleId":"AROA"}}`, "CreatePolicy": `{"Policy":{"Arn":"arn:policy"}}`,
	"ListPolicyVersions": `{"Versions":[{"VersionId":"v5","IsDefaultVersion":true},{"VersionId":"v4"},{"VersionId":"v3"},{"VersionId":"v2"},{"VersionId":"v1"}]}`,
	"PublishVersion":     `{"FunctionArn":"arn:fn","Version":"7"}`, "CreateAlias": `{"AliasArn":"arn:fn:live"}`,
	"PublishLayerVersion":     `{"LayerVersionArn":"arn:layer:2"}`,
	"CreateFunctionUrlConfig": `{"FunctionUrl":"https://u","FunctionArn":"arn:fn"}`,
	"UpdateFunctionUrlConfig": `{"FunctionUrl":"https://u","FunctionArn":"arn:fn"}`,
	"PutRule":                 `{"RuleArn":"arn:rule"}`,
	"ImportRestApi":           `{"id":"rest1","rootResourceId":"root"}`,
	"CreateRestApi":           `{"id":"rest1","rootResourceId":"root"}`,
	"CreateResource":          `{"id":"res1"}`, "CreateDeployment": `{"id":"dep1","DeploymentId":"dep1"}`,
	"CreateApi": `{"ApiId":"http1","ApiEndpoint":"https://e"}`,
	"ImportApi": `{"ApiId":"http1","ApiEndpoint":"https://e"}`, "CreateRoute": `{"RouteId":"r1"}`,
	"CreateIntegration":        `{"IntegrationId":"i1"}`,
	"GetFunctionConfiguration": `{"State":"Active","LastUpdateStatus":"Successful"}`,
	"GetStage":                 `{"deploymentId":"dep1","variables":{"a":"b","c":"d"},"methodSettings":{"*/*":{},"~1a~1b/GET":{}}}`,
	"GetRestApi":               `{"binaryMediaTypes":["image/png"]}`,
}

// TestLives runs testdata/*.txt. A case is "=== TYPE name", the properties of a resource, "--" and the properties it is
// updated to (nothing: they stay), "---", and what that does: problems, or the calls of its create, update, undoing and
// delete.
func TestLives(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("got no files, want some")
	}
	types := resource.Types()
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for _, c := range strings.Split(string(raw), "=== ")[1:] {
			head, rest, _ := strings.Cut(c, "\n")
			in, want, _ := strings.Cut(rest, "---\n")
			typ, _, _ := strings.Cut(head, " ")
			if types[typ] == nil {
				t.Fatalf("%s: got no type %s", file, typ)
			}
			got := live(t, types[typ], in)
			out.WriteString("=== " + head + "\n" + in + "---\n" + got + "\n")
			if !*rewrite && got != strings.TrimRight(want, "\n")+"\n" {
				t.Errorf("%s: %s:\ngot\n%s\nwant\n%s", file, head, got, want)
			}
		}
		if *rewrite {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func live(t *testing.T, typ *resource.Type, in string) string {
	t.Helper()
	first, second, _ := strings.Cut(in, "\n--\n")
	props, problems := check(t, typ, first)
	if problems != "" {
		return problems
	}
	c := &recorder{answers: answers}
	req := &resource.Request{Account: "123456789012", Region: "us-east-1", StackName: "shop",
		StackID: "arn:stack/shop/1", LogicalID: "It",
		Physical: typ.NewName("shop", "It", "ABCDEFGHIJKL"), Props: props, Taken: func(string) bool { return false }}
	if given, ok := typ.Named(props); ok {
		req.Physical = given
	}
	c.log.WriteString("create\n")
	state, err := typ.Create(t.Context(), c, req)
	if err != nil {
		return err.Error()
	}
	attrs, _ := json.Marshal(state.Attrs)
	fmt.Fprintf(&c.log, "is %s %s\n", state.Physical, attrs)
	req.Physical, req.Attrs = state.Physical, state.Attrs
	if second != "" {
		next, problems := check(t, typ, second)
		if problems != "" {
			return problems
		}
		replace := false
		c.log.WriteString("update of")
		for _, d := range typ.Diff(props, next) {
			c.log.WriteString(" " + d.Property)
			replace = replace || d.Replace
		}
		if replace {
			c.log.WriteString(": a replacement\n")
		} else {
			for _, way := range []string{"", "undo\n"} {
				c.log.WriteString(way)
				if way == "" {
					c.log.WriteString("\n")
				}
				req.Old, req.Props = props, next
				if _, err := typ.Update(t.Context(), c, req); err != nil {
					return err.Error() + "\n"
				}
				props, next = next, props
			}
			req.Props = props
		}
	}
	req.Old = nil
	c.log.WriteString("delete\n")
	if err := typ.Delete(t.Context(), c, req); err != nil {
		return err.Error()
	}
	return c.log.String()
}

func check(t *testing.T, typ *resource.Type, text string) (map[string]any, string) {
	t.Helper()
	v, err := template.Read("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	props, problems := typ.Check("It", v)
	if len(problems) > 0 {
		return nil, problems.Err().Error() + "\n"
	}
	return props, ""
}

// TestPartialCreate: a create that fails after the resource is there says so, so that it can be deleted.
func TestPartialCreate(t *testing.T) {
	types := resource.Types()
	for _, c := range []struct{ typ, props, fail, want string }{
		{"AWS::IAM::Role", `{"AssumeRolePolicyDocument":{},"ManagedPolicyArns":["arn:p"]}`, "AttachRolePolicy", "n"},
		{"AWS::IAM::Role", `{"AssumeRolePolicyDocument":{}}`, "CreateRole", ""},
		{"AWS::Events::Rule", `{"ScheduleExpression":"rate(1 day)","Targets":[{"Arn":"a","Id":"b"}]}`, "PutTargets",
			"n"},
		{"AWS::Logs::LogGroup", `{"RetentionInDays":1}`, "PutRetentionPolicy", "n"},
		{"AWS::Lambda::Function", `{"Code":{"S3Bucket":"b","S3Key":"k"},"Role":"r","ReservedConcurrentExecutions":1}`,
			"PutFunctionConcurrency", "n"},
		{"AWS::ApiGateway::RestApi", `{"Body":{},"Description":"d"}`, "UpdateRestApi", "rest1"},
	} {
		props, problems := check(t, types[c.typ], c.props)
		if problems != "" {
			t.Fatal(problems)
		}
		r := &recorder{answers: answers, fail: c.fail}
		state, err := types[c.typ].Create(t.Context(), r, &resource.Request{Physical: "n", LogicalID: "It",
			Props: props})
		if err == nil || state.Physical != c.want {
			t.Errorf("%s with %s refused: got id %q and error %v, want id %q and an error", c.typ, c.fail,
				state.Physical, err, c.want)
		}
	}
}

func TestNewName(t *testing.T) {
	types := resource.Types()
	long := strings.Repeat("stack", 30)
	for _, c := range []struct{ typ, stack, logical, want string }{
		{"AWS::Lambda::Function", "shop", "Quote", "shop-Quote-ABCDEFGHIJKL"},
		{"AWS::Lambda::Function", long, "Quote", long[:45] + "-Quote-ABCDEFGHIJKL"},
		{"AWS::IAM::Role", "s", strings.Repeat("x", 80), "s-" + strings.Repeat("x", 49) + "-ABCDEFGHIJKL"},
	} {
		got := types[c.typ].NewName(c.stack, c.logical, "ABCDEFGHIJKL")
		if got != c.want || len(got) > 64 {
			t.Errorf("NewName(%.10q, %.10q): got %q (%d), want %q, at most 64 long", c.stack, c.logical, got,
				len(got), c.want)
		}
	}
}

// TestReady reads the states of a function.
func TestReady(t *testing.T) {
	typ := resource.Types()["AWS::Lambda::Function"]
	for _, c := range []struct {
		answer string
		ready  bool
		err    string
	}{
		{`{"State":"Pending"}`, false, ""}, {`{"State":"Active"}`, true, ""},
		{`{"State":"Failed","StateReason":"no"}`, false, "no"},
		{`{"State":"Active","LastUpdateStatus":"InProgress"}`, false, ""},
		{`{"State":"Active","LastUpdateStatus":"Failed"}`, false, "did not succeed"},
	} {
		r := &recorder{answers: map[string]string{"GetFunctionConfiguration": c.answer}}
		ready, err := typ.Ready(t.Context(), r, &resource.Request{Physical: "f"})
		if ready != c.ready || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: got ready %v and error %v, want %v and %q", c.answer, ready, err, c.ready, c.err)
		}
	}
}

// TestFind finds what an interrupted create of an API has left: by title, if nobody holds it and it is not older.
func TestFind(t *testing.T) {
	types := resource.Types()
	since := time.Unix(1000, 0)
	rest := `{"items":[{"id":"old","name":"shop","createdDate":999},{"id":"held","name":"shop","createdDate":1001},{"id":"other","name":"x","createdDate":1001},` +
		`{"id":"it","name":"shop","createdDate":1000,"rootResourceId":"r"}]}`
	http := `{"Items":[{"ApiId":"held","Name":"shop"},{"ApiId":"it","Name":"shop","CreatedDate":"1970-01-01T00:16:40Z"}]}`
	r := &recorder{answers: map[string]string{"GetRestApis": rest, "GetApis": http}}
	for _, typ := range []string{"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"} {
		state, ok, err := types[typ].Find(t.Context(), r, &resource.Request{Since: since,
			Taken: func(id string) bool { return id == "held" },
			Props: map[string]any{"Body": map[string]any{"info": map[string]any{"title": "shop"}}}})
		if !ok || err != nil || state.Physical != "it" {
			t.Errorf("%s: got %+v, %v, %v, want it", typ, state, ok, err)
		}
	}
}

// TestTables: every type can be made and deleted, and its tables name no property twice.
func TestTables(t *testing.T) {
	for name, typ := range resource.Types() {
		if name != typ.Name {
			t.Errorf("got type %s under %s", typ.Name, name)
		}
		var names func(list []*resource.Property, path string)
		names = func(list []*resource.Property, path string) {
			var seen []string
			for _, p := range list {
				if slices.Contains(seen, p.Name) {
					t.Errorf("%s%s has %s twice", name, path, p.Name)
				}
				seen = append(seen, p.Name)
				inner := p
				for inner.Elem != nil {
					inner = inner.Elem
				}
				names(inner.Fields, path+"."+p.Name)
			}
		}
		names(typ.Properties, "")
	}
}

// FuzzCheck holds: no properties crash the check of any type.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"Code":{"ZipFile":"x"},"Role":1,"Tags":[{"Key":true}],"Environment":{"Variables":{"a":null}}}`))
	f.Add([]byte(`{"Body":{"paths":{"/":{"get":{"x-amazon-apigateway-integration":{"type":"aws"}}}},"info":1}}`))
	types := resource.Types()
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := template.Read("t.yaml", text)
		if err != nil || v.Kind != template.Map || len(text) > 4000 {
			return
		}
		for _, typ := range types {
			props, problems := typ.Check("It", typ.Tag(v, map[string]string{"a": "b"}))
			if len(problems) == 0 {
				typ.Diff(props, props)
			}
		}
	})
}
