package iam

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

func (d *Door) roleOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateRole", "", d.needCreateRole, d.createRole),
		wire.Op("GetRole", "", about[RoleInput](d, "GetRole"), d.getRole, wire.Differs("RoleLastUsed is always empty")),
		wire.Op("UpdateRole", "", about[UpdateRoleInput](d, "UpdateRole"), d.updateRole),
		wire.Op("UpdateRoleDescription", "", about[UpdateRoleDescriptionInput](d, "UpdateRoleDescription"),
			d.updateRoleDescription),
		wire.Op("UpdateAssumeRolePolicy", "", about[UpdateAssumeRolePolicyInput](d, "UpdateAssumeRolePolicy"),
			d.updateTrust),
		wire.Op("DeleteRole", "", about[RoleInput](d, "DeleteRole"), d.deleteRole),
		wire.Op("ListRoles", "", needs("ListRoles", func(a string, _ *ListInput) string { return "arn:aws:iam::" + a + ":role/" }),
			d.listRoles),
		wire.Op("TagRole", "", withTags(func(in *TagRoleInput) []Tag { return in.Tags }, about[TagRoleInput](d, "TagRole")),
			d.tagRole),
		wire.Op("UntagRole", "", about[UntagRoleInput](d, "UntagRole"), d.untagRole),
		wire.Op("ListRoleTags", "", about[RolePageInput](d, "ListRoleTags"), d.listRoleTags),
		wire.Op("PutRolePermissionsBoundary", "", with("iam:PermissionsBoundary",
			func(in *RoleBoundaryInput) string { return in.PermissionsBoundary },
			about[RoleBoundaryInput](d, "PutRolePermissionsBoundary")), d.putRoleBoundary),
		wire.Op("DeleteRolePermissionsBoundary", "", about[RoleInput](d, "DeleteRolePermissionsBoundary"),
			d.deleteRoleBoundary),
		wire.Op("ListInstanceProfilesForRole", "", about[RolePageInput](d, "ListInstanceProfilesForRole"),
			d.listInstanceProfiles, wire.Differs("there are no instance profiles: the list is empty")),
	}
}

// Role as IAM shows it.
type Role struct {
	Path                     string
	RoleName                 string
	RoleId                   string
	Arn                      string
	CreateDate               time.Time
	AssumeRolePolicyDocument string
	Description              string
	MaxSessionDuration       int
	PermissionsBoundary      *Boundary
	Tags                     []Tag
	RoleLastUsed             *Empty
}

func newRole(r *identity.Role) Role {
	return Role{Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: r.ARN(), CreateDate: r.Created.Truncate(time.Second),
		AssumeRolePolicyDocument: document(r.Trust), Description: r.Description, MaxSessionDuration: r.MaxSession,
		PermissionsBoundary: boundary(r.Boundary), Tags: tagsOut(r.Tags)}
}

// RoleInput names a role.
type RoleInput struct {
	RoleName string `wire:",required" min:"1" max:"64" pattern:"[\\w+=,.@-]+"`
}

// RolePageInput names a role of which something is listed.
type RolePageInput struct {
	RoleInput
	Paging
}

// CreateRoleInput makes a role.
type CreateRoleInput struct {
	RoleInput
	Path                     string `min:"1" max:"512"`
	AssumeRolePolicyDocument string `wire:",required" min:"1" max:"131072"`
	Description              string `max:"1000"`
	MaxSessionDuration       *int   `min:"3600" max:"43200"`
	PermissionsBoundary      string `min:"20" max:"2048"`
	Tags                     []Tag  `max:"50"`
}

// RoleOutput holds a role.
type RoleOutput struct{ Role Role }

func (d *Door) needCreateRole(ctx context.Context, from rouse.Origin, in *CreateRoleInput) ([]rouse.Need, error) {
	n := needs("CreateRole", func(a string, in *CreateRoleInput) string { return newARN(a, "role", in.Path, in.RoleName) })
	n = with("iam:PermissionsBoundary", func(in *CreateRoleInput) string { return in.PermissionsBoundary }, n)
	return withTags(func(in *CreateRoleInput) []Tag { return in.Tags }, n)(ctx, from, in)
}

func (d *Door) createRole(ctx context.Context, from rouse.Origin, in *CreateRoleInput) (*RoleOutput, error) {
	n := identity.NewRole{Account: from.Principal.Account, Name: in.RoleName, Path: in.Path, Description: in.Description,
		Trust: in.AssumeRolePolicyDocument, Boundary: in.PermissionsBoundary, Tags: tagsIn(in.Tags)}
	if in.MaxSessionDuration != nil {
		n.MaxSession = *in.MaxSessionDuration
	}
	r, err := d.identity.CreateRole(ctx, n)
	if err != nil {
		return nil, err
	}
	return &RoleOutput{newRole(r)}, nil
}

func (d *Door) getRole(_ context.Context, from rouse.Origin, in *RoleInput) (*RoleOutput, error) {
	r, err := d.identity.Role(from.Principal.Account, in.RoleName)
	if err != nil {
		return nil, err
	}
	out := RoleOutput{newRole(r)}
	out.Role.RoleLastUsed = &Empty{}
	return &out, nil
}

// UpdateRoleInput changes a role.
type UpdateRoleInput struct {
	RoleInput
	Description        *string `max:"1000"`
	MaxSessionDuration *int    `min:"3600" max:"43200"`
}

func (d *Door) updateRole(ctx context.Context, from rouse.Origin, in *UpdateRoleInput) (*Empty, error) {
	return nil, d.identity.UpdateRole(ctx, from.Principal.Account, in.RoleName, in.Description, in.MaxSessionDuration)
}

// UpdateRoleDescriptionInput changes the description of a role.
type UpdateRoleDescriptionInput struct {
	RoleInput
	Description *string `wire:",required" max:"1000"`
}

func (d *Door) updateRoleDescription(ctx context.Context, from rouse.Origin, in *UpdateRoleDescriptionInput) (*RoleOutput, error) {
	if err := d.identity.UpdateRole(ctx, from.Principal.Account, in.RoleName, in.Description, nil); err != nil {
		return nil, err
	}
	r, err := d.identity.Role(from.Principal.Account, in.RoleName)
	if err != nil {
		return nil, err
	}
	return &RoleOutput{newRole(r)}, nil
}

// UpdateAssumeRolePolicyInput replaces a trust policy.
type UpdateAssumeRolePolicyInput struct {
	RoleInput
	PolicyDocument string `wire:",required" min:"1" max:"131072"`
}

func (d *Door) updateTrust(ctx context.Context, from rouse.Origin, in *UpdateAssumeRolePolicyInput) (*wire.None, error) {
	return nil, d.identity.SetTrust(ctx, from.Principal.Account, in.RoleName, in.PolicyDocument)
}

func (d *Door) deleteRole(ctx context.Context, from rouse.Origin, in *RoleInput) (*wire.None, error) {
	return nil, d.identity.DeleteRole(ctx, from.Principal.Account, in.RoleName)
}

// ListInput lists roles or users.
type ListInput struct {
	PathPrefix string `min:"1" max:"512"`
	Paging
}

// ListRolesOutput is a page of roles; tags and boundaries are left out, as on AWS.
type ListRolesOutput struct {
	Roles []Role
	Paged
}

func (d *Door) listRoles(_ context.Context, from rouse.Origin, in *ListInput) (*ListRolesOutput, error) {
	list, paged, err := page(d.identity.Roles(from.Principal.Account, in.PathPrefix), in.Paging,
		func(r *identity.Role) string { return r.Name })
	if err != nil {
		return nil, err
	}
	out := &ListRolesOutput{Roles: []Role{}, Paged: paged}
	for _, r := range list {
		role := newRole(r)
		role.Tags, role.PermissionsBoundary = nil, nil
		out.Roles = append(out.Roles, role)
	}
	return out, nil
}

// TagRoleInput sets tags.
type TagRoleInput struct {
	RoleInput
	Tags []Tag `wire:",required" max:"50"`
}

func (d *Door) tagRole(ctx context.Context, from rouse.Origin, in *TagRoleInput) (*wire.None, error) {
	return nil, d.identity.Tag(ctx, identity.RoleNamed(from.Principal.Account, in.RoleName), tagsIn(in.Tags))
}

// UntagRoleInput removes tags.
type UntagRoleInput struct {
	RoleInput
	TagKeys []string `wire:",required" max:"50"`
}

func (d *Door) untagRole(ctx context.Context, from rouse.Origin, in *UntagRoleInput) (*wire.None, error) {
	return nil, d.identity.Untag(ctx, identity.RoleNamed(from.Principal.Account, in.RoleName), in.TagKeys)
}

// ListTagsOutput is a page of tags.
type ListTagsOutput struct {
	Tags []Tag
	Paged
}

func listTags(tags []identity.Tag, p Paging) (*ListTagsOutput, error) {
	list, paged, err := page(tagsOut(tags), p, func(t Tag) string { return t.Key })
	if err != nil {
		return nil, err
	}
	return &ListTagsOutput{list, paged}, nil
}

func (d *Door) listRoleTags(_ context.Context, from rouse.Origin, in *RolePageInput) (*ListTagsOutput, error) {
	r, err := d.identity.Role(from.Principal.Account, in.RoleName)
	if err != nil {
		return nil, err
	}
	return listTags(r.Tags, in.Paging)
}

// RoleBoundaryInput sets a permissions boundary.
type RoleBoundaryInput struct {
	RoleInput
	PermissionsBoundary string `wire:",required" min:"20" max:"2048"`
}

func (d *Door) putRoleBoundary(ctx context.Context, from rouse.Origin, in *RoleBoundaryInput) (*wire.None, error) {
	return nil, d.identity.SetBoundary(ctx, identity.RoleNamed(from.Principal.Account, in.RoleName), in.PermissionsBoundary)
}

func (d *Door) deleteRoleBoundary(ctx context.Context, from rouse.Origin, in *RoleInput) (*wire.None, error) {
	return nil, d.identity.SetBoundary(ctx, identity.RoleNamed(from.Principal.Account, in.RoleName), "")
}

// ListInstanceProfilesOutput is empty.
type ListInstanceProfilesOutput struct {
	InstanceProfiles []Empty
	Paged
}

func (d *Door) listInstanceProfiles(_ context.Context, from rouse.Origin, in *RolePageInput) (*ListInstanceProfilesOutput, error) {
	if _, err := d.identity.Role(from.Principal.Account, in.RoleName); err != nil {
		return nil, err
	}
	return &ListInstanceProfilesOutput{InstanceProfiles: []Empty{}}, nil
}
