package stack_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/stack"
)

const account = "123456789012"

var admin = rouse.Origin{Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::123456789012:root"},
	Root: true}

// engine runs stacks over a cloud until the test ends or stop is called.
type engine struct {
	*stack.Stacks
	t    *testing.T
	stop func()
}

func start(t *testing.T, store kv.Store, c *cloud) *engine {
	t.Helper()
	s, err := stack.Open(t.Context(), stack.Config{Store: store, Region: "us-east-1", Caller: c, Parallel: 4,
		Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("got error %v from Run, want none", err)
		}
	})
	e := &engine{Stacks: s, t: t, stop: func() { cancel(); done.Wait() }}
	t.Cleanup(e.stop)
	return e
}

func request(text string) stack.Request {
	return stack.Request{Name: "shop", Source: stack.Source{File: "t.yaml", Text: text},
		Capabilities: []string{"CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}}
}

// deploy deploys and waits; the answer is the stack's status.
func (e *engine) deploy(text string) stack.Stack {
	e.t.Helper()
	id, err := e.Deploy(e.t.Context(), admin, request(text))
	if err != nil {
		e.t.Fatalf("got error %v from Deploy, want none", err)
	}
	return e.wait(id)
}

func (e *engine) wait(id string) stack.Stack {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 30*time.Second)
	defer cancel()
	st, err := e.Wait(ctx, account, id)
	if err != nil {
		e.t.Fatalf("got error %v from Wait, want none", err)
	}
	return st
}

func (e *engine) want(st stack.Stack, status string) {
	e.t.Helper()
	if st.Status != status {
		e.t.Errorf("got status %s (%s), want %s; events:\n%s", st.Status, st.Reason, status, e.events(st.ID))
	}
}

// events are the events of a stack as text, oldest first.
func (e *engine) events(id string) string {
	list, err := e.Events(e.t.Context(), account, id, "", 1000)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for i := len(list) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "%s %s %s\n", list[i].LogicalID, list[i].Status, list[i].Reason)
	}
	return b.String()
}

const shop = `
Transform: AWS::Serverless-2016-10-31
Parameters:
  Memory: {Type: Number, Default: 128}
Resources:
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /shop, RetentionInDays: 7}
  Quote:
    Type: AWS::Serverless::Function
    DependsOn: Logs
    Properties:
      FunctionName: quote
      InlineCode: "def handler(e, c): return 1"
      Handler: index.handler
      Runtime: python3.13
      MemorySize: !Ref Memory
      Policies: [{Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "*"}]}]
      Events:
        Get: {Type: HttpApi, Properties: {Path: /quote, Method: get}}
        Daily: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
Outputs:
  Url: {Value: !GetAtt ServerlessHttpApi.ApiEndpoint}
  Arn: {Value: !GetAtt Quote.Arn, Export: {Name: quote-arn}}
`

// shop2 changes what shop has: a new retention, code and memory, another schedule, a function more, no permission's
// route less.
var shop2 = strings.NewReplacer("RetentionInDays: 7", "RetentionInDays: 30", "return 1", "return 2", "Default: 128",
	"Default: 256",
	"rate(1 day)", "rate(2 days)", "Outputs:\n", `
  Extra:
    Type: AWS::Logs::LogGroup
    Properties: {Tags: [{Key: f, Value: !GetAtt Quote.Arn}]}
Outputs:
`, "Path: /quote", "Path: /quotes", "Name: quote-arn", "Name: quote-arn2").Replace(shop)

func TestCreateUpdateDelete(t *testing.T) {
	c := newCloud()
	e := start(t, kvtest.Memory(t), c)
	st := e.deploy(shop)
	e.want(st, stack.CreateComplete)
	if len(st.Outputs) != 2 || !strings.HasPrefix(st.Outputs[0].Value, "https://api") ||
		st.Outputs[1].Value != "arn:aws:lambda:us-east-1:123456789012:function:quote" {
		t.Errorf("got outputs %+v, want the API's endpoint and the function's ARN", st.Outputs)
	}
	if _, err := e.Deploy(t.Context(), admin, request(shop)); err == nil ||
		err.Error() != "No updates are to be performed." {
		t.Errorf("got error %v for the same template, want No updates are to be performed.", err)
	}
	before := c.count("UpdateFunctionCode")
	st = e.deploy(shop2)
	e.want(st, stack.UpdateComplete)
	if got := c.count("UpdateFunctionCode") - before; got != 1 {
		t.Errorf("got %d updates of code, want 1", got)
	}
	if got := c.things["function quote"]["MemorySize"]; got != 256.0 {
		t.Errorf("got memory %v, want 256", got)
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err != nil {
		t.Fatal(err)
	}
	e.want(e.wait(st.ID), stack.DeleteComplete)
	if got := c.dump(); got != "" {
		t.Errorf("got left behind\n%s\nwant nothing", got)
	}
	if _, err := e.Stack(t.Context(), account, "shop"); err == nil ||
		err.Error() != "Stack with id shop does not exist" {
		t.Errorf("got error %v, want Stack with id shop does not exist", err)
	}
	if err := e.Delete(t.Context(), admin, "shop", stack.Deletion{}); err != nil {
		t.Errorf("got error %v for deleting what is gone, want none", err)
	}
}

var drawn = regexp.MustCompile(`-[A-Z0-9]{12}\b`)
var drawnAPI = regexp.MustCompile(`\bapi\d+\b`)

// plain takes drawn names and ids out of a dump.
func plain(s string) string {
	return drawnAPI.ReplaceAllString(drawn.ReplaceAllString(s, "-RANDOM"), "API")
}

// TestFailureAtEveryCall lets the n-th changing call of a create and of an update fail, for every n: what is left is
// exactly what was there before.
func TestFailureAtEveryCall(t *testing.T) {
	for _, update := range []bool{false, true} {
		for n := 1; ; n++ {
			c := newCloud()
			e := start(t, kvtest.Memory(t), c)
			text, was, status := shop, "", stack.RollbackComplete
			if update {
				e.want(e.deploy(shop), stack.CreateComplete)
				text, was, status = shop2, c.dump(), stack.UpdateRollbackComplete
			}
			var mu sync.Mutex
			calls := 0
			c.before = func(_, operation string, _ map[string]any) error {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls == n {
					return rouse.Errorf(rouse.Invalid, "no %s today", operation)
				}
				return nil
			}
			st := e.deploy(text)
			mu.Lock()
			reached := calls >= n
			mu.Unlock()
			if !reached {
				if st.Status != stack.CreateComplete && st.Status != stack.UpdateComplete || n < 8 {
					t.Errorf("update %v: got status %s after %d calls, want a success after more", update, st.Status,
						n-1)
				}
				e.stop()
				break
			}
			// A call of the clean-up after a success may fail too: the update stands.
			if st.Status != status && !(update && st.Status == stack.UpdateComplete) {
				t.Errorf("update %v: call %d failed: got status %s, want %s; events:\n%s", update, n, st.Status,
					status, e.events(st.ID))
			}
			if got := c.dump(); st.Status == status && got != was {
				t.Errorf("update %v: call %d failed: got\n%s\nwant\n%s\nevents:\n%s", update, n, got, was,
					e.events(st.ID))
			}
			e.stop()
		}
	}
}

// errDead is what everything answers after the process died.
var errDead = errors.New("the process is dead")

// mortal is a store, and with its hooks a cloud, that dies at the n-th moment: before or after a commit or a changing
// call.
type mortal struct {
	kv.Store
	mu     sync.Mutex
	moment int // guarded by mu
	n      int
	dead   bool // guarded by mu
	kill   func()
}

func (m *mortal) live() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	if m.moment++; m.moment == m.n {
		m.dead = true
		m.kill()
		return errDead
	}
	return nil
}

func (m *mortal) Update(ctx context.Context, fn func(kv.Tx) error) error {
	if err := m.live(); err != nil {
		return err
	}
	if err := m.Store.Update(context.WithoutCancel(ctx), fn); err != nil {
		return err
	}
	return m.live()
}

// TestDeathAtEveryMoment kills the process before and after every commit and every call of a create, an update and a
// delete, and starts another one: it ends as if nothing had happened.
func TestDeathAtEveryMoment(t *testing.T) {
	for _, kind := range []string{"create", "update", "delete", "rollback", "update rollback"} {
		want := ""
		for n := 0; ; n++ {
			got, status, died := deathAt(t, kind, n)
			if n == 0 {
				want = got + status
				continue
			}
			if got+status != want {
				t.Errorf("%s: death at moment %d: got %s\n%s\nwant\n%s", kind, n, status, got, want)
			}
			if !died {
				if n < 10 {
					t.Errorf("%s: got only %d moments, want more", kind, n)
				}
				break
			}
		}
	}
}

// deathAt runs an operation with a death at moment n, 0 for none, and a second life after it.
func deathAt(t *testing.T, kind string, n int) (dump, status string, died bool) {
	t.Helper()
	c, store := newCloud(), kvtest.Memory(t)
	text, id := shop, ""
	if kind != "create" && kind != "rollback" {
		e := start(t, store, c)
		st := e.deploy(shop)
		e.want(st, stack.CreateComplete)
		text, id = shop2, st.ID
		e.stop()
	}
	m := &mortal{Store: store, n: -1}
	s, err := stack.Open(t.Context(), stack.Config{Store: m, Region: "us-east-1", Caller: c, Parallel: 4,
		Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if kind == "delete" {
		err = s.Delete(t.Context(), admin, "shop", stack.Deletion{})
	} else {
		id, err = s.Deploy(t.Context(), admin, request(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m.n, m.moment, m.kill = n, 0, cancel
	fault := func(operation string, in map[string]any) error {
		name, _ := in["logGroupName"].(string)
		if kind == "rollback" && operation == "PutTargets" || kind == "update rollback" &&
			strings.HasPrefix(name, "shop-Extra") && operation == "CreateLogGroup" {
			return rouse.Errorf(rouse.Invalid, "not today")
		}
		return nil
	}
	c.before = func(_, operation string, in map[string]any) error { return errors.Join(m.live(), fault(operation, in)) }
	c.after = func(_, _ string, _ map[string]any) error { return m.live() }
	var done sync.WaitGroup
	done.Go(func() { _ = s.Run(ctx) })
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_, _ = s.Wait(ctx, account, id)
	}()
	<-finished
	cancel()
	done.Wait()
	died = m.dead
	c.before, c.after = func(_, operation string, in map[string]any) error { return fault(operation, in) }, nil
	e := start(t, store, c)
	st := e.wait(id)
	e.stop()
	return plain(c.dump()), st.Status, died
}

// moody is a store that refuses every other commit of those that it is asked for from the first-th on.
type moody struct {
	kv.Store
	mu           sync.Mutex
	first, count int // guarded by mu
}

func (m *moody) Update(ctx context.Context, fn func(kv.Tx) error) error {
	m.mu.Lock()
	m.count++
	refuse := m.first > 0 && m.count >= m.first && m.count%2 == 0
	m.mu.Unlock()
	if refuse {
		return kv.ErrConflict
	}
	return m.Store.Update(ctx, fn)
}

// TestStoreRefuses: an operation whose commits are refused is tried again and ends.
func TestStoreRefuses(t *testing.T) {
	for first := 2; first < 24; first += 3 {
		c := newCloud()
		m := &moody{Store: kvtest.Memory(t)}
		e := start(t, m, c)
		m.mu.Lock()
		m.first, m.count = first, 0
		m.mu.Unlock()
		id, err := e.Deploy(t.Context(), admin, request(shop))
		if errors.Is(err, kv.ErrConflict) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		st := e.wait(id)
		if st.Status != stack.CreateComplete && st.Status != stack.RollbackComplete && st.Status != stack.RollbackFailed {
			t.Errorf("from commit %d: got status %s, want an end; events:\n%s", first, st.Status, e.events(id))
		}
		if st.Status == stack.RollbackComplete && c.dump() != "" {
			t.Errorf("from commit %d: got left behind\n%s\nwant nothing", first, c.dump())
		}
	}
}
