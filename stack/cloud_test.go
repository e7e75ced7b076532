package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rouse-dev/rouse"
)

// cloud is a small AWS in memory: enough of each operation that stacks call to tell whether what they leave behind is
// right.
type cloud struct {
	mu     sync.Mutex
	things map[string]map[string]any // "lambda function NAME" to its settings; guarded by mu
	next   int                       // id to draw; guarded by mu
	log    []string                  // calls; guarded by mu
	under  int                       // calls running; guarded by mu
	most   int                       // most calls that ran at once; guarded by mu
	inputs []call                    // guarded by mu

	// before and after are told of every call that changes something; an error from before stops it, one from after
	// hides its answer.
	before, after func(service, operation string, in map[string]any) error
	pause         func(operation string) // between the two; nil: nothing
}

type call struct {
	Service, Operation string
	Input              map[string]any
	From               rouse.Origin
}

func newCloud() *cloud { return &cloud{things: map[string]map[string]any{}} }

func (c *cloud) Call(_ context.Context, from rouse.Origin, service, operation string, input []byte,
	_ io.Reader) ([]byte, io.ReadCloser, error) {
	var in map[string]any
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, nil, err
	}
	reads := strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "List") ||
		strings.HasPrefix(operation, "Describe")
	c.mu.Lock()
	c.log = append(c.log, operation)
	c.inputs = append(c.inputs, call{service, operation, in, from})
	c.under++
	c.most = max(c.most, c.under)
	c.mu.Unlock()
	defer func() { c.mu.Lock(); c.under--; c.mu.Unlock() }()
	if !reads && c.before != nil {
		if err := c.before(service, operation, in); err != nil {
			return nil, nil, err
		}
	}
	if c.pause != nil {
		c.pause(operation)
	}
	c.mu.Lock()
	out, err := c.do(service, operation, in)
	c.mu.Unlock()
	if err == nil && !reads && c.after != nil {
		err = c.after(service, operation, in)
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := json.Marshal(out)
	return b, nil, err
}

func str(in map[string]any, names ...string) string {
	for _, n := range names {
		if s, ok := in[n].(string); ok {
			return s
		}
	}
	return ""
}

// dump is everything that exists, a line each, without drawn ids.
func (c *cloud) dump() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for k, v := range c.things {
		b, _ := json.Marshal(v)
		lines = append(lines, k+" "+string(b))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (c *cloud) count(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, o := range c.log {
		if o == operation {
			n++
		}
	}
	return n
}

func missing(what string) error { return rouse.Errorf(rouse.NotFound, "%s does not exist", what) }

// make adds a thing; it must be new.
func (c *cloud) make(key string, in map[string]any, leave ...string) error {
	if _, ok := c.things[key]; ok {
		return rouse.Errorf(rouse.Exists, "%s exists already", key)
	}
	v := maps.Clone(in)
	for _, l := range leave {
		delete(v, l)
	}
	c.things[key] = v
	return nil
}

func (c *cloud) change(key string, in map[string]any, leave ...string) error {
	v, ok := c.things[key]
	if !ok {
		return missing(key)
	}
	v = maps.Clone(v)
	for k, e := range in {
		if !slices.Contains(leave, k) {
			v[k] = e
		}
	}
	c.things[key] = v
	return nil
}

// drop removes a thing and all that hangs on it.
func (c *cloud) drop(key string) error {
	if _, ok := c.things[key]; !ok {
		return missing(key)
	}
	maps.DeleteFunc(c.things, func(k string, _ map[string]any) bool {
		return k == key ||
			strings.HasPrefix(k, key+" ")
	})
	return nil
}

func (c *cloud) id(kind string) string { c.next++; return fmt.Sprintf("%s%d", kind, c.next) }

// do runs one operation. The caller holds mu.
func (c *cloud) do(service, operation string, in map[string]any) (map[string]any, error) {
	none := map[string]any{}
	fn := "function " + strings.TrimPrefix(str(in, "FunctionName", "Resource"),
		"arn:aws:lambda:us-east-1:123456789012:function:")
	role, policy := "role "+str(in, "RoleName"), str(in, "PolicyArn", "PolicyName")
	group, rule := "group "+str(in, "logGroupName"), "rule "+str(in, "Name", "Rule")
	switch operation {
	case "AssumeRole":
		return map[string]any{"AssumedRoleUser": map[string]any{"AssumedRoleId": "AROA1:x",
			"Arn": "arn:aws:sts::123456789012:assumed-role/deployer/AWSCloudFormation"}}, nil
	case "CreateFunction":
		return none, c.make(fn, in, "FunctionName")
	case "UpdateFunctionCode":
		return none, c.change(fn, map[string]any{"Code": without(in, "FunctionName")})
	case "UpdateFunctionConfiguration":
		return none, c.change(fn, in, "FunctionName")
	case "GetFunctionConfiguration":
		if c.things[fn] == nil {
			return nil, missing(fn)
		}
		return map[string]any{"State": "Active", "LastUpdateStatus": "Successful"}, nil
	case "DeleteFunction":
		return none, c.drop(fn)
	case "PutFunctionConcurrency":
		return none, c.make(fn+" concurrency", in)
	case "AddPermission":
		if c.things[fn] == nil {
			return nil, missing(fn)
		}
		return none, c.make(fn+" permission "+str(in, "StatementId"), in, "StatementId", "FunctionName")
	case "RemovePermission":
		return none, c.drop(fn + " permission " + str(in, "StatementId"))
	case "CreateRole":
		return roleAnswer(in), c.make(role, in, "RoleName")
	case "GetRole":
		if c.things[role] == nil {
			return nil, missing(role)
		}
		return roleAnswer(in), nil
	case "DeleteRole":
		for k := range c.things {
			if strings.HasPrefix(k, role+" ") {
				return nil, rouse.Errorf(rouse.Conflict, "Cannot delete entity, must delete policies first.")
			}
		}
		return none, c.drop(role)
	case "AttachRolePolicy":
		c.things[role+" attached "+policy] = none
		return none, nil
	case "DetachRolePolicy":
		return none, c.drop(role + " attached " + policy)
	case "PutRolePolicy":
		c.things[role+" inline "+policy] = map[string]any{"d": in["PolicyDocument"]}
		return none, nil
	case "DeleteRolePolicy":
		return none, c.drop(role + " inline " + policy)
	case "UpdateRole", "UpdateAssumeRolePolicy":
		return none, c.change(role, in, "RoleName")
	case "CreateLogGroup":
		return none, c.make(group, in, "logGroupName")
	case "DeleteLogGroup":
		return none, c.drop(group)
	case "PutRetentionPolicy":
		return none, c.change(group, in, "logGroupName")
	case "DeleteRetentionPolicy":
		delete(c.things[group], "retentionInDays")
		return none, nil
	case "DescribeLogGroups":
		if c.things["group "+str(in, "logGroupNamePrefix")] == nil {
			return none, nil
		}
		return map[string]any{"logGroups": []any{map[string]any{"logGroupName": in["logGroupNamePrefix"]}}}, nil
	case "PutRule":
		old := c.things[rule]
		c.things[rule] = without(in, "Name")
		if old["Targets"] != nil {
			c.things[rule]["Targets"] = old["Targets"]
		}
		return map[string]any{"RuleArn": "arn:aws:events:us-east-1:123456789012:rule/" + str(in, "Name")}, nil
	case "DescribeRule":
		if c.things[rule] == nil {
			return nil, missing(rule)
		}
		return map[string]any{"Arn": "arn:aws:events:us-east-1:123456789012:rule/" + str(in, "Name")}, nil
	case "PutTargets":
		return map[string]any{"FailedEntryCount": 0}, c.change(rule, map[string]any{"Targets": in["Targets"]})
	case "RemoveTargets":
		if c.things[rule] == nil {
			return nil, missing(rule)
		}
		delete(c.things[rule], "Targets")
		return none, nil
	case "DeleteRule":
		return none, c.drop(rule)
	}
	if service == "dynamodb" {
		return c.doTable(operation, in)
	}
	return c.doAPI(service, operation, in)
}

func without(in map[string]any, name string) map[string]any {
	out := maps.Clone(in)
	delete(out, name)
	return out
}

func roleAnswer(in map[string]any) map[string]any {
	return map[string]any{"Role": map[string]any{"Arn": "arn:aws:iam::123456789012:role/" + str(in, "RoleName"),
		"RoleId": "AROA"}}
}

// doAPI runs the operations of HTTP APIs. The caller holds mu.
func (c *cloud) doAPI(service, operation string, in map[string]any) (map[string]any, error) {
	api := "api " + str(in, "ApiId")
	switch operation {
	case "ImportApi", "CreateApi":
		id := c.id("api")
		v := maps.Clone(in)
		v["CreatedDate"] = "2200-01-01T00:00:00Z"
		var body struct{ Info struct{ Title string } }
		_ = json.Unmarshal([]byte(str(in, "Body")), &body)
		if body.Info.Title != "" {
			v["Name"] = body.Info.Title
		}
		c.things["api "+id] = v
		return map[string]any{"ApiId": id, "ApiEndpoint": "https://" + id}, nil
	case "ReimportApi", "UpdateApi":
		return map[string]any{}, c.change(api, in, "ApiId")
	case "DeleteApi":
		return map[string]any{}, c.drop(api)
	case "GetApis":
		var items []any
		for k, v := range c.things {
			if id, ok := strings.CutPrefix(k, "api "); ok && !strings.Contains(id, " ") {
				items = append(items, map[string]any{"ApiId": id, "Name": v["Name"], "CreatedDate": v["CreatedDate"]})
			}
		}
		return map[string]any{"Items": items}, nil
	case "CreateStage":
		if c.things[api] == nil {
			return nil, missing(api)
		}
		return map[string]any{}, c.make(api+" stage "+str(in, "StageName"), in, "ApiId")
	case "GetStage":
		if c.things[api+" stage "+str(in, "StageName")] == nil {
			return nil, missing("stage")
		}
		return map[string]any{}, nil
	case "UpdateStage":
		return map[string]any{}, c.change(api+" stage "+str(in, "StageName"), in, "ApiId")
	case "DeleteStage":
		return map[string]any{}, c.drop(api + " stage " + str(in, "StageName"))
	}
	return nil, rouse.Errorf(rouse.Unsupported, "the test's cloud has no %s of %s", operation, service)
}
