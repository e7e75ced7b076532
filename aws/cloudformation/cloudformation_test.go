package cloudformation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/cloudformation"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

const account = rouse.DefaultAccount

// groups is a logs service that knows log groups.
type groups struct {
	mu   sync.Mutex
	have map[string]bool // guarded by mu
	fail bool            // guarded by mu
	hold chan struct{}   // set before use: calls go on when it is closed
}

func (g *groups) Call(_ context.Context, _ rouse.Origin, service, operation string, input []byte,
	_ io.Reader) ([]byte, io.ReadCloser, error) {
	if g.hold != nil {
		<-g.hold
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var in struct {
		Name   string `json:"logGroupName"`
		Prefix string `json:"logGroupNamePrefix"`
	}
	if err := json.Unmarshal(input, &in); err != nil || service != "logs" {
		return nil, nil, fmt.Errorf("%s %s: %w", service, operation, errors.Join(err, errors.ErrUnsupported))
	}
	switch operation {
	case "CreateLogGroup":
		if g.fail {
			return nil, nil, rouse.Errorf(rouse.Limit, "Resource limit exceeded.")
		}
		g.have[in.Name] = true
	case "DeleteLogGroup":
		delete(g.have, in.Name)
	case "DescribeLogGroups":
		if g.have[in.Prefix] {
			return []byte(`{"logGroups":[{"logGroupName":"` + in.Prefix + `"}]}`), nil, nil
		}
	}
	return []byte("{}"), nil, nil
}

type noKeys struct{}

func (noKeys) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{}, rouse.Errorf(rouse.Unauthenticated, "no")
}

// house is a door with stacks behind it and a policy that allows all and remembers what was asked.
type house struct {
	t      *testing.T
	door   *aws.Door
	stacks *stack.Stacks
	groups *groups
	needs  []rouse.Need
}

func (h *house) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	h.needs = needs
	return nil
}

func open(t *testing.T) *house {
	t.Helper()
	store := kvtest.Memory(t)
	var err error
	h := &house{t: t, groups: &groups{have: map[string]bool{}}}
	h.stacks, err = stack.Open(t.Context(), stack.Config{Store: store, Region: "us-east-1", Caller: h.groups,
		Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = h.stacks.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	if h.door, err = aws.New(aws.Config{Services: []wire.Service{h.service()}, Keys: noKeys{}, Authorize: h}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) service() wire.Service {
	return cloudformation.New(cloudformation.Config{Stacks: h.stacks, Region: "us-east-1",
		Fetch: func(_ context.Context, url string) ([]byte, error) {
			if url == "rouse-asset:bundle" {
				return json.Marshal(stack.Source{File: "app.yaml",
					Text: "Resources: {G: {Type: AWS::Logs::LogGroup, Properties: {Retention: 1}}}"})
			}
			return nil, rouse.Errorf(rouse.NotFound, "no %s", url)
		}}).Service()
}

func TestTable(t *testing.T) {
	s := open(t).service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "cloudformation/2010-05-15")
}

var from = rouse.Origin{Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::000000000000:user/u"}}

// call runs one operation and returns its output, or its error as "code: text".
func (h *house) call(operation string, input map[string]any) map[string]any {
	h.t.Helper()
	b, _ := json.Marshal(input)
	out, _, err := h.door.Call(h.t.Context(), from, "cloudformation", operation, b, nil)
	if err != nil {
		var e *rouse.Error
		errors.As(err, &e)
		return map[string]any{"error": e.Code + ": " + e.Message}
	}
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil && len(out) > 0 {
		h.t.Fatalf("%s: got %s, want JSON", operation, out)
	}
	return m
}

func (h *house) wantError(operation string, input map[string]any, want string) {
	h.t.Helper()
	if got := h.call(operation, input)["error"]; got != want {
		h.t.Errorf("%s: got error\n%v\nwant\n%s", operation, got, want)
	}
}

// settled waits for the stack's operation and returns it as DescribeStacks shows it.
func (h *house) settled(name string) map[string]any {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := h.stacks.Wait(ctx, account, name); err != nil {
		h.t.Fatal(err)
	}
	out := h.call("DescribeStacks", map[string]any{"StackName": name})
	if out["error"] != nil {
		h.t.Fatal(out["error"])
	}
	return out["Stacks"].([]any)[0].(map[string]any)
}

const groupTemplate = `
Parameters: {Days: {Type: Number, Default: 7}, Secret: {Type: String, NoEcho: true, Default: hush}}
Resources:
  G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /g, RetentionInDays: !Ref Days}}
Outputs:
  Name: {Value: !Ref G, Export: {Name: group}}
`

func TestStackLife(t *testing.T) {
	h := open(t)
	out := h.call("CreateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate, "RoleARN": ""})
	id, _ := out["StackId"].(string)
	if !strings.HasPrefix(id, "arn:aws:cloudformation:us-east-1:000000000000:stack/s/") {
		t.Fatalf("got %v, want a stack's id", out)
	}
	if len(h.needs) != 1 || h.needs[0].Action != "cloudformation:CreateStack" ||
		h.needs[0].Resource != "arn:aws:cloudformation:us-east-1:000000000000:stack/s/*" {
		t.Errorf("got needs %+v, want cloudformation:CreateStack on the stack", h.needs)
	}
	st := h.settled("s")
	if st["StackStatus"] != "CREATE_COMPLETE" ||
		fmt.Sprint(st["Outputs"]) != "[map[ExportName:group OutputKey:Name OutputValue:/g]]" {
		t.Errorf("got %v, want CREATE_COMPLETE with its output", st)
	}
	if s := fmt.Sprint(st["Parameters"]); strings.Contains(s, "hush") || !strings.Contains(s, "****") {
		t.Errorf("got parameters %s, want the secret one masked", s)
	}
	h.wantError("CreateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate},
		"AlreadyExistsException: Stack [s] already exists")
	h.wantError("UpdateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate},
		"ValidationError: No updates are to be performed.")
	h.call("UpdateStack", map[string]any{"StackName": "s", "UsePreviousTemplate": true,
		"Parameters": []any{map[string]any{"ParameterKey": "Days", "ParameterValue": "30"}}})
	if got := h.settled("s")["StackStatus"]; got != "UPDATE_COMPLETE" {
		t.Errorf("got status %v, want UPDATE_COMPLETE", got)
	}
	if got := fmt.Sprint(h.call("ListExports", nil)); !strings.Contains(got, "Name:group") {
		t.Errorf("got exports %s, want group", got)
	}
	if got := fmt.Sprint(h.call("DescribeStackResource", map[string]any{"StackName": "s",
		"LogicalResourceId": "G"})); !strings.Contains(got, "PhysicalResourceId:/g") {
		t.Errorf("got resource %s, want /g", got)
	}
	if got := fmt.Sprint(h.call("DescribeStackResources",
		map[string]any{"PhysicalResourceId": "/g"})); !strings.Contains(got, "LogicalResourceId:G") {
		t.Errorf("got resources %s, want G", got)
	}
	if got := h.call("GetTemplate", map[string]any{"StackName": "s"})["TemplateBody"]; got != groupTemplate {
		t.Errorf("got template %v, want the one sent", got)
	}
	events := h.call("DescribeStackEvents", map[string]any{"StackName": "s"})["StackEvents"].([]any)
	if first := events[len(events)-1].(map[string]any); first["ResourceStatus"] != "CREATE_IN_PROGRESS" ||
		first["ResourceStatusReason"] != "User Initiated" {
		t.Errorf("got first event %v, want CREATE_IN_PROGRESS, User Initiated", first)
	}
	h.call("DeleteStack", map[string]any{"StackName": "s"})
	if got := h.settled(id)["StackStatus"]; got != "DELETE_COMPLETE" || len(h.groups.have) > 0 {
		t.Errorf("got status %v and groups %v, want DELETE_COMPLETE and none", got, h.groups.have)
	}
	h.wantError("DescribeStacks", map[string]any{"StackName": "s"}, "ValidationError: Stack with id s does not exist")
	if got := h.call("DeleteStack", map[string]any{"StackName": "s"}); got["error"] != nil {
		t.Errorf("got %v for a stack that is gone, want no error", got)
	}
}

func TestChangeSets(t *testing.T) {
	h := open(t)
	in := map[string]any{"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "CREATE",
		"TemplateBody": groupTemplate}
	id := h.call("CreateChangeSet", in)["Id"]
	cs := h.call("DescribeChangeSet", map[string]any{"ChangeSetName": id})
	if cs["Status"] != "CREATE_COMPLETE" || cs["ExecutionStatus"] != "AVAILABLE" || len(cs["Changes"].([]any)) != 1 {
		t.Errorf("got change set %v, want one change, available", cs)
	}
	if got := h.settled("s")["StackStatus"]; got != "REVIEW_IN_PROGRESS" {
		t.Errorf("got status %v, want REVIEW_IN_PROGRESS", got)
	}
	h.call("ExecuteChangeSet", map[string]any{"ChangeSetName": id})
	if got := h.settled("s")["StackStatus"]; got != "CREATE_COMPLETE" {
		t.Errorf("got status %v, want CREATE_COMPLETE", got)
	}
	h.wantError("ExecuteChangeSet", map[string]any{"ChangeSetName": id},
		"InvalidChangeSetStatus: ChangeSet ["+fmt.Sprint(id)+
			"] cannot be executed in its current status of [EXECUTE_COMPLETE]")
	in["ChangeSetType"], in["ChangeSetName"] = "UPDATE", "again"
	h.call("CreateChangeSet", in)
	cs = h.call("DescribeChangeSet", map[string]any{"ChangeSetName": "again", "StackName": "s"})
	if cs["Status"] != "FAILED" || !strings.HasPrefix(fmt.Sprint(cs["StatusReason"]),
		"The submitted information didn't contain changes.") {
		t.Errorf("got change set %v, want it failed for want of changes", cs)
	}
	in["ChangeSetName"], in["TemplateBody"] = "third", strings.Replace(groupTemplate, "/g", "/h", 1)
	h.call("CreateChangeSet", in)
	cs = h.call("DescribeChangeSet", map[string]any{"ChangeSetName": "third", "StackName": "s"})
	if got := fmt.Sprint(cs["Changes"]); !strings.Contains(got, "Replacement:True") ||
		!strings.Contains(got, "Name:LogGroupName") {
		t.Errorf("got changes %s, want a replacement for LogGroupName", got)
	}
	if got := len(h.call("ListChangeSets", map[string]any{"StackName": "s"})["Summaries"].([]any)); got != 3 {
		t.Errorf("got %d change sets, want 3", got)
	}
	h.call("DeleteChangeSet", map[string]any{"ChangeSetName": "third", "StackName": "s"})
	h.wantError("DescribeChangeSet", map[string]any{"ChangeSetName": "third", "StackName": "s"},
		"ChangeSetNotFound: ChangeSet [third] does not exist")
}

// status is the stack's as DescribeStacks shows it now.
func (h *house) status(name any) any {
	h.t.Helper()
	out := h.call("DescribeStacks", map[string]any{"StackName": name})
	if out["error"] != nil {
		h.t.Fatal(out["error"])
	}
	return out["Stacks"].([]any)[0].(map[string]any)["StackStatus"]
}

// Who looks at a stack right after the answer finds it done, so that no waiter sleeps its 5 to 30 seconds for it.
func TestAnswersWaitForTheStack(t *testing.T) {
	h := open(t)
	in := map[string]any{"StackName": "s", "TemplateBody": groupTemplate}
	id := h.call("CreateStack", in)["StackId"]
	if got := h.status("s"); got != "CREATE_COMPLETE" {
		t.Errorf("CreateStack: got %v after the answer, want CREATE_COMPLETE", got)
	}
	in["TemplateBody"] = strings.Replace(groupTemplate, "Default: 7", "Default: 14", 1)
	h.call("UpdateStack", in)
	if got := h.status("s"); got != "UPDATE_COMPLETE" {
		t.Errorf("UpdateStack: got %v after the answer, want UPDATE_COMPLETE", got)
	}
	in["TemplateBody"], in["ChangeSetName"] = groupTemplate, "c"
	h.call("CreateChangeSet", in)
	h.call("ExecuteChangeSet", map[string]any{"ChangeSetName": "c", "StackName": "s"})
	cs := h.call("DescribeChangeSet", map[string]any{"ChangeSetName": "c", "StackName": "s"})
	if got := cs["ExecutionStatus"]; got != "EXECUTE_COMPLETE" {
		t.Errorf("ExecuteChangeSet: got %v after the answer, want EXECUTE_COMPLETE", got)
	}
	h.call("DeleteStack", map[string]any{"StackName": "s"})
	if got := h.status(id); got != "DELETE_COMPLETE" {
		t.Errorf("DeleteStack: got %v after the answer, want DELETE_COMPLETE", got)
	}
}

func TestAnswersWaitOneSecondAtMost(t *testing.T) {
	h := open(t)
	h.groups.hold = make(chan struct{})
	began := time.Now()
	h.call("CreateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate})
	if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
		t.Errorf("got an answer after %s, want it after a second", took)
	}
	if got := h.status("s"); got != "CREATE_IN_PROGRESS" {
		t.Errorf("got %v, want CREATE_IN_PROGRESS", got)
	}
	close(h.groups.hold)
	if got := h.settled("s")["StackStatus"]; got != "CREATE_COMPLETE" {
		t.Errorf("got %v, want CREATE_COMPLETE", got)
	}
}

// A policy about a stack decides about its change sets, however they are named.
func TestChangeSetsNeedTheirStack(t *testing.T) {
	h := open(t)
	out := h.call("CreateChangeSet", map[string]any{"StackName": "prod", "ChangeSetName": "c", "ChangeSetType": "CREATE",
		"TemplateBody": groupTemplate})
	id, stackID := out["Id"], fmt.Sprint(out["StackId"])
	for _, operation := range []string{"DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet"} {
		h.call(operation, map[string]any{"ChangeSetName": id})
		if len(h.needs) != 1 || h.needs[0].Action != "cloudformation:"+operation || h.needs[0].Resource != stackID {
			t.Errorf("%s by ARN: got needs %+v, want cloudformation:%s on %s", operation, h.needs, operation, stackID)
		}
		h.call(operation, map[string]any{"ChangeSetName": "c", "StackName": "prod"})
		if want := "arn:aws:cloudformation:us-east-1:000000000000:stack/prod/*"; h.needs[0].Resource != want {
			t.Errorf("%s by name: got needs %+v, want them on %s", operation, h.needs, want)
		}
	}
	h.call("DescribeChangeSet", map[string]any{"ChangeSetName": fmt.Sprint(id) + "0"})
	if len(h.needs) != 1 || h.needs[0].Resource != "*" {
		t.Errorf("got needs %+v for a change set that is not there, want them on *", h.needs)
	}
}

// A template's mistake is the sender's in every operation, also where Rouse only lacks what it asks for.
func TestValidationErrorsAreTheSenders(t *testing.T) {
	h := open(t)
	table, err := wire.Compile(h.service())
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"CreateStack", "CreateChangeSet"} {
		b, _ := json.Marshal(map[string]any{"StackName": "s", "ChangeSetName": "c", "ChangeSetType": "CREATE",
			"TemplateBody": "Resources: {Q: {Type: AWS::SQS::Queue}}"})
		_, _, err := h.door.Call(t.Context(), from, "cloudformation", operation, b, nil)
		f := table.Fault(err, "id")
		w := httptest.NewRecorder()
		table.EncodeError(w, f, "id")
		if body := w.Body.String(); w.Code != 400 || !strings.Contains(body, "<Type>Sender</Type>") ||
			!strings.Contains(body, "<Code>ValidationError</Code>") {
			t.Errorf("%s: got %d %s, want 400, Sender, ValidationError", operation, w.Code, body)
		}
	}
}

func TestRefusals(t *testing.T) {
	h := open(t)
	body := func(s string) map[string]any { return map[string]any{"StackName": "s", "TemplateBody": s} }
	h.wantError("CreateStack", map[string]any{"StackName": "s"},
		"ValidationError: Either Template URL or Template Body must be specified.")
	h.wantError("CreateStack", map[string]any{"StackName": "s", "TemplateURL": "https://b.s3.amazonaws.com/k"},
		"NotImplemented: Rouse does not implement TemplateURL of S3; send the template in TemplateBody, or use rouse deploy")
	h.wantError("CreateStack", body(strings.Repeat("#", 51_201)),
		"ValidationError: 1 validation error detected: Value at 'templateBody' failed to "+
			"satisfy constraint: Member must have length less than or equal to 51200")
	h.wantError("CreateStack", map[string]any{"StackName": "s", "TemplateURL": "rouse-asset:bundle"},
		"ValidationError: app.yaml:1:57: G: Retention: extraneous key [Retention] is not permitted in AWS::Logs::LogGroup; did you mean RetentionInDays?")
	h.wantError("CreateStack", body("Resources: {Q: {Type: AWS::SQS::Queue}}"),
		"ValidationError: template:1:23: Q: Rouse does not implement AWS::SQS::Queue")
	h.wantError("CreateStack", body("Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}}"),
		"InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]")
	h.wantError("ValidateTemplate", map[string]any{"TemplateBody": "a: [1"},
		"ValidationError: template:2:1: Template format error: YAML not well-formed. (line 2, column 1): did not find expected ',' or ']'")
	h.wantError("UpdateStack", body(groupTemplate), "ValidationError: Stack [s] does not exist")
	h.wantError("CreateStack", map[string]any{"StackName": "1s", "TemplateBody": groupTemplate},
		"ValidationError: 1 validation error detected: Value '1s' at "+
			"'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*")
	resolved := []any{map[string]any{"ParameterKey": "Days", "ParameterValue": "3", "ResolvedValue": "4"}}
	for _, operation := range []string{"CreateStack", "UpdateStack", "CreateChangeSet"} {
		h.wantError(operation, map[string]any{"StackName": "s", "ChangeSetName": "c", "TemplateBody": groupTemplate,
			"Parameters": resolved}, "NotImplemented: Rouse does not implement Parameters.ResolvedValue of "+operation)
	}
	if len(h.groups.have) > 0 {
		t.Errorf("got groups %v, want nothing touched", h.groups.have)
	}
}

func TestRollback(t *testing.T) {
	h := open(t)
	h.groups.fail = true
	h.call("CreateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate})
	st := h.settled("s")
	if st["StackStatus"] != "ROLLBACK_COMPLETE" {
		t.Errorf("got %v, want ROLLBACK_COMPLETE", st)
	}
	if got := fmt.Sprint(h.call("DescribeStackEvents", map[string]any{"StackName": "s"})); !strings.Contains(got,
		"Resource limit exceeded.") {
		t.Errorf("got events %s, want the reason among them", got)
	}
	h.wantError("UpdateStack", map[string]any{"StackName": "s", "TemplateBody": groupTemplate},
		fmt.Sprintf("ValidationError: Stack:%s is in "+
			"ROLLBACK_COMPLETE state and can not be updated.", st["StackId"]))
}
