package lambda

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

func (d *Door) accountOperations() []wire.Operation {
	const concurrency = "/functions/{FunctionName}/concurrency"
	return []wire.Operation{
		wire.Op("GetAccountSettings", "GET /2016-08-19/account-settings",
			onAll[GetAccountSettingsInput]("lambda:GetAccountSettings"), d.accountSettings),
		op(d, "PutFunctionConcurrency", "PUT /2017-10-31"+concurrency, "lambda:PutFunctionConcurrency", d.putConcurrency),
		op(d, "GetFunctionConcurrency", "GET /2019-09-30"+concurrency, "lambda:GetFunctionConcurrency", d.getConcurrency),
		op(d, "DeleteFunctionConcurrency", "DELETE /2017-10-31"+concurrency+" 204", "lambda:DeleteFunctionConcurrency",
			d.deleteConcurrency),
		op(d, "GetFunctionRecursionConfig", "GET /2024-08-31/functions/{FunctionName}/recursion-config",
			"lambda:GetFunctionRecursionConfig", d.getRecursion),
		op(d, "PutFunctionRecursionConfig", "PUT /2024-08-31/functions/{FunctionName}/recursion-config",
			"lambda:PutFunctionRecursionConfig", d.putRecursion, wire.RefuseExcept("RecursiveLoop", "Terminate")),
		op(d, "GetFunctionCodeSigningConfig", "GET /2020-06-30/functions/{FunctionName}/code-signing-config",
			"lambda:GetFunctionCodeSigningConfig", d.getSigning, wire.Differs("there never is one")),
		op(d, "GetRuntimeManagementConfig", "GET /2021-07-20/functions/{FunctionName}/runtime-management-config",
			"lambda:GetRuntimeManagementConfig", d.getRuntimeManagement,
			wire.Differs("always Auto: the runtime is what is installed")),
	}
}

// GetAccountSettingsInput of GetAccountSettings.
type GetAccountSettingsInput struct{}

// GetAccountSettingsOutput of GetAccountSettings.
type GetAccountSettingsOutput struct {
	AccountLimit AccountLimit
	AccountUsage AccountUsage
}

// AccountLimit is what an account may use.
type AccountLimit struct {
	TotalCodeSize                  int64
	CodeSizeUnzipped               int64
	CodeSizeZipped                 int64
	ConcurrentExecutions           int
	UnreservedConcurrentExecutions int
}

// AccountUsage is what it uses.
type AccountUsage struct {
	TotalCodeSize int64
	FunctionCount int64
}

func (d *Door) accountSettings(_ context.Context, from rouse.Origin, _ *GetAccountSettingsInput) (
	*GetAccountSettingsOutput, error) {
	a := d.catalog.Account(from.Principal.Account)
	return &GetAccountSettingsOutput{
		AccountLimit{a.CodeTotalMax, a.UnzippedMax, a.ZippedMax, a.Concurrency, a.UnreservedConcurrency},
		AccountUsage{a.CodeBytes, a.Functions},
	}, nil
}

// Concurrency that is reserved for a function.
type Concurrency struct {
	ReservedConcurrentExecutions *int
}

// PutFunctionConcurrencyInput of PutFunctionConcurrency.
type PutFunctionConcurrencyInput struct {
	Name
	ReservedConcurrentExecutions *int `wire:",required" min:"0"`
}

func (d *Door) putConcurrency(ctx context.Context, from rouse.Origin, in *PutFunctionConcurrencyInput) (
	*Concurrency, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	if err := d.catalog.Reserve(ctx, r, in.ReservedConcurrentExecutions); err != nil {
		return nil, err
	}
	return &Concurrency{in.ReservedConcurrentExecutions}, nil
}

// GetFunctionConcurrencyInput of GetFunctionConcurrency.
type GetFunctionConcurrencyInput struct{ Name }

func (d *Door) getConcurrency(_ context.Context, from rouse.Origin, in *GetFunctionConcurrencyInput) (*Concurrency, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	n, err := d.catalog.Reserved(r)
	if err != nil {
		return nil, err
	}
	return &Concurrency{n}, nil
}

// DeleteFunctionConcurrencyInput of DeleteFunctionConcurrency.
type DeleteFunctionConcurrencyInput struct{ Name }

func (d *Door) deleteConcurrency(ctx context.Context, from rouse.Origin, in *DeleteFunctionConcurrencyInput) (
	*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.Reserve(ctx, r, nil)
}

// RecursionConfig says what becomes of loops.
type RecursionConfig struct {
	RecursiveLoop string
}

// GetFunctionRecursionConfigInput of GetFunctionRecursionConfig.
type GetFunctionRecursionConfigInput struct{ Name }

func (d *Door) getRecursion(_ context.Context, from rouse.Origin, in *GetFunctionRecursionConfigInput) (
	*RecursionConfig, error) {
	return d.recursion(from, in)
}

// PutFunctionRecursionConfigInput of PutFunctionRecursionConfig.
type PutFunctionRecursionConfigInput struct {
	Name
	RecursiveLoop string `wire:",required" enum:"Terminate|Allow"`
}

func (d *Door) putRecursion(_ context.Context, from rouse.Origin, in *PutFunctionRecursionConfigInput) (
	*RecursionConfig, error) {
	return d.recursion(from, in)
}

// recursion is broken always: rouse.HopsMax.
func (d *Door) recursion(from rouse.Origin, in functionNamed) (*RecursionConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	if _, err := d.catalog.Version(r); err != nil {
		return nil, err
	}
	return &RecursionConfig{"Terminate"}, nil
}

// GetFunctionCodeSigningConfigInput of GetFunctionCodeSigningConfig.
type GetFunctionCodeSigningConfigInput struct{ Name }

// GetFunctionCodeSigningConfigOutput of GetFunctionCodeSigningConfig.
type GetFunctionCodeSigningConfigOutput struct {
	FunctionName string
}

func (d *Door) getSigning(_ context.Context, from rouse.Origin, in *GetFunctionCodeSigningConfigInput) (
	*GetFunctionCodeSigningConfigOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	if _, err := d.catalog.Version(r); err != nil {
		return nil, err
	}
	return &GetFunctionCodeSigningConfigOutput{r.Name}, nil
}

// GetRuntimeManagementConfigInput of GetRuntimeManagementConfig.
type GetRuntimeManagementConfigInput struct{ Qualified }

// GetRuntimeManagementConfigOutput of GetRuntimeManagementConfig.
type GetRuntimeManagementConfigOutput struct {
	UpdateRuntimeOn string
	FunctionArn     string
}

func (d *Door) getRuntimeManagement(_ context.Context, from rouse.Origin, in *GetRuntimeManagementConfigInput) (
	*GetRuntimeManagementConfigOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.Version(r)
	if err != nil {
		return nil, err
	}
	return &GetRuntimeManagementConfigOutput{"Auto", v.ARN.String()}, nil
}
