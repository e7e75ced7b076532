package apigatewayv2

import (
	"context"

	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

type createAPI struct {
	atAPIs
	api.HTTPAPIInput
	ProtocolType string            `wire:"protocolType,required" name:"ProtocolType"`
	Tags         map[string]string `wire:"tags" name:"Tags"`
}

func (in *createAPI) roles() []string { return rolesOf(in.CredentialsARN) }

type updateAPI struct {
	atAPI
	api.HTTPAPIInput
}

func (in *updateAPI) roles() []string { return rolesOf(in.CredentialsARN) }

type getAPIs struct {
	atAPIs
	page
}

type importAPI struct {
	atAPIs
	document
}

type reimportAPI struct {
	atAPI
	document
}

type document struct {
	Body           string `wire:"body,required" name:"Body"`
	Basepath       string `wire:"basepath,query" name:"Basepath"`
	FailOnWarnings bool   `wire:"failOnWarnings,query" name:"FailOnWarnings"` // there are no warnings: an import works or fails
}

func (in *document) roles() []string { return api.ImportedRoles([]byte(in.Body)) }

type atCORS struct{ atAPI }

func (in atCORS) resource() string { return in.below("cors") }

func (d *Door) apiOperations() []wire.Operation {
	h := d.apis.HTTP
	schema := wire.Refuse("disableSchemaValidation")
	return []wire.Operation{
		op(d, "CreateApi", "POST /v2/apis 201",
			func(ctx context.Context, account string, in *createAPI) (*api.HTTPAPI, error) {
				return answer(h.CreateAPI(ctx, account, in.HTTPAPIInput, in.Tags))
			}, schema, wire.RefuseExcept("protocolType", "HTTP")),
		op(d, "GetApi", "GET /v2/apis/{apiId}", func(ctx context.Context, account string, in *atAPI) (*api.HTTPAPI, error) {
			return answer(h.API(ctx, account, in.APIID))
		}),
		op(d, "GetApis", "GET /v2/apis", func(ctx context.Context, account string, in *getAPIs) (*list[api.HTTPAPI], error) {
			all, err := h.APIs(ctx, account)
			return cut(in.page, all, err)
		}),
		op(d, "UpdateApi", "PATCH /v2/apis/{apiId}",
			func(ctx context.Context, account string, in *updateAPI) (*api.HTTPAPI, error) {
				return answer(h.UpdateAPI(ctx, account, in.APIID, in.HTTPAPIInput))
			}, schema),
		op(d, "DeleteApi", "DELETE /v2/apis/{apiId} 204",
			func(ctx context.Context, account string, in *atAPI) (*wire.None, error) {
				return none(h.DeleteAPI(ctx, account, in.APIID))
			}),
		op(d, "ImportApi", "PUT /v2/apis 201",
			func(ctx context.Context, account string, in *importAPI) (*api.HTTPAPI, error) {
				return answer(h.ImportAPI(ctx, account, []byte(in.Body), in.Basepath))
			}, wire.RefuseExcept("basepath", "ignore", "prepend"), wire.Differs("what AWS warns of is an error or without effect")),
		op(d, "ReimportApi", "PUT /v2/apis/{apiId} 201",
			func(ctx context.Context, account string, in *reimportAPI) (*api.HTTPAPI, error) {
				return answer(h.ReimportAPI(ctx, account, in.APIID, []byte(in.Body), in.Basepath))
			}, wire.RefuseExcept("basepath", "ignore", "prepend"), wire.Differs("what AWS warns of is an error or without effect")),
		op(d, "DeleteCorsConfiguration", "DELETE /v2/apis/{apiId}/cors 204",
			func(ctx context.Context, account string, in *atCORS) (*wire.None, error) {
				return none(h.DeleteCORS(ctx, account, in.APIID))
			}),
	}
}

// ---- routes

type atRoutes struct{ atAPI }

func (in atRoutes) resource() string { return in.below("routes") }

type atRoute struct {
	atAPI
	RouteID string `wire:"routeId,uri,required" name:"RouteId"`
}

func (in atRoute) resource() string { return in.below("routes", in.RouteID) }

type createRoute struct {
	atRoutes
	api.HTTPRouteInput
}

type updateRoute struct {
	atRoute
	api.HTTPRouteInput
}

type getRoutes struct {
	atRoutes
	page
}

func (d *Door) routeOperations() []wire.Operation {
	h := d.apis.HTTP
	refused := wire.Refuse("apiKeyRequired", "authorizationScopes", "authorizerId", "modelSelectionExpression", "requestModels",
		"requestParameters", "routeResponseSelectionExpression")
	return []wire.Operation{
		op(d, "CreateRoute", "POST /v2/apis/{apiId}/routes 201",
			func(ctx context.Context, account string, in *createRoute) (*api.HTTPRoute, error) {
				return answer(h.CreateRoute(ctx, account, in.APIID, in.HTTPRouteInput))
			}, refused, wire.RefuseExcept("authorizationType", "NONE")),
		op(d, "GetRoute", "GET /v2/apis/{apiId}/routes/{routeId}",
			func(ctx context.Context, account string, in *atRoute) (*api.HTTPRoute, error) {
				return answer(h.Route(ctx, account, in.APIID, in.RouteID))
			}),
		op(d, "GetRoutes", "GET /v2/apis/{apiId}/routes",
			func(ctx context.Context, account string, in *getRoutes) (*list[api.HTTPRoute], error) {
				all, err := h.Routes(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateRoute", "PATCH /v2/apis/{apiId}/routes/{routeId}",
			func(ctx context.Context, account string, in *updateRoute) (*api.HTTPRoute, error) {
				return answer(h.UpdateRoute(ctx, account, in.APIID, in.RouteID, in.HTTPRouteInput))
			}, refused, wire.RefuseExcept("authorizationType", "NONE")),
		op(d, "DeleteRoute", "DELETE /v2/apis/{apiId}/routes/{routeId} 204",
			func(ctx context.Context, account string, in *atRoute) (*wire.None, error) {
				return none(h.DeleteRoute(ctx, account, in.APIID, in.RouteID))
			}),
	}
}

// ---- integrations

type atIntegrations struct{ atAPI }

func (in atIntegrations) resource() string { return in.below("integrations") }

type atIntegration struct {
	atAPI
	IntegrationID string `wire:"integrationId,uri,required" name:"IntegrationId"`
}

func (in atIntegration) resource() string { return in.below("integrations", in.IntegrationID) }

type createIntegration struct {
	atIntegrations
	api.HTTPIntegrationInput
}

func (in *createIntegration) roles() []string { return rolesOf(in.CredentialsARN) }

type updateIntegration struct {
	atIntegration
	api.HTTPIntegrationInput
}

func (in *updateIntegration) roles() []string { return rolesOf(in.CredentialsARN) }

type getIntegrations struct {
	atIntegrations
	page
}

func (d *Door) integrationOperations() []wire.Operation {
	h := d.apis.HTTP
	refused := wire.Refuse("connectionId", "contentHandlingStrategy", "integrationSubtype", "passthroughBehavior", "requestParameters",
		"requestTemplates", "responseParameters", "templateSelectionExpression", "tlsConfig")
	internet := wire.RefuseExcept("connectionType", "INTERNET")
	return []wire.Operation{
		op(d, "CreateIntegration", "POST /v2/apis/{apiId}/integrations 201",
			func(ctx context.Context, account string, in *createIntegration) (*api.HTTPIntegration, error) {
				return answer(h.CreateIntegration(ctx, account, in.APIID, in.HTTPIntegrationInput))
			}, refused, internet, wire.Differs("payloadFormatVersion is 1.0 when it is left out")),
		op(d, "GetIntegration", "GET /v2/apis/{apiId}/integrations/{integrationId}",
			func(ctx context.Context, account string, in *atIntegration) (*api.HTTPIntegration, error) {
				return answer(h.Integration(ctx, account, in.APIID, in.IntegrationID))
			}),
		op(d, "GetIntegrations", "GET /v2/apis/{apiId}/integrations",
			func(ctx context.Context, account string, in *getIntegrations) (*list[api.HTTPIntegration], error) {
				all, err := h.Integrations(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateIntegration", "PATCH /v2/apis/{apiId}/integrations/{integrationId}",
			func(ctx context.Context, account string, in *updateIntegration) (*api.HTTPIntegration, error) {
				return answer(h.UpdateIntegration(ctx, account, in.APIID, in.IntegrationID, in.HTTPIntegrationInput))
			}, refused, internet),
		op(d, "DeleteIntegration", "DELETE /v2/apis/{apiId}/integrations/{integrationId} 204",
			func(ctx context.Context, account string, in *atIntegration) (*wire.None, error) {
				return none(h.DeleteIntegration(ctx, account, in.APIID, in.IntegrationID))
			}),
	}
}
