package apigatewayv2

import (
	"context"
	"net/url"

	"github.com/rouse-dev/rouse/api"
	"github.com/rouse-dev/rouse/aws/wire"
)

type atStages struct{ atAPI }

func (in atStages) resource() string { return in.below("stages") }

type atStage struct {
	atAPI
	StageName string `wire:"stageName,uri,required" name:"StageName"`
}

func (in atStage) resource() string { return in.below("stages", in.StageName) }

type createStage struct {
	atStages
	api.HTTPStageInput
	StageName string            `wire:"stageName,required" name:"StageName"`
	Tags      map[string]string `wire:"tags" name:"Tags"`
}

type updateStage struct {
	atStage
	api.HTTPStageInput
}

type getStages struct {
	atStages
	page
}

type atRouteSettings struct {
	atStage
	RouteKey string `wire:"routeKey,uri,required" name:"RouteKey"`
}

func (in atRouteSettings) resource() string {
	return in.below("stages", in.StageName, "routesettings", in.RouteKey)
}

func (d *Door) stageOperations() []wire.Operation {
	h := d.apis.HTTP
	refused := wire.Refuse("accessLogSettings", "clientCertificateId")
	logging := []wire.Option{refused,
		wire.RefuseExcept("defaultRouteSettings.loggingLevel", "OFF"), wire.RefuseExcept("routeSettings.loggingLevel", "OFF"),
		wire.Refuse("defaultRouteSettings.dataTraceEnabled", "routeSettings.dataTraceEnabled"),
		wire.Differs("throttling is per node; detailedMetricsEnabled is kept, metrics are always as detailed")}
	return []wire.Operation{
		op(d, "CreateStage", "POST /v2/apis/{apiId}/stages 201",
			func(ctx context.Context, account string, in *createStage) (*api.HTTPStage, error) {
				return answer(h.CreateStage(ctx, account, in.APIID, in.StageName, in.HTTPStageInput, in.Tags))
			}, logging...),
		op(d, "GetStage", "GET /v2/apis/{apiId}/stages/{stageName}",
			func(ctx context.Context, account string, in *atStage) (*api.HTTPStage, error) {
				return answer(h.Stage(ctx, account, in.APIID, in.StageName))
			}),
		op(d, "GetStages", "GET /v2/apis/{apiId}/stages",
			func(ctx context.Context, account string, in *getStages) (*list[api.HTTPStage], error) {
				all, err := h.Stages(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}),
		op(d, "UpdateStage", "PATCH /v2/apis/{apiId}/stages/{stageName}",
			func(ctx context.Context, account string, in *updateStage) (*api.HTTPStage, error) {
				return answer(h.UpdateStage(ctx, account, in.APIID, in.StageName, in.HTTPStageInput))
			}, logging...),
		op(d, "DeleteStage", "DELETE /v2/apis/{apiId}/stages/{stageName} 204",
			func(ctx context.Context, account string, in *atStage) (*wire.None, error) {
				return none(h.DeleteStage(ctx, account, in.APIID, in.StageName))
			}),
		op(d, "DeleteRouteSettings", "DELETE /v2/apis/{apiId}/stages/{stageName}/routesettings/{routeKey} 204",
			func(ctx context.Context, account string, in *atRouteSettings) (*wire.None, error) {
				return none(h.DeleteRouteSettings(ctx, account, in.APIID, in.StageName, in.RouteKey))
			}),
	}
}

// ---- deployments

type atDeployments struct{ atAPI }

func (in atDeployments) resource() string { return in.below("deployments") }

type atDeployment struct {
	atAPI
	DeploymentID string `wire:"deploymentId,uri,required" name:"DeploymentId"`
}

func (in atDeployment) resource() string { return in.below("deployments", in.DeploymentID) }

type createDeployment struct {
	atDeployments
	Description string `wire:"description" name:"Description"`
	StageName   string `wire:"stageName" name:"StageName"`
}

type updateDeployment struct {
	atDeployment
	Description *string `wire:"description" name:"Description"`
}

type getDeployments struct {
	atDeployments
	page
}

func (d *Door) deploymentOperations() []wire.Operation {
	h := d.apis.HTTP
	return []wire.Operation{
		op(d, "CreateDeployment", "POST /v2/apis/{apiId}/deployments 201",
			func(ctx context.Context, account string, in *createDeployment) (*api.HTTPDeployment, error) {
				return answer(h.CreateDeployment(ctx, account, in.APIID, in.StageName, in.Description))
			}, wire.Differs("done when it answers: the status is DEPLOYED at once")),
		op(d, "GetDeployment", "GET /v2/apis/{apiId}/deployments/{deploymentId}",
			func(ctx context.Context, account string, in *atDeployment) (*api.HTTPDeployment, error) {
				return answer(h.Deployment(ctx, account, in.APIID, in.DeploymentID))
			}),
		op(d, "GetDeployments", "GET /v2/apis/{apiId}/deployments",
			func(ctx context.Context, account string, in *getDeployments) (*list[api.HTTPDeployment], error) {
				all, err := h.Deployments(ctx, account, in.APIID)
				return cut(in.page, all, err)
			}, wire.Differs("automatic deployments that no stage serves any more are not kept")),
		op(d, "UpdateDeployment", "PATCH /v2/apis/{apiId}/deployments/{deploymentId}",
			func(ctx context.Context, account string, in *updateDeployment) (*api.HTTPDeployment, error) {
				return answer(h.UpdateDeployment(ctx, account, in.APIID, in.DeploymentID, in.Description))
			}),
		op(d, "DeleteDeployment", "DELETE /v2/apis/{apiId}/deployments/{deploymentId} 204",
			func(ctx context.Context, account string, in *atDeployment) (*wire.None, error) {
				return none(h.DeleteDeployment(ctx, account, in.APIID, in.DeploymentID))
			}),
	}
}

// ---- tags

type atTags struct {
	ResourceARN string `wire:"resource-arn,uri,required" name:"ResourceArn"`
}

func (in atTags) resource() string { return "/tags/" + url.QueryEscape(in.ResourceARN) }

type tagResource struct {
	atTags
	Tags map[string]string `wire:"tags" name:"Tags"`
}

type untagResource struct {
	atTags
	TagKeys []string `wire:"tagKeys,query,required" name:"TagKeys"`
}

type tags struct {
	Tags map[string]string `wire:"tags" name:"Tags"`
}

type tagged struct{}

func (d *Door) tagOperations() []wire.Operation {
	return []wire.Operation{
		op(d, "GetTags", "GET /v2/tags/{resource-arn}",
			func(ctx context.Context, account string, in *atTags) (*tags, error) {
				all, err := d.apis.Tags(ctx, account, in.ResourceARN)
				return answer(tags{all}, err)
			}),
		op(d, "TagResource", "POST /v2/tags/{resource-arn} 201",
			func(ctx context.Context, account string, in *tagResource) (*tagged, error) {
				return answer(tagged{}, d.apis.Tag(ctx, account, in.ResourceARN, in.Tags))
			}),
		op(d, "UntagResource", "DELETE /v2/tags/{resource-arn} 204",
			func(ctx context.Context, account string, in *untagResource) (*wire.None, error) {
				return none(d.apis.Untag(ctx, account, in.ResourceARN, in.TagKeys))
			}),
	}
}
