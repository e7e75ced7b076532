package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/events"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/bus"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const account = rouse.DefaultAccount

type noKeys struct{}

func (noKeys) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{}, rouse.Errorf(rouse.Unauthenticated, "no")
}

// asked keeps the needs of the last call and allows all of them.
type asked struct{ needs []rouse.Need }

func (a *asked) Authorize(_ context.Context, _ rouse.Origin, needs []rouse.Need) error {
	a.needs = needs
	return nil
}

// still is timers and an outbox in which nothing ever happens.
type still struct{}

func (still) Set(kv.Tx, string, []byte, time.Time, []byte)     {}
func (still) Cancel(kv.Tx, string, []byte) (bool, error)       { return true, nil }
func (still) Send(kv.Tx, []byte, string, string, []byte) error { return nil }
func (still) Run(ctx context.Context, _ string, _ func(kv.Tx, []byte, []byte) error) error {
	<-ctx.Done()
	return nil
}

type house struct {
	t    *testing.T
	door *aws.Door
	asked
}

// newService makes the door's table, on a room of its own.
func newService(t *testing.T) wire.Service {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Store: kvtest.Memory(t), Region: "us-east-1", Timers: still{}, Outbox: still{}})
	if err != nil {
		t.Fatal(err)
	}
	return events.New(b).Service()
}

func TestTable(t *testing.T) {
	s := newService(t)
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "events/2015-10-07")
}

func newHouse(t *testing.T) *house {
	h := &house{t: t}
	var err error
	if h.door, err = aws.New(aws.Config{Services: []wire.Service{newService(t)}, Keys: noKeys{}, Authorize: h}); err != nil {
		t.Fatal(err)
	}
	return h
}

// call runs one operation and returns its output, or its error as "Kind: text".
func (h *house) call(operation, input string) string {
	h.t.Helper()
	from := rouse.Origin{Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::000000000000:user/u"}}
	out, _, err := h.door.Call(h.t.Context(), from, "events", operation, []byte(input), nil)
	if err != nil {
		return fmt.Sprintf("%s: %v", rouse.KindOf(err), err)
	}
	return string(out)
}

func TestRulesAndTargets(t *testing.T) {
	h := newHouse(t)
	const arn = "arn:aws:events:us-east-1:000000000000:rule/r"
	const fn = "arn:aws:lambda:us-east-1:000000000000:function:f"
	for _, c := range []struct{ operation, input, want string }{
		{"PutRule", `{"Name":"r","ScheduleExpression":"rate(5 minutes)","Description":"d","Tags":[{"Key":"a","Value":""}]}`, `{"RuleArn":"` + arn + `"}`},
		{"DescribeRule", `{"Name":"r"}`, `"ScheduleExpression":"rate(5 minutes)"`},
		{"DescribeRule", `{"Name":"r"}`, `"State":"ENABLED"`},
		{"DescribeRule", `{"Name":"none"}`, `not found: Rule none does not exist on EventBus default.`},
		{"PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"` + fn + `","Input":"{}"}]}`, `"FailedEntryCount":0`},
		{"ListTargetsByRule", `{"Rule":"r"}`, `"Arn":"` + fn + `"`},
		{"ListRuleNamesByTarget", `{"TargetArn":"` + fn + `"}`, `{"RuleNames":["r"]}`},
		{"ListTagsForResource", `{"ResourceARN":"` + arn + `"}`, `{"Tags":[{"Key":"a","Value":""}]}`},
		{"TagResource", `{"ResourceARN":"` + arn + `","Tags":[{"Key":"b","Value":"2"}]}`, `{}`},
		{"UntagResource", `{"ResourceARN":"` + arn + `","TagKeys":["a"]}`, `{}`},
		{"ListTagsForResource", `{"ResourceARN":"` + arn + `"}`, `{"Tags":[{"Key":"b","Value":"2"}]}`},
		{"ListTagsForResource", `{"ResourceARN":"arn:aws:events:us-east-1:111111111111:rule/r"}`, `invalid: Parameter arn:aws:events`},
		{"TagResource", `{"ResourceARN":"arn:aws:events:eu-west-1:000000000000:rule/r","Tags":[]}`, `invalid: Parameter arn:aws:events`},
		{"UntagResource", `{"ResourceARN":"arn:aws:events:us-east-1:000000000000:rule/","TagKeys":[]}`, `invalid: Parameter arn:aws:events`},
		{"DisableRule", `{"Name":"r"}`, `{}`},
		{"DescribeRule", `{"Name":"r"}`, `"State":"DISABLED"`},
		{"EnableRule", `{"Name":"r"}`, `{}`},
		{"DeleteRule", `{"Name":"r"}`, `invalid: Rule can't be deleted since it has targets.`},
		{"RemoveTargets", `{"Rule":"r","Ids":["1"]}`, `"FailedEntryCount":0`},
		{"DeleteRule", `{"Name":"r"}`, `{}`},
		{"ListRules", `{}`, `{"Rules":[]}`},
	} {
		if got := h.call(c.operation, c.input); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want %s", c.operation, c.input, got, c.want)
		}
	}
}

func TestBuses(t *testing.T) {
	h := newHouse(t)
	const bus = `{"Name":"default","Arn":"arn:aws:events:us-east-1:000000000000:event-bus/default"}`
	for _, c := range []struct{ operation, input, want string }{
		{"ListEventBuses", `{}`, `{"EventBuses":[` + bus + `]}`},
		{"ListEventBuses", `{"NamePrefix":"de","Limit":1}`, `{"EventBuses":[` + bus + `]}`},
		{"ListEventBuses", `{"NamePrefix":"shop"}`, `{"EventBuses":[]}`},
		{"ListEventBuses", `{"NextToken":"!"}`, `invalid: Provided nextToken is not valid.`},
		{"DescribeEventBus", `{}`, bus},
		{"DescribeEventBus", `{"Name":"default"}`, bus},
		{"DescribeEventBus", `{"Name":"arn:aws:events:us-east-1:000000000000:event-bus/default"}`, bus},
		{"DescribeEventBus", `{"Name":"shop"}`, `not found: Event bus shop does not exist.`},
		{"DescribeEventBus", `{"Name":"arn:aws:events:eu-west-1:000000000000:event-bus/default"}`,
			`not found: Event bus arn:aws:events:eu-west-1:000000000000:event-bus/default does not exist.`},
	} {
		if got := h.call(c.operation, c.input); got != c.want {
			t.Errorf("%s %s: got\n%s\nwant\n%s", c.operation, c.input, got, c.want)
		}
	}
	h.call("DescribeEventBus", `{}`)
	if n := h.needs; len(n) != 1 || n[0].Action != "events:DescribeEventBus" ||
		n[0].Resource != "arn:aws:events:us-east-1:000000000000:event-bus/default" {
		t.Errorf("got needs %v, want events:DescribeEventBus on the default bus", n)
	}
}

func TestWhatIsMissingIsRefusedByName(t *testing.T) {
	h := newHouse(t)
	h.call("PutRule", `{"Name":"r","ScheduleExpression":"rate(5 minutes)"}`)
	for _, c := range []struct{ operation, input, want string }{
		{"PutRule", `{"Name":"r","EventPattern":"{}"}`, "EventPattern"},
		{"PutRule", `{"Name":"r","ScheduleExpression":"rate(1 day)","EventBusName":"own"}`, "EventBusName"},
		{"PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"arn:aws:lambda:us-east-1:000000000000:function:f","InputTransformer":{"InputTemplate":"x"}}]}`, "InputTransformer"},
		{"PutTargets", `{"Rule":"r","Targets":[{"Id":"1","Arn":"arn:aws:sqs:us-east-1:000000000000:q"}]}`, "arn:aws:sqs:us-east-1:000000000000:q"},
		{"PutEvents", `{"Entries":[]}`, "PutEvents"},
	} {
		if got := h.call(c.operation, c.input); !strings.HasPrefix(got, "unsupported: ") || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %s, want it refused by the name %s", c.operation, c.input, got, c.want)
		}
	}
	if got := h.call("PutRule", `{"Name":"r"}`); got != "invalid: Parameter(s) EventPattern or ScheduleExpression must be specified." {
		t.Errorf("without a schedule: %s", got)
	}
}

func TestRolesHaveToBePassed(t *testing.T) {
	h := newHouse(t)
	h.call("PutRule", `{"Name":"r","ScheduleExpression":"rate(1 day)","RoleArn":"arn:aws:iam::000000000000:role/x"}`)
	if len(h.needs) != 2 || h.needs[0].Action != "events:PutRule" || h.needs[1].Action != "iam:PassRole" ||
		h.needs[1].Resource != "arn:aws:iam::000000000000:role/x" || h.needs[1].Conditions["iam:PassedToService"][0] != "events.amazonaws.com" {
		t.Errorf("needs %+v, want PutRule on the rule and PassRole on the role", h.needs)
	}
}

func TestListsArePaged(t *testing.T) {
	h := newHouse(t)
	for i := range 5 {
		h.call("PutRule", fmt.Sprintf(`{"Name":"r%d","ScheduleExpression":"rate(1 day)"}`, i))
	}
	var names []string
	for token := ""; ; {
		var page struct {
			Rules     []struct{ Name string }
			NextToken string
		}
		if err := json.Unmarshal([]byte(h.call("ListRules", fmt.Sprintf(`{"Limit":2,"NextToken":%q}`, token))), &page); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Rules {
			names = append(names, r.Name)
		}
		if token = page.NextToken; token == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "r0 r1 r2 r3 r4" {
		t.Errorf("rules %s, want all five in order", got)
	}
	if got := h.call("ListRules", `{"NextToken":"?"}`); got != "invalid: Provided nextToken is not valid." {
		t.Errorf("a wrong token: %s", got)
	}
}
