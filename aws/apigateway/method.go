package apigateway

import (
	"context"

	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

type putMethod struct {
	atMethod
	api.RESTMethodInput
}

type updateMethod struct {
	atMethod
	patches
}

type putMethodResponse struct {
	atMethodResponse
	ResponseParameters map[string]bool   `wire:"responseParameters" name:"responseParameters"`
	ResponseModels     map[string]string `wire:"responseModels" name:"responseModels"`
}

type updateMethodResponse struct {
	atMethodResponse
	patches
}

func (d *Door) methodOperations() []wire.Operation {
	r := d.apis.REST
	return []wire.Operation{
		op(d, "PutMethod", "PUT /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method} 201",
			func(ctx context.Context, account string, in *putMethod) (*api.RESTMethod, error) {
				return answer(r.PutMethod(ctx, account, in.APIID, in.ResourceID, in.Method, in.RESTMethodInput))
			}, wire.Refuse("authorizerId", "apiKeyRequired", "requestValidatorId", "authorizationScopes"),
			wire.RefuseExcept("authorizationType", "NONE"), wire.Differs("models are Empty and Error; parameters are declared, and not checked")),
		op(d, "GetMethod", "GET /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}",
			func(ctx context.Context, account string, in *atMethod) (*api.RESTMethod, error) {
				return answer(r.Method(ctx, account, in.APIID, in.ResourceID, in.Method))
			}),
		op(d, "UpdateMethod", "PATCH /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}",
			func(ctx context.Context, account string, in *updateMethod) (*api.RESTMethod, error) {
				return answer(r.UpdateMethod(ctx, account, in.APIID, in.ResourceID, in.Method, in.Operations))
			}),
		op(d, "DeleteMethod", "DELETE /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method} 204",
			func(ctx context.Context, account string, in *atMethod) (*wire.None, error) {
				return none(r.DeleteMethod(ctx, account, in.APIID, in.ResourceID, in.Method))
			}),
		op(d, "PutMethodResponse", "PUT /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}/responses/{status_code} 201",
			func(ctx context.Context, account string, in *putMethodResponse) (*api.MethodResponse, error) {
				return answer(r.PutMethodResponse(ctx, account, in.APIID, in.ResourceID, in.Method, api.MethodResponse{
					StatusCode: in.Status, ResponseParameters: in.ResponseParameters, ResponseModels: in.ResponseModels}))
			}),
		op(d, "GetMethodResponse", "GET /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}/responses/{status_code}",
			func(ctx context.Context, account string, in *atMethodResponse) (*api.MethodResponse, error) {
				return answer(r.MethodResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status))
			}),
		op(d, "UpdateMethodResponse", "PATCH /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}/responses/{status_code} 201",
			func(ctx context.Context, account string, in *updateMethodResponse) (*api.MethodResponse, error) {
				return answer(r.UpdateMethodResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status, in.Operations))
			}),
		op(d, "DeleteMethodResponse", "DELETE /restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}/responses/{status_code} 204",
			func(ctx context.Context, account string, in *atMethodResponse) (*wire.None, error) {
				return none(r.DeleteMethodResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status))
			}),
	}
}

// ---- integrations

type putIntegration struct {
	atIntegration
	api.RESTIntegrationInput
}

func (in *putIntegration) roles() []string {
	if in.Credentials == "" {
		return nil
	}
	return []string{in.Credentials}
}

type updateIntegration struct {
	atIntegration
	patches
}

func (in *updateIntegration) roles() []string {
	var roles []string
	for _, p := range in.Operations {
		if p.Path == "/credentials" && p.Value != "" {
			roles = append(roles, p.Value)
		}
	}
	return roles
}

type putIntegrationResponse struct {
	atIntegrationResponse
	SelectionPattern   string            `wire:"selectionPattern" name:"selectionPattern"`
	ResponseParameters map[string]string `wire:"responseParameters" name:"responseParameters"`
	ResponseTemplates  map[string]string `wire:"responseTemplates" name:"responseTemplates"`
}

type updateIntegrationResponse struct {
	atIntegrationResponse
	patches
}

func (d *Door) integrationOperations() []wire.Operation {
	r := d.apis.REST
	const base = "/restapis/{restapi_id}/resources/{resource_id}/methods/{http_method}/integration"
	return []wire.Operation{
		op(d, "PutIntegration", "PUT "+base+" 201",
			func(ctx context.Context, account string, in *putIntegration) (*api.RESTIntegration, error) {
				return answer(r.PutIntegration(ctx, account, in.APIID, in.ResourceID, in.Method, in.RESTIntegrationInput))
			}, wire.Refuse("connectionId", "tlsConfig", "integrationTarget"), wire.RefuseExcept("connectionType", "INTERNET"),
			wire.RefuseExcept("responseTransferMode", "BUFFERED"), wire.RefuseExcept("type", "AWS_PROXY", "HTTP_PROXY", "MOCK"),
			wire.Differs("mocks have plain templates, as for CORS, and no VTL; request parameters map path parameters of HTTP_PROXY only; no caching: cacheKeyParameters are refused")),
		op(d, "GetIntegration", "GET "+base,
			func(ctx context.Context, account string, in *atIntegration) (*api.RESTIntegration, error) {
				return answer(r.Integration(ctx, account, in.APIID, in.ResourceID, in.Method))
			}),
		op(d, "UpdateIntegration", "PATCH "+base,
			func(ctx context.Context, account string, in *updateIntegration) (*api.RESTIntegration, error) {
				return answer(r.UpdateIntegration(ctx, account, in.APIID, in.ResourceID, in.Method, in.Operations))
			}),
		op(d, "DeleteIntegration", "DELETE "+base+" 204",
			func(ctx context.Context, account string, in *atIntegration) (*wire.None, error) {
				return none(r.DeleteIntegration(ctx, account, in.APIID, in.ResourceID, in.Method))
			}),
		op(d, "PutIntegrationResponse", "PUT "+base+"/responses/{status_code} 201",
			func(ctx context.Context, account string, in *putIntegrationResponse) (*api.IntegrationResponse, error) {
				return answer(r.PutIntegrationResponse(ctx, account, in.APIID, in.ResourceID, in.Method, api.IntegrationResponse{
					StatusCode: in.Status, SelectionPattern: in.SelectionPattern, ResponseParameters: in.ResponseParameters,
					ResponseTemplates: in.ResponseTemplates}))
			}, wire.Refuse("contentHandling"), wire.Differs("acts for mocks, by literals and plain templates; proxies ignore it, as on AWS")),
		op(d, "GetIntegrationResponse", "GET "+base+"/responses/{status_code}",
			func(ctx context.Context, account string, in *atIntegrationResponse) (*api.IntegrationResponse, error) {
				return answer(r.IntegrationResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status))
			}),
		op(d, "UpdateIntegrationResponse", "PATCH "+base+"/responses/{status_code}",
			func(ctx context.Context, account string, in *updateIntegrationResponse) (*api.IntegrationResponse, error) {
				return answer(r.UpdateIntegrationResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status, in.Operations))
			}),
		op(d, "DeleteIntegrationResponse", "DELETE "+base+"/responses/{status_code} 204",
			func(ctx context.Context, account string, in *atIntegrationResponse) (*wire.None, error) {
				return none(r.DeleteIntegrationResponse(ctx, account, in.APIID, in.ResourceID, in.Method, in.Status))
			}),
	}
}
