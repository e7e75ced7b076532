package resource

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
)

func iamTypes() []*Type {
	return []*Type{{Name: "AWS::IAM::Role", naming: naming{property: "RoleName", max: 64}, tags: "Tags",
		Attributes: []string{"Arn", "RoleId"},
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
	}, {Name: "AWS::IAM::ManagedPolicy", naming: naming{property: "ManagedPolicyName", max: 128},
		Note: "for roles and users",
		Attributes: []string{"PolicyArn", "PolicyId", "DefaultVersionId", "CreateDate", "UpdateDate",
			"AttachmentCount", "IsAttachable"},
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

// versioned is the text of a policy that is put inline or trusted by. AWS takes one without a Version, as SAM's policy
// templates are, for the version of 2008; here it is of 2012, which only adds policy variables.
func versioned(v any) string {
	if m, ok := v.(map[string]any); ok && m["Version"] == nil {
		m = maps.Clone(m)
		m["Version"] = "2012-10-17"
		v = m
	}
	return document(v)
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
	in["RoleName"], in["AssumeRolePolicyDocument"] = r.Physical, versioned(r.Props["AssumeRolePolicyDocument"])
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
		out[text(m, "PolicyName")] = versioned(m["PolicyDocument"])
	}
	return out
}

// rolePolicies brings the role's policies from r.Old to r.Props. What is added comes before what is taken away, so that
// a role that changes never holds less than either.
func rolePolicies(ctx context.Context, c Client, r *Request) error {
	role := r.Physical
	old, now := strs(r.Old["ManagedPolicyArns"]), strs(r.Props["ManagedPolicyArns"])
	for _, arn := range now {
		if slices.Contains(old, arn) {
			continue
		}
		if err := c.Call(ctx, "iam", "AttachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn},
			nil); err != nil {
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
		if err := gone(c.Call(ctx, "iam", "DetachRolePolicy", map[string]any{"RoleName": role, "PolicyArn": arn},
			nil)); err != nil {
			return err
		}
	}
	for _, name := range sorted(had) {
		if _, ok := want[name]; ok {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "DeleteRolePolicy", map[string]any{"RoleName": role, "PolicyName": name},
			nil)); err != nil {
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
		in := map[string]any{"RoleName": role, "PolicyDocument": versioned(r.Props["AssumeRolePolicyDocument"])}
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
		in := h.input(map[string]any{"PolicyName": r.Props["PolicyName"],
			"PolicyDocument": versioned(r.Props["PolicyDocument"])})
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
		if err := gone(c.Call(ctx, "iam", "Delete"+h.kind+"Policy",
			h.input(map[string]any{"PolicyName": r.Old["PolicyName"]}), nil)); err != nil {
			return s, err
		}
	}
	return s, nil
}

func removeInline(ctx context.Context, c Client, r *Request) error {
	for _, h := range holders(r.Props) {
		if err := gone(c.Call(ctx, "iam", "Delete"+h.kind+"Policy",
			h.input(map[string]any{"PolicyName": r.Props["PolicyName"]}), nil)); err != nil {
			return err
		}
	}
	return nil
}

type policyAnswer struct{ Policy map[string]any }

func (a policyAnswer) state() State {
	arn := text(a.Policy, "Arn")
	return State{Physical: arn, Attrs: map[string]any{"PolicyArn": arn, "PolicyId": a.Policy["PolicyId"],
		"DefaultVersionId": a.Policy["DefaultVersionId"],
		"CreateDate":       a.Policy["CreateDate"], "UpdateDate": a.Policy["UpdateDate"],
		"AttachmentCount": a.Policy["AttachmentCount"],
		"IsAttachable":    a.Policy["IsAttachable"]}}
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
		if err := c.Call(ctx, "iam", "Attach"+h.kind+"Policy", h.input(map[string]any{"PolicyArn": arn}),
			nil); err != nil {
			return err
		}
	}
	for _, h := range old {
		if slices.Contains(now, h) {
			continue
		}
		if err := gone(c.Call(ctx, "iam", "Detach"+h.kind+"Policy", h.input(map[string]any{"PolicyArn": arn}),
			nil)); err != nil {
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
		in := map[string]any{"PolicyArn": r.Physical, "PolicyDocument": document(r.Props["PolicyDocument"]),
			"SetAsDefault": true}
		if err := c.Call(ctx, "iam", "CreatePolicyVersion", in, nil); err != nil {
			return state, err
		}
	}
	return state, attachments(ctx, c, r, r.Physical)
}

func dropOldest(ctx context.Context, c Client, arn string, all policyVersions) error {
	oldest := ""
	for _, v := range all.Versions {
		if !v.IsDefaultVersion && (oldest == "" || len(v.VersionId) < len(oldest) ||
			len(v.VersionId) == len(oldest) && v.VersionId < oldest) {
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
		if err := gone(c.Call(ctx, "iam", "DeletePolicyVersion",
			map[string]any{"PolicyArn": r.Physical, "VersionId": v.VersionId}, nil)); err != nil {
			return err
		}
	}
	return c.Call(ctx, "iam", "DeletePolicy", map[string]any{"PolicyArn": r.Physical}, nil)
}
