// Package sts is the door of AWS STS: who am I, and temporary credentials, over package identity.
//
// # What it does itself
//
// Nothing but translate. AssumeRole asks for no permission here, because the room decides by the role's trust policy and
// the caller's policies together, which is one decision and not two. GetCallerIdentity and GetSessionToken need no
// permission on AWS either.
//
// # What is refused
//
// Session policies, session tags, MFA codes and source identities narrow or mark a session; a session without them would
// be allowed more, or traced less, than was asked for, so they are refused by name. Federation is not implemented.
//
// # Promises
//
// The door keeps nothing, is safe for concurrent use, and writes nothing: sessions are stateless (package identity).
package sts

import (
	"context"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

// Door answers the STS API.
type Door struct{ identity *identity.Identity }

// New makes the door.
func New(i *identity.Identity) *Door { return &Door{identity: i} }

// Service is the table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "sts", Title: "AWS STS", Protocol: wire.Query, Version: "2011-06-15",
		Namespace: "https://sts.amazonaws.com/doc/2011-06-15/", BodyMax: 64 << 10,
		Errors: wire.QueryErrors().With(rouse.NotFound, "ValidationError", 400),
		Statuses: map[string]int{
			"ExpiredTokenException": 400,
		},
		Operations: []wire.Operation{
			wire.Op("AssumeRole", "", wire.NoNeeds[AssumeRoleInput], d.assumeRole,
				wire.Refuse("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "SerialNumber", "TokenCode", "SourceIdentity",
					"ProvidedContexts"),
				wire.Differs("the root user may assume a role whose trust policy names its account")),
			wire.Op("GetSessionToken", "", wire.NoNeeds[GetSessionTokenInput], d.getSessionToken,
				wire.Refuse("SerialNumber", "TokenCode"),
				wire.Differs("the credentials may call IAM too")),
			wire.Op("GetCallerIdentity", "", wire.NoNeeds[GetCallerIdentityInput], d.getCallerIdentity),
			wire.Op("GetAccessKeyInfo", "", d.needKeyInfo, d.getAccessKeyInfo),
		},
		NotImplemented: []string{"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "DecodeAuthorizationMessage",
			"GetDelegatedAccessToken", "GetFederationToken", "GetWebIdentityToken"},
	}
}

// Credentials of a session.
type Credentials struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

func credentials(c identity.Credentials) Credentials {
	return Credentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires}
}

// AssumeRoleInput asks for a session of a role.
type AssumeRoleInput struct {
	RoleArn         string `wire:",required" min:"20" max:"2048"`
	RoleSessionName string `wire:",required" min:"2" max:"64" pattern:"[\\w+=,.@-]*"`
	DurationSeconds *int   `min:"900" max:"43200"`
	ExternalId      string `min:"2" max:"1224" pattern:"[\\w+=,.@:\\/-]*"`
}

// AssumeRoleOutput is the session.
type AssumeRoleOutput struct {
	Credentials     Credentials
	AssumedRoleUser AssumedRoleUser
}

// AssumedRoleUser names the session.
type AssumedRoleUser struct {
	AssumedRoleId string
	Arn           string
}

func (d *Door) assumeRole(ctx context.Context, from rouse.Origin, in *AssumeRoleInput) (*AssumeRoleOutput, error) {
	a, err := d.identity.Assume(ctx, from, identity.Assumption{
		RoleARN: in.RoleArn, Session: in.RoleSessionName, ExternalID: in.ExternalId, Duration: seconds(in.DurationSeconds),
	})
	if err != nil {
		return nil, err
	}
	return &AssumeRoleOutput{
		Credentials:     credentials(a.Credentials),
		AssumedRoleUser: AssumedRoleUser{AssumedRoleId: a.Origin.Principal.UserID, Arn: a.Origin.Principal.ARN},
	}, nil
}

func seconds(n *int) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Second
}

// GetSessionTokenInput asks for temporary credentials of the caller.
type GetSessionTokenInput struct {
	DurationSeconds *int `min:"900" max:"129600"`
}

// GetSessionTokenOutput holds them.
type GetSessionTokenOutput struct{ Credentials Credentials }

func (d *Door) getSessionToken(ctx context.Context, from rouse.Origin, in *GetSessionTokenInput) (*GetSessionTokenOutput, error) {
	c, err := d.identity.SessionToken(ctx, from, seconds(in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	return &GetSessionTokenOutput{Credentials: credentials(c)}, nil
}

// GetCallerIdentityInput has no members.
type GetCallerIdentityInput struct{}

// GetCallerIdentityOutput says who called.
type GetCallerIdentityOutput struct {
	UserId  string
	Account string
	Arn     string
}

func (d *Door) getCallerIdentity(_ context.Context, from rouse.Origin, _ *GetCallerIdentityInput) (*GetCallerIdentityOutput, error) {
	p := from.Principal
	return &GetCallerIdentityOutput{UserId: p.UserID, Account: p.Account, Arn: p.ARN}, nil
}

// GetAccessKeyInfoInput names an access key.
type GetAccessKeyInfoInput struct {
	AccessKeyId string `wire:",required" min:"16" max:"128" pattern:"[\\w]*"`
}

// GetAccessKeyInfoOutput is its account.
type GetAccessKeyInfoOutput struct{ Account string }

func (d *Door) needKeyInfo(context.Context, rouse.Origin, *GetAccessKeyInfoInput) ([]rouse.Need, error) {
	return []rouse.Need{{Action: "sts:GetAccessKeyInfo", Resource: "*"}}, nil
}

func (d *Door) getAccessKeyInfo(_ context.Context, _ rouse.Origin, in *GetAccessKeyInfoInput) (*GetAccessKeyInfoOutput, error) {
	if account, _, ok := d.identity.KeyOwner(in.AccessKeyId); ok {
		return &GetAccessKeyInfoOutput{Account: account}, nil
	}
	account, ok := identity.AccountOfKey(in.AccessKeyId)
	if !ok {
		return nil, rouse.Errorf(rouse.Invalid, "Invalid AccessKeyId: %s", in.AccessKeyId)
	}
	return &GetAccessKeyInfoOutput{Account: account}, nil
}
