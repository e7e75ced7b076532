package template

// Limits of a template. The first block is CloudFormation's own
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html); the second bounds what a
// hostile template can cost.
const (
	BytesMax      = 1 << 20 // of a template
	InlineMax     = 51_200  // bytes of a TemplateBody
	ResourcesMax  = 500
	ParametersMax = 200
	MappingsMax   = 200
	OutputsMax    = 200
	DescribeMax   = 1024 // bytes of Description
	ParameterMax  = 4096 // bytes of a parameter's value

	depthMax    = 100     // nesting of values
	valuesMax   = 200_000 // values, aliases expanded
	stepsMax    = 500_000 // evaluations by one Scope
	textMax     = 4 << 20 // bytes that one Fn::Sub or Fn::Join may make
	problemsMax = 50      // problems reported together
)
