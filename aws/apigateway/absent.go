package apigateway

import (
	"context"

	"github.com/rouse-dev/rouse/aws/wire"
)

type atAuthorizers struct{ atAPI }

func (in atAuthorizers) resource() string { return in.below("authorizers") }

type getAuthorizers struct {
	atAuthorizers
	page
}

type getAPIKeys struct {
	page
	Name          string `wire:"name,query" name:"nameQuery"`
	CustomerID    string `wire:"customerId,query" name:"customerId"`
	IncludeValues bool   `wire:"includeValues,query" name:"includeValues"`
}

func (getAPIKeys) resource() string { return "/apikeys" }

type getDomainNames struct {
	page
	ResourceOwner string `wire:"resourceOwner,query" name:"resourceOwner" enum:"SELF|OTHER_ACCOUNTS"`
}

func (getDomainNames) resource() string { return "/domainnames" }

type getUsagePlans struct {
	page
	KeyID string `wire:"keyId,query" name:"keyId"`
}

func (getUsagePlans) resource() string { return "/usageplans" }

// absent is an item of a list that is always empty.
type absent struct{}

// absentOperations are lists of what Rouse does not have. Tools ask for them when they read or delete an API, and an empty
// list is the truth; making such a thing is refused.
func (d *Door) absentOperations() []wire.Operation {
	never := wire.Differs("there never are any")
	return []wire.Operation{
		op(d, "GetAuthorizers", "GET /restapis/{restapi_id}/authorizers",
			func(ctx context.Context, account string, in *getAuthorizers) (*list[absent], error) {
				_, err := d.apis.REST.API(ctx, account, in.APIID)
				return cut[absent](in.page, nil, err)
			}, never),
		op(d, "GetApiKeys", "GET /apikeys",
			func(_ context.Context, _ string, in *getAPIKeys) (*list[absent], error) {
				return cut[absent](in.page, nil, nil)
			}, never),
		op(d, "GetDomainNames", "GET /domainnames",
			func(_ context.Context, _ string, in *getDomainNames) (*list[absent], error) {
				return cut[absent](in.page, nil, nil)
			}, never),
		op(d, "GetUsagePlans", "GET /usageplans",
			func(_ context.Context, _ string, in *getUsagePlans) (*list[absent], error) {
				return cut[absent](in.page, nil, nil)
			}, never),
	}
}
