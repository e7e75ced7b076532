package iam

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

func (d *Door) policyOperations() []wire.Operation {
	of := func(_ string, in *PolicyInput) string { return in.PolicyArn }
	version := func(_ string, in *PolicyVersionInput) string { return in.PolicyArn }
	return []wire.Operation{
		wire.Op("CreatePolicy", "", withTags(func(in *CreatePolicyInput) []Tag { return in.Tags }, needs("CreatePolicy",
			func(a string, in *CreatePolicyInput) string { return newARN(a, "policy", in.Path, in.PolicyName) })), d.createPolicy),
		wire.Op("GetPolicy", "", needs("GetPolicy", of), d.getPolicy),
		wire.Op("DeletePolicy", "", needs("DeletePolicy", of), d.deletePolicy),
		wire.Op("ListPolicies", "", needs("ListPolicies", func(string, *ListPoliciesInput) string { return "*" }), d.listPolicies,
			wire.Differs("of the policies that AWS maintains only those that functions use are there")),
		wire.Op("CreatePolicyVersion", "", needs("CreatePolicyVersion",
			func(_ string, in *CreatePolicyVersionInput) string { return in.PolicyArn }), d.createVersion),
		wire.Op("GetPolicyVersion", "", needs("GetPolicyVersion", version), d.getVersion),
		wire.Op("ListPolicyVersions", "", needs("ListPolicyVersions",
			func(_ string, in *PolicyPageInput) string { return in.PolicyArn }), d.listVersions),
		wire.Op("DeletePolicyVersion", "", needs("DeletePolicyVersion", version), d.deleteVersion),
		wire.Op("SetDefaultPolicyVersion", "", needs("SetDefaultPolicyVersion", version), d.setDefaultVersion),
		wire.Op("ListEntitiesForPolicy", "", needs("ListEntitiesForPolicy",
			func(_ string, in *ListEntitiesInput) string { return in.PolicyArn }), d.listEntities,
			wire.RefuseExcept("PolicyUsageFilter", "PermissionsPolicy")),
		wire.Op("TagPolicy", "", withTags(func(in *TagPolicyInput) []Tag { return in.Tags }, needs("TagPolicy",
			func(_ string, in *TagPolicyInput) string { return in.PolicyArn })), d.tagPolicy),
		wire.Op("UntagPolicy", "", needs("UntagPolicy",
			func(_ string, in *UntagPolicyInput) string { return in.PolicyArn }), d.untagPolicy),
		wire.Op("ListPolicyTags", "", needs("ListPolicyTags",
			func(_ string, in *PolicyPageInput) string { return in.PolicyArn }), d.listPolicyTags),
	}
}

// Policy is a managed policy as IAM shows it.
type Policy struct {
	PolicyName                    string
	PolicyId                      string
	Arn                           string
	Path                          string
	DefaultVersionId              string
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string
	CreateDate                    time.Time
	UpdateDate                    time.Time
	Tags                          []Tag
}

func newPolicy(m *identity.Managed) Policy {
	return Policy{PolicyName: m.Name, PolicyId: m.ID, Arn: m.ARN(), Path: m.Path, DefaultVersionId: m.Default,
		AttachmentCount: m.Attachments, PermissionsBoundaryUsageCount: m.Boundaries, IsAttachable: true,
		Description: m.Description, CreateDate: m.Created.Truncate(time.Second), UpdateDate: m.Updated.Truncate(time.Second),
		Tags: tagsOut(m.Tags)}
}

// PolicyInput names a managed policy.
type PolicyInput struct {
	PolicyArn string `wire:",required" min:"20" max:"2048"`
}

// PolicyPageInput names a managed policy of which something is listed.
type PolicyPageInput struct {
	PolicyInput
	Paging
}

// PolicyVersionInput names a version.
type PolicyVersionInput struct {
	PolicyInput
	VersionId string `wire:",required" pattern:"v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?"`
}

// CreatePolicyInput makes a managed policy.
type CreatePolicyInput struct {
	PolicyName     string `wire:",required" min:"1" max:"128" pattern:"[\\w+=,.@-]+"`
	Path           string `min:"1" max:"512" pattern:"((/[A-Za-z0-9\\.,\\+@=_-]+)*)/"`
	PolicyDocument string `wire:",required" min:"1" max:"131072"`
	Description    string `max:"1000"`
	Tags           []Tag  `max:"50"`
}

// PolicyOutput holds a managed policy.
type PolicyOutput struct{ Policy Policy }

func (d *Door) createPolicy(ctx context.Context, from rouse.Origin, in *CreatePolicyInput) (*PolicyOutput, error) {
	m, err := d.identity.CreatePolicy(ctx, identity.NewPolicy{Account: from.Principal.Account, Name: in.PolicyName,
		Path: in.Path, Description: in.Description, Document: in.PolicyDocument, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &PolicyOutput{newPolicy(m)}, nil
}

func (d *Door) getPolicy(_ context.Context, from rouse.Origin, in *PolicyInput) (*PolicyOutput, error) {
	m, err := d.policy(from, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &PolicyOutput{newPolicy(m)}, nil
}

func (d *Door) policy(from rouse.Origin, arn string) (*identity.Managed, error) {
	if err := checkPolicyARN(arn); err != nil {
		return nil, err
	}
	return d.identity.Policy(from.Principal.Account, arn)
}

func (d *Door) deletePolicy(ctx context.Context, from rouse.Origin, in *PolicyInput) (*wire.None, error) {
	return nil, d.identity.DeletePolicy(ctx, from.Principal.Account, in.PolicyArn)
}

// ListPoliciesInput selects managed policies.
type ListPoliciesInput struct {
	Scope             string `enum:"All|AWS|Local"`
	OnlyAttached      bool
	PathPrefix        string `min:"1" max:"512"`
	PolicyUsageFilter string `enum:"PermissionsPolicy|PermissionsBoundary"`
	Paging
}

// ListPoliciesOutput is a page of managed policies.
type ListPoliciesOutput struct {
	Policies []Policy
	Paged
}

func (d *Door) listPolicies(_ context.Context, from rouse.Origin, in *ListPoliciesInput) (*ListPoliciesOutput, error) {
	scope := identity.Scope(in.Scope)
	if scope == "" {
		scope = identity.ScopeAll
	}
	var list []Policy
	for _, m := range d.identity.Policies(from.Principal.Account, in.PathPrefix, scope) {
		uses := m.Attachments + m.Boundaries
		switch in.PolicyUsageFilter {
		case "PermissionsPolicy":
			uses = m.Attachments
		case "PermissionsBoundary":
			uses = m.Boundaries
		}
		if uses > 0 || !in.OnlyAttached && in.PolicyUsageFilter == "" {
			p := newPolicy(m)
			p.Tags, p.Description = nil, "" // as on AWS
			list = append(list, p)
		}
	}
	list, paged, err := page(list, in.Paging, func(p Policy) string { return p.Arn })
	return &ListPoliciesOutput{list, paged}, err
}

// PolicyVersion as IAM shows it.
type PolicyVersion struct {
	Document         string
	VersionId        string
	IsDefaultVersion bool
	CreateDate       time.Time
}

// PolicyVersionOutput holds a version.
type PolicyVersionOutput struct{ PolicyVersion PolicyVersion }

// CreatePolicyVersionInput adds a version.
type CreatePolicyVersionInput struct {
	PolicyInput
	PolicyDocument string `wire:",required" min:"1" max:"131072"`
	SetAsDefault   bool
}

func (d *Door) createVersion(ctx context.Context, from rouse.Origin, in *CreatePolicyVersionInput) (*PolicyVersionOutput, error) {
	v, err := d.identity.CreateVersion(ctx, from.Principal.Account, in.PolicyArn, in.PolicyDocument, in.SetAsDefault)
	if err != nil {
		return nil, err
	}
	return &PolicyVersionOutput{PolicyVersion{VersionId: v.ID, IsDefaultVersion: in.SetAsDefault,
		CreateDate: v.Created.Truncate(time.Second)}}, nil
}

func (d *Door) getVersion(_ context.Context, from rouse.Origin, in *PolicyVersionInput) (*PolicyVersionOutput, error) {
	v, isDefault, err := d.identity.PolicyVersion(from.Principal.Account, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	return &PolicyVersionOutput{PolicyVersion{document(v.Document), v.ID, isDefault, v.Created.Truncate(time.Second)}}, nil
}

// ListPolicyVersionsOutput is a page of versions, the newest first; their documents are left out, as on AWS.
type ListPolicyVersionsOutput struct {
	Versions []PolicyVersion
	Paged
}

func (d *Door) listVersions(_ context.Context, from rouse.Origin, in *PolicyPageInput) (*ListPolicyVersionsOutput, error) {
	m, err := d.policy(from, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	var list []PolicyVersion
	for i := len(m.Versions) - 1; i >= 0; i-- {
		v := m.Versions[i]
		list = append(list, PolicyVersion{VersionId: v.ID, IsDefaultVersion: v.ID == m.Default,
			CreateDate: v.Created.Truncate(time.Second)})
	}
	list, paged, err := page(list, in.Paging, func(v PolicyVersion) string { return v.VersionId })
	return &ListPolicyVersionsOutput{list, paged}, err
}

func (d *Door) deleteVersion(ctx context.Context, from rouse.Origin, in *PolicyVersionInput) (*wire.None, error) {
	return nil, d.identity.DeleteVersion(ctx, from.Principal.Account, in.PolicyArn, in.VersionId)
}

func (d *Door) setDefaultVersion(ctx context.Context, from rouse.Origin, in *PolicyVersionInput) (*wire.None, error) {
	return nil, d.identity.SetDefaultVersion(ctx, from.Principal.Account, in.PolicyArn, in.VersionId)
}

// ListEntitiesInput asks who has a policy attached.
type ListEntitiesInput struct {
	PolicyInput
	EntityFilter      string `enum:"User|Role|Group|LocalManagedPolicy|AWSManagedPolicy"`
	PathPrefix        string `min:"1" max:"512"`
	PolicyUsageFilter string `enum:"PermissionsPolicy|PermissionsBoundary"`
	Paging
}

// PolicyRole is a role that has the policy.
type PolicyRole struct{ RoleName, RoleId string }

// PolicyUser is a user who has the policy.
type PolicyUser struct{ UserName, UserId string }

// ListEntitiesOutput is a page of both.
type ListEntitiesOutput struct {
	PolicyGroups []Empty
	PolicyUsers  []PolicyUser
	PolicyRoles  []PolicyRole
	Paged
}

func (d *Door) listEntities(_ context.Context, from rouse.Origin, in *ListEntitiesInput) (*ListEntitiesOutput, error) {
	users, roles, err := d.identity.AttachedTo(from.Principal.Account, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	type entity struct{ kind, name, id string }
	var list []entity
	for _, r := range roles {
		if wanted(in.EntityFilter, "Role") && strings.HasPrefix(r.Path, in.PathPrefix) {
			list = append(list, entity{"role", r.Name, r.ID})
		}
	}
	for _, u := range users {
		if wanted(in.EntityFilter, "User") && strings.HasPrefix(u.Path, in.PathPrefix) {
			list = append(list, entity{"user", u.Name, u.ID})
		}
	}
	list, paged, err := page(list, in.Paging, func(e entity) string { return e.kind + " " + e.name })
	if err != nil {
		return nil, err
	}
	out := &ListEntitiesOutput{PolicyGroups: []Empty{}, PolicyUsers: []PolicyUser{}, PolicyRoles: []PolicyRole{}, Paged: paged}
	for _, e := range list {
		if e.kind == "role" {
			out.PolicyRoles = append(out.PolicyRoles, PolicyRole{e.name, e.id})
		} else {
			out.PolicyUsers = append(out.PolicyUsers, PolicyUser{e.name, e.id})
		}
	}
	return out, nil
}

func wanted(filter, kind string) bool { return filter == "" || filter == kind }

// TagPolicyInput sets tags.
type TagPolicyInput struct {
	PolicyInput
	Tags []Tag `wire:",required" max:"50"`
}

func (d *Door) tagPolicy(ctx context.Context, from rouse.Origin, in *TagPolicyInput) (*wire.None, error) {
	return nil, d.identity.TagPolicy(ctx, from.Principal.Account, in.PolicyArn, tagsIn(in.Tags))
}

// UntagPolicyInput removes tags.
type UntagPolicyInput struct {
	PolicyInput
	TagKeys []string `wire:",required" max:"50"`
}

func (d *Door) untagPolicy(ctx context.Context, from rouse.Origin, in *UntagPolicyInput) (*wire.None, error) {
	return nil, d.identity.UntagPolicy(ctx, from.Principal.Account, in.PolicyArn, in.TagKeys)
}

func (d *Door) listPolicyTags(_ context.Context, from rouse.Origin, in *PolicyPageInput) (*ListTagsOutput, error) {
	m, err := d.policy(from, in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return listTags(m.Tags, in.Paging)
}
