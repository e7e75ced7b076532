package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) policyOperations() []wire.Operation {
	const policy = "/2015-03-31/functions/{FunctionName}/policy"
	return []wire.Operation{
		wire.Op("AddPermission", "POST "+policy+" 201", d.needAddPermission, d.addPermission),
		op(d, "RemovePermission", "DELETE "+policy+"/{StatementId} 204", "lambda:RemovePermission", d.removePermission),
		op(d, "GetPolicy", "GET "+policy, "lambda:GetPolicy", d.getPolicy),
	}
}

// AddPermissionInput of AddPermission.
type AddPermissionInput struct {
	Qualified
	StatementId           string `wire:",required" max:"100"`
	Action                string `wire:",required" pattern:"(lambda:[*]|lambda:[a-zA-Z]+|[*])"`
	Principal             string `wire:",required" max:"256" pattern:"[^\\s]+"`
	SourceArn             string `max:"2048" pattern:"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\\-])+:([a-z]{2}(-gov)?-[a-z]+-\\d{1})?:(\\d{12})?:(.*)"`
	SourceAccount         string `max:"12" pattern:"\\d{12}"`
	EventSourceToken      string `max:"256" pattern:"[a-zA-Z0-9._\\-]+"`
	PrincipalOrgID        string `min:"12" max:"34" pattern:"o-[a-z0-9]{10,32}"`
	FunctionUrlAuthType   string `enum:"NONE|AWS_IAM"`
	InvokedViaFunctionUrl *bool
	RevisionId            string
}

// AddPermissionOutput of AddPermission.
type AddPermissionOutput struct {
	Statement string
}

func (d *Door) needAddPermission(_ context.Context, from rouse.Origin, in *AddPermissionInput) ([]rouse.Need, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	n := d.need("lambda:AddPermission", r)
	n.Conditions = map[string][]string{"lambda:Principal": {in.Principal}}
	if in.FunctionUrlAuthType != "" {
		n.Conditions["lambda:FunctionUrlAuthType"] = []string{in.FunctionUrlAuthType}
	}
	return []rouse.Need{n}, nil
}

func (d *Door) addPermission(ctx context.Context, from rouse.Origin, in *AddPermissionInput) (*AddPermissionOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	s, err := d.catalog.AddPermission(ctx, r, catalog.Grant{
		Sid: in.StatementId, Action: in.Action, Principal: in.Principal, SourceARN: in.SourceArn,
		SourceAccount: in.SourceAccount, Org: in.PrincipalOrgID, EventToken: in.EventSourceToken,
		URLAuthType: in.FunctionUrlAuthType, ViaURL: in.InvokedViaFunctionUrl, RevisionID: in.RevisionId,
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	return &AddPermissionOutput{strings.TrimSuffix(b.String(), "\n")}, nil
}

// RemovePermissionInput of RemovePermission.
type RemovePermissionInput struct {
	Qualified
	StatementId string `wire:"StatementId,uri" max:"100" pattern:"([a-zA-Z0-9-_.]+)"`
	RevisionId  string `wire:"RevisionId,query"`
}

func (d *Door) removePermission(ctx context.Context, from rouse.Origin, in *RemovePermissionInput) (*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.RemovePermission(ctx, r, in.StatementId, in.RevisionId)
}

// GetPolicyInput of GetPolicy.
type GetPolicyInput struct{ Qualified }

// GetPolicyOutput of GetPolicy.
type GetPolicyOutput struct {
	Policy     string
	RevisionId string
}

func (d *Door) getPolicy(_ context.Context, from rouse.Origin, in *GetPolicyInput) (*GetPolicyOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	document, revision, err := d.catalog.GetPolicy(r)
	if err != nil {
		return nil, err
	}
	return &GetPolicyOutput{document, revision}, nil
}
