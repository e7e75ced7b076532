package dynamodb

import (
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/item"
)

// The structures of tables, called as AWS calls them: the names stand in the texts of wrong types.

// AttributeDefinition is an attribute that a key uses.
type AttributeDefinition struct {
	AttributeName *string `wire:",required" min:"1" max:"255"`
	AttributeType *string `wire:",required" enum:"B|N|S"`
}

// KeySchemaElement is a part of a key of a table.
type KeySchemaElement struct {
	AttributeName *string `wire:",required" min:"1" max:"255"`
	KeyType       *string `wire:",required" enum:"HASH|RANGE"`
}

// ProvisionedThroughput is what a table is paid for.
type ProvisionedThroughput struct {
	ReadCapacityUnits  *int64 `wire:",required" min:"1"`
	WriteCapacityUnits *int64 `wire:",required" min:"1"`
}

func (p *ProvisionedThroughput) throughput() *table.Throughput {
	if p == nil {
		return nil
	}
	return &table.Throughput{Read: *p.ReadCapacityUnits, Write: *p.WriteCapacityUnits}
}

// OnDemandThroughput is what a table paid by request may use at most.
type OnDemandThroughput struct {
	MaxReadRequestUnits  *int64
	MaxWriteRequestUnits *int64
}

func (o *OnDemandThroughput) throughput() *table.Throughput {
	if o == nil {
		return nil
	}
	t := &table.Throughput{Read: -1, Write: -1}
	if o.MaxReadRequestUnits != nil {
		t.Read = *o.MaxReadRequestUnits
	}
	if o.MaxWriteRequestUnits != nil {
		t.Write = *o.MaxWriteRequestUnits
	}
	return t
}

// Projection is what an index carries.
type Projection struct {
	ProjectionType   string   `enum:"ALL|INCLUDE|KEYS_ONLY"`
	NonKeyAttributes []string `min:"1" eachmin:"1" eachmax:"255"`
}

// LocalSecondaryIndex is an index beside the table's own key.
type LocalSecondaryIndex struct {
	IndexName  *string            `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	KeySchema  []KeySchemaElement `wire:",required" min:"1" max:"2"`
	Projection *Projection        `wire:",required"`
}

// GlobalSecondaryIndex is an index by any attributes.
type GlobalSecondaryIndex struct {
	IndexName             *string            `wire:",required" min:"3" max:"255" pattern:"[a-zA-Z0-9_.-]+"`
	KeySchema             []KeySchemaElement `wire:",required" min:"1" max:"8"`
	Projection            *Projection        `wire:",required"`
	ProvisionedThroughput *ProvisionedThroughput
	OnDemandThroughput    *OnDemandThroughput
	WarmThroughput        *WarmThroughput `unsupported:"warm throughput"`
}

// WarmThroughput is capacity kept ready; Rouse keeps none.
type WarmThroughput struct {
	ReadUnitsPerSecond  *int64
	WriteUnitsPerSecond *int64
}

// StreamSpecification turns a change stream on or off.
type StreamSpecification struct {
	StreamEnabled  *bool  `wire:",required"`
	StreamViewType string `enum:"NEW_IMAGE|OLD_IMAGE|NEW_AND_OLD_IMAGES|KEYS_ONLY"`
}

// view is the stream that is asked for, "" for none.
func (s *StreamSpecification) view() (table.StreamView, error) {
	switch {
	case s == nil:
		return "", nil
	case !*s.StreamEnabled && s.StreamViewType != "":
		return "", invalidValue("Table is being created with a stream disabled, UpdateViewType can not be specified")
	case *s.StreamEnabled && s.StreamViewType == "":
		return "", invalidValue("StreamViewType must be specified when stream is enabled")
	case !*s.StreamEnabled:
		return "", nil
	}
	return table.StreamView(s.StreamViewType), nil
}

// SSESpecification chooses the key of encryption; AWS's own is what there is.
type SSESpecification struct {
	Enabled        *bool   `unsupported:"customer managed keys of tables"`
	SSEType        *string `unsupported:"customer managed keys of tables"`
	KMSMasterKeyId *string `unsupported:"customer managed keys of tables"`
}

// Tag is a tag.
type Tag struct {
	Key   *string `wire:",required" min:"1" max:"128"`
	Value *string `wire:",required,keep" max:"256"`
}

// attributesOf reads definitions that were validated.
func attributesOf(list []AttributeDefinition) []table.Attribute {
	out := make([]table.Attribute, len(list))
	for i, a := range list {
		t, _ := item.ParseType(*a.AttributeType)
		out[i] = table.Attribute{Name: *a.AttributeName, Type: t}
	}
	return out
}

// schemaKey reads a key's schema: a HASH element and perhaps a RANGE one, in this order. The room knows what else can be
// wrong with a key, and says so before the order counts.
func schemaKey(schema []KeySchemaElement, defined []AttributeDefinition) (table.Key, error) {
	k := table.Key{Hash: *schema[0].AttributeName}
	if len(schema) > 2 {
		return k, rouse.Errorf(rouse.Unsupported, "Rouse does not implement keys of several attributes (KeySchema of a global index)")
	}
	if len(schema) > 1 {
		k.Range = *schema[1].AttributeName
	}
	for _, e := range schema {
		if !slices.ContainsFunc(defined, func(a AttributeDefinition) bool { return *a.AttributeName == *e.AttributeName }) {
			return k, nil
		}
	}
	switch {
	case k.Hash == k.Range:
	case *schema[0].KeyType != "HASH":
		return k, invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case k.Range != "" && *schema[1].KeyType != "RANGE":
		return k, invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	}
	return k, nil
}

// KeySchema shows a key.
func KeySchema(k table.Key) []KeySchemaElement {
	hash, rng := "HASH", "RANGE"
	out := []KeySchemaElement{{&k.Hash, &hash}}
	if k.Range != "" {
		out = append(out, KeySchemaElement{&k.Range, &rng})
	}
	return out
}

func (p *Projection) projection() table.Projection {
	return table.Projection{Kind: p.ProjectionType, Attributes: p.NonKeyAttributes}
}

func projectionOf(p table.Projection) *Projection {
	return &Projection{ProjectionType: p.Kind, NonKeyAttributes: p.Attributes}
}

// timeOf is a time that may be absent.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
