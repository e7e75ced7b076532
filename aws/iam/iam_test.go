package iam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws"
	"github.com/rouse-dev/rouse/aws/iam"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

const (
	acc      = "123456789012"
	trust    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`
	basic    = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

// house is the IAM API over a real room, with real authorisation.
type house struct {
	t    *testing.T
	room *identity.Identity
	iam  *iam.Door
	door *aws.Door
}

func (h *house) Credentials(context.Context, string, string, string) (aws.Key, error) {
	return aws.Key{}, errors.New("nobody signs here")
}

func open(t *testing.T) *house {
	t.Helper()
	room, err := identity.Open(t.Context(), identity.Config{Store: kvtest.Memory(t), Account: acc, SealKey: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := room.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, room: room, iam: iam.New(room)}
	h.door, err = aws.New(aws.Config{Services: []wire.Service{h.iam.Service()}, Keys: h, Authorize: room})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// as calls an operation and returns its answer, flattened to text by at.
func (h *house) as(from rouse.Origin, operation string, in map[string]any) (map[string]any, error) {
	h.t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		h.t.Fatal(err)
	}
	out, _, err := h.door.Call(h.t.Context(), from, "iam", operation, input, nil)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil {
		h.t.Fatalf("%s: got %q, want JSON", operation, out)
	}
	return m, nil
}

// rootOf is the root user of account.
func rootOf(account string) rouse.Origin {
	return rouse.Origin{Root: true, Principal: rouse.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", UserID: account}}
}

func (h *house) ok(operation string, in map[string]any) map[string]any {
	h.t.Helper()
	m, err := h.as(rootOf(acc), operation, in)
	if err != nil {
		h.t.Fatalf("%s %v: got %v, want no error", operation, in, err)
	}
	return m
}

func (h *house) fails(operation string, in map[string]any, kind rouse.Kind, code, text string) {
	h.t.Helper()
	_, err := h.as(rootOf(acc), operation, in)
	var e *rouse.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Code != code || !strings.Contains(e.Message, text) {
		h.t.Errorf("%s %v: got %#v, want %v %q %q", operation, in, err, kind, code, text)
	}
}

// at follows a path such as "Role.Arn" or "Roles.1.RoleName".
func at(v any, path string) string {
	for p := range strings.SplitSeq(path, ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[p]
		case []any:
			var i int
			if _, err := fmt.Sscan(p, &i); err != nil || i >= len(t) {
				return "<none>"
			}
			v = t[i]
		}
	}
	if v == nil {
		return "<none>"
	}
	return fmt.Sprint(v)
}

func want(t *testing.T, v any, paths map[string]string) {
	t.Helper()
	for path, w := range paths {
		if got := at(v, path); got != w {
			t.Errorf("%s: got %s, want %s", path, got, w)
		}
	}
}

type in = map[string]any

func TestTable(t *testing.T) {
	s := open(t).iam.Service()
	wiretest.Check(t, s)
	wiretest.CheckModel(t, os.Getenv, s, "iam/2010-05-08")
}

// TestFunctionRole is what tools do to make a function with a role, and to take it away.
func TestFunctionRole(t *testing.T) {
	h := open(t)
	m := h.ok("CreateRole", in{"RoleName": "app", "Path": "/team/", "AssumeRolePolicyDocument": trust, "Description": "d",
		"Tags": []in{{"Key": "a", "Value": ""}}})
	want(t, m, map[string]string{"Role.Arn": "arn:aws:iam::123456789012:role/team/app", "Role.RoleName": "app",
		"Role.AssumeRolePolicyDocument": strings.ReplaceAll(url.QueryEscape(trust), "+", "%20"), "Role.Tags.0.Key": "a",
		"Role.MaxSessionDuration": "3600"})
	h.fails("CreateRole", in{"RoleName": "app", "AssumeRolePolicyDocument": trust}, rouse.Exists, "EntityAlreadyExists", "Role with name app already exists.")
	h.fails("CreateRole", in{"RoleName": "x", "AssumeRolePolicyDocument": "{}"}, rouse.Invalid, "MalformedPolicyDocument", "Syntax errors in policy.")
	h.fails("CreateRole", in{"RoleName": "x y", "AssumeRolePolicyDocument": trust}, rouse.Invalid, "ValidationError", "roleName")
	h.ok("PutRolePolicy", in{"RoleName": "app", "PolicyName": "p", "PolicyDocument": allowAll})
	want(t, h.ok("GetRolePolicy", in{"RoleName": "app", "PolicyName": "p"}), map[string]string{
		"PolicyDocument": strings.ReplaceAll(url.QueryEscape(allowAll), "+", "%20"), "RoleName": "app", "PolicyName": "p"})
	h.ok("AttachRolePolicy", in{"RoleName": "app", "PolicyArn": basic})
	h.fails("AttachRolePolicy", in{"RoleName": "app", "PolicyArn": "arn:aws:iam::aws:policy/None"}, rouse.NotFound, "NoSuchEntity", "does not exist or is not attachable.")
	h.fails("AttachRolePolicy", in{"RoleName": "app", "PolicyArn": "arn:aws:s3:::bucket-of-mine"}, rouse.Invalid, "InvalidInput", "is not valid.")
	want(t, h.ok("ListAttachedRolePolicies", in{"RoleName": "app"}), map[string]string{
		"AttachedPolicies.0.PolicyName": "AWSLambdaBasicExecutionRole", "AttachedPolicies.0.PolicyArn": basic, "IsTruncated": "false"})
	want(t, h.ok("ListRolePolicies", in{"RoleName": "app"}), map[string]string{"PolicyNames.0": "p"})
	want(t, h.ok("ListInstanceProfilesForRole", in{"RoleName": "app"}), map[string]string{"InstanceProfiles": "[]"})
	h.ok("UpdateRole", in{"RoleName": "app", "MaxSessionDuration": 7200})
	h.ok("TagRole", in{"RoleName": "app", "Tags": []in{{"Key": "b", "Value": "2"}}})
	h.ok("UntagRole", in{"RoleName": "app", "TagKeys": []string{"a"}})
	want(t, h.ok("ListRoleTags", in{"RoleName": "app"}), map[string]string{"Tags.0.Key": "b", "Tags.1": "<none>"})
	h.ok("PutRolePermissionsBoundary", in{"RoleName": "app", "PermissionsBoundary": basic})
	want(t, h.ok("GetRole", in{"RoleName": "app"}), map[string]string{"Role.MaxSessionDuration": "7200", "Role.RoleLastUsed": "map[]",
		"Role.PermissionsBoundary.PermissionsBoundaryArn": basic, "Role.Description": "d"})
	h.ok("DeleteRolePermissionsBoundary", in{"RoleName": "app"})
	want(t, h.ok("UpdateRoleDescription", in{"RoleName": "app", "Description": "e"}), map[string]string{"Role.Description": "e"})
	h.ok("UpdateAssumeRolePolicy", in{"RoleName": "app", "PolicyDocument": trust})
	h.fails("DeleteRole", in{"RoleName": "app"}, rouse.Conflict, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	h.ok("DetachRolePolicy", in{"RoleName": "app", "PolicyArn": basic})
	h.fails("DeleteRole", in{"RoleName": "app"}, rouse.Conflict, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	h.ok("DeleteRolePolicy", in{"RoleName": "app", "PolicyName": "p"})
	h.ok("DeleteRole", in{"RoleName": "app"})
	h.fails("GetRole", in{"RoleName": "app"}, rouse.NotFound, "NoSuchEntity", "The role with name app cannot be found.")
}

func TestPages(t *testing.T) {
	h := open(t)
	for _, n := range []string{"d", "B", "a", "C", "e"} {
		h.ok("CreateRole", in{"RoleName": n, "AssumeRolePolicyDocument": trust})
	}
	names, marker, pages := "", "", 0
	for {
		q := in{"MaxItems": 2}
		if marker != "" {
			q["Marker"] = marker
		}
		m := h.ok("ListRoles", q)
		pages++
		for i := range 2 {
			if n := at(m, fmt.Sprintf("Roles.%d.RoleName", i)); n != "<none>" {
				names += n
			}
		}
		if at(m, "IsTruncated") != "true" {
			break
		}
		marker = at(m, "Marker")
		if pages == 1 { // what the marker names may be gone by then
			h.ok("DeleteRole", in{"RoleName": "B"})
		}
	}
	if names != "aBCde" || pages != 3 {
		t.Errorf("got %q in %d pages, want aBCde in 3", names, pages)
	}
	h.fails("ListRoles", in{"Marker": "*"}, rouse.Invalid, "ValidationError", "Invalid Marker.")
	h.fails("ListRoles", in{"MaxItems": 0}, rouse.Invalid, "ValidationError", "maxItems")
	want(t, h.ok("ListRoles", in{"PathPrefix": "/x/"}), map[string]string{"Roles": "[]"})
}

func TestPolicies(t *testing.T) {
	h := open(t)
	m := h.ok("CreatePolicy", in{"PolicyName": "p", "Path": "/t/", "PolicyDocument": allowAll, "Description": "d"})
	arn := "arn:aws:iam::123456789012:policy/t/p"
	want(t, m, map[string]string{"Policy.Arn": arn, "Policy.DefaultVersionId": "v1", "Policy.IsAttachable": "true", "Policy.AttachmentCount": "0"})
	want(t, h.ok("CreatePolicyVersion", in{"PolicyArn": arn, "PolicyDocument": allowAll, "SetAsDefault": true}),
		map[string]string{"PolicyVersion.VersionId": "v2", "PolicyVersion.IsDefaultVersion": "true", "PolicyVersion.Document": "<none>"})
	want(t, h.ok("GetPolicyVersion", in{"PolicyArn": arn, "VersionId": "v1"}), map[string]string{
		"PolicyVersion.Document": strings.ReplaceAll(url.QueryEscape(allowAll), "+", "%20"), "PolicyVersion.IsDefaultVersion": "false"})
	want(t, h.ok("ListPolicyVersions", in{"PolicyArn": arn}), map[string]string{"Versions.0.VersionId": "v2", "Versions.1.VersionId": "v1"})
	h.ok("SetDefaultPolicyVersion", in{"PolicyArn": arn, "VersionId": "v1"})
	h.ok("DeletePolicyVersion", in{"PolicyArn": arn, "VersionId": "v2"})
	h.ok("TagPolicy", in{"PolicyArn": arn, "Tags": []in{{"Key": "a", "Value": "1"}}})
	want(t, h.ok("ListPolicyTags", in{"PolicyArn": arn}), map[string]string{"Tags.0.Value": "1"})
	h.ok("UntagPolicy", in{"PolicyArn": arn, "TagKeys": []string{"a"}})
	want(t, h.ok("ListPolicies", in{"Scope": "Local"}), map[string]string{"Policies.0.Arn": arn, "Policies.1": "<none>"})
	want(t, h.ok("ListPolicies", in{"OnlyAttached": true}), map[string]string{"Policies": "[]"})
	h.ok("CreateRole", in{"RoleName": "app", "AssumeRolePolicyDocument": trust})
	h.ok("CreateUser", in{"UserName": "ann"})
	h.ok("AttachRolePolicy", in{"RoleName": "app", "PolicyArn": arn})
	h.ok("AttachUserPolicy", in{"UserName": "ann", "PolicyArn": arn})
	want(t, h.ok("ListPolicies", in{"OnlyAttached": true}), map[string]string{"Policies.0.AttachmentCount": "2"})
	want(t, h.ok("ListEntitiesForPolicy", in{"PolicyArn": arn}), map[string]string{
		"PolicyRoles.0.RoleName": "app", "PolicyUsers.0.UserName": "ann", "PolicyGroups": "[]"})
	want(t, h.ok("ListEntitiesForPolicy", in{"PolicyArn": arn, "EntityFilter": "User"}), map[string]string{"PolicyRoles": "[]"})
	h.fails("ListEntitiesForPolicy", in{"PolicyArn": arn, "PolicyUsageFilter": "PermissionsBoundary"}, rouse.Unsupported, "NotImplemented", "PolicyUsageFilter")
	h.fails("DeletePolicy", in{"PolicyArn": arn}, rouse.Conflict, "DeleteConflict", "Cannot delete a policy attached to entities.")
	h.ok("DetachRolePolicy", in{"RoleName": "app", "PolicyArn": arn})
	h.ok("DetachUserPolicy", in{"UserName": "ann", "PolicyArn": arn})
	h.ok("DeletePolicy", in{"PolicyArn": arn})
	h.fails("GetPolicy", in{"PolicyArn": arn}, rouse.NotFound, "NoSuchEntity", "Policy "+arn+" was not found.")
	want(t, h.ok("GetPolicy", in{"PolicyArn": basic}), map[string]string{"Policy.Path": "/service-role/"})
}

func TestUsersAndKeys(t *testing.T) {
	h := open(t)
	want(t, h.ok("CreateUser", in{"UserName": "ann", "Tags": []in{{"Key": "a", "Value": "1"}}}),
		map[string]string{"User.Arn": "arn:aws:iam::123456789012:user/ann", "User.Tags.0.Value": "1"})
	want(t, h.ok("GetUser", nil), map[string]string{"User.Arn": "arn:aws:iam::123456789012:root", "User.UserName": "<none>"})
	m := h.ok("CreateAccessKey", in{"UserName": "ann"})
	id := at(m, "AccessKey.AccessKeyId")
	k, err := h.room.Credentials(t.Context(), id, "")
	if err != nil || k.Secret != at(m, "AccessKey.SecretAccessKey") {
		t.Fatalf("got %v, want a key that works", err)
	}
	// Ann may do nothing yet, and then what her policy says about herself.
	const denied = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:GetUser on resource: arn:aws:iam::123456789012:user/ann because no identity-based policy allows the iam:GetUser action"
	if _, err := h.as(k.Origin, "GetUser", nil); err == nil || err.Error() != denied {
		t.Errorf("got %v, want %s", err, denied)
	}
	self := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:user/${aws:username}"},` +
		`{"Effect":"Allow","Action":"iam:AttachRolePolicy","Resource":"*","Condition":{"ArnLike":{"iam:PolicyARN":"arn:aws:iam::aws:policy/service-role/*"}}}]}`
	h.ok("PutUserPolicy", in{"UserName": "ann", "PolicyName": "self", "PolicyDocument": self})
	if m, err := h.as(k.Origin, "GetUser", nil); err != nil || at(m, "User.UserName") != "ann" {
		t.Errorf("got %v, %v; want ann", m, err)
	}
	if m, err := h.as(k.Origin, "ListAccessKeys", nil); err != nil || at(m, "AccessKeyMetadata.0.AccessKeyId") != id {
		t.Errorf("got %v, %v; want her key", m, err)
	}
	if _, err := h.as(k.Origin, "ListUsers", nil); rouse.KindOf(err) != rouse.Denied {
		t.Errorf("got %v, want a refusal", err)
	}
	h.ok("CreateRole", in{"RoleName": "app", "AssumeRolePolicyDocument": trust})
	if _, err := h.as(k.Origin, "AttachRolePolicy", in{"RoleName": "app", "PolicyArn": basic}); err != nil {
		t.Errorf("a policy she may attach: got %v, want no error", err)
	}
	if _, err := h.as(k.Origin, "AttachRolePolicy", in{"RoleName": "app", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}); rouse.KindOf(err) != rouse.Denied {
		t.Errorf("a policy she may not attach: got %v, want a refusal", err)
	}
	session := rouse.Origin{Principal: rouse.Principal{Account: acc, ARN: "arn:aws:sts::123456789012:assumed-role/app/x"}, RoleARN: "arn:aws:iam::123456789012:role/app"}
	if _, err := h.as(session, "GetUser", nil); err == nil || !strings.Contains(err.Error(), "Must specify userName") {
		t.Errorf("got %v, want Must specify userName", err)
	}
	want(t, h.ok("GetUserPolicy", in{"UserName": "ann", "PolicyName": "self"}), map[string]string{"UserName": "ann"})
	want(t, h.ok("ListUserPolicies", in{"UserName": "ann"}), map[string]string{"PolicyNames.0": "self"})
	want(t, h.ok("ListAttachedUserPolicies", in{"UserName": "ann"}), map[string]string{"AttachedPolicies": "[]"})
	want(t, h.ok("ListUserTags", in{"UserName": "ann"}), map[string]string{"Tags.0.Key": "a"})
	want(t, h.ok("ListGroupsForUser", in{"UserName": "ann"}), map[string]string{"Groups": "[]"})
	want(t, h.ok("ListUsers", nil), map[string]string{"Users.0.UserName": "ann", "Users.0.Tags": "<none>"})
	want(t, h.ok("ListAccountAliases", nil), map[string]string{"AccountAliases": "[]"})
	h.ok("TagUser", in{"UserName": "ann", "Tags": []in{{"Key": "b", "Value": "1"}}})
	h.ok("UntagUser", in{"UserName": "ann", "TagKeys": []string{"a", "b"}})
	h.ok("PutUserPermissionsBoundary", in{"UserName": "ann", "PermissionsBoundary": basic})
	h.ok("DeleteUserPermissionsBoundary", in{"UserName": "ann"})
	h.ok("UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": id, "Status": "Inactive"})
	h.ok("DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": id})
	h.ok("DeleteUserPolicy", in{"UserName": "ann", "PolicyName": "self"})
	h.ok("DeleteUser", in{"UserName": "ann"})
	h.fails("DeleteUser", in{"UserName": "ann"}, rouse.NotFound, "NoSuchEntity", "The user with name ann cannot be found.")
}

// TestWire: what goes over the network, as clients send and expect it.
func TestWire(t *testing.T) {
	h := open(t)
	send := func(form string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form+"&Version=2010-05-08"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp := wiretest.Roundtrip(t, h.iam.Service(), rootOf(acc), r)
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	create := "Action=CreateRole&RoleName=app&Tags.member.1.Key=k&Tags.member.1.Value=&AssumeRolePolicyDocument=" + url.QueryEscape(trust)
	for _, step := range []struct {
		form   string
		status int
		want   []string
	}{
		{create, 200, []string{`<CreateRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">`, "<CreateRoleResult><Role>",
			"<Arn>arn:aws:iam::123456789012:role/app</Arn>", "<Tags><member><Key>k</Key><Value></Value></member></Tags>", "%7B%22Version%22"}},
		{create, 409, []string{"<Code>EntityAlreadyExists</Code>", "<Message>Role with name app already exists.</Message>", "<Type>Sender</Type>"}},
		{"Action=UpdateRole&RoleName=app", 200, []string{"<UpdateRoleResult"}},
		{"Action=AttachRolePolicy&RoleName=app&PolicyArn=" + basic, 200, []string{"<AttachRolePolicyResponse", "<RequestId>"}},
		{"Action=GetRole&RoleName=none", 404, []string{"<Code>NoSuchEntity</Code>"}},
		{"Action=DeleteRole&RoleName=app", 409, []string{"<Code>DeleteConflict</Code>"}},
		{"Action=CreateRole&RoleName=b&AssumeRolePolicyDocument=x", 400, []string{"<Code>MalformedPolicyDocument</Code>"}},
		{"Action=ListRoles", 200, []string{"<IsTruncated>false</IsTruncated>", "<Roles><member>"}},
		{"Action=SimulatePrincipalPolicy", 501, []string{"SimulatePrincipalPolicy"}},
	} {
		status, body := send(step.form)
		if status != step.status {
			t.Errorf("%s: got %d, want %d: %s", step.form, status, step.status, body)
		}
		for _, w := range step.want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: got %s, want %s", step.form, body, w)
			}
		}
	}
}
