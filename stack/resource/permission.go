package resource

import (
	"context"
	"strings"
	"time"
)

// permissionTypes are the types that hang on a function: permissions, URLs, settings of asynchronous invocations.
func permissionTypes() []*Type {
	return []*Type{{Name: "AWS::Lambda::Permission", naming: naming{max: 100}, Attributes: []string{"Id"}, Properties: properties(`
Action string required replace
EventSourceToken string replace
FunctionName string required replace
FunctionUrlAuthType string replace
InvokedViaFunctionUrl bool replace
Principal string required replace
PrincipalOrgID string replace
SourceAccount string replace
SourceArn string replace
`), create: createPermission, remove: removePermission,
		// The statement's id is random and recorded: asking for its removal and making it anew is the same as finding
		// it.
		find: func(ctx context.Context, c Client, r *Request) (State, bool, error) {
			return State{}, false, gone(removePermission(ctx, c, r))
		},
	}, {Name: "AWS::Lambda::Url", Attributes: []string{"FunctionUrl", "FunctionArn"}, Properties: properties(`
AuthType string required
Cors object {
  AllowCredentials bool
  AllowHeaders list string
  AllowMethods list string
  AllowOrigins list string
  ExposeHeaders list string
  MaxAge int
}
InvokeMode string
Qualifier string replace
TargetFunctionArn string required replace
`), keyed: true, create: createURL, update: updateURL, find: findURL,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "lambda", "DeleteFunctionUrlConfig", take(urlInput(r), "FunctionName Qualifier"), nil)
		},
	}, {Name: "AWS::Lambda::EventInvokeConfig", naming: naming{max: 64}, Properties: properties(`
DestinationConfig object {
  OnFailure object {
    Destination string required
  }
  OnSuccess object {
    Destination string required
  }
}
FunctionName string required replace
MaximumEventAgeInSeconds int
MaximumRetryAttempts int
Qualifier string required replace
`), create: putInvokeConfig, update: putInvokeConfig,
		remove: func(ctx context.Context, c Client, r *Request) error {
			return c.Call(ctx, "lambda", "DeleteFunctionEventInvokeConfig", take(r.Props, "FunctionName Qualifier"),
				nil)
		},
	}}
}

// target splits a function's name or ARN from its qualifier, which has a member of its own in these operations.
func target(fn string) (name, qualifier string) {
	parts := strings.Split(fn, ":")
	switch {
	case len(parts) == 8 && parts[0] == "arn":
		return strings.Join(parts[:7], ":"), parts[7]
	case len(parts) == 2:
		return parts[0], parts[1]
	}
	return fn, ""
}

func createPermission(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "Action EventSourceToken FunctionUrlAuthType InvokedViaFunctionUrl Principal PrincipalOrgID SourceAccount SourceArn")
	name, qualifier := target(text(r.Props, "FunctionName"))
	in["FunctionName"], in["StatementId"] = name, r.Physical
	if qualifier != "" {
		in["Qualifier"] = qualifier
	}
	if err := c.Call(ctx, "lambda", "AddPermission", in, nil); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical, Attrs: map[string]any{"Id": r.Physical}}, nil
}

func removePermission(ctx context.Context, c Client, r *Request) error {
	name, qualifier := target(text(r.Props, "FunctionName"))
	in := map[string]any{"FunctionName": name, "StatementId": r.Physical}
	if qualifier != "" {
		in["Qualifier"] = qualifier
	}
	return c.Call(ctx, "lambda", "RemovePermission", in, nil)
}

type urlAnswer struct{ FunctionUrl, FunctionArn string }

func (u urlAnswer) state() State {
	return State{Physical: u.FunctionArn, Attrs: map[string]any{"FunctionUrl": u.FunctionUrl,
		"FunctionArn": u.FunctionArn}}
}

func urlInput(r *Request) map[string]any {
	in := take(r.Props, "AuthType Cors InvokeMode Qualifier")
	name, qualifier := target(text(r.Props, "TargetFunctionArn"))
	in["FunctionName"] = name
	if qualifier != "" {
		in["Qualifier"] = qualifier
	}
	return in
}

func createURL(ctx context.Context, c Client, r *Request) (State, error) {
	var out urlAnswer
	if err := c.Call(ctx, "lambda", "CreateFunctionUrlConfig", urlInput(r), &out); err != nil {
		return State{}, err
	}
	return out.state(), nil
}

func updateURL(ctx context.Context, c Client, r *Request) (State, error) {
	in := urlInput(r)
	if in["Cors"] == nil {
		in["Cors"] = map[string]any{}
	}
	if in["InvokeMode"] == nil {
		in["InvokeMode"] = "BUFFERED"
	}
	var out urlAnswer
	if err := c.Call(ctx, "lambda", "UpdateFunctionUrlConfig", in, &out); err != nil {
		return State{Physical: r.Physical, Attrs: r.Attrs}, err
	}
	return out.state(), nil
}

func findURL(ctx context.Context, c Client, r *Request) (State, bool, error) {
	var out urlAnswer
	err := c.Call(ctx, "lambda", "GetFunctionUrlConfig", take(urlInput(r), "FunctionName Qualifier"), &out)
	return out.state(), err == nil, err
}

// putInvokeConfig sets all of a configuration: the operation overwrites, so it serves create and update.
func putInvokeConfig(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "FunctionName Qualifier DestinationConfig MaximumEventAgeInSeconds MaximumRetryAttempts")
	if err := c.Call(ctx, "lambda", "PutFunctionEventInvokeConfig", in, nil); err != nil {
		return State{}, err
	}
	return State{Physical: r.Physical}, nil
}

// settleTick is how often a function's state is asked for between two updates of it.
const settleTick = 20 * time.Millisecond

// settle waits until a function takes the next update.
func settle(ctx context.Context, c Client, r *Request) error {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for {
		if ok, err := functionReady(ctx, c, r); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
