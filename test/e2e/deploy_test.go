package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const functionsPerStack = 10

// TestDeployIsWholeOrNothing: the node is killed in the middle of deployments. After the next start each stack comes to
// rest by itself: complete, with all of its functions, or rolled back, with nothing left over.
func TestDeployIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	r := launch(t)
	project := filepath.Join(r.dir, "project")
	if err := os.Mkdir(project, 0o755); err != nil {
		t.Fatal(err)
	}
	writeTemplate(t, project, "one", false)
	began := time.Now()
	if out, err := r.command(t.Context(), "deploy", project, "--name", "whole"); err != nil {
		t.Fatalf("a deployment that nobody disturbs: %v\n%s", err, out)
	}
	undisturbed := time.Since(began)
	if got := r.made(t); len(got) != 3*functionsPerStack+2 {
		t.Fatalf("a deployment made %v, want %d functions, roles and permissions, a rule and an API", got, functionsPerStack)
	}
	r.remove(t, "whole")

	outcomes := map[string]int{}
	for i := range soak(3, 30) {
		name := fmt.Sprintf("s%d", i)
		deploy := func(broken bool) {
			t.Helper()
			writeTemplate(t, project, fmt.Sprint(name, broken, random.Uint64()), broken)
			outcomes[r.disturbed(t, project, name, between(random, undisturbed/10, undisturbed*3/2))]++
		}
		switch i % 3 {
		case 0:
			deploy(false)
			deploy(false) // once more over what there is
		case 1:
			deploy(true) // fails by itself and is rolled back
		case 2:
			deploy(false)
			deploy(true)
		}
		r.remove(t, name)
	}
	t.Logf("undisturbed %s; outcomes %v", undisturbed.Round(time.Millisecond), outcomes)
}

// disturbed deploys the template, kills the node after a while, and returns how the stack came to
// rest after the next start.
func (r *rouse) disturbed(t *testing.T, project, name string, after time.Duration) string {
	t.Helper()
	held := holdingsOf(t, r.cmd.Process.Pid)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	deployed := make(chan string, 1)
	go func() {
		out, err := r.command(ctx, "deploy", project, "--name", name)
		deployed <- fmt.Sprintf("%v: %s", err, out)
	}()
	wait(after)
	r.kill(t)
	said := <-deployed
	r.start(t)
	r.leavesNothing(t, held, "after a deployment was cut off")
	status := r.rest(t, name)
	made := r.made(t)
	switch status {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE":
		if len(made) != 3*functionsPerStack+2 {
			t.Errorf("%s after %s is %s with %d parts, want all: %v\nthe command said %s", name, after, status, len(made), made, said)
		}
		for i := range functionsPerStack {
			fn := r.physical(t, name, fmt.Sprintf("F%d", i))
			if a := r.invoke(t, fn, "{}"); a.Status != 200 || a.Header.Get("X-Amz-Function-Error") != "" {
				t.Errorf("%s is %s and its function %s answers %s", name, status, fn, a)
			}
		}
	case "ROLLBACK_COMPLETE", "REVIEW_IN_PROGRESS", "none": // the last two: it was killed before anything began
		if len(made) != 0 {
			t.Errorf("%s after %s is %s and left %v\nthe command said %s", name, after, status, made, said)
		}
	default:
		t.Errorf("%s after %s is %s, want it complete or rolled back\nthe command said %s", name, after, status, said)
	}
	return status
}

// rest waits until nothing is being done to a stack, and returns how it is then.
func (r *rouse) rest(t *testing.T, name string) (status string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(waitMax)
	for {
		status = r.status(t, name)
		if !strings.HasSuffix(status, "_IN_PROGRESS") || status == "REVIEW_IN_PROGRESS" {
			return status
		}
		select {
		case <-late:
			t.Fatalf("stack %s is %s for %s: %s", name, status, waitMax, r.ask(t, "cloudformation", "DescribeStackEvents", m{"StackName": name}))
		case <-tick.C:
		}
	}
}

// status is a stack's, "none" when there is no such stack.
func (r *rouse) status(t *testing.T, name string) string {
	t.Helper()
	a := r.ask(t, "cloudformation", "DescribeStacks", m{"StackName": name})
	if a.Status != 200 && strings.Contains(a.Body, "does not exist") {
		return "none"
	}
	_, rest, _ := strings.Cut(a.Body, `"StackStatus":"`)
	status, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("describe stack %s: got %s", name, a)
	}
	return status
}

func (r *rouse) physical(t *testing.T, name, logical string) string {
	t.Helper()
	var out struct {
		StackResourceDetail struct{ PhysicalResourceId string }
	}
	r.call(t, "cloudformation", "DescribeStackResource", m{"StackName": name, "LogicalResourceId": logical}, &out)
	return out.StackResourceDetail.PhysicalResourceId
}

// remove deletes a stack, if there is one, and looks whether anything stays.
func (r *rouse) remove(t *testing.T, name string) {
	t.Helper()
	r.call(t, "cloudformation", "DeleteStack", m{"StackName": name}, nil)
	until(t, "stack "+name+" is deleted", func() bool {
		status := r.status(t, name)
		if status == "DELETE_FAILED" {
			t.Fatalf("stack %s: %s: %s", name, status, r.ask(t, "cloudformation", "DescribeStackEvents", m{"StackName": name}))
		}
		return status == "none"
	})
	if left := r.made(t); len(left) != 0 {
		t.Errorf("stack %s is deleted and left %v", name, left)
	}
}

// made lists all functions, roles, permissions, rules and APIs of the node.
func (r *rouse) made(t *testing.T) (all []string) {
	t.Helper()
	var functions struct {
		Functions []struct{ FunctionName string }
	}
	r.call(t, "lambda", "ListFunctions", m{}, &functions)
	for _, f := range functions.Functions {
		all = append(all, "function "+f.FunctionName)
		if a := r.ask(t, "lambda", "GetPolicy", m{"FunctionName": f.FunctionName}); a.Status == 200 {
			all = append(all, "permission of "+f.FunctionName)
		}
	}
	var roles struct{ Roles []struct{ RoleName string } }
	r.call(t, "iam", "ListRoles", m{}, &roles)
	for _, x := range roles.Roles {
		all = append(all, "role "+x.RoleName)
	}
	var rules struct{ Rules []struct{ Name string } }
	r.call(t, "events", "ListRules", m{}, &rules)
	for _, x := range rules.Rules {
		all = append(all, "rule "+x.Name)
	}
	var apis struct{ Items []struct{ ApiId string } }
	r.call(t, "apigatewayv2", "GetApis", m{}, &apis)
	for _, x := range apis.Items {
		all = append(all, "api "+x.ApiId)
	}
	return all
}

// writeTemplate writes a template of functions behind an API, one of them on a schedule too. The word is in all of them.
// A broken one has a resource that fails when all others are made.
func writeTemplate(t *testing.T, project, word string, broken bool) {
	t.Helper()
	var b strings.Builder
	b.WriteString("Transform: AWS::Serverless-2016-10-31\nResources:\n")
	for i := range functionsPerStack {
		fmt.Fprintf(&b, `  F%d:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: nodejs22.x
      Handler: index.handler
      InlineCode: "exports.handler = async () => '%s'"
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: /f%d}}
`, i, word, i)
	}
	b.WriteString("        Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}\n")
	if broken {
		b.WriteString(`  Broken:
    Type: AWS::Lambda::Permission
    DependsOn: [F0, F1, F2, F3, F4, F5, F6, F7, F8, F9]
    Properties: {FunctionName: nobody, Action: "lambda:InvokeFunction", Principal: events.amazonaws.com}
`)
	}
	if err := os.WriteFile(filepath.Join(project, "template.yaml"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
