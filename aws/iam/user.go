package iam

import (
	"context"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

func (d *Door) userOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateUser", "", d.needCreateUser, d.createUser),
		wire.Op("GetUser", "", d.needOwn("GetUser"), d.getUser),
		wire.Op("DeleteUser", "", about[UserInput](d, "DeleteUser"), d.deleteUser),
		wire.Op("ListUsers", "", needs("ListUsers", func(a string, _ *ListInput) string { return "arn:aws:iam::" + a + ":user/" }),
			d.listUsers),
		wire.Op("TagUser", "", withTags(func(in *TagUserInput) []Tag { return in.Tags }, about[TagUserInput](d, "TagUser")),
			d.tagUser),
		wire.Op("UntagUser", "", about[UntagUserInput](d, "UntagUser"), d.untagUser),
		wire.Op("ListUserTags", "", about[UserPageInput](d, "ListUserTags"), d.listUserTags),
		wire.Op("PutUserPermissionsBoundary", "", with("iam:PermissionsBoundary",
			func(in *UserBoundaryInput) string { return in.PermissionsBoundary },
			about[UserBoundaryInput](d, "PutUserPermissionsBoundary")), d.putUserBoundary),
		wire.Op("DeleteUserPermissionsBoundary", "", about[UserInput](d, "DeleteUserPermissionsBoundary"), d.deleteUserBoundary),
		wire.Op("ListGroupsForUser", "", about[UserPageInput](d, "ListGroupsForUser"), d.listGroups,
			wire.Differs("there are no groups: the list is empty")),
		wire.Op("ListAccountAliases", "", needs("ListAccountAliases", func(string, *AliasesInput) string { return "*" }),
			d.listAliases, wire.Differs("there are no aliases: the list is empty")),
	}
}

func (d *Door) keyOperations() []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateAccessKey", "", d.needOwn("CreateAccessKey"), d.createKey),
		wire.Op("ListAccessKeys", "", d.needOwnKeys("ListAccessKeys"), d.listKeys),
		wire.Op("UpdateAccessKey", "", d.needKey("UpdateAccessKey"), d.updateKey),
		wire.Op("DeleteAccessKey", "", d.needDeleteKey, d.deleteKey),
	}
}

// User as IAM shows it.
type User struct {
	Path                string
	UserName            string
	UserId              string
	Arn                 string
	CreateDate          time.Time
	PermissionsBoundary *Boundary
	Tags                []Tag
}

func newUser(u *identity.User) User {
	return User{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: u.ARN(), CreateDate: u.Created.Truncate(time.Second),
		PermissionsBoundary: boundary(u.Boundary), Tags: tagsOut(u.Tags)}
}

// UserInput names a user.
type UserInput struct {
	UserName string `wire:",required" min:"1" max:"128" pattern:"[\\w+=,.@-]+"`
}

// UserPageInput names a user of whom something is listed.
type UserPageInput struct {
	UserInput
	Paging
}

// OwnInput names a user, or means the caller.
type OwnInput struct {
	UserName string `min:"1" max:"128" pattern:"[\\w+=,.@-]+"`
}

// whose is the user that is meant: "" for the root user.
func whose(from rouse.Origin, userName string) (string, error) {
	switch {
	case userName != "":
		return userName, nil
	case from.Root:
		return "", nil
	case from.RoleARN != "" || !strings.Contains(from.Principal.ARN, ":user/"):
		return "", rouse.Errorf(rouse.Invalid, "Must specify userName when calling with non-User credentials")
	}
	return from.Principal.ARN[strings.LastIndexByte(from.Principal.ARN, '/')+1:], nil
}

func (d *Door) ownNeed(action string, from rouse.Origin, userName string) ([]rouse.Need, error) {
	name, err := whose(from, userName)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return needOn(action, from.Principal.ARN), nil
	}
	return needOn(action, d.userARN(from.Principal.Account, name)), nil
}

func (d *Door) needOwn(action string) func(context.Context, rouse.Origin, *OwnInput) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *OwnInput) ([]rouse.Need, error) {
		return d.ownNeed(action, from, in.UserName)
	}
}

// CreateUserInput makes a user.
type CreateUserInput struct {
	UserName            string `wire:",required" min:"1" max:"64" pattern:"[\\w+=,.@-]+"`
	Path                string `min:"1" max:"512"`
	PermissionsBoundary string `min:"20" max:"2048"`
	Tags                []Tag  `max:"50"`
}

// UserOutput holds a user.
type UserOutput struct{ User User }

func (d *Door) needCreateUser(ctx context.Context, from rouse.Origin, in *CreateUserInput) ([]rouse.Need, error) {
	n := needs("CreateUser", func(a string, in *CreateUserInput) string { return newARN(a, "user", in.Path, in.UserName) })
	n = with("iam:PermissionsBoundary", func(in *CreateUserInput) string { return in.PermissionsBoundary }, n)
	return withTags(func(in *CreateUserInput) []Tag { return in.Tags }, n)(ctx, from, in)
}

func (d *Door) createUser(ctx context.Context, from rouse.Origin, in *CreateUserInput) (*UserOutput, error) {
	u, err := d.identity.CreateUser(ctx, identity.NewUser{Account: from.Principal.Account, Name: in.UserName, Path: in.Path,
		Boundary: in.PermissionsBoundary, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &UserOutput{newUser(u)}, nil
}

func (d *Door) getUser(_ context.Context, from rouse.Origin, in *OwnInput) (*UserOutput, error) {
	name, err := whose(from, in.UserName)
	if err != nil {
		return nil, err
	}
	if name == "" {
		p := from.Principal
		since := d.identity.Since(p.Account).Truncate(time.Second)
		return &UserOutput{User{Path: "/", UserId: p.UserID, Arn: p.ARN, CreateDate: since}}, nil
	}
	u, err := d.identity.User(from.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	return &UserOutput{newUser(u)}, nil
}

func (d *Door) deleteUser(ctx context.Context, from rouse.Origin, in *UserInput) (*wire.None, error) {
	return nil, d.identity.DeleteUser(ctx, from.Principal.Account, in.UserName)
}

// ListUsersOutput is a page of users; tags and boundaries are left out, as on AWS.
type ListUsersOutput struct {
	Users []User
	Paged
}

func (d *Door) listUsers(_ context.Context, from rouse.Origin, in *ListInput) (*ListUsersOutput, error) {
	list, paged, err := page(d.identity.Users(from.Principal.Account, in.PathPrefix), in.Paging,
		func(u *identity.User) string { return u.Name })
	if err != nil {
		return nil, err
	}
	out := &ListUsersOutput{Users: []User{}, Paged: paged}
	for _, u := range list {
		user := newUser(u)
		user.Tags, user.PermissionsBoundary = nil, nil
		out.Users = append(out.Users, user)
	}
	return out, nil
}

// TagUserInput sets tags.
type TagUserInput struct {
	UserInput
	Tags []Tag `wire:",required" max:"50"`
}

func (d *Door) tagUser(ctx context.Context, from rouse.Origin, in *TagUserInput) (*wire.None, error) {
	return nil, d.identity.Tag(ctx, in.who(from.Principal.Account), tagsIn(in.Tags))
}

// UntagUserInput removes tags.
type UntagUserInput struct {
	UserInput
	TagKeys []string `wire:",required" max:"50"`
}

func (d *Door) untagUser(ctx context.Context, from rouse.Origin, in *UntagUserInput) (*wire.None, error) {
	return nil, d.identity.Untag(ctx, in.who(from.Principal.Account), in.TagKeys)
}

func (d *Door) listUserTags(_ context.Context, from rouse.Origin, in *UserPageInput) (*ListTagsOutput, error) {
	u, err := d.identity.User(from.Principal.Account, in.UserName)
	if err != nil {
		return nil, err
	}
	return listTags(u.Tags, in.Paging)
}

// UserBoundaryInput sets a permissions boundary.
type UserBoundaryInput struct {
	UserInput
	PermissionsBoundary string `wire:",required" min:"20" max:"2048"`
}

func (d *Door) putUserBoundary(ctx context.Context, from rouse.Origin, in *UserBoundaryInput) (*wire.None, error) {
	return nil, d.identity.SetBoundary(ctx, in.who(from.Principal.Account), in.PermissionsBoundary)
}

func (d *Door) deleteUserBoundary(ctx context.Context, from rouse.Origin, in *UserInput) (*wire.None, error) {
	return nil, d.identity.SetBoundary(ctx, in.who(from.Principal.Account), "")
}

// ListGroupsOutput is empty.
type ListGroupsOutput struct {
	Groups []Empty
	Paged
}

func (d *Door) listGroups(_ context.Context, from rouse.Origin, in *UserPageInput) (*ListGroupsOutput, error) {
	if _, err := d.identity.User(from.Principal.Account, in.UserName); err != nil {
		return nil, err
	}
	return &ListGroupsOutput{Groups: []Empty{}}, nil
}

// AliasesInput lists aliases of the account.
type AliasesInput struct{ Paging }

// AliasesOutput is empty.
type AliasesOutput struct {
	AccountAliases []string
	Paged
}

func (d *Door) listAliases(context.Context, rouse.Origin, *AliasesInput) (*AliasesOutput, error) {
	return &AliasesOutput{AccountAliases: []string{}}, nil
}

// AccessKey is a new key, with its secret.
type AccessKey struct {
	UserName        string
	AccessKeyId     string
	Status          string
	SecretAccessKey string
	CreateDate      time.Time
}

// CreateAccessKeyOutput holds a new key.
type CreateAccessKeyOutput struct{ AccessKey AccessKey }

func (d *Door) createKey(ctx context.Context, from rouse.Origin, in *OwnInput) (*CreateAccessKeyOutput, error) {
	name, err := whose(from, in.UserName)
	if err != nil {
		return nil, err
	}
	k, err := d.identity.CreateAccessKey(ctx, from.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	return &CreateAccessKeyOutput{AccessKey{k.User, k.ID, k.Status, k.Secret, k.Created.Truncate(time.Second)}}, nil
}

// OwnPageInput lists something of a user, or of the caller.
type OwnPageInput struct {
	OwnInput
	Paging
}

func (d *Door) needOwnKeys(action string) func(context.Context, rouse.Origin, *OwnPageInput) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *OwnPageInput) ([]rouse.Need, error) {
		return d.ownNeed(action, from, in.UserName)
	}
}

// AccessKeyMetadata is a key without its secret.
type AccessKeyMetadata struct {
	UserName    string
	AccessKeyId string
	Status      string
	CreateDate  time.Time
}

// ListAccessKeysOutput is a page of keys.
type ListAccessKeysOutput struct {
	AccessKeyMetadata []AccessKeyMetadata
	Paged
}

func (d *Door) listKeys(_ context.Context, from rouse.Origin, in *OwnPageInput) (*ListAccessKeysOutput, error) {
	name, err := whose(from, in.UserName)
	if err != nil {
		return nil, err
	}
	keys, err := d.identity.AccessKeys(from.Principal.Account, name)
	if err != nil {
		return nil, err
	}
	list, paged, err := page(keys, in.Paging, func(k identity.AccessKey) string { return k.ID })
	if err != nil {
		return nil, err
	}
	out := &ListAccessKeysOutput{AccessKeyMetadata: []AccessKeyMetadata{}, Paged: paged}
	for _, k := range list {
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, AccessKeyMetadata{k.User, k.ID, k.Status, k.Created.Truncate(time.Second)})
	}
	return out, nil
}

// KeyInput names a key of a user, or of the caller.
type KeyInput struct {
	OwnInput
	AccessKeyId string `wire:",required" min:"16" max:"128" pattern:"[\\w]+"`
}

// UpdateAccessKeyInput makes a key active or not.
type UpdateAccessKeyInput struct {
	KeyInput
	Status string `wire:",required" enum:"Active|Inactive|Expired"`
}

func (d *Door) needKey(action string) func(context.Context, rouse.Origin, *UpdateAccessKeyInput) ([]rouse.Need, error) {
	return func(_ context.Context, from rouse.Origin, in *UpdateAccessKeyInput) ([]rouse.Need, error) {
		return d.ownNeed(action, from, in.UserName)
	}
}

func (d *Door) updateKey(ctx context.Context, from rouse.Origin, in *UpdateAccessKeyInput) (*wire.None, error) {
	name, err := whose(from, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, d.identity.SetAccessKeyStatus(ctx, from.Principal.Account, name, in.AccessKeyId, in.Status)
}

func (d *Door) needDeleteKey(_ context.Context, from rouse.Origin, in *KeyInput) ([]rouse.Need, error) {
	return d.ownNeed("DeleteAccessKey", from, in.UserName)
}

func (d *Door) deleteKey(ctx context.Context, from rouse.Origin, in *KeyInput) (*wire.None, error) {
	name, err := whose(from, in.UserName)
	if err != nil {
		return nil, err
	}
	return nil, d.identity.DeleteAccessKey(ctx, from.Principal.Account, name, in.AccessKeyId)
}
