package lambda

import (
	"context"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) urlOperations() []wire.Operation {
	const url = "/2021-10-31/functions/{FunctionName}/url"
	return []wire.Operation{
		wire.Op("CreateFunctionUrlConfig", "POST "+url+" 201", d.needCreateURL, d.createURL),
		op(d, "GetFunctionUrlConfig", "GET "+url, "lambda:GetFunctionUrlConfig", d.getURL),
		wire.Op("UpdateFunctionUrlConfig", "PUT "+url, d.needUpdateURL, d.updateURL),
		op(d, "DeleteFunctionUrlConfig", "DELETE "+url+" 204", "lambda:DeleteFunctionUrlConfig", d.deleteURL),
		op(d, "ListFunctionUrlConfigs", "GET "+url+"s", "lambda:ListFunctionUrlConfigs", d.listURLs),
	}
}

// Cors of a function URL.
type Cors struct {
	AllowCredentials *bool
	AllowHeaders     []string `max:"100" eachmax:"1024"`
	AllowMethods     []string `max:"6" eachmax:"6"`
	AllowOrigins     []string `max:"100" eachmin:"1" eachmax:"253"`
	ExposeHeaders    []string `max:"100" eachmax:"1024"`
	MaxAge           *int     `min:"0" max:"86400"`
}

func (c *Cors) cors() *catalog.CORS {
	if c == nil {
		return nil
	}
	out := catalog.CORS(*c)
	return &out
}

// CreateFunctionUrlConfigInput of CreateFunctionUrlConfig.
type CreateFunctionUrlConfigInput struct {
	Qualified
	AuthType   string `wire:",required" enum:"NONE|AWS_IAM"`
	Cors       *Cors
	InvokeMode string `enum:"BUFFERED|RESPONSE_STREAM"`
}

// URLConfig is how Lambda shows a function URL.
type URLConfig struct {
	FunctionUrl      string
	FunctionArn      string
	AuthType         string
	Cors             *Cors
	CreationTime     string
	LastModifiedTime string
	InvokeMode       string
}

func (d *Door) url(u *catalog.URL) *URLConfig {
	out := &URLConfig{
		FunctionUrl: d.cfg.FunctionURL(u.ID), FunctionArn: u.Function.String(), AuthType: u.AuthType,
		CreationTime: long(u.Created), LastModifiedTime: long(u.Modified), InvokeMode: u.InvokeMode,
	}
	if u.CORS != nil {
		c := Cors(*u.CORS)
		out.Cors = &c
	}
	return out
}

func (d *Door) needURL(from rouse.Origin, in functionNamed, action, authType string) ([]rouse.Need, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	n := d.need(action, r)
	if authType != "" {
		n.Conditions = map[string][]string{"lambda:FunctionUrlAuthType": {authType}}
	}
	return []rouse.Need{n}, nil
}

func (d *Door) needCreateURL(_ context.Context, from rouse.Origin, in *CreateFunctionUrlConfigInput) ([]rouse.Need, error) {
	return d.needURL(from, in, "lambda:CreateFunctionUrlConfig", in.AuthType)
}

func (d *Door) createURL(ctx context.Context, from rouse.Origin, in *CreateFunctionUrlConfigInput) (*URLConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	u, err := d.catalog.CreateURL(ctx, r, catalog.URLChange{AuthType: in.AuthType, InvokeMode: in.InvokeMode, CORS: in.Cors.cors()})
	if err != nil {
		return nil, err
	}
	out := d.url(u)
	out.LastModifiedTime = "" // shown from GetFunctionUrlConfig on
	return out, nil
}

// GetFunctionUrlConfigInput of GetFunctionUrlConfig.
type GetFunctionUrlConfigInput struct{ Qualified }

func (d *Door) getURL(_ context.Context, from rouse.Origin, in *GetFunctionUrlConfigInput) (*URLConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	u, err := d.catalog.URL(r)
	if err != nil {
		return nil, err
	}
	return d.url(u), nil
}

// UpdateFunctionUrlConfigInput of UpdateFunctionUrlConfig.
type UpdateFunctionUrlConfigInput struct {
	Qualified
	AuthType   string `enum:"NONE|AWS_IAM"`
	Cors       *Cors
	InvokeMode string `enum:"BUFFERED|RESPONSE_STREAM"`
}

func (d *Door) needUpdateURL(_ context.Context, from rouse.Origin, in *UpdateFunctionUrlConfigInput) ([]rouse.Need, error) {
	return d.needURL(from, in, "lambda:UpdateFunctionUrlConfig", in.AuthType)
}

func (d *Door) updateURL(ctx context.Context, from rouse.Origin, in *UpdateFunctionUrlConfigInput) (*URLConfig, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	u, err := d.catalog.UpdateURL(ctx, r, catalog.URLChange{AuthType: in.AuthType, InvokeMode: in.InvokeMode, CORS: in.Cors.cors()})
	if err != nil {
		return nil, err
	}
	return d.url(u), nil
}

// DeleteFunctionUrlConfigInput of DeleteFunctionUrlConfig.
type DeleteFunctionUrlConfigInput struct{ Qualified }

func (d *Door) deleteURL(ctx context.Context, from rouse.Origin, in *DeleteFunctionUrlConfigInput) (*wire.None, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.DeleteURL(ctx, r)
}

// ListFunctionUrlConfigsInput of ListFunctionUrlConfigs.
type ListFunctionUrlConfigsInput struct {
	Name
	ShortPaging
}

// ListFunctionUrlConfigsOutput of ListFunctionUrlConfigs.
type ListFunctionUrlConfigsOutput struct {
	FunctionUrlConfigs []URLConfig
	NextMarker         string
}

func (d *Door) listURLs(_ context.Context, from rouse.Origin, in *ListFunctionUrlConfigsInput) (
	*ListFunctionUrlConfigsOutput, error) {
	r, err := d.ref(from, in)
	if err != nil {
		return nil, err
	}
	after, err := afterQualifier(in.Marker)
	if err != nil {
		return nil, err
	}
	us, more, err := d.catalog.URLs(r, after, page(value(in.MaxItems)))
	if err != nil {
		return nil, err
	}
	out := &ListFunctionUrlConfigsOutput{FunctionUrlConfigs: []URLConfig{}}
	for _, u := range us {
		out.FunctionUrlConfigs = append(out.FunctionUrlConfigs, *d.url(u))
	}
	if more {
		out.NextMarker = markQualifier(us[len(us)-1].Qualifier)
	}
	return out, nil
}

// afterQualifier reads the marker of a list by qualifier. The function itself has the qualifier "", so absence is nil.
func afterQualifier(marker string) (*string, error) {
	if marker == "" {
		return nil, nil
	}
	s, err := unmark(marker)
	if err != nil {
		return nil, err
	}
	s = s[min(1, len(s)):]
	return &s, nil
}

func markQualifier(q string) string { return mark(":" + q) }
