package table

import "github.com/rouse-dev/rouse/table/schema"

// What tables look like is package schema's; callers name it by this one.
type (
	Definition      = schema.Definition
	Attribute       = schema.Attribute
	Key             = schema.Key
	Billing         = schema.Billing
	Throughput      = schema.Throughput
	IndexDefinition = schema.IndexDefinition
	Projection      = schema.Projection
	StreamView      = schema.StreamView
	Description     = schema.Description
	Index           = schema.Index
	TTL             = schema.TTL
	Change          = schema.Change
	IndexChange     = schema.IndexChange
	IndexUpdate     = schema.IndexUpdate
)

// Their values.
const (
	Provisioned     = schema.Provisioned
	PayPerRequest   = schema.PayPerRequest
	KeysOnly        = schema.KeysOnly
	NewImage        = schema.NewImage
	OldImage        = schema.OldImage
	NewAndOldImages = schema.NewAndOldImages
	ProjectAll      = schema.ProjectAll
	ProjectKeys     = schema.ProjectKeys
	ProjectInclude  = schema.ProjectInclude
	Creating        = schema.Creating
	Active          = schema.Active
	Updating        = schema.Updating
	Deleting        = schema.Deleting
	Enabling        = schema.Enabling
	Enabled         = schema.Enabled
	Disabled        = schema.Disabled
)

// And its limits.
const (
	TablesMax        = schema.TablesMax
	LocalIndexesMax  = schema.LocalIndexesMax
	GlobalIndexesMax = schema.GlobalIndexesMax
	TagsMax          = schema.TagsMax
	CacheTag         = schema.CacheTag
)
