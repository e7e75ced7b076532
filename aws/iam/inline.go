package iam

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

// The policies of roles and of users differ in one member's name, so the operations stand here in pairs: each input says
// whom it is about, and the handlers are written once.

// aboutPrincipal is an input about a role or a user.
type aboutPrincipal interface {
	who(account string) identity.Who
	arn(d *Door, account string) string
}

func (in *RoleInput) who(account string) identity.Who {
	return identity.RoleNamed(account, in.RoleName)
}
func (in *RoleInput) arn(d *Door, account string) string { return d.roleARN(account, in.RoleName) }
func (in *UserInput) who(account string) identity.Who {
	return identity.UserNamed(account, in.UserName)
}
func (in *UserInput) arn(d *Door, account string) string   { return d.userARN(account, in.UserName) }
func (in *InlineInput) inline() *InlineInput               { return in }
func (in *PutInlineInput) put() *PutInlineInput            { return in }
func (in *AttachInput) attach() *AttachInput               { return in }
func (in *ListAttachedInput) attached() *ListAttachedInput { return in }
func (in *Paging) paging() Paging                          { return *in }

// InlineInput names an inline policy.
type InlineInput struct {
	PolicyName string `wire:",required" min:"1" max:"128" pattern:"[\\w+=,.@-]+"`
}

// PutInlineInput sets an inline policy.
type PutInlineInput struct {
	InlineInput
	PolicyDocument string `wire:",required" min:"1" max:"131072"`
}

// AttachInput names a managed policy to attach or detach.
type AttachInput struct {
	PolicyArn string `wire:",required" min:"20" max:"2048"`
}

// ListAttachedInput lists attached policies.
type ListAttachedInput struct {
	PathPrefix string `min:"1" max:"512"`
	Paging
}

// The inputs, for roles and for users.
type (
	RoleInlineInput struct {
		RoleInput
		InlineInput
	}
	UserInlineInput struct {
		UserInput
		InlineInput
	}
	RolePutInlineInput struct {
		RoleInput
		PutInlineInput
	}
	UserPutInlineInput struct {
		UserInput
		PutInlineInput
	}
	RoleAttachInput struct {
		RoleInput
		AttachInput
	}
	UserAttachInput struct {
		UserInput
		AttachInput
	}
	RoleListAttachedInput struct {
		RoleInput
		ListAttachedInput
	}
	UserListAttachedInput struct {
		UserInput
		ListAttachedInput
	}
)

func (d *Door) rolePolicyOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("PutRolePolicy", "", about[RolePutInlineInput](d, "PutRolePolicy"), putInline[RolePutInlineInput](d)),
		wire.Op("GetRolePolicy", "", about[RoleInlineInput](d, "GetRolePolicy"), d.getRolePolicy),
		wire.Op("DeleteRolePolicy", "", about[RoleInlineInput](d, "DeleteRolePolicy"), deleteInline[RoleInlineInput](d)),
		wire.Op("ListRolePolicies", "", about[RolePageInput](d, "ListRolePolicies"), listInline[RolePageInput](d)),
		wire.Op("AttachRolePolicy", "", attaching[RoleAttachInput](d, "AttachRolePolicy"), attach[RoleAttachInput](d)),
		wire.Op("DetachRolePolicy", "", attaching[RoleAttachInput](d, "DetachRolePolicy"), detach[RoleAttachInput](d)),
		wire.Op("ListAttachedRolePolicies", "", about[RoleListAttachedInput](d, "ListAttachedRolePolicies"),
			listAttached[RoleListAttachedInput](d)),
	}
}

func (d *Door) userPolicyOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("PutUserPolicy", "", about[UserPutInlineInput](d, "PutUserPolicy"), putInline[UserPutInlineInput](d)),
		wire.Op("GetUserPolicy", "", about[UserInlineInput](d, "GetUserPolicy"), d.getUserPolicy),
		wire.Op("DeleteUserPolicy", "", about[UserInlineInput](d, "DeleteUserPolicy"), deleteInline[UserInlineInput](d)),
		wire.Op("ListUserPolicies", "", about[UserPageInput](d, "ListUserPolicies"), listInline[UserPageInput](d)),
		wire.Op("AttachUserPolicy", "", attaching[UserAttachInput](d, "AttachUserPolicy"), attach[UserAttachInput](d)),
		wire.Op("DetachUserPolicy", "", attaching[UserAttachInput](d, "DetachUserPolicy"), detach[UserAttachInput](d)),
		wire.Op("ListAttachedUserPolicies", "", about[UserListAttachedInput](d, "ListAttachedUserPolicies"),
			listAttached[UserListAttachedInput](d)),
	}
}

// about makes the needs of an action on the principal of the input.
func about[In any, P interface {
	*In
	aboutPrincipal
}](d *Door, action string) asks[In] {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		return needOn(action, P(in).arn(d, from.Principal.Account)), nil
	}
}

// attaching is about with the policy's ARN as a condition key, by which administrators bound what others may attach.
func attaching[In any, P interface {
	*In
	aboutPrincipal
	attach() *AttachInput
}](d *Door, action string) asks[In] {
	return with("iam:PolicyARN", func(in *In) string { return P(in).attach().PolicyArn }, about[In, P](d, action))
}

func putInline[In any, P interface {
	*In
	aboutPrincipal
	put() *PutInlineInput
}](d *Door) func(context.Context, rouse.Origin, *In) (*wire.None, error) {
	return func(ctx context.Context, from rouse.Origin, in *In) (*wire.None, error) {
		p := P(in).put()
		return nil, d.identity.PutInline(ctx, P(in).who(from.Principal.Account), p.PolicyName, p.PolicyDocument)
	}
}

// RolePolicyOutput is an inline policy of a role.
type RolePolicyOutput struct {
	RoleName       string
	PolicyName     string
	PolicyDocument string
}

func (d *Door) getRolePolicy(_ context.Context, from rouse.Origin, in *RoleInlineInput) (*RolePolicyOutput, error) {
	doc, err := d.identity.Inline(in.who(from.Principal.Account), in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &RolePolicyOutput{in.RoleName, in.PolicyName, document(doc)}, nil
}

// UserPolicyOutput is an inline policy of a user.
type UserPolicyOutput struct {
	UserName       string
	PolicyName     string
	PolicyDocument string
}

func (d *Door) getUserPolicy(_ context.Context, from rouse.Origin, in *UserInlineInput) (*UserPolicyOutput, error) {
	doc, err := d.identity.Inline(in.who(from.Principal.Account), in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &UserPolicyOutput{in.UserName, in.PolicyName, document(doc)}, nil
}

func deleteInline[In any, P interface {
	*In
	aboutPrincipal
	inline() *InlineInput
}](d *Door) func(context.Context, rouse.Origin, *In) (*wire.None, error) {
	return func(ctx context.Context, from rouse.Origin, in *In) (*wire.None, error) {
		return nil, d.identity.DeleteInline(ctx, P(in).who(from.Principal.Account), P(in).inline().PolicyName)
	}
}

// ListInlineOutput is a page of names.
type ListInlineOutput struct {
	PolicyNames []string
	Paged
}

func listInline[In any, P interface {
	*In
	aboutPrincipal
	paging() Paging
}](d *Door) func(context.Context, rouse.Origin, *In) (*ListInlineOutput, error) {
	return func(_ context.Context, from rouse.Origin, in *In) (*ListInlineOutput, error) {
		names, err := d.identity.InlineNames(P(in).who(from.Principal.Account))
		if err != nil {
			return nil, err
		}
		list, paged, err := page(names, P(in).paging(), itself)
		return &ListInlineOutput{list, paged}, err
	}
}

func attach[In any, P interface {
	*In
	aboutPrincipal
	attach() *AttachInput
}](d *Door) func(context.Context, rouse.Origin, *In) (*wire.None, error) {
	return func(ctx context.Context, from rouse.Origin, in *In) (*wire.None, error) {
		arn := P(in).attach().PolicyArn
		if err := checkPolicyARN(arn); err != nil {
			return nil, err
		}
		return nil, d.identity.Attach(ctx, P(in).who(from.Principal.Account), arn)
	}
}

func detach[In any, P interface {
	*In
	aboutPrincipal
	attach() *AttachInput
}](d *Door) func(context.Context, rouse.Origin, *In) (*wire.None, error) {
	return func(ctx context.Context, from rouse.Origin, in *In) (*wire.None, error) {
		return nil, d.identity.Detach(ctx, P(in).who(from.Principal.Account), P(in).attach().PolicyArn)
	}
}

func checkPolicyARN(arn string) error {
	if a, err := rouse.ParseARN(arn); err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "policy/") {
		return rouse.Errorf(rouse.Invalid, "ARN %s is not valid.", arn).WithCode("InvalidInput")
	}
	return nil
}

// AttachedPolicy names a managed policy.
type AttachedPolicy struct {
	PolicyName string
	PolicyArn  string
}

// ListAttachedOutput is a page of attached policies.
type ListAttachedOutput struct {
	AttachedPolicies []AttachedPolicy
	Paged
}

func listAttached[In any, P interface {
	*In
	aboutPrincipal
	attached() *ListAttachedInput
}](d *Door) func(context.Context, rouse.Origin, *In) (*ListAttachedOutput, error) {
	return func(_ context.Context, from rouse.Origin, in *In) (*ListAttachedOutput, error) {
		arns, err := d.identity.Attached(P(in).who(from.Principal.Account))
		if err != nil {
			return nil, err
		}
		q := P(in).attached()
		list := []AttachedPolicy{}
		for _, arn := range arns {
			m, err := d.identity.Policy(from.Principal.Account, arn)
			if err == nil && strings.HasPrefix(m.Path, q.PathPrefix) {
				list = append(list, AttachedPolicy{m.Name, arn})
			}
		}
		list, paged, err := page(list, q.Paging, func(p AttachedPolicy) string { return p.PolicyArn })
		return &ListAttachedOutput{list, paged}, err
	}
}
