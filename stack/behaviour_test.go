package stack_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

func TestPlan(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	p, err := e.Plan(t.Context(), account, request(shop))
	if err != nil || !p.New || len(p.Changes) != 8 {
		t.Fatalf("got plan %+v and error %v, want a new stack of 8 resources", p, err)
	}
	e.deploy(shop)
	next := strings.NewReplacer("Logs:\n", "Logs:\n    DeletionPolicy: Retain\n", "/shop", "/shop2", "MemorySize",
		"Tracing: Active\n      MemorySize",
		"        Daily: {Type: Schedule, Properties: {Schedule: rate(1 day)}}\n", "").Replace(shop)
	p, err = e.Plan(t.Context(), account, request(next))
	if err != nil {
		t.Fatal(err)
	}
	want := `shop:
  ! replace Logs  AWS::Logs::LogGroup
              LogGroupName changes; this needs a replacement
  ~ update  QuoteRole  AWS::IAM::Role
              ManagedPolicyArns changes
  ~ update  Quote  AWS::Lambda::Function
              TracingConfig changes
  - delete  QuoteDaily  AWS::Events::Rule
  - delete  QuoteDailyPermission  AWS::Lambda::Permission
  note: t.yaml:18:16: Quote: Tracing: the mode is kept and nothing is traced yet
`
	if got := p.String(); got != want {
		t.Errorf("got plan\n%s\nwant\n%s", got, want)
	}
	p, err = e.Plan(t.Context(), account, request(shop))
	if err != nil || !p.Empty() || p.String() != "shop: No updates are to be performed.\n" {
		t.Errorf("got plan %s and error %v for the same template, want an empty one", p, err)
	}
	if got := c.count("PutRetentionPolicy"); got != 1 {
		t.Errorf("got %d calls of PutRetentionPolicy, want 1: planning touches nothing", got)
	}
}

// TestAllProblemsBeforeAnythingIsTouched reports every kind of mistake in one answer and calls nothing.
func TestAllProblemsBeforeAnythingIsTouched(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	_, err := e.Deploy(t.Context(), admin, request(`
Resources:
  A: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDay: 7}}
  B: {Type: AWS::SQS::Queue, DependsOn: C}
  D: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref Aa, KmsKeyId: !GetAtt A.Arm}}
  E: {Type: Custom::Thing}
Outputs:
  O: {Value: !GetAtt A.Name}
`))
	want := `t.yaml:3:47: A: RetentionInDay: extraneous key [RetentionInDay] is not permitted in AWS::Logs::LogGroup; did you mean RetentionInDays?
t.yaml:4:13: B: Rouse does not implement AWS::SQS::Queue
t.yaml:4:41: B: DependsOn: Template format error: Unresolved resource dependencies [C] in the Resources block of the template
t.yaml:5:61: D: LogGroupName: Template format error: Unresolved resource dependencies [Aa] in the Resources block of the template; did you mean A?
t.yaml:5:80: D: KmsKeyId: Template error: resource of type AWS::Logs::LogGroup does not support attribute type Arm in Fn::GetAtt; it has Arn; did you mean Arn?
t.yaml:6:13: E: Rouse does not implement custom resources (Custom::Thing)
t.yaml:8:14: Outputs: O: Template error: resource of type AWS::Logs::LogGroup does not support attribute type Name in Fn::GetAtt; it has Arn`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if len(c.log) > 0 {
		t.Errorf("got calls %v, want none", c.log)
	}
	if _, err := e.Deploy(t.Context(), admin,
		request("Resources: {Q: {Type: AWS::SQS::Queue}}")); rouse.KindOf(err) != rouse.Unsupported {
		t.Errorf("got kind %v, want unsupported", rouse.KindOf(err))
	}
	_, err = e.Deploy(t.Context(), admin, request(`
Resources:
  A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref B}}
  B: {Type: AWS::Logs::LogGroup, DependsOn: A}
`))
	if err == nil || !strings.Contains(err.Error(), "Circular dependency between resources: [A -> B -> A]") {
		t.Errorf("got error %v, want a circular dependency", err)
	}
}

func TestReplacementAndPolicies(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	const text = `
Resources:
  Kept: {Type: AWS::Logs::LogGroup, DeletionPolicy: Retain, UpdateReplacePolicy: Retain, Properties: {LogGroupName: /kept}}
  Gone: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /gone}}
  Role: {Type: AWS::IAM::Role, Properties: {RoleName: named, AssumeRolePolicyDocument: {}}}
  Uses: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub "/uses${Gone}"}}
`
	e.want(e.deploy(text), stack.CreateComplete)
	st := e.deploy(strings.NewReplacer("/kept", "/kept2", "/gone", "/gone2").Replace(text))
	e.want(st, stack.UpdateComplete)
	var groups []string
	for k := range c.things {
		if g, ok := strings.CutPrefix(k, "group "); ok {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	if got := strings.Join(groups, " "); got != "/gone2 /kept /kept2 /uses/gone2" {
		t.Errorf("got groups %s, want the retained old one, and the new ones", got)
	}
	// A replacement is made before the old resource goes.
	events := e.events(st.ID)
	if made, gone := strings.LastIndex(events, "Gone UPDATE_COMPLETE"),
		strings.LastIndex(events, "Gone DELETE_COMPLETE"); made < 0 || gone < made {
		t.Errorf("got events\n%s\nwant Gone made before its old one is deleted", events)
	}
	st = e.deploy(strings.Replace(text, "RoleName: named", "RoleName: named, Path: /a/", 1))
	e.want(st, stack.UpdateRollbackComplete)
	if !strings.Contains(e.events(st.ID),
		"CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename named and update the stack again.") {
		t.Errorf("got events\n%s\nwant one that says why a named role is not replaced", e.events(st.ID))
	}
	if err := e.Delete(t.Context(), admin, st.ID, stack.Deletion{}); err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(st.ID), stack.DeleteComplete)
	if got := c.dump(); got != "group /kept {}\ngroup /kept2 {}" {
		t.Errorf("got\n%s\nwant the retained groups only", got)
	}
}

// TestNamesOfOthers: a resource that exists already under a given name is neither taken over nor deleted.
func TestNamesOfOthers(t *testing.T) {
	c := newCloud()
	c.things["group /theirs"] = map[string]any{"x": 1}
	e := start(t, kvtest.Memory(t), c)
	st := e.deploy("Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /theirs}}}")
	e.want(st, stack.RollbackComplete)
	if !strings.Contains(e.events(st.ID), "G CREATE_FAILED /theirs already exists") ||
		c.things["group /theirs"] == nil {
		t.Errorf("got events\n%s\nand\n%s\nwant the name refused and the group left", e.events(st.ID), c.dump())
	}
}

func TestExportsAndImports(t *testing.T) {
	e := start(t, kvtest.Memory(t), newCloud())
	base := `
Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /g}}}
Outputs: {Name: {Value: !Ref G, Export: {Name: group}}}
`
	e.want(e.deploy(base), stack.CreateComplete)
	user := request(`Resources: {H: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub ["${g}-2", {g: !ImportValue group}]}}}`)
	user.Name = "user"
	id, err := e.Deploy(t.Context(), admin, user)
	if err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(id), stack.CreateComplete)
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err == nil ||
		err.Error() != "Export group cannot be deleted as it is in use by user" {
		t.Errorf("got error %v, want that the export is in use", err)
	}
	st := e.deploy(strings.Replace(base, "LogGroupName: /g", "LogGroupName: /h", 1))
	e.want(st, stack.UpdateRollbackComplete)
	if ev := e.events(st.ID); !strings.Contains(ev, "Export group cannot be updated as it is in use by user") {
		t.Errorf("got events\n%s\nwant one that says that the export is in use", ev)
	}
	other := request(strings.Replace(base, "/g", "/other", 1))
	other.Name = "other"
	if id, err = e.Deploy(t.Context(), admin, other); err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(id), stack.RollbackComplete)
	if ev := e.events(id); !strings.Contains(ev, "Export with name group is already exported by stack shop") {
		t.Errorf("got events\n%s\nwant one that says that the name is taken", ev)
	}
	if names, err := e.Imports(t.Context(), account, "group"); err != nil || fmt.Sprint(names) != "[user]" {
		t.Errorf("got importers %v and error %v, want [user]", names, err)
	}
	for _, name := range []string{"user", "shop"} {
		st, err := e.Stack(t.Context(), account, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Delete(t.Context(), admin, name, stack.Deletion{}); err != nil {
			t.Fatal(err)
		}
		e.want(e.wait(st.ID), stack.DeleteComplete)
	}
	if _, err := e.Deploy(t.Context(), admin, user); err == nil ||
		!strings.Contains(err.Error(), "No export named group found") {
		t.Errorf("got error %v, want that there is no such export", err)
	}
}

// TestParallel: what does not depend on each other runs at once, at most Parallel; what does, waits.
func TestParallel(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	var text strings.Builder
	text.WriteString("Resources:\n")
	var all []string
	for i := range 12 {
		fmt.Fprintf(&text, "  G%d: {Type: AWS::Logs::LogGroup}\n", i)
		all = append(all, fmt.Sprintf("G%d", i))
	}
	fmt.Fprintf(&text, "  Last: {Type: AWS::Logs::LogGroup, DependsOn: [%s], Properties: {LogGroupName: /last}}\n",
		strings.Join(all, ", "))
	var mu sync.Mutex
	under, full := 0, make(chan struct{})
	c.pause = func(operation string) {
		if operation != "CreateLogGroup" {
			return
		}
		mu.Lock()
		if under++; under == 4 {
			close(full)
		}
		mu.Unlock()
		// The first four meet here; nobody passes before.
		select {
		case <-full:
		case <-time.After(10 * time.Second):
			t.Error("got fewer than 4 resources at once, want 4")
		}
	}
	e.want(e.deploy(text.String()), stack.CreateComplete)
	if c.most != 4 {
		t.Errorf("got %d calls at once, want 4", c.most)
	}
	if last := c.inputs[len(c.inputs)-1].Input["logGroupName"]; last != "/last" {
		t.Errorf("got %v made last, want what depends on the others", last)
	}
}

func TestStackRole(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	req := request("Resources: {G: {Type: AWS::Logs::LogGroup}}")
	req.RoleARN = "arn:aws:iam::123456789012:role/deployer"
	id, err := e.Deploy(t.Context(), admin, req)
	if err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(id), stack.CreateComplete)
	if first := c.inputs[0]; first.Operation != "AssumeRole" ||
		first.From.Principal.Service != "cloudformation.amazonaws.com" {
		t.Errorf("got first call %+v, want AssumeRole by CloudFormation", first)
	}
	if made := c.inputs[len(c.inputs)-1]; made.From.Root || made.From.RoleARN != req.RoleARN ||
		made.From.Principal.ARN != "arn:aws:sts::123456789012:assumed-role/deployer/AWSCloudFormation" {
		t.Errorf("got %s by %+v, want it by the role", made.Operation, made.From)
	}
	c.before = func(_, operation string, _ map[string]any) error {
		if operation == "AssumeRole" {
			return rouse.Errorf(rouse.Denied, "not trusted")
		}
		return nil
	}
	req.Name, req.Source.Text = "second", req.Source.Text+"\n"
	if id, err = e.Deploy(t.Context(), admin, req); err != nil {
		t.Fatal(err)
	}
	st := e.wait(id)
	e.want(st, stack.RollbackComplete)
	if !strings.Contains(st.Reason, "is invalid or cannot be assumed: not trusted") {
		t.Errorf("got reason %q, want that the role cannot be assumed", st.Reason)
	}
}

func TestOnFailure(t *testing.T) {
	for onFailure, want := range map[string]string{stack.OnFailureNothing: stack.CreateFailed,
		stack.OnFailureDelete: stack.DeleteComplete} {
		c := newCloud()
		e := start(t, kvtest.Memory(t), c)
		c.before = func(_, operation string, in map[string]any) error {
			if in["logGroupName"] == "/b" && operation == "CreateLogGroup" {
				return rouse.Errorf(rouse.Limit, "too many")
			}
			return nil
		}
		req := request(`
Resources:
  A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a}}
  B: {Type: AWS::Logs::LogGroup, DependsOn: A, Properties: {LogGroupName: /b}}
`)
		req.OnFailure = onFailure
		id, err := e.Deploy(t.Context(), admin, req)
		if err != nil {
			t.Fatal(err)
		}
		e.want(e.wait(id), want)
		if left := c.dump() != ""; left != (onFailure == stack.OnFailureNothing) {
			t.Errorf("%s: got %q left", onFailure, c.dump())
		}
		if err := e.Delete(t.Context(), admin, id, stack.Deletion{}); err != nil {
			t.Fatal(err)
		}
		e.want(e.wait(id), stack.DeleteComplete)
		if c.dump() != "" {
			t.Errorf("%s: got %q left after the deletion, want nothing", onFailure, c.dump())
		}
	}
}

// TestDeleteFailed: what cannot be deleted stays, is named, and can be left behind by the next deletion.
func TestDeleteFailed(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	st := e.deploy("Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a}}, B: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /b}}}")
	c.before = func(_, operation string, in map[string]any) error {
		if operation == "DeleteLogGroup" && in["logGroupName"] == "/a" {
			return rouse.Errorf(rouse.Denied, "not yours")
		}
		return nil
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err != nil {
		t.Fatal(err)
	}
	got := e.wait(st.ID)
	e.want(got, stack.DeleteFailed)
	if got.Reason != "The following resource(s) failed to delete: [A]. " {
		t.Errorf("got reason %q, want A named", got.Reason)
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{Retain: []string{"A"}}); err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(st.ID), stack.DeleteComplete)
	if got := c.dump(); got != "group /a {}" {
		t.Errorf("got %q, want /a left", got)
	}
}

// TestSecrets: the value of a NoEcho parameter reaches the resource and is shown nowhere.
func TestSecrets(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	req := request(`
Parameters: {Key: {Type: String, NoEcho: true}, Days: {Type: Number, Default: 1}}
Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Days, Tags: [{Key: k, Value: !Ref Key}]}}}
`)
	req.Parameters = map[string]stack.Parameter{"Key": {Value: "hush"}}
	id, err := e.Deploy(t.Context(), admin, req)
	if err != nil {
		t.Fatal(err)
	}
	st := e.wait(id)
	e.want(st, stack.CreateComplete)
	if !strings.Contains(c.dump(), "hush") || strings.Contains(fmt.Sprintf("%+v", st), "hush") ||
		!strings.Contains(fmt.Sprint(st.Parameters), "****") {
		t.Errorf("got stack %+v over %s, want the secret in the resource and masked in the stack", st, c.dump())
	}
	req.Parameters = map[string]stack.Parameter{"Key": {UsePrevious: true}, "Days": {Value: "3"}}
	p, err := e.Plan(t.Context(), account, req)
	if err != nil || len(p.Changes) != 1 || len(p.Changes[0].Details) != 1 ||
		p.Changes[0].Details[0].Property != "RetentionInDays" {
		t.Errorf("got plan %s and error %v, want the retention to change and the secret to stay", p, err)
	}
}

// TestSecretsInErrors: a service that refuses a value quotes it, and the stack does not.
func TestSecretsInErrors(t *testing.T) {
	c := newCloud()
	c.before = func(_, _ string, in map[string]any) error {
		return rouse.Errorf(rouse.Invalid, "Value %v is no good", in["tags"].(map[string]any)["k"])
	}
	e := start(t, kvtest.Memory(t), c)
	req := request(`
Parameters: {Key: {Type: String, NoEcho: true}}
Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /g, Tags: [{Key: k, Value: !Ref Key}]}}}
`)
	req.Parameters = map[string]stack.Parameter{"Key": {Value: "hushhush"}}
	id, err := e.Deploy(t.Context(), admin, req)
	if err != nil {
		t.Fatal(err)
	}
	st := e.wait(id)
	events, err := e.Events(t.Context(), account, id, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%+v %+v", st, events)
	if strings.Contains(shown, "hushhush") || !strings.Contains(shown, "**** is no good") {
		t.Errorf("got %s, want the error without the secret", shown)
	}
}

// TestLargeProperties: properties of more than one value's size are kept and updated.
func TestLargeProperties(t *testing.T) {
	c := newCloud()
	store := kvtest.Memory(t)
	e := start(t, store, c)
	text := func(size int) string {
		return "Resources: {A: {Type: AWS::ApiGatewayV2::Api, Properties: {Body: {openapi: 3.0.1, info: {title: shop, description: " + strings.Repeat("x", size) + "}}}}}"
	}
	e.want(e.deploy(text(900_000)), stack.CreateComplete)
	e.want(e.deploy(text(600_000)), stack.UpdateComplete)
	e.want(e.deploy(text(10)), stack.UpdateComplete)
	e.stop()
	e = start(t, store, c)
	if _, err := e.Deploy(t.Context(), admin, request(text(10))); err == nil ||
		err.Error() != "No updates are to be performed." {
		t.Errorf("got error %v, want No updates are to be performed.", err)
	}
}

// TestNextAtOnce asks for an operation as soon as the one before is said to have ended: none is lost.
func TestNextAtOnce(t *testing.T) {
	e := start(t, kvtest.Memory(t), newCloud())
	for i := range 100 {
		e.want(e.deploy(fmt.Sprintf("Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /g%d}}}", i)),
			map[bool]string{true: stack.CreateComplete, false: stack.UpdateComplete}[i == 0])
	}
}

func TestBusyStack(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	reached, release := make(chan struct{}), make(chan struct{})
	c.pause = func(operation string) {
		if operation == "CreateLogGroup" {
			close(reached)
			<-release
		}
	}
	id, err := e.Deploy(t.Context(), admin, request("Resources: {G: {Type: AWS::Logs::LogGroup}}"))
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	if _, err := e.Deploy(t.Context(), admin, request(shop)); err == nil ||
		err.Error() != "Stack:"+id+" is in CREATE_IN_PROGRESS state and can not be updated." {
		t.Errorf("got error %v, want that the stack is in progress", err)
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err == nil ||
		!strings.Contains(err.Error(), "cannot be deleted while in status CREATE_IN_PROGRESS") {
		t.Errorf("got error %v, want that the stack is in progress", err)
	}
	close(release)
	e.want(e.wait(id), stack.CreateComplete)
}

// TestBundle: a template comes with the files that it names, and mistakes in them are said to be there.
func TestBundle(t *testing.T) {
	const text = `
Transform: AWS::Serverless-2016-10-31
Resources:
  E: {Type: AWS::Serverless::Api, Properties: {StageName: s, DefinitionUri: api.yaml}}
  F:
    Type: AWS::Serverless::HttpApi
    Properties: {DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: http.yaml}}}}
`
	bundle, err := json.Marshal(stack.Source{File: "app.yaml", Text: text, Includes: map[string]string{
		"http.yaml": "openapi: 3.0.1\ninfo: {title: x}\npaths: {}\n",
		"api.yaml":  "swagger: 2\npaths:\n  /: !Ref Nobody\n"}})
	if err != nil {
		t.Fatal(err)
	}
	e := start(t, kvtest.Memory(t), newCloud())
	req := request("")
	req.Source = stack.ReadBundle(bundle)
	want := "api.yaml:3:6: E: Body.paths./: Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template"
	if _, err := e.Plan(t.Context(), account, req); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	req.Source.Includes["api.yaml"] = "swagger: 2\ninfo: {title: y}\npaths: {}\n"
	if p, err := e.Plan(t.Context(), account, req); err != nil || len(p.Changes) != 5 {
		t.Errorf("got plan %v and error %v, want 5 resources", p, err)
	}
	delete(req.Source.Includes, "http.yaml")
	want = "app.yaml:7:94: AWS::Include: the file http.yaml was not sent with the template"
	if _, err := e.Plan(t.Context(), account, req); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	if got := stack.ReadBundle([]byte(text)); got.Text != text || got.File != "" {
		t.Errorf("got %+v for a plain template, want it as it is", got)
	}
}

// TestCompatibility: the list that COMPATIBILITY.md is made of names every type and says how each stands.
func TestCompatibility(t *testing.T) {
	seen := map[string]string{}
	for _, s := range stack.Compatibility() {
		if s.Status != "works" && s.Status != "differs" && s.Status != "not implemented" {
			t.Errorf("got status %q of %s %s, want one of three", s.Status, s.Subject, s.Name)
		}
		if s.Status == "differs" && s.Note == "" {
			t.Errorf("got no word on how %s %s differs, want one", s.Subject, s.Name)
		}
		seen[s.Subject+" "+s.Name] = s.Status
	}
	for key, want := range map[string]string{"AWS::Lambda::Function Timeout": "works",
		"AWS::Lambda::Function VpcConfig":    "not implemented",
		"AWS::Lambda::Function Code.ZipFile": "differs", "AWS::ApiGatewayV2::Api ProtocolType": "differs"} {
		if seen[key] != want {
			t.Errorf("got %s %q, want %q", key, seen[key], want)
		}
	}
}
