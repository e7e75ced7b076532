package apigateway

import (
	"context"

	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

type createDeployment struct {
	atDeployments
	api.RESTDeploymentInput
}

type getDeployment struct {
	atDeployment
	Embed []string `wire:"embed,query" name:"embed" unsupported:"the summary of deployments"`
}

type getDeployments struct {
	atDeployments
	page
}

type updateDeployment struct {
	atDeployment
	patches
}

func (d *Door) deploymentOperations() []wire.Operation {
	r := d.apis.REST
	return []wire.Operation{
		op(d, "CreateDeployment", "POST /restapis/{restapi_id}/deployments 201",
			func(ctx context.Context, account string, in *createDeployment) (*api.RESTDeployment, error) {
				return answer(r.CreateDeployment(ctx, account, in.APIID, in.RESTDeploymentInput))
			}, wire.Refuse("cacheClusterEnabled", "cacheClusterSize", "canarySettings")),
		op(d, "GetDeployment", "GET /restapis/{restapi_id}/deployments/{deployment_id}",
			func(ctx context.Context, account string, in *getDeployment) (*api.RESTDeployment, error) {
				return answer(r.Deployment(ctx, account, in.APIID, in.DeploymentID))
			}),
		op(d, "GetDeployments", "GET /restapis/{restapi_id}/deployments",
			func(ctx context.Context, account string, in *getDeployments) (*list[api.RESTDeployment], error) {
				all, err := r.Deployments(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateDeployment", "PATCH /restapis/{restapi_id}/deployments/{deployment_id}",
			func(ctx context.Context, account string, in *updateDeployment) (*api.RESTDeployment, error) {
				return answer(r.UpdateDeployment(ctx, account, in.APIID, in.DeploymentID, in.Operations))
			}),
		op(d, "DeleteDeployment", "DELETE /restapis/{restapi_id}/deployments/{deployment_id} 202",
			func(ctx context.Context, account string, in *atDeployment) (*wire.None, error) {
				return none(r.DeleteDeployment(ctx, account, in.APIID, in.DeploymentID))
			}),
	}
}

// ---- stages

type createStage struct {
	atStages
	api.RESTStageInput
}

type getStages struct {
	atStages
	DeploymentID string `wire:"deploymentId,query" name:"deploymentId"`
}

type updateStage struct {
	atStage
	patches
}

// stages is a list that AWS does not page.
type stages struct {
	Item []api.RESTStage `wire:"item" name:"item"`
}

func (d *Door) stageOperations() []wire.Operation {
	r := d.apis.REST
	differs := wire.Differs("throttling is per node; tracingEnabled and metrics are kept and change nothing")
	return []wire.Operation{
		op(d, "CreateStage", "POST /restapis/{restapi_id}/stages 201",
			func(ctx context.Context, account string, in *createStage) (*api.RESTStage, error) {
				return answer(r.CreateStage(ctx, account, in.APIID, in.RESTStageInput))
			}, wire.Refuse("cacheClusterEnabled", "cacheClusterSize", "canarySettings", "documentationVersion"), differs),
		op(d, "GetStage", "GET /restapis/{restapi_id}/stages/{stage_name}",
			func(ctx context.Context, account string, in *atStage) (*api.RESTStage, error) {
				return answer(r.Stage(ctx, account, in.APIID, in.StageName))
			}),
		op(d, "GetStages", "GET /restapis/{restapi_id}/stages",
			func(ctx context.Context, account string, in *getStages) (*stages, error) {
				all, err := r.Stages(ctx, account, in.APIID, in.DeploymentID)
				return answer(stages{append([]api.RESTStage{}, all...)}, err)
			}),
		op(d, "UpdateStage", "PATCH /restapis/{restapi_id}/stages/{stage_name}",
			func(ctx context.Context, account string, in *updateStage) (*api.RESTStage, error) {
				return answer(r.UpdateStage(ctx, account, in.APIID, in.StageName, in.Operations))
			}, differs),
		op(d, "DeleteStage", "DELETE /restapis/{restapi_id}/stages/{stage_name} 202",
			func(ctx context.Context, account string, in *atStage) (*wire.None, error) {
				return none(r.DeleteStage(ctx, account, in.APIID, in.StageName))
			}),
	}
}

// ---- gateway responses

type putGatewayResponse struct {
	atGatewayResponse
	StatusCode         string            `wire:"statusCode" name:"statusCode"`
	ResponseParameters map[string]string `wire:"responseParameters" name:"responseParameters"`
	ResponseTemplates  map[string]string `wire:"responseTemplates" name:"responseTemplates"`
}

type getGatewayResponses struct {
	atGatewayResponses
	page
}

type updateGatewayResponse struct {
	atGatewayResponse
	patches
}

func (d *Door) gatewayResponseOperations() []wire.Operation {
	r := d.apis.REST
	return []wire.Operation{
		op(d, "PutGatewayResponse", "PUT /restapis/{restapi_id}/gatewayresponses/{response_type} 201",
			func(ctx context.Context, account string, in *putGatewayResponse) (*api.GatewayResponse, error) {
				return answer(r.PutGatewayResponse(ctx, account, in.APIID, api.GatewayResponse{ResponseType: in.Type, StatusCode: in.StatusCode,
					ResponseParameters: in.ResponseParameters, ResponseTemplates: in.ResponseTemplates}))
			}),
		op(d, "GetGatewayResponse", "GET /restapis/{restapi_id}/gatewayresponses/{response_type}",
			func(ctx context.Context, account string, in *atGatewayResponse) (*api.GatewayResponse, error) {
				return answer(r.GatewayResponse(ctx, account, in.APIID, in.Type))
			}),
		op(d, "GetGatewayResponses", "GET /restapis/{restapi_id}/gatewayresponses",
			func(ctx context.Context, account string, in *getGatewayResponses) (*list[api.GatewayResponse], error) {
				all, err := r.GatewayResponses(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateGatewayResponse", "PATCH /restapis/{restapi_id}/gatewayresponses/{response_type}",
			func(ctx context.Context, account string, in *updateGatewayResponse) (*api.GatewayResponse, error) {
				return answer(r.UpdateGatewayResponse(ctx, account, in.APIID, in.Type, in.Operations))
			}),
		op(d, "DeleteGatewayResponse", "DELETE /restapis/{restapi_id}/gatewayresponses/{response_type} 202",
			func(ctx context.Context, account string, in *atGatewayResponse) (*wire.None, error) {
				return none(r.DeleteGatewayResponse(ctx, account, in.APIID, in.Type))
			}),
	}
}

// ---- tags

type getTags struct {
	atTags
	page
}

type tagResource struct {
	atTags
	Tags map[string]string `wire:"tags,required" name:"tags"`
}

type untagResource struct {
	atTags
	TagKeys []string `wire:"tagKeys,query,required" name:"tagKeys"`
}

type tags struct {
	Tags map[string]string `wire:"tags" name:"tags"`
}

func (d *Door) tagOperations() []wire.Operation {
	return []wire.Operation{
		op(d, "GetTags", "GET /tags/{resource_arn}", func(ctx context.Context, account string, in *getTags) (*tags, error) {
			all, err := d.apis.Tags(ctx, account, in.ResourceARN)
			return answer(tags{all}, err)
		}),
		op(d, "TagResource", "PUT /tags/{resource_arn} 204",
			func(ctx context.Context, account string, in *tagResource) (*wire.None, error) {
				return none(d.apis.Tag(ctx, account, in.ResourceARN, in.Tags))
			}),
		op(d, "UntagResource", "DELETE /tags/{resource_arn} 204",
			func(ctx context.Context, account string, in *untagResource) (*wire.None, error) {
				return none(d.apis.Untag(ctx, account, in.ResourceARN, in.TagKeys))
			}),
	}
}
