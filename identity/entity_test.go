package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/identity"
	"github.com/rouse-dev/rouse/kv/kvtest"
)

func TestRoles(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	r := must[*identity.Role](t)(i.CreateRole(ctx, identity.NewRole{Account: acc, Name: "App", Path: "/team/", Trust: trustLambda,
		Description: "d", Tags: []identity.Tag{{Key: "a", Value: "1"}}}))
	if r.ARN() != "arn:aws:iam::123456789012:role/team/App" || r.MaxSession != 3600 || !strings.HasPrefix(r.ID, "AROA") || len(r.ID) != 21 {
		t.Errorf("got %s, %d, %s", r.ARN(), r.MaxSession, r.ID)
	}
	_, err := i.CreateRole(ctx, identity.NewRole{Account: acc, Name: "aPP", Trust: trustLambda})
	wantError(t, err, rouse.Exists, "", "Role with name aPP already exists.")
	_, err = i.Role(acc, "none")
	wantError(t, err, rouse.NotFound, "", "The role with name none cannot be found.")
	if got := must[*identity.Role](t)(i.Role(acc, "app")); got.Name != "App" {
		t.Errorf("got %s, want App: names are found in any case", got.Name)
	}
	w := identity.RoleNamed(acc, "App")
	ok(t, i.PutInline(ctx, w, "p", allowAll))
	ok(t, i.Attach(ctx, w, "arn:aws:iam::aws:policy/AmazonS3FullAccess"))
	wantError(t, i.DeleteRole(ctx, acc, "App"), rouse.Conflict, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	ok(t, i.Detach(ctx, w, "arn:aws:iam::aws:policy/AmazonS3FullAccess"))
	wantError(t, i.Detach(ctx, w, "arn:aws:iam::aws:policy/AmazonS3FullAccess"), rouse.NotFound, "", "was not found.")
	wantError(t, i.DeleteRole(ctx, acc, "App"), rouse.Conflict, "DeleteConflict", "Cannot delete entity, must delete policies first.")
	_, err = i.Inline(w, "q")
	wantError(t, err, rouse.NotFound, "", "The role policy with name q cannot be found.")
	wantError(t, i.DeleteInline(ctx, w, "q"), rouse.NotFound, "", "The role policy with name q cannot be found.")
	ok(t, i.DeleteInline(ctx, w, "p"))
	text, seconds := "new", 7200
	ok(t, i.UpdateRole(ctx, acc, "App", &text, &seconds))
	ok(t, i.Tag(ctx, w, []identity.Tag{{Key: "A", Value: "2"}, {Key: "b", Value: "3"}}))
	ok(t, i.Untag(ctx, w, []string{"B"}))
	got := must[*identity.Role](t)(i.Role(acc, "App"))
	if got.Description != "new" || got.MaxSession != 7200 || !slices.Equal(got.Tags, []identity.Tag{{Key: "A", Value: "2"}}) {
		t.Errorf("got %q, %d, %v", got.Description, got.MaxSession, got.Tags)
	}
	ok(t, i.DeleteRole(ctx, acc, "App"))
	wantError(t, i.DeleteRole(ctx, acc, "App"), rouse.NotFound, "", "cannot be found")
	for _, n := range []string{"c", "a", "B"} {
		role(t, i, n, trustLambda)
	}
	names := ""
	for _, r := range i.Roles(acc, "/") {
		names += r.Name
	}
	if names != "aBc" {
		t.Errorf("got roles %q, want aBc", names)
	}
}

func TestRoleLimits(t *testing.T) {
	i := open(t, kvtest.Memory(t), func(c *identity.Config) { c.RolesMax = 2 })
	must2(t)(i.Bootstrap(t.Context()))
	ctx := t.Context()
	create := func(n identity.NewRole) error {
		if n.Account == "" {
			n.Account = acc
		}
		if n.Trust == "" {
			n.Trust = trustLambda
		}
		_, err := i.CreateRole(ctx, n)
		return err
	}
	wantError(t, create(identity.NewRole{Name: "a b"}), rouse.Invalid, "", "The specified value for roleName is invalid.")
	wantError(t, create(identity.NewRole{Name: strings.Repeat("a", 65)}), rouse.Invalid, "", "less than or equal to 64")
	wantError(t, create(identity.NewRole{Name: "a", Path: "x"}), rouse.Invalid, "", "The specified value for path is invalid.")
	wantError(t, create(identity.NewRole{Name: "a", MaxSession: 60}), rouse.Invalid, "", "between 3600 and 43200")
	wantError(t, create(identity.NewRole{Name: "a", Account: other}), rouse.NotFound, "", "account")
	wantError(t, create(identity.NewRole{Name: "a", Trust: "{"}), rouse.Invalid, "MalformedPolicyDocument", "This policy contains invalid Json")
	wantError(t, create(identity.NewRole{Name: "a", Boundary: "arn:aws:iam::123456789012:policy/x"}), rouse.NotFound, "", "does not exist or is not attachable.")
	wantError(t, create(identity.NewRole{Name: "a", Trust: strings.Replace(trustRoot, `"123456789012"`, `"arn:aws:iam::123456789012:user/gone"`, 1)}),
		rouse.Invalid, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/gone"`)
	long := strings.Replace(trustRoot, `"123456789012"`, `[`+strings.Repeat(`"123456789012",`, 150)+`"123456789012"]`, 1)
	wantError(t, create(identity.NewRole{Name: "a", Trust: long}), rouse.Limit, "", "Cannot exceed quota for ACLSizePerRole: 2048")
	wantError(t, create(identity.NewRole{Name: "a", Tags: []identity.Tag{{Key: "x"}, {Key: "X"}}}), rouse.Invalid, "InvalidInput", "Duplicate tag keys")
	var tags []identity.Tag
	for n := range identity.TagsMax + 1 {
		tags = append(tags, identity.Tag{Key: fmt.Sprint("k", n)})
	}
	wantError(t, create(identity.NewRole{Name: "a", Tags: tags}), rouse.Limit, "", "The number of tags")
	ok(t, create(identity.NewRole{Name: "a"}))
	ok(t, create(identity.NewRole{Name: "b"}))
	wantError(t, create(identity.NewRole{Name: "c"}), rouse.Limit, "", "Cannot exceed quota for RolesPerAccount: 2")

	w := identity.RoleNamed(acc, "a")
	big := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::%s"}}`, strings.Repeat("x", 6000))
	ok(t, i.PutInline(ctx, w, "p", big))
	wantError(t, i.PutInline(ctx, w, "q", big), rouse.Limit, "", "Maximum policy size of 10240 bytes exceeded for role a")
	wantError(t, i.PutInline(ctx, w, "q", "{}"), rouse.Invalid, "MalformedPolicyDocument", "Syntax errors in policy.")
	for n, m := range i.Policies(acc, "", identity.ScopeAWS) {
		if n == identity.AttachedMax {
			wantError(t, i.Attach(ctx, w, m.ARN()), rouse.Limit, "", "Cannot exceed quota for PoliciesPerRole: 10")
			break
		}
		ok(t, i.Attach(ctx, w, m.ARN()))
		ok(t, i.Attach(ctx, w, m.ARN())) // once more changes nothing
	}
	if got := must[[]string](t)(i.Attached(w)); len(got) != identity.AttachedMax {
		t.Errorf("got %d attached policies, want %d", len(got), identity.AttachedMax)
	}
}

func TestUsersAndKeys(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	u := must[*identity.User](t)(i.CreateUser(ctx, identity.NewUser{Account: acc, Name: "ann", Path: "/x/"}))
	if u.ARN() != "arn:aws:iam::123456789012:user/x/ann" {
		t.Errorf("got %s", u.ARN())
	}
	_, err := i.CreateUser(ctx, identity.NewUser{Account: acc, Name: "Ann"})
	wantError(t, err, rouse.Exists, "", "User with name Ann already exists.")
	k := must[identity.NewAccessKey](t)(i.CreateAccessKey(ctx, acc, "ANN"))
	if account, name, found := i.KeyOwner(k.ID); account != acc || name != "ann" || !found || len(k.ID) != 20 || len(k.Secret) != 40 {
		t.Errorf("got %s, %s, %v, key %s", account, name, found, k.ID)
	}
	must[identity.NewAccessKey](t)(i.CreateAccessKey(ctx, acc, "ann"))
	_, err = i.CreateAccessKey(ctx, acc, "ann")
	wantError(t, err, rouse.Limit, "", "Cannot exceed quota for AccessKeysPerUser: 2")
	_, err = i.CreateAccessKey(ctx, acc, "none")
	wantError(t, err, rouse.NotFound, "", "The user with name none cannot be found.")
	if got := must[[]identity.AccessKey](t)(i.AccessKeys(acc, "ann")); len(got) != 2 || got[0].ID != k.ID {
		t.Errorf("got %+v, want two keys, the oldest first", got)
	}
	wantError(t, i.DeleteUser(ctx, acc, "ann"), rouse.Conflict, "DeleteConflict", "must delete access keys first.")
	wantError(t, i.DeleteAccessKey(ctx, acc, "ann", "AKIA0"), rouse.NotFound, "", "The Access Key with id AKIA0 cannot be found.")
	wantError(t, i.SetAccessKeyStatus(ctx, acc, "bob", k.ID, identity.StatusActive), rouse.NotFound, "", "cannot be found.")
	wantError(t, i.SetAccessKeyStatus(ctx, acc, "ann", k.ID, "Gone"), rouse.Invalid, "", "enum value set: [Active, Inactive]")
	ok(t, i.DeleteAccessKey(ctx, acc, "ann", k.ID))
	_, err = i.Credentials(ctx, k.ID, "")
	wantError(t, err, rouse.Unauthenticated, "", "invalid")
	// The root user may have a second key, so that the first can be replaced.
	second := must[identity.NewAccessKey](t)(i.CreateAccessKey(ctx, acc, ""))
	if !must[identity.Key](t)(i.Credentials(ctx, second.ID, "")).Origin.Root {
		t.Error("a key of the account is not root's")
	}
	if got := must[[]identity.AccessKey](t)(i.AccessKeys(acc, "")); len(got) != 2 {
		t.Errorf("got %d keys of root, want 2", len(got))
	}
	if got := i.Users(acc, "/x/"); len(got) != 1 {
		t.Errorf("got %d users under /x/, want 1", len(got))
	}
}

func TestManagedPolicies(t *testing.T) {
	i := world(t)
	ctx := t.Context()
	role(t, i, "app", trustLambda)
	m := must[*identity.Managed](t)(i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "p", Document: allowAll}))
	arn := m.ARN()
	_, err := i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "P", Document: allowAll})
	wantError(t, err, rouse.Exists, "", "A policy called P already exists. Duplicate names are not allowed.")
	_, err = i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "q", Document: "[]"})
	wantError(t, err, rouse.Invalid, "MalformedPolicyDocument", "Syntax errors in policy.")
	_, err = i.CreatePolicy(ctx, identity.NewPolicy{Account: acc, Name: "q", Document: strings.Replace(allowAll, `"*"`, `["s3:`+strings.Repeat("x", 6200)+`"]`, 1)})
	wantError(t, err, rouse.Limit, "", "Cannot exceed quota for PolicySize: 6144")
	for range identity.VersionsMax - 1 {
		must[identity.Version](t)(i.CreateVersion(ctx, acc, arn, denyInvoke, true))
	}
	_, err = i.CreateVersion(ctx, acc, arn, denyInvoke, true)
	wantError(t, err, rouse.Limit, "", "A managed policy can have up to 5 versions.")
	wantError(t, i.DeleteVersion(ctx, acc, arn, "v5"), rouse.Conflict, "DeleteConflict", "Cannot delete the default version of a policy.")
	wantError(t, i.DeleteVersion(ctx, acc, arn, "v9"), rouse.NotFound, "", "version v9 does not exist")
	wantError(t, i.SetDefaultVersion(ctx, acc, arn, "v9"), rouse.NotFound, "", "version v9 does not exist")
	wantError(t, i.DeletePolicy(ctx, acc, arn), rouse.Conflict, "DeleteConflict", "This policy has more than one version.")
	for _, v := range []string{"v1", "v2", "v3", "v4"} {
		ok(t, i.DeleteVersion(ctx, acc, arn, v))
	}
	v := must[identity.Version](t)(i.CreateVersion(ctx, acc, arn, allowAll, false))
	if v.ID != "v6" {
		t.Errorf("got version %s, want v6: numbers are not used again", v.ID)
	}
	ok(t, i.DeleteVersion(ctx, acc, arn, "v6"))
	w := identity.RoleNamed(acc, "app")
	ok(t, i.Attach(ctx, w, arn))
	if got := must[*identity.Managed](t)(i.Policy(acc, arn)); got.Attachments != 1 {
		t.Errorf("got %d attachments, want 1", got.Attachments)
	}
	_, roles, err := i.AttachedTo(acc, arn)
	if err != nil || len(roles) != 1 || roles[0].Name != "app" {
		t.Errorf("got %v, %v; want app", roles, err)
	}
	wantError(t, i.DeletePolicy(ctx, acc, arn), rouse.Conflict, "DeleteConflict", "Cannot delete a policy attached to entities.")
	ok(t, i.Detach(ctx, w, arn))
	ok(t, i.SetBoundary(ctx, w, arn))
	wantError(t, i.DeletePolicy(ctx, acc, arn), rouse.Conflict, "DeleteConflict", "Cannot delete a policy attached to entities.")
	ok(t, i.DeleteRole(ctx, acc, "app"))
	ok(t, i.DeletePolicy(ctx, acc, arn))
	_, err = i.Policy(acc, arn)
	wantError(t, err, rouse.NotFound, "", "Policy "+arn+" was not found.")
	_, err = i.CreateVersion(ctx, acc, "arn:aws:iam::aws:policy/AdministratorAccess", allowAll, true)
	wantError(t, err, rouse.Denied, "", "maintained by AWS")
}

// FuzzCredentials: whatever arrives as key id and token is refused, never a panic.
func FuzzCredentials(f *testing.F) {
	i := world(f)
	r := role(f, i, "app", trustLambda)
	c := must[identity.Credentials](f)(i.Session(f.Context(), acc, r.ARN(), "shop", 3600e9))
	f.Add(c.AccessKeyID, c.SessionToken[1:])
	f.Add("AKIAIOSFODNN7EXAMPLE", "")
	f.Add("ASIAIOSFODNN7EXAMPLE", "AAAA")
	f.Fuzz(func(t *testing.T, id, token string) {
		if id == c.AccessKeyID && token == c.SessionToken {
			return
		}
		if k, err := i.Credentials(t.Context(), id, token); err == nil {
			t.Errorf("got %+v, want an error", k.Origin)
		}
		if account, found := identity.AccountOfKey(id); found && len(account) != 12 {
			t.Errorf("got account %q, want 12 digits", account)
		}
	})
}
