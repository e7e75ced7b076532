package apigateway

import (
	"context"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

type createAPI struct {
	atAPIs
	api.RESTAPIInput
}

type getAPIs struct {
	atAPIs
	page
}

type updateAPI struct {
	atAPI
	patches
}

type importAPI struct {
	atAPIs
	document
}

type putAPI struct {
	atAPI
	document
	Mode string `wire:"mode,query" name:"mode" enum:"merge|overwrite"`
}

type document struct {
	Body           []byte            `wire:"body,payload,required" name:"body"`
	FailOnWarnings bool              `wire:"failonwarnings,query" name:"failOnWarnings"` // there are no warnings: an import works or fails
	Parameters     map[string]string `wire:"parameters,query" name:"parameters"`
}

func (in *document) roles() []string { return api.ImportedRoles(in.Body) }

// spec reads the parameters, which say what the document does not.
func (in *document) spec() (api.RESTImport, error) {
	out := api.RESTImport{Body: in.Body}
	for name, value := range in.Parameters {
		switch name {
		case "basepath":
			out.Basepath = value
		case "endpointConfigurationTypes":
			out.Endpoints = strings.Split(value, ",")
		case "ignore", "mode": // documentation is ignored in any case; mode=import is part of the route
		default:
			return out, rouse.Errorf(rouse.Unsupported, "Rouse does not implement the import parameter %s", name)
		}
	}
	return out, nil
}

func (d *Door) apiOperations() []wire.Operation {
	r := d.apis.REST
	warnings := wire.Differs("what AWS warns of is an error or without effect; models and documentation are not kept")
	return []wire.Operation{
		op(d, "CreateRestApi", "POST /restapis 201",
			func(ctx context.Context, account string, in *createAPI) (*api.RESTAPI, error) {
				return answer(r.CreateAPI(ctx, account, in.RESTAPIInput))
			}, wire.Refuse("cloneFrom", "policy", "endpointConfiguration.vpcEndpointIds", "securityPolicy", "endpointAccessMode"),
			wire.RefuseExcept("apiKeySource", "HEADER"), wire.Differs("all endpoint types are served alike, without CloudFront")),
		op(d, "GetRestApi", "GET /restapis/{restapi_id}",
			func(ctx context.Context, account string, in *atAPI) (*api.RESTAPI, error) {
				return answer(r.API(ctx, account, in.APIID))
			}),
		op(d, "GetRestApis", "GET /restapis",
			func(ctx context.Context, account string, in *getAPIs) (*list[api.RESTAPI], error) {
				all, err := r.APIs(ctx, account)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateRestApi", "PATCH /restapis/{restapi_id}",
			func(ctx context.Context, account string, in *updateAPI) (*api.RESTAPI, error) {
				return answer(r.UpdateAPI(ctx, account, in.APIID, in.Operations))
			}),
		op(d, "DeleteRestApi", "DELETE /restapis/{restapi_id} 202",
			func(ctx context.Context, account string, in *atAPI) (*wire.None, error) {
				return none(r.DeleteAPI(ctx, account, in.APIID))
			}),
		op(d, "ImportRestApi", "POST /restapis?mode=import 201",
			func(ctx context.Context, account string, in *importAPI) (*api.RESTAPI, error) {
				spec, err := in.spec()
				if err != nil {
					return nil, err
				}
				return answer(r.ImportAPI(ctx, account, spec))
			}, warnings),
		op(d, "PutRestApi", "PUT /restapis/{restapi_id}",
			func(ctx context.Context, account string, in *putAPI) (*api.RESTAPI, error) {
				spec, err := in.spec()
				if err != nil {
					return nil, err
				}
				spec.Merge = in.Mode != "overwrite"
				return answer(r.PutAPI(ctx, account, in.APIID, spec))
			}, warnings),
	}
}

// ---- resources

type createResource struct {
	atAPI
	ParentID string `wire:"parent_id,uri,required" name:"parentId"`
	PathPart string `wire:"pathPart,required" name:"pathPart"`
}

func (in createResource) resource() string { return in.below("resources", in.ParentID) }

type getResource struct {
	atResource
	Embed []string `wire:"embed,query" name:"embed"`
}

type getResources struct {
	atAPI
	page
	Embed []string `wire:"embed,query" name:"embed"`
}

func (in getResources) resource() string { return in.below("resources") }

type updateResource struct {
	atResource
	patches
}

// brief leaves the methods of a resource as AWS shows them: by name, and whole only when asked for.
func brief(res api.RESTResource, embed []string) api.RESTResource {
	for _, e := range embed {
		if e == "methods" {
			return res
		}
	}
	if len(res.Methods) == 0 {
		return res
	}
	names := make(map[string]api.RESTMethod, len(res.Methods))
	for name := range res.Methods {
		names[name] = api.RESTMethod{HTTPMethod: name}
	}
	res.Methods = names
	return res
}

func (d *Door) resourceOperations() []wire.Operation {
	r := d.apis.REST
	shown := wire.Differs("methods that are not embedded show their httpMethod, where AWS shows nothing")
	return []wire.Operation{
		op(d, "CreateResource", "POST /restapis/{restapi_id}/resources/{parent_id} 201",
			func(ctx context.Context, account string, in *createResource) (*api.RESTResource, error) {
				return answer(r.CreateResource(ctx, account, in.APIID, in.ParentID, in.PathPart))
			}),
		op(d, "GetResource", "GET /restapis/{restapi_id}/resources/{resource_id}",
			func(ctx context.Context, account string, in *getResource) (*api.RESTResource, error) {
				res, err := r.Resource(ctx, account, in.APIID, in.ResourceID)
				return answer(brief(res, in.Embed), err)
			}, shown),
		op(d, "GetResources", "GET /restapis/{restapi_id}/resources",
			func(ctx context.Context, account string, in *getResources) (*list[api.RESTResource], error) {
				all, err := r.Resources(ctx, account, in.APIID)
				for i := range all {
					all[i] = brief(all[i], in.Embed)
				}
				return cut(in.page, all, err)
			}, shown),
		op(d, "UpdateResource", "PATCH /restapis/{restapi_id}/resources/{resource_id}",
			func(ctx context.Context, account string, in *updateResource) (*api.RESTResource, error) {
				res, err := r.UpdateResource(ctx, account, in.APIID, in.ResourceID, in.Operations)
				return answer(brief(res, nil), err)
			}),
		op(d, "DeleteResource", "DELETE /restapis/{restapi_id}/resources/{resource_id} 202",
			func(ctx context.Context, account string, in *atResource) (*wire.None, error) {
				return none(r.DeleteResource(ctx, account, in.APIID, in.ResourceID))
			}),
	}
}
