package resource

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

func iamTypes() []*Type {
	return []*Type{{Name: "AWS::IAM::Role", naming: naming{property: "RoleName", max: 64}, tags: "Tags", Attributes: []string{"Arn", "RoleId"},
		Properties: properties(`
AssumeRolePolicyDocument json required
Description string
ManagedPolicyArns list string
MaxSessionDuration int
Path string replace
PermissionsBoundary no
Policies list object {
  PolicyDocument json required
  PolicyName string required
}
RoleName string replace
Tags list object {
  Key string required
  Value string required
}
`), create: createRole, update: updateRole, remove: removeRole, find: findRole,
	}, {Name: "AWS::IAM::Policy", naming: naming{max: 64}, Attributes: []string{"Id"}, Note: "for roles and users",
		Properties: properties(`
Groups no
PolicyDocument json required
PolicyName string required
Roles list string
Users list string
`), create: createInline, update: updateInline, remove: removeInline,
	}, {Name: "AWS::IAM::ManagedPolicy", naming: naming{property: "ManagedPolicyName", max: 128}, Note: "for roles and users",
		Attributes: []string{"PolicyArn", "PolicyId", "DefaultVersionId", "CreateDate", "UpdateDate", "AttachmentCount", "IsAttachable"},
		Properties: properties(`
Description string replace
Groups no
ManagedPolicyName string replace
Path string replace
PolicyDocument json required
Roles list string
Users list string
`), create: createManaged, update: updateManaged, remove: removeManaged, find: findManaged,
	}}
}

// document is a policy document as the text that the API takes.
func document(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("resource: a policy document is JSON: " + err.Error())
	}
	return string(b)
}

func tagsOf(props map[string]any) []map[string]string {
	m := tagMap(props["Tags"])
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var out []map[string]string
	for _, k := range keys {
		out = append(out, map[string]string{"Key": k, "Value": m[k]})
	}
	return out
}

type roleAnswer struct {
	Role struct{ Arn, RoleId string }
}

func (a roleAnswer) state(r *Request) State {
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": a.Role.Arn, "RoleId": a.Role.RoleId}}
}

func createRole(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "Description MaxSessionDuration Path")
	in["RoleName"], in["AssumeRolePolicyDocument"] = r.Physical, document(r.Props["AssumeRolePolicyDocument"])
	if tags := tagsOf(r.Props); len(tags) > 0 {
		in["Tags"] = tags
	}
	var out roleAnswer
	if err := c.Call(ctx, "iam", "CreateRole", in, &out); err != nil {
		return State{}, err
	}
	return out.state(r), rolePolicies(ctx, c, r)
}

func findRole(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out roleAnswer
	err := c.Call(ctx, "iam", "GetRole", map[string]any{"RoleName": r.Physical}, &out)
	return out.state(r), err == nil, err
}

func strs(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, it := range list {
		if s, ok := it.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// inline is the inline policies of a role by name.
func inline(props map[string]any) map[string]string {
	out := map[string]string{}
	list, _ := props["Policies"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		out[text(m, "PolicyName")] = document(m["PolicyDocument"])
	}
	return out
}

// rolePolicies brings the role's policies from r.Old to r.Props. What is added comes before what is taken away, so that a
// role that changes never holds less than either.
func rolePolicies(ctx context.Context, c Client, r *Request) error {
	role := r.Physical
	old, now := strs(r.Old["ManagedPolicyArns"]), strs(r.Props["ManagedPolicyArns"])
	for _, arn := range now {
		if slices.Contains(old, arn) {
			continue
		}
		if err := c.Call(ctx, "iam", "AttachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}, nil); err != nil {
			return err
		}
	}
	had, want := inline(r.Old), inline(r.Props)
	for _, name := range sorted(want) {
		if had[name] == want[name] {
			continue
		}
		in := map[string]any{"RoleName": role, "PolicyName": name, "PolicyDocument": want[name]}
		if err := c.Call(ctx, "iam", "PutRolePolicy", in, nil); err != nil {
			return err
		}
	}
	for _, arn := range old {
		if slices.Contains(now, arn) {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "DetachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn}, nil)); err != nil {
			return err
		}
	}
	for _, name := range sorted(had) {
		if _, ok := want[name]; ok {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "DeleteRolePolicy", map[string]any{"RoleName": role, "PolicyName": name}, nil)); err != nil {
			return err
		}
	}
	return nil
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func updateRole(ctx context.Context, c Client, r *Request) (State, error) {
	state, role := State{Physical: r.Physical, Attrs: r.Attrs}, r.Physical
	if changed(r, "AssumeRolePolicyDocument") {
		in := map[string]any{"RoleName": role, "PolicyDocument": document(r.Props["AssumeRolePolicyDocument"])}
		if err := c.Call(ctx, "iam", "UpdateAssumeRolePolicy", in, nil); err != nil {
			return state, err
		}
	}
	if changed(r, "Description MaxSessionDuration") {
		in := map[string]any{"RoleName": role, "Description": text(r.Props, "Description"), "MaxSessionDuration": 3600}
		if v, ok := r.Props["MaxSessionDuration"]; ok {
			in["MaxSessionDuration"] = v
		}
		if err := c.Call(ctx, "iam", "UpdateRole", in, nil); err != nil {
			return state, err
		}
	}
	if err := rolePolicies(ctx, c, r); err != nil {
		return state, err
	}
	return state, retag(r, func(set map[string]string) error {
		return c.Call(ctx, "iam", "TagRole", map[string]any{"RoleName": role, "Tags": keyValues(set)}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "iam", "UntagRole", map[string]any{"RoleName": role, "TagKeys": keys}, nil)
	})
}

func keyValues(set map[string]string) []map[string]string {
	var out []map[string]string
	for _, k := range sorted(set) {
		out = append(out, map[string]string{"Key": k, "Value": set[k]})
	}
	return out
}

// removeRole takes the role's policies off first: a role that holds any cannot be deleted.
func removeRole(ctx context.Context, c Client, r *Request) error {
	bare := &Request{Physical: r.Physical, Old: r.Props, Props: map[string]any{}}
	if err := rolePolicies(ctx, c, bare); err != nil {
		return err
	}
	return c.Call(ctx, "iam", "DeleteRole", map[string]any{"RoleName": r.Physical}, nil)
}

// holder is a role or user that a policy is put on.
type holder struct{ kind, name string }

func holders(props map[string]any) []holder {
	var out []holder
	for _, n := range strs(props["Roles"]) {
		out = append(out, holder{"Role", n})
	}
	for _, n := range strs(props["Users"]) {
		out = append(out, holder{"User", n})
	}
	return out
}

func (h holder) input(more map[string]any) map[string]any {
	more[h.kind+"Name"] = h.name
	return more
}

func createInline(ctx context.Context, c Client, r *Request) (State, error) {
	s := State{}
	for _, h := range holders(r.Props) {
		in := h.input(map[string]any{"PolicyName": r.Props["PolicyName"], "PolicyDocument": document(r.Props["PolicyDocument"])})
		if err := c.Call(ctx, "iam", "Put"+h.kind+"Policy", in, nil); err != nil {
			return s, err
		}
		s = State{Physical: r.Physical, Attrs: map[string]any{"Id": r.Physical}}
	}
	return State{Physical: r.Physical, Attrs: map[string]any{"Id": r.Physical}}, nil
}

func updateInline(ctx context.Context, c Client, r *Request) (State, error) {
	s, err := createInline(ctx, c, r)
	s.Physical = r.Physical
	if err != nil {
		return s, err
	}
	now := holders(r.Props)
	for _, h := range holders(r.Old) {
		if slices.Contains(now, h) && text(r.Old, "PolicyName") == text(r.Props, "PolicyName") {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "Delete"+h.kind+"Policy", h.input(map[string]any{"PolicyName": r.Old["PolicyName"]}), nil)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func removeInline(ctx context.Context, c Client, r *Request) error {
	for _, h := range holders(r.Props) {
		if err := gone(c.Call(ctx, "iam", "Delete"+h.kind+"Policy", h.input(map[string]any{"PolicyName": r.Props["PolicyName"]}), nil)); err != nil {
			return err
		}
	}
	return nil
}

type policyAnswer struct{ Policy map[string]any }

func (a policyAnswer) state() State {
	arn := text(a.Policy, "Arn")
	return State{Physical: arn, Attrs: map[string]any{"PolicyArn": arn, "PolicyId": a.Policy["PolicyId"], "DefaultVersionId": a.Policy["DefaultVersionId"],
		"CreateDate": a.Policy["CreateDate"], "UpdateDate": a.Policy["UpdateDate"], "AttachmentCount": a.Policy["AttachmentCount"],
		"IsAttachable": a.Policy["IsAttachable"]}}
}

func managedName(r *Request) string {
	if n := text(r.Props, "ManagedPolicyName"); n != "" {
		return n
	}
	return r.Physical
}

func createManaged(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "Description Path")
	in["PolicyName"], in["PolicyDocument"] = managedName(r), document(r.Props["PolicyDocument"])
	var out policyAnswer
	if err := c.Call(ctx, "iam", "CreatePolicy", in, &out); err != nil {
		return State{}, err
	}
	return out.state(), attachments(ctx, c, r, out.state().Physical)
}

func findManaged(ctx context.Context, c Client, r *Request) (State, bool, error) {
	path := text(r.Props, "Path")
	if path == "" {
		path = "/"
	}
	var out policyAnswer
	arn := "arn:aws:iam::" + r.Account + ":policy" + path + managedName(r)
	err := c.Call(ctx, "iam", "GetPolicy", map[string]any{"PolicyArn": arn}, &out)
	return out.state(), err == nil, err
}

func attachments(ctx context.Context, c Client, r *Request, arn string) error {
	old, now := holders(r.Old), holders(r.Props)
	for _, h := range now {
		if slices.Contains(old, h) {
			continue
		}
		if err := c.Call(ctx, "iam", "Attach"+h.kind+"Policy", h.input(map[string]any{"PolicyArn": arn}), nil); err != nil {
			return err
		}
	}
	for _, h := range old {
		if slices.Contains(now, h) {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "Detach"+h.kind+"Policy", h.input(map[string]any{"PolicyArn": arn}), nil)); err != nil {
			return err
		}
	}
	return nil
}

type policyVersions struct {
	Versions []struct {
		VersionId        string
		IsDefaultVersion bool
	}
}

// policyVersionsMax is how many versions IAM keeps of a managed policy.
const policyVersionsMax = 5

func updateManaged(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical, Attrs: r.Attrs}
	if changed(r, "PolicyDocument") {
		var all policyVersions
		if err := c.Call(ctx, "iam", "ListPolicyVersions", map[string]any{"PolicyArn": r.Physical}, &all); err != nil {
			return state, err
		}
		if len(all.Versions) >= policyVersionsMax {
			if err := dropOldest(ctx, c, r.Physical, all); err != nil {
				return state, err
			}
		}
		in := map[string]any{"PolicyArn": r.Physical, "PolicyDocument": document(r.Props["PolicyDocument"]), "SetAsDefault": true}
		if err := c.Call(ctx, "iam", "CreatePolicyVersion", in, nil); err != nil {
			return state, err
		}
	}
	return state, attachments(ctx, c, r, r.Physical)
}

func dropOldest(ctx context.Context, c Client, arn string, all policyVersions) error {
	oldest := ""
	for _, v := range all.Versions {
		if !v.IsDefaultVersion && (oldest == "" || len(v.VersionId) < len(oldest) || len(v.VersionId) == len(oldest) && v.VersionId < oldest) {
			oldest = v.VersionId
		}
	}
	return gone(c.Call(ctx, "iam", "DeletePolicyVersion", map[string]any{"PolicyArn": arn, "VersionId": oldest}, nil))
}

func removeManaged(ctx context.Context, c Client, r *Request) error {
	bare := &Request{Old: r.Props, Props: map[string]any{}}
	if err := attachments(ctx, c, bare, r.Physical); err != nil {
		return err
	}
	var all policyVersions
	if err := c.Call(ctx, "iam", "ListPolicyVersions", map[string]any{"PolicyArn": r.Physical}, &all); err != nil {
		return err
	}
	for _, v := range all.Versions {
		if v.IsDefaultVersion {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "DeletePolicyVersion", map[string]any{"PolicyArn": r.Physical, "VersionId": v.VersionId}, nil)); err != nil {
			return err
		}
	}
	return c.Call(ctx, "iam", "DeletePolicy", map[string]any{"PolicyArn": r.Physical}, nil)
}

// otherTypes are those of services with one type or two.
func otherTypes() []*Type {
	return []*Type{{Name: "AWS::Logs::LogGroup", naming: naming{property: "LogGroupName", max: 512}, tags: "Tags", Attributes: []string{"Arn"},
		Properties: properties(`
BearerTokenAuthenticationEnabled no
DataProtectionPolicy no
DeletionProtectionEnabled no
FieldIndexPolicies no
KmsKeyId no
LogGroupClass string only=STANDARD
LogGroupName string replace
ResourcePolicyDocument no
RetentionInDays int
Tags list object {
  Key string required
  Value string required
}
`), create: createLogGroup, update: updateLogGroup, find: findLogGroup,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "logs", "DeleteLogGroup", map[string]any{"logGroupName": r.Physical}, nil)
		},
	}, ruleType()}
}

func logGroupState(r *Request) State {
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": r.arn("logs", "log-group:"+r.Physical+":*")}}
}

func createLogGroup(ctx context.Context, c Client, r *Request) (State, error) {
	in := map[string]any{"logGroupName": r.Physical}
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
		in["tags"] = tags
	}
	if err := c.Call(ctx, "logs", "CreateLogGroup", in, nil); err != nil {
		return State{}, err
	}
	return logGroupState(r), retention(ctx, c, r)
}

func retention(ctx context.Context, c Client, r *Request) error {
	if !changed(r, "RetentionInDays") {
		return nil
	}
	in := map[string]any{"logGroupName": r.Physical}
	if days, ok := r.Props["RetentionInDays"]; ok {
		in["retentionInDays"] = days
		return c.Call(ctx, "logs", "PutRetentionPolicy", in, nil)
	}
	return c.Call(ctx, "logs", "DeleteRetentionPolicy", in, nil)
}

func updateLogGroup(ctx context.Context, c Client, r *Request) (State, error) {
	if err := retention(ctx, c, r); err != nil {
		return logGroupState(r), err
	}
	arn := r.arn("logs", "log-group:"+r.Physical)
	return logGroupState(r), retag(r, func(set map[string]string) error {
		return c.Call(ctx, "logs", "TagResource", map[string]any{"resourceArn": arn, "tags": set}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "logs", "UntagResource", map[string]any{"resourceArn": arn, "tagKeys": keys}, nil)
	})
}

func findLogGroup(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out struct {
		LogGroups []struct {
			LogGroupName string `json:"logGroupName"`
		} `json:"logGroups"`
	}
	err := c.Call(ctx, "logs", "DescribeLogGroups", map[string]any{"logGroupNamePrefix": r.Physical}, &out)
	for _, g := range out.LogGroups {
		if g.LogGroupName == r.Physical {
			return logGroupState(r), true, err
		}
	}
	return State{}, false, err
}

func ruleType() *Type {
	return &Type{Name: "AWS::Events::Rule", naming: naming{property: "Name", max: 64}, tags: "Tags", Attributes: []string{"Arn"},
		Note: "schedules only", Properties: properties(`
Description string
EventBusName string only=default
EventPattern no -- rules that match events
Name string replace
RoleArn string
ScheduleExpression string
State string only=ENABLED|DISABLED
Tags list object {
  Key string
  Value string
}
Targets list object {
  AppSyncParameters no
  Arn string required
  BatchParameters no
  DeadLetterConfig no
  EcsParameters no
  HttpParameters no
  Id string required
  Input string
  InputPath no
  InputTransformer no
  KinesisParameters no
  RedshiftDataParameters no
  RetryPolicy no
  RoleArn string
  RunCommandParameters no
  SageMakerPipelineParameters no
  SqsParameters no
}
`), create: createRule, update: updateRule, find: findRule,
		remove: func(ctx context.Context, c Client, r *Request) error {
			if ids := targetIDs(r.Props, nil); len(ids) > 0 {
				if err := gone(c.Call(ctx, "events", "RemoveTargets", map[string]any{"Rule": r.Physical, "Ids": ids}, nil)); err != nil {
					return err
				}
			}
			return c.Call(ctx, "events", "DeleteRule", map[string]any{"Name": r.Physical}, nil)
		},
	}
}

// targetIDs are the ids of a rule's targets that are not in keep.
func targetIDs(props map[string]any, keep []string) []string {
	var out []string
	list, _ := props["Targets"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		if id := text(m, "Id"); !slices.Contains(keep, id) {
			out = append(out, id)
		}
	}
	return out
}

func putRule(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "ScheduleExpression State Description RoleArn")
	in["Name"] = r.Physical
	if tags := tagsOf(r.Props); len(tags) > 0 && r.Old == nil {
		in["Tags"] = tags
	}
	var out struct{ RuleArn string }
	if err := c.Call(ctx, "events", "PutRule", in, &out); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": out.RuleArn}}, nil
}

func putTargets(ctx context.Context, c Client, r *Request) error {
	if list, _ := r.Props["Targets"].([]any); len(list) > 0 {
		return c.Call(ctx, "events", "PutTargets", map[string]any{"Rule": r.Physical, "Targets": list}, nil)
	}
	return nil
}

func createRule(ctx context.Context, c Client, r *Request) (State, error) {
	s, err := putRule(ctx, c, r)
	if err != nil {
		return s, err
	}
	return s, putTargets(ctx, c, r)
}

func updateRule(ctx context.Context, c Client, r *Request) (State, error) {
	s, err := putRule(ctx, c, r)
	if err != nil {
		return State{Physical: r.Physical, Attrs: r.Attrs}, err
	}
	if drop := targetIDs(r.Old, targetIDs(r.Props, nil)); len(drop) > 0 {
		if err := gone(c.Call(ctx, "events", "RemoveTargets", map[string]any{"Rule": r.Physical, "Ids": drop}, nil)); err != nil {
			return s, err
		}
	}
	if err := putTargets(ctx, c, r); err != nil {
		return s, err
	}
	arn := s.Attrs["Arn"]
	return s, retag(r, func(set map[string]string) error {
		return c.Call(ctx, "events", "TagResource", map[string]any{"ResourceARN": arn, "Tags": keyValues(set)}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "events", "UntagResource", map[string]any{"ResourceARN": arn, "TagKeys": keys}, nil)
	})
}

func findRule(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out struct{ Arn string }
	err := c.Call(ctx, "events", "DescribeRule", map[string]any{"Name": r.Physical}, &out)
	return State{Physical: r.Physical, Attrs: map[string]any{"Arn": out.Arn}}, err == nil && strings.Contains(out.Arn, r.Physical), err
}
