// Package iam is the door of AWS IAM over package identity: the operations that tools call to make a function with a role,
// and users and keys for people.
//
// # What it does itself
//
// Translate. Handlers read names, call the room, and write its entities in IAM's shapes: documents percent-encoded, as IAM
// answers them, and lists in pages with Marker and MaxItems, over the room's snapshot. Needs name IAM's actions on the
// entity's ARN, with the condition keys iam:PolicyARN, iam:PermissionsBoundary, aws:RequestTag and aws:TagKeys.
//
// # What is not there
//
// Groups, instance profiles, identity providers, MFA, passwords, certificates and service-linked roles. Lists of groups
// and instance profiles that tools ask for before they delete a user or a role are answered, empty as they are. The rest
// is listed under NotImplemented.
//
// # Promises
//
// The door keeps nothing and is safe for concurrent use. What it acknowledged is on disk and in force on this node. A page
// that follows a change continues by name: nothing that stayed is left out or comes twice.
package iam

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/identity"
)

// Door answers the IAM API.
type Door struct{ identity *identity.Identity }

// New makes the door.
func New(i *identity.Identity) *Door { return &Door{identity: i} }

// Service is the table.
func (d *Door) Service() wire.Service {
	return wire.Service{
		Name: "iam", Title: "AWS IAM", Protocol: wire.Query, Version: "2010-05-08",
		Namespace: "https://iam.amazonaws.com/doc/2010-05-08/", BodyMax: 1 << 20,
		Errors: wire.QueryErrors(),
		Statuses: map[string]int{
			"MalformedPolicyDocument": 400, "DeleteConflict": 409, "InvalidInput": 400, "ConcurrentModification": 409,
			"ExpiredTokenException": 403,
		},
		Operations: slices.Concat(d.roleOperations(), d.rolePolicyOperations(), d.userOperations(), d.userPolicyOperations(),
			d.keyOperations(), d.policyOperations()),
		NotImplemented: notImplemented(),
	}
}

func notImplemented() []string {
	return strings.Fields(`AcceptDelegationRequest AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup
		AssociateDelegationRequest AttachGroupPolicy ChangePassword CreateAccountAlias CreateDelegationRequest CreateGroup
		CreateInstanceProfile CreateLoginProfile CreateOpenIDConnectProvider CreateSAMLProvider CreateServiceLinkedRole
		CreateServiceSpecificCredential CreateVirtualMFADevice DeactivateMFADevice DeleteAccountAlias
		DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy DeleteInstanceProfile DeleteLoginProfile
		DeleteOpenIDConnectProvider DeleteSAMLProvider DeleteSSHPublicKey DeleteServerCertificate DeleteServiceLinkedRole
		DeleteServiceSpecificCredential DeleteSigningCertificate DeleteVirtualMFADevice DetachGroupPolicy
		DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions DisableOutboundWebIdentityFederation
		EnableMFADevice EnableOrganizationsRootCredentialsManagement EnableOrganizationsRootSessions
		EnableOutboundWebIdentityFederation GenerateCredentialReport GenerateOrganizationsAccessReport
		GenerateServiceLastAccessedDetails GetAccessKeyLastUsed GetAccountAuthorizationDetails GetAccountPasswordPolicy
		GetAccountSummary GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy GetCredentialReport
		GetDelegationRequest GetGroup GetGroupPolicy GetHumanReadableSummary GetInstanceProfile GetLoginProfile GetMFADevice
		GetOpenIDConnectProvider GetOrganizationsAccessReport GetOutboundWebIdentityFederationInfo GetSAMLProvider
		GetSSHPublicKey GetServerCertificate GetServiceLastAccessedDetails GetServiceLastAccessedDetailsWithEntities
		GetServiceLinkedRoleDeletionStatus ListAttachedGroupPolicies ListDelegationRequests ListGroupPolicies
		ListInstanceProfileTags ListMFADeviceTags ListMFADevices ListOpenIDConnectProviderTags ListOpenIDConnectProviders
		ListOrganizationsFeatures ListPoliciesGrantingServiceAccess ListSAMLProviderTags ListSAMLProviders ListSSHPublicKeys
		ListServerCertificateTags ListServerCertificates ListServiceSpecificCredentials ListSigningCertificates
		ListVirtualMFADevices PutGroupPolicy RejectDelegationRequest RemoveClientIDFromOpenIDConnectProvider
		RemoveRoleFromInstanceProfile RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice SendDelegationToken
		SetSecurityTokenServicePreferences SimulateCustomPolicy SimulatePrincipalPolicy TagInstanceProfile TagMFADevice
		TagOpenIDConnectProvider TagSAMLProvider TagServerCertificate UntagInstanceProfile UntagMFADevice
		UntagOpenIDConnectProvider UntagSAMLProvider UntagServerCertificate UpdateAccountPasswordPolicy
		UpdateDelegationRequest UpdateGroup UpdateLoginProfile UpdateOpenIDConnectProviderThumbprint UpdateSAMLProvider
		UpdateSSHPublicKey UpdateServerCertificate UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser
		UploadSSHPublicKey UploadServerCertificate UploadSigningCertificate ListGroups ListInstanceProfiles`)
}

// Tag of an entity.
type Tag struct {
	Key   string `wire:",required" min:"1" max:"128"`
	Value string `wire:",keep" max:"256"`
}

func tagsIn(tags []Tag) []identity.Tag {
	out := make([]identity.Tag, len(tags))
	for i, t := range tags {
		out[i] = identity.Tag(t)
	}
	return out
}

// tagsOut leaves the list out where there are none, as IAM does for entities.
func tagsOut(tags []identity.Tag) []Tag {
	var out []Tag
	for _, t := range tags {
		out = append(out, Tag(t))
	}
	return out
}

// Boundary is a permissions boundary.
type Boundary struct {
	PermissionsBoundaryType string
	PermissionsBoundaryArn  string
}

func boundary(arn string) *Boundary {
	if arn == "" {
		return nil
	}
	return &Boundary{"Policy", arn}
}

// document is percent-encoded as IAM answers it (RFC 3986).
func document(doc string) string {
	return strings.ReplaceAll(url.QueryEscape(doc), "+", "%20")
}

// Paging is how every list is asked for.
type Paging struct {
	Marker   string `min:"1" max:"400"`
	MaxItems *int   `min:"1" max:"1000"`
}

// Paged is how every list answers.
type Paged struct {
	IsTruncated bool
	Marker      string
}

const pageDefault = 100

// page cuts out of items, which are ordered, what comes behind the marker. name is unique.
func page[T any](items []T, p Paging, name func(T) string) ([]T, Paged, error) {
	if p.Marker != "" {
		last, err := base64.RawURLEncoding.DecodeString(p.Marker)
		if err != nil {
			return nil, Paged{}, rouse.Errorf(rouse.Invalid, "Invalid Marker.")
		}
		items = items[firstBehind(items, string(last), name):]
	}
	limit := pageDefault
	if p.MaxItems != nil {
		limit = *p.MaxItems
	}
	if len(items) <= limit {
		return append([]T{}, items...), Paged{}, nil // an empty list is sent, a nil one is not
	}
	items = items[:limit]
	marker := base64.RawURLEncoding.EncodeToString([]byte(name(items[limit-1])))
	return items, Paged{IsTruncated: true, Marker: marker}, nil
}

// firstBehind finds the item to go on with: behind the last one, or, when that is gone, the first whose name is greater.
func firstBehind[T any](items []T, last string, name func(T) string) int {
	for i, it := range items {
		if name(it) == last {
			return i + 1
		}
	}
	for i, it := range items {
		if strings.ToLower(name(it)) > strings.ToLower(last) {
			return i
		}
	}
	return len(items)
}

func itself(s string) string { return s }

// needOn asks for action on an entity.
func needOn(action, arn string) []rouse.Need {
	return []rouse.Need{{Action: "iam:" + action, Resource: arn}}
}

// asks is the needs of an operation.
type asks[In any] = func(context.Context, rouse.Origin, *In) ([]rouse.Need, error)

// needs of an operation whose input names its resource by arn.
func needs[In any](action string, arn func(account string, in *In) string) asks[In] {
	return func(_ context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		return needOn(action, arn(from.Principal.Account, in)), nil
	}
}

// with adds a condition key to needs.
func with[In any](key string, value func(in *In) string, base asks[In]) asks[In] {
	return func(ctx context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		list, err := base(ctx, from, in)
		if v := value(in); v != "" && err == nil {
			addCondition(&list[0], key, v)
		}
		return list, err
	}
}

func addCondition(n *rouse.Need, key string, values ...string) {
	if n.Conditions == nil {
		n.Conditions = map[string][]string{}
	}
	n.Conditions[key] = append(n.Conditions[key], values...)
}

// withTags adds the condition keys of tags that a request brings.
func withTags[In any](tags func(in *In) []Tag, base asks[In]) asks[In] {
	return func(ctx context.Context, from rouse.Origin, in *In) ([]rouse.Need, error) {
		list, err := base(ctx, from, in)
		if err != nil {
			return nil, err
		}
		for _, t := range tags(in) {
			addCondition(&list[0], "aws:RequestTag/"+t.Key, t.Value)
			addCondition(&list[0], "aws:TagKeys", t.Key)
		}
		return list, nil
	}
}

// roleARN is the ARN of a role as it is, or as it would be without a path.
func (d *Door) roleARN(account, name string) string {
	if r, err := d.identity.Role(account, name); err == nil {
		return r.ARN()
	}
	return "arn:aws:iam::" + account + ":role/" + name
}

func (d *Door) userARN(account, name string) string {
	if u, err := d.identity.User(account, name); err == nil {
		return u.ARN()
	}
	return "arn:aws:iam::" + account + ":user/" + name
}

// newARN is the ARN of what is about to be made.
func newARN(account, kind, path, name string) string {
	if path == "" {
		path = "/"
	}
	return "arn:aws:iam::" + account + ":" + kind + path + name
}

// Empty is the answer of operations whose result is an empty element.
type Empty struct{}
