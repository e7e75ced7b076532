package compat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// as is the clients of another key.
func (c *goClients) as(id, secret, token string) *goClients {
	cfg := c.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
	return newClients(c.node, cfg)
}

// rolePolicy gives a role an inline policy called inline, and takes it away when t ends.
func (c *goClients) rolePolicy(t *testing.T, role, document string) {
	t.Helper()
	name := aws.String("inline")
	_, err := c.iam.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String(role), PolicyName: name,
		PolicyDocument: aws.String(document)})
	check(t, err, "put role policy")
	t.Cleanup(func() {
		_, err := c.iam.DeleteRolePolicy(context.Background(),
			&iam.DeleteRolePolicyInput{RoleName: aws.String(role), PolicyName: name})
		if err != nil && !noSuchEntity(err) {
			t.Errorf("delete role policy: %v", err)
		}
	})
}

// userPolicy gives a user the inline policy p, or changes it.
func (c *goClients) userPolicy(t *testing.T, user, document string) {
	t.Helper()
	_, err := c.iam.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String(user),
		PolicyName: aws.String("p"), PolicyDocument: aws.String(document)})
	check(t, err, "put user policy")
}

func testRole(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-role")
	arn := c.makeRole(t, *name, "lambda.amazonaws.com")
	want(t, arn, "arn:aws:iam::000000000000:role/go-role", "Arn")
	_, err := c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name,
		AssumeRolePolicyDocument: aws.String(trustLambda)})
	e := typed[*types.EntityAlreadyExistsException](t, err, "create it twice")
	want(t, e.ErrorMessage(), "Role with name go-role already exists.", "message")
	_, err = c.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("go-bad"),
		AssumeRolePolicyDocument: aws.String(`{"Version":`)})
	typed[*types.MalformedPolicyDocumentException](t, err, "create with a broken policy")
	_, err = c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("go-nobody")})
	gone := typed[*types.NoSuchEntityException](t, err, "get what is not there")
	want(t, gone.ErrorMessage(), "The role with name go-nobody cannot be found.", "message")

	got, err := c.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: name})
	check(t, err, "get role")
	trust, err := url.QueryUnescape(aws.ToString(got.Role.AssumeRolePolicyDocument))
	check(t, err, "decode trust policy")
	want(t, trust, trustLambda, "AssumeRolePolicyDocument")
	if age := time.Since(aws.ToTime(got.Role.CreateDate)); age < -time.Minute || age > time.Hour {
		t.Errorf("CreateDate: got %v, want about now", got.Role.CreateDate)
	}
	_, err = c.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name,
		PolicyDocument: aws.String(strings.Replace(trustLambda, "lambda.", "events.", 1))})
	check(t, err, "update trust policy")
	_, err = c.iam.TagRole(ctx, &iam.TagRoleInput{RoleName: name,
		Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}})
	check(t, err, "tag role")
	tags, err := c.iam.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: name})
	check(t, err, "list tags")
	want(t, len(tags.Tags), 1, "tags")
	want(t, aws.ToString(tags.Tags[0].Value), "shop", "tag team")

	basic := aws.String("arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
	_, err = c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: basic})
	check(t, err, "attach a policy of AWS")
	_, err = c.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name,
		PolicyArn: aws.String("arn:aws:iam::000000000000:policy/go-nobody")})
	typed[*types.NoSuchEntityException](t, err, "attach what is not there")
	c.rolePolicy(t, *name, allow("logs:*", "*"))
	attached, err := c.iam.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: name})
	check(t, err, "list attached policies")
	want(t, aws.ToString(attached.AttachedPolicies[0].PolicyName), "AWSLambdaBasicExecutionRole", "attached")
	inline, err := c.iam.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	check(t, err, "list inline policies")
	want(t, fmt.Sprint(inline.PolicyNames), "[inline]", "inline policies")
	_, err = c.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
	typed[*types.DeleteConflictException](t, err, "delete a role with policies")
	_, err = c.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: basic})
	check(t, err, "detach")

	for i := range 3 {
		c.makeRole(t, fmt.Sprintf("go-role-page-%d", i), "lambda.amazonaws.com")
	}
	pages, seen := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{MaxItems: aws.Int32(2)}), 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		check(t, err, "next page")
		for _, r := range page.Roles {
			if strings.HasPrefix(*r.RoleName, "go-role-page-") {
				seen++
			}
		}
	}
	want(t, seen, 3, "roles on all pages")
}

func testPolicy(t *testing.T, c *goClients) {
	ctx := t.Context()
	made, err := c.iam.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("go-policy"),
		PolicyDocument: aws.String(allow("lambda:ListFunctions", "*"))})
	check(t, err, "create policy")
	arn := made.Policy.Arn
	want(t, aws.ToString(arn), "arn:aws:iam::000000000000:policy/go-policy", "Arn")
	want(t, aws.ToString(made.Policy.DefaultVersionId), "v1", "DefaultVersionId")
	check(t, iam.NewPolicyExistsWaiter(c.iam).Wait(ctx, &iam.GetPolicyInput{PolicyArn: arn}, waitMax),
		"wait for policy")
	v, err := c.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	check(t, err, "get policy version")
	document, err := url.QueryUnescape(aws.ToString(v.PolicyVersion.Document))
	check(t, err, "decode document")
	contains(t, document, "lambda:ListFunctions", "document")
	_, err = c.iam.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	check(t, err, "delete policy")
	_, err = c.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn})
	typed[*types.NoSuchEntityException](t, err, "get a deleted policy")
}

// testUser gives a user one permission and sees what else he may not do.
func testUser(t *testing.T, c *goClients) {
	ctx, name := t.Context(), aws.String("go-user")
	_, err := c.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: name})
	check(t, err, "create user")
	c.userPolicy(t, *name,
		allow("lambda:GetFunction", "arn:aws:lambda:*:*:function:go-user-*"))
	key, err := c.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name})
	check(t, err, "create access key")
	user := c.as(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
	c.create(t, c.function(t, "go-user-one", pythonEcho))

	who, err := user.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	check(t, err, "who am I")
	want(t, aws.ToString(who.Arn), "arn:aws:iam::000000000000:user/go-user", "Arn")
	_, err = user.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("go-user-one")})
	check(t, err, "what is allowed")
	_, err = user.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("go-user-one")})
	wantCode(t, err, "AccessDeniedException", "what is not allowed")
	contains(t, err.Error(),
		"User: arn:aws:iam::000000000000:user/go-user is not authorized to perform: lambda:InvokeFunction on resource: "+
			"arn:aws:lambda:us-east-1:000000000000:function:go-user-one because no identity-based policy allows the lambda:InvokeFunction action", "message")
	_, err = user.lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String("go-nobody")})
	wantCode(t, err, "AccessDeniedException", "ask for what is not there without a permission")
	in := c.function(t, "go-user-two", pythonEcho)
	c.userPolicy(t, *name,
		allow("lambda:*", "*"))
	until(t, waitMax, "the policy takes effect", func() bool {
		_, err = user.lambda.CreateFunction(ctx, in)
		return err == nil || !strings.Contains(err.Error(), "perform: lambda:CreateFunction")
	})
	wantCode(t, err, "AccessDeniedException", "make a function with a role that one may not pass")
	contains(t, err.Error(), "is not authorized to perform: iam:PassRole on resource: "+c.role, "message")
	_, err = user.iam.ListUsers(ctx, &iam.ListUsersInput{})
	wantCode(t, err, "AccessDenied", "what is not allowed in IAM")

	_, err = c.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: name,
		AccessKeyId: key.AccessKey.AccessKeyId, Status: types.StatusTypeInactive})
	check(t, err, "deactivate the key")
	until(t, waitMax, "the key stops working", func() bool {
		_, err = user.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		return err != nil
	})
	wantCode(t, err, "InvalidClientTokenId", "use an inactive key")
	_, err = c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name})
	typed[*types.DeleteConflictException](t, err, "delete a user with keys")
	_, err = c.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name,
		AccessKeyId: key.AccessKey.AccessKeyId})
	check(t, err, "delete the key")
	_, err = c.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: aws.String("p")})
	check(t, err, "delete the policy")
	_, err = c.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name})
	check(t, err, "delete user")
}

func testIdentity(t *testing.T, c *goClients) {
	ctx := t.Context()
	who, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	check(t, err, "who am I")
	want(t, aws.ToString(who.Account), account, "Account")
	want(t, aws.ToString(who.Arn), "arn:aws:iam::000000000000:root", "Arn")

	name := "go-assumed"
	role := c.makeRole(t, name, "lambda.amazonaws.com")
	_, err = c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("me")})
	wantCode(t, err, "AccessDenied", "take a role that does not trust me")
	_, err = c.iam.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String(name),
		PolicyDocument: aws.String(
			strings.Replace(trustLambda, `"Service":"lambda.amazonaws.com"`, `"AWS":"arn:aws:iam::000000000000:root"`, 1))})
	check(t, err, "update trust policy")
	c.rolePolicy(t, name,
		allow("lambda:ListFunctions", "*"))
	got, err := c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("me"),
		DurationSeconds: aws.Int32(900)})
	check(t, err, "assume role")
	want(t, aws.ToString(got.AssumedRoleUser.Arn), "arn:aws:sts::000000000000:assumed-role/go-assumed/me",
		"AssumedRoleUser")
	if left := time.Until(aws.ToTime(got.Credentials.Expiration)); left < 14*time.Minute || left > 16*time.Minute {
		t.Errorf("Expiration: got %v from now, want 15 minutes", left)
	}
	k := got.Credentials
	session := c.as(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)
	who, err = session.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	check(t, err, "who is the session")
	want(t, aws.ToString(who.Arn), "arn:aws:sts::000000000000:assumed-role/go-assumed/me", "Arn of the session")
	contains(t, aws.ToString(who.UserId), ":me", "UserId of the session")
	_, err = session.lambda.ListFunctions(ctx, &lambda.ListFunctionsInput{})
	check(t, err, "what the role allows")
	_, err = session.lambda.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	wantCode(t, err, "AccessDeniedException", "what the role does not allow")
	_, err = c.as(*k.AccessKeyId, *k.SecretAccessKey, "").sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	wantCode(t, err, "InvalidClientTokenId", "a session's key without its token")
	_, err = c.as(*k.AccessKeyId, *k.SecretAccessKey, "made up").lambda.ListFunctions(ctx, &lambda.ListFunctionsInput{})
	wantCode(t, err, "UnrecognizedClientException", "a session's key with another token")
	_, err = c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("me"),
		DurationSeconds: aws.Int32(7200)})
	wantCode(t, err, "ValidationError", "a session longer than the role's maximum")
	_, err = c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("me"),
		Policy: aws.String(allow("*", "*"))})
	wantCode(t, err, "NotImplemented", "a session policy, which would be dangerous to ignore")
}

// testInstanceRole takes the keys that a function has and sees what they are good for.
func testInstanceRole(t *testing.T, c *goClients) {
	ctx := t.Context()
	role := c.makeRole(t, "go-instance", "lambda.amazonaws.com")
	in := c.function(t, "go-instance", pythonEcho)
	in.Role = aws.String(role)
	c.create(t, in)
	var keys map[string]string
	check(t, json.Unmarshal([]byte(c.invoke(t, "go-instance", `{"act":"keys"}`)), &keys), "read the function's keys")
	inside := c.as(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"])
	who, err := inside.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	check(t, err, "who is the function")
	want(t, aws.ToString(who.Arn), "arn:aws:sts::000000000000:assumed-role/go-instance/go-instance", "Arn")
	_, err = inside.lambda.ListFunctions(ctx, &lambda.ListFunctionsInput{})
	wantCode(t, err, "AccessDeniedException", "what the role does not allow")
	c.rolePolicy(t, "go-instance",
		allow("lambda:ListFunctions", "*"))
	until(t, waitMax, "the policy takes effect", func() bool {
		_, err := inside.lambda.ListFunctions(ctx, &lambda.ListFunctionsInput{})
		return err == nil
	})
}
