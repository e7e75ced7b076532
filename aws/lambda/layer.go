package lambda

import (
	"context"
	"strconv"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/catalog"
)

func (d *Door) layerOperations() []wire.Operation {
	const layers = "/2018-10-31/layers"
	const versions = layers + "/{LayerName}/versions"
	return []wire.Operation{
		wire.Op("PublishLayerVersion", "POST "+versions+" 201", d.needLayer, d.publishLayer, wire.BodyMax(createMax)),
		wire.Op("GetLayerVersion", "GET "+versions+"/{VersionNumber}", d.needGetLayer, d.getLayer,
			wire.Differs("Content.Location is a link to Rouse")),
		wire.Op("GetLayerVersionByArn", "GET "+layers+"?find=LayerVersion", d.needLayerARN, d.getLayerARN,
			wire.Differs("Content.Location is a link to Rouse")),
		wire.Op("DeleteLayerVersion", "DELETE "+versions+"/{VersionNumber} 204", d.needDeleteLayer, d.deleteLayer),
		wire.Op("ListLayerVersions", "GET "+versions, d.needListLayer, d.listLayerVersions),
		wire.Op("ListLayers", "GET "+layers, onAll[ListLayersInput]("lambda:ListLayers"), d.listLayers),
	}
}

// PublishLayerVersionInput of PublishLayerVersion.
type PublishLayerVersionInput struct {
	LayerName               string        `wire:"LayerName,uri" max:"140"`
	Description             string        `max:"256"`
	Content                 *FunctionCode `wire:",required"`
	CompatibleRuntimes      []string      `max:"15"`
	CompatibleArchitectures []string      `max:"2" eachenum:"x86_64|arm64"`
	LicenseInfo             string        `max:"512"`
}

// LayerContent is where a layer's archive can be had.
type LayerContent struct {
	Location   string
	CodeSha256 string
	CodeSize   int64
}

// LayerVersion is how Lambda shows a version of a layer.
type LayerVersion struct {
	Content                 *LayerContent
	LayerArn                string
	LayerVersionArn         string
	Description             string `wire:",keep"`
	CreatedDate             string
	Version                 uint64
	CompatibleRuntimes      []string
	LicenseInfo             string
	CompatibleArchitectures []string
}

func (d *Door) layer(v *catalog.LayerVersion) *LayerVersion {
	return &LayerVersion{
		Content:         &LayerContent{d.link(v.CodeKey), v.CodeSHA256, v.CodeSize},
		LayerArn:        d.catalog.LayerARN(v.Account, v.Name, 0).String(),
		LayerVersionArn: d.catalog.LayerARN(v.Account, v.Name, v.Number).String(),
		Description:     v.Description, CreatedDate: short(v.Created), Version: v.Number, CompatibleRuntimes: v.Runtimes,
		LicenseInfo: v.License, CompatibleArchitectures: v.Architectures,
	}
}

// layerNeed asks for action on a layer, or with a number on a version of it.
func (d *Door) layerNeed(from rouse.Origin, action, layer string, number uint64) ([]rouse.Need, error) {
	l, err := d.catalog.ParseLayer(from.Principal.Account, layer)
	if err != nil {
		return nil, err
	}
	return []rouse.Need{{Action: action, Resource: d.catalog.LayerARN(l.Account, l.Name, number).String()}}, nil
}

func (d *Door) needLayer(_ context.Context, from rouse.Origin, in *PublishLayerVersionInput) ([]rouse.Need, error) {
	return d.layerNeed(from, "lambda:PublishLayerVersion", in.LayerName, 0)
}

func (d *Door) publishLayer(ctx context.Context, from rouse.Origin, in *PublishLayerVersionInput) (*LayerVersion, error) {
	l, err := d.catalog.ParseLayer(from.Principal.Account, in.LayerName)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.PublishLayer(ctx, l, catalog.NewLayerVersion{
		Code: in.Content.code(), Description: in.Description, License: in.LicenseInfo, Runtimes: in.CompatibleRuntimes,
		Architectures: in.CompatibleArchitectures,
	})
	if err != nil {
		return nil, err
	}
	return d.layer(v), nil
}

// LayerNumbered is the part of inputs that names a version of a layer.
type LayerNumbered struct {
	LayerName     string `wire:"LayerName,uri" max:"140"`
	VersionNumber int64  `wire:"VersionNumber,uri"`
}

// number refuses what cannot be a version.
func (in *LayerNumbered) number() (uint64, error) {
	if in.VersionNumber < 1 {
		return 0, rouse.Errorf(rouse.Invalid, "Layer Version Cannot be less than 1").WithCode("InvalidParameterValueException")
	}
	return uint64(in.VersionNumber), nil
}

func (d *Door) needNumbered(from rouse.Origin, action string, in *LayerNumbered) ([]rouse.Need, error) {
	n, err := in.number()
	if err != nil {
		return nil, err
	}
	return d.layerNeed(from, action, in.LayerName, n)
}

// GetLayerVersionInput of GetLayerVersion.
type GetLayerVersionInput struct{ LayerNumbered }

func (d *Door) needGetLayer(_ context.Context, from rouse.Origin, in *GetLayerVersionInput) ([]rouse.Need, error) {
	return d.needNumbered(from, "lambda:GetLayerVersion", &in.LayerNumbered)
}

func (d *Door) getLayer(_ context.Context, from rouse.Origin, in *GetLayerVersionInput) (*LayerVersion, error) {
	l, err := d.catalog.ParseLayer(from.Principal.Account, in.LayerName)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.LayerVersion(l, uint64(in.VersionNumber))
	if err != nil {
		return nil, err
	}
	return d.layer(v), nil
}

// GetLayerVersionByArnInput of GetLayerVersionByArn.
type GetLayerVersionByArnInput struct {
	Arn string `wire:"Arn,query,required" max:"2048"`
}

func (d *Door) needLayerARN(_ context.Context, _ rouse.Origin, in *GetLayerVersionByArnInput) ([]rouse.Need, error) {
	l, n, err := d.catalog.ParseLayerVersion(in.Arn)
	if err != nil {
		return nil, err
	}
	return []rouse.Need{{Action: "lambda:GetLayerVersion", Resource: d.catalog.LayerARN(l.Account, l.Name, n).String()}}, nil
}

func (d *Door) getLayerARN(_ context.Context, _ rouse.Origin, in *GetLayerVersionByArnInput) (*LayerVersion, error) {
	l, n, err := d.catalog.ParseLayerVersion(in.Arn)
	if err != nil {
		return nil, err
	}
	v, err := d.catalog.LayerVersion(l, n)
	if err != nil {
		return nil, err
	}
	return d.layer(v), nil
}

// DeleteLayerVersionInput of DeleteLayerVersion.
type DeleteLayerVersionInput struct{ LayerNumbered }

func (d *Door) needDeleteLayer(_ context.Context, from rouse.Origin, in *DeleteLayerVersionInput) ([]rouse.Need, error) {
	return d.needNumbered(from, "lambda:DeleteLayerVersion", &in.LayerNumbered)
}

func (d *Door) deleteLayer(ctx context.Context, from rouse.Origin, in *DeleteLayerVersionInput) (*wire.None, error) {
	l, err := d.catalog.ParseLayer(from.Principal.Account, in.LayerName)
	if err != nil {
		return nil, err
	}
	return nil, d.catalog.DeleteLayer(ctx, l, uint64(in.VersionNumber))
}

// LayerFilter is the part of inputs that chooses among layers.
type LayerFilter struct {
	CompatibleRuntime      string `wire:"CompatibleRuntime,query"`
	CompatibleArchitecture string `wire:"CompatibleArchitecture,query" enum:"x86_64|arm64"`
}

func (f *LayerFilter) filter() catalog.LayerFilter {
	return catalog.LayerFilter{Runtime: f.CompatibleRuntime, Architecture: f.CompatibleArchitecture}
}

// LayerVersionItem is a version in a list.
type LayerVersionItem struct {
	LayerVersionArn         string
	Version                 uint64
	Description             string
	CreatedDate             string
	CompatibleRuntimes      []string
	LicenseInfo             string
	CompatibleArchitectures []string
}

func (d *Door) layerItem(v *catalog.LayerVersion) LayerVersionItem {
	return LayerVersionItem{
		LayerVersionArn: d.catalog.LayerARN(v.Account, v.Name, v.Number).String(), Version: v.Number, Description: v.Description,
		CreatedDate: short(v.Created), CompatibleRuntimes: v.Runtimes, LicenseInfo: v.License, CompatibleArchitectures: v.Architectures,
	}
}

// ListLayerVersionsInput of ListLayerVersions.
type ListLayerVersionsInput struct {
	LayerName string `wire:"LayerName,uri" max:"140"`
	LayerFilter
	ShortPaging
}

// ListLayerVersionsOutput of ListLayerVersions.
type ListLayerVersionsOutput struct {
	NextMarker    string
	LayerVersions []LayerVersionItem
}

func (d *Door) needListLayer(_ context.Context, from rouse.Origin, in *ListLayerVersionsInput) ([]rouse.Need, error) {
	return d.layerNeed(from, "lambda:ListLayerVersions", in.LayerName, 0)
}

func (d *Door) listLayerVersions(_ context.Context, from rouse.Origin, in *ListLayerVersionsInput) (
	*ListLayerVersionsOutput, error) {
	l, err := d.catalog.ParseLayer(from.Principal.Account, in.LayerName)
	if err != nil {
		return nil, err
	}
	after, err := unmark(in.Marker)
	if err != nil {
		return nil, err
	}
	before, _ := strconv.ParseUint(after, 10, 64)
	vs, next := d.catalog.LayerVersions(l, in.filter(), before, page(value(in.MaxItems)))
	out := &ListLayerVersionsOutput{LayerVersions: []LayerVersionItem{}}
	for _, v := range vs {
		out.LayerVersions = append(out.LayerVersions, d.layerItem(v))
	}
	if next != 0 {
		out.NextMarker = mark(strconv.FormatUint(next, 10))
	}
	return out, nil
}

// ListLayersInput of ListLayers.
type ListLayersInput struct {
	LayerFilter
	ShortPaging
}

// ListLayersOutput of ListLayers.
type ListLayersOutput struct {
	NextMarker string
	Layers     []LayerItem
}

// LayerItem is a layer in a list.
type LayerItem struct {
	LayerName             string
	LayerArn              string
	LatestMatchingVersion LayerVersionItem
}

func (d *Door) listLayers(_ context.Context, from rouse.Origin, in *ListLayersInput) (*ListLayersOutput, error) {
	after, err := unmark(in.Marker)
	if err != nil {
		return nil, err
	}
	vs, next := d.catalog.Layers(from.Principal.Account, in.filter(), after, page(value(in.MaxItems)))
	out := &ListLayersOutput{NextMarker: mark(next), Layers: []LayerItem{}}
	for _, v := range vs {
		out.Layers = append(out.Layers, LayerItem{v.Name, d.catalog.LayerARN(v.Account, v.Name, 0).String(), d.layerItem(v)})
	}
	return out, nil
}
