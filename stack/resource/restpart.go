package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// notBefore reports whether a creation date (epoch seconds or RFC 3339) is no older than t, to the second.
func notBefore(date any, t time.Time) bool {
	switch d := date.(type) {
	case float64:
		return d >= float64(t.Unix())
	case json.Number:
		f, err := d.Float64()
		return err != nil || f >= float64(t.Unix())
	case string:
		at, err := time.Parse(time.RFC3339, d)
		return err != nil || at.Unix() >= t.Unix()
	}
	return true
}

type resourceAnswer struct {
	ID       string `json:"id"`
	ParentID string `json:"parentId"`
	PathPart string `json:"pathPart"`
}

func createResource(ctx context.Context, c Client, r *Request) (State, error) {
	var out resourceAnswer
	if err := c.Call(ctx, "apigateway", "CreateResource", take(r.Props,
		"RestApiId=restApiId ParentId=parentId PathPart=pathPart"), &out); err != nil {
		return State{}, err
	}
	return State{Physical: out.ID, Attrs: map[string]any{"ResourceId": out.ID}}, nil
}

// findResource looks under the parent: path parts are unique there.
func findResource(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var page struct {
		Items []resourceAnswer `json:"items"`
	}
	if err := c.Call(ctx, "apigateway", "GetResources", map[string]any{"restApiId": r.Props["RestApiId"],
		"limit": 500}, &page); err != nil {
		return State{}, false, err
	}
	for _, it := range page.Items {
		if it.ParentID == text(r.Props, "ParentId") && it.PathPart == text(r.Props, "PathPart") && !r.Taken(it.ID) {
			return State{Physical: it.ID, Attrs: map[string]any{"ResourceId": it.ID}}, true, nil
		}
	}
	return State{}, false, nil
}

func methodKey(props map[string]any) map[string]any {
	return take(props, "RestApiId=restApiId ResourceId=resourceId HttpMethod=httpMethod")
}

// putMethod makes a method with its integration and responses.
func putMethod(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "OperationName=operationName RequestParameters=requestParameters RequestModels=requestModels")
	for k, v := range methodKey(r.Props) {
		in[k] = v
	}
	in["authorizationType"] = "NONE"
	if err := c.Call(ctx, "apigateway", "PutMethod", in, nil); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical}, putMethodParts(ctx, c, r)
}

func putMethodParts(ctx context.Context, c Client, r *Request) error {
	responses, _ := r.Props["MethodResponses"].([]any)
	for _, it := range responses {
		m, _ := it.(map[string]any)
		in := take(m, "StatusCode=statusCode ResponseParameters=responseParameters ResponseModels=responseModels")
		for k, v := range methodKey(r.Props) {
			in[k] = v
		}
		if err := c.Call(ctx, "apigateway", "PutMethodResponse", in, nil); err != nil {
			return err
		}
	}
	integ, ok := r.Props["Integration"].(map[string]any)
	if !ok {
		return nil
	}
	in := take(integ, "Type=type IntegrationHttpMethod=integrationHttpMethod Uri=uri ConnectionType=connectionType Credentials=credentials "+
		"RequestParameters=requestParameters RequestTemplates=requestTemplates PassthroughBehavior=passthroughBehavior TimeoutInMillis=timeoutInMillis")
	for k, v := range methodKey(r.Props) {
		in[k] = v
	}
	if err := c.Call(ctx, "apigateway", "PutIntegration", in, nil); err != nil {
		return err
	}
	answers, _ := integ["IntegrationResponses"].([]any)
	for _, it := range answers {
		m, _ := it.(map[string]any)
		in := take(m, "StatusCode=statusCode SelectionPattern=selectionPattern ResponseParameters=responseParameters ResponseTemplates=responseTemplates")
		for k, v := range methodKey(r.Props) {
			in[k] = v
		}
		if err := c.Call(ctx, "apigateway", "PutIntegrationResponse", in, nil); err != nil {
			return err
		}
	}
	return nil
}

// updateMethod makes the method anew. Nobody sees the gap: stages serve deployments, not what is being edited.
func updateMethod(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical}
	if err := gone(c.Call(ctx, "apigateway", "DeleteMethod", methodKey(r.Props), nil)); err != nil {
		return state, err
	}
	_, err := putMethod(ctx, c, r)
	return state, err
}

func findMethod(ctx context.Context, c Client, r *Request) (State, bool, error) {
	err := c.Call(ctx, "apigateway", "GetMethod", methodKey(r.Props), nil)
	return State{Physical: r.Physical}, err == nil, err
}

func putGatewayResponse(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "RestApiId=restApiId ResponseType=responseType StatusCode=statusCode ResponseParameters=responseParameters "+
		"ResponseTemplates=responseTemplates")
	if err := c.Call(ctx, "apigateway", "PutGatewayResponse", in, nil); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical, Attrs: map[string]any{"Id": r.Physical}}, nil
}

func createDeployment(ctx context.Context, c Client, r *Request) (State, error) {
	var out struct {
		ID string `json:"id"`
	}
	in := take(r.Props, "RestApiId=restApiId Description=description StageName=stageName")
	if err := c.Call(ctx, "apigateway", "CreateDeployment", in, &out); err != nil {
		return State{}, err
	}
	return State{Physical: out.ID, Attrs: map[string]any{"DeploymentId": out.ID}}, nil
}

func updateDeployment(ctx context.Context, c Client, r *Request) (State, error) {
	in := map[string]any{"restApiId": r.Props["RestApiId"], "deploymentId": r.Physical,
		"patchOperations": []patch{{"replace", "/description", text(r.Props, "Description")}}}
	return State{Physical: r.Physical, Attrs: r.Attrs}, c.Call(ctx, "apigateway", "UpdateDeployment", in, nil)
}

// removeDeployment deletes a deployment, and with it the stage that it made itself: AWS keeps a deployment that a stage
// serves.
func removeDeployment(ctx context.Context, c Client, r *Request) error {
	if name := text(r.Props, "StageName"); name != "" {
		var stage struct {
			DeploymentID string `json:"deploymentId"`
		}
		key := map[string]any{"restApiId": r.Props["RestApiId"], "stageName": name}
		err := c.Call(ctx, "apigateway", "GetStage", key, &stage)
		if err == nil && stage.DeploymentID == r.Physical {
			err = c.Call(ctx, "apigateway", "DeleteStage", key, nil)
		}
		if gone(err) != nil {
			return err
		}
	}
	return c.Call(ctx, "apigateway", "DeleteDeployment", map[string]any{"restApiId": r.Props["RestApiId"],
		"deploymentId": r.Physical}, nil)
}

func stageKey(r *Request) map[string]any {
	return take(r.Props, "RestApiId=restApiId StageName=stageName")
}

func createRESTStage(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "RestApiId=restApiId StageName=stageName DeploymentId=deploymentId Description=description Variables=variables "+
		"TracingEnabled=tracingEnabled")
	if tags := tagMap(r.Props["Tags"]); len(tags) > 0 {
		in["tags"] = tags
	}
	if err := c.Call(ctx, "apigateway", "CreateStage", in, nil); err != nil {
		return State{}, err
	}
	state := State{Physical: text(r.Props, "StageName")}
	return state, patchStage(ctx, c, r, settingPatches(nil, r.Props, nil))
}

func patchStage(ctx context.Context, c Client, r *Request, ops []patch) error {
	if len(ops) == 0 {
		return nil
	}
	in := stageKey(r)
	in["patchOperations"] = ops
	return c.Call(ctx, "apigateway", "UpdateStage", in, nil)
}

// settings are the MethodSettings of a stage by the path that patches name them by, and those paths in order.
func settings(props map[string]any) (paths []string, byPath map[string]map[string]any) {
	byPath = map[string]map[string]any{}
	list, _ := props["MethodSettings"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		path, method := strings.TrimPrefix(text(m, "ResourcePath"), "/"), text(m, "HttpMethod")
		if path == "" || path == "*" {
			path = "*"
		} else {
			path = escape("/" + path)
		}
		if method == "" {
			method = "*"
		}
		path = "/" + path + "/" + method
		paths, byPath[path] = append(paths, path), m
	}
	return paths, byPath
}

// settingKey is how a stage shows a setting that patches name by path.
func settingKey(path string) string {
	return strings.TrimLeft(strings.ReplaceAll(strings.ReplaceAll(path, "~1", "/"), "~0", "~"), "/")
}

// settingPatches brings MethodSettings from old to now; there are the keys of those that the stage has.
func settingPatches(old, now map[string]any, there map[string]bool) []patch {
	var ops []patch
	oldPaths, was := settings(old)
	paths, want := settings(now)
	for _, p := range oldPaths {
		if m, ok := want[p]; there[settingKey(p)] && (!ok || !same(was[p], m)) {
			ops = append(ops, patch{"remove", p, ""})
		}
	}
	for _, p := range paths {
		if m, ok := was[p]; ok && same(m, want[p]) && there[settingKey(p)] {
			continue
		}
		for _, f := range []struct{ prop, path string }{{"ThrottlingBurstLimit", "throttling/burstLimit"},
			{"ThrottlingRateLimit", "throttling/rateLimit"},
			{"MetricsEnabled", "metrics/enabled"}, {"LoggingLevel", "logging/loglevel"}} {
			if v, ok := want[p][f.prop]; ok {
				ops = append(ops, patch{"replace", p + "/" + f.path, fmt.Sprint(v)})
			}
		}
	}
	return ops
}

func updateRESTStage(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical}
	// What is there decides what to remove: repeated after a crash, what is done is not done again.
	var actual struct {
		Settings  map[string]any    `json:"methodSettings"`
		Variables map[string]string `json:"variables"`
	}
	if err := c.Call(ctx, "apigateway", "GetStage", stageKey(r), &actual); err != nil {
		return state, err
	}
	there := map[string]bool{}
	for k := range actual.Settings {
		there[settingKey(k)] = true
	}
	ops := settingPatches(r.Old, r.Props, there)
	if changed(r, "DeploymentId") {
		ops = append(ops, patch{"replace", "/deploymentId", text(r.Props, "DeploymentId")})
	}
	if changed(r, "Description") {
		ops = append(ops, patch{"replace", "/description", text(r.Props, "Description")})
	}
	if changed(r, "TracingEnabled") {
		on, _ := r.Props["TracingEnabled"].(bool)
		ops = append(ops, patch{"replace", "/tracingEnabled", fmt.Sprint(on)})
	}
	old, now := tagMap(r.Old["Variables"]), tagMap(r.Props["Variables"])
	for _, k := range sorted(now) {
		if had, ok := actual.Variables[k]; !ok || had != now[k] {
			ops = append(ops, patch{"replace", "/variables/" + escape(k), now[k]})
		}
	}
	for _, k := range sorted(old) {
		_, has := actual.Variables[k]
		if _, ok := now[k]; !ok && has {
			ops = append(ops, patch{"remove", "/variables/" + escape(k), ""})
		}
	}
	if err := patchStage(ctx, c, r, ops); err != nil {
		return state, err
	}
	return state, restTags(ctx, c, r, restARN(r, text(r.Props, "RestApiId"), "/stages/"+r.Physical))
}
