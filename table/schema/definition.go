package schema

import (
	"time"

	"github.com/rouse-dev/rouse/table/item"
)

// Billing says how a table is paid for on AWS. Rouse keeps it and shows it; it never throttles by it.
type Billing string

// The billing modes. "" at creation is Provisioned, as on AWS.
const (
	Provisioned   Billing = "PROVISIONED"
	PayPerRequest Billing = "PAY_PER_REQUEST"
)

// StreamView says which images of an item a stream's records carry; "" is no stream.
type StreamView string

// The views.
const (
	KeysOnly        StreamView = "KEYS_ONLY"
	NewImage        StreamView = "NEW_IMAGE"
	OldImage        StreamView = "OLD_IMAGE"
	NewAndOldImages StreamView = "NEW_AND_OLD_IMAGES"
)

// Status is where a table, an index, a stream or a time-to-live stands, in AWS's words.
type Status string

// The states. A table that is stored is ACTIVE; CREATING, UPDATING and DELETING are what the answers of the calls say.
const (
	Creating Status = "CREATING"
	Active   Status = "ACTIVE"
	Updating Status = "UPDATING"
	Deleting Status = "DELETING"
	Enabling Status = "ENABLING"
	Enabled  Status = "ENABLED"
	Disabled Status = "DISABLED"
)

// Attribute is an attribute that a key uses, with its type: S, N or B.
type Attribute struct {
	Name string    `json:"name"`
	Type item.Type `json:"type"`
}

// Key names the attributes of a primary or index key; Range may be "".
type Key struct {
	Hash  string `json:"hash"`
	Range string `json:"range,omitempty"`
}

// Throughput is what was asked for; zero under PayPerRequest.
type Throughput struct {
	Read  int64 `json:"read,omitempty"`
	Write int64 `json:"write,omitempty"`
}

// Projection says which attributes an index entry carries besides its own key and the table's.
type Projection struct {
	Kind       string   `json:"kind"` // "ALL", "KEYS_ONLY" or "INCLUDE"
	Attributes []string `json:"attributes,omitempty"`
}

// The kinds of a Projection.
const (
	ProjectAll     = "ALL"
	ProjectKeys    = "KEYS_ONLY"
	ProjectInclude = "INCLUDE"
)

// IndexDefinition is a secondary index as it is asked for.
type IndexDefinition struct {
	Name       string      `json:"name"`
	Key        Key         `json:"key"`
	Projection Projection  `json:"projection"`
	Throughput *Throughput `json:"throughput,omitempty"` // nil: not given; global indexes of provisioned tables need it
	OnDemand   *Throughput `json:"onDemand,omitempty"`   // most request units per second; kept and shown
}

// Definition is a table as it is asked for.
type Definition struct {
	Name               string            `json:"name"`
	Attributes         []Attribute       `json:"attributes"` // exactly those that keys use
	Key                Key               `json:"key"`
	Billing            Billing           `json:"billing,omitempty"`
	Throughput         *Throughput       `json:"throughput,omitempty"` // nil: not given
	OnDemand           *Throughput       `json:"onDemand,omitempty"`   // most request units per second; kept and shown
	Local              []IndexDefinition `json:"-"`
	Global             []IndexDefinition `json:"-"`
	Stream             StreamView        `json:"stream,omitempty"`
	DeletionProtection bool              `json:"deletionProtection,omitempty"`
	Class              string            `json:"class,omitempty"` // "STANDARD", "STANDARD_INFREQUENT_ACCESS" or "": kept and shown
	Tags               map[string]string `json:"tags,omitempty"`
	CacheBytes         int64             `json:"cacheBytes,omitempty"` // above 0: a cache table; 0: what the tag CacheTag says, if there is one
}

// Change is what Update shall change; what is zero stays.
type Change struct {
	Attributes         []Attribute // types of key attributes of new indexes; those known already may be repeated
	Billing            Billing
	Throughput         *Throughput
	OnDemand           *Throughput
	Indexes            []IndexChange
	Stream             *StreamView // "" turns it off
	DeletionProtection *bool
	Class              string
}

// IndexChange is one change of a global index: exactly one of its fields is set.
type IndexChange struct {
	Create *IndexDefinition
	Update *IndexUpdate
	Delete string
}

// IndexUpdate sets the throughput of a global index.
type IndexUpdate struct {
	Name       string
	Throughput *Throughput
	OnDemand   *Throughput
}

// Index is a secondary index as it is.
type Index struct {
	IndexDefinition
	ARN         string    `json:"arn"`
	Status      Status    `json:"status"` // Creating while it is back-filled, then Active
	Backfilling bool      `json:"backfilling,omitempty"`
	Increased   time.Time `json:"increased,omitzero"`
	Decreased   time.Time `json:"decreased,omitzero"`
	Decreases   int       `json:"decreases,omitempty"`
	Items       int64     `json:"-"` // as Description.Items
	SizeBytes   int64     `json:"-"`

	Number uint32 `json:"number"` // its place among the keys; never used again
}

// Description is a table as it is. It is shared and not to be changed.
type Description struct {
	Definition
	ID             string    `json:"id"` // a UUID; another table of the same name has another
	ARN            string    `json:"arn"`
	Status         Status    `json:"status"`
	Created        time.Time `json:"created"`
	BillingChanged time.Time `json:"billingChanged,omitzero"` // when it last became PayPerRequest
	BillingShown   bool      `json:"billingShown,omitempty"`  // the mode was given or changed: BillingModeSummary is shown
	ClassChanged   time.Time `json:"classChanged,omitzero"`
	Increased      time.Time `json:"increased,omitzero"` // when the throughput last was
	Decreased      time.Time `json:"decreased,omitzero"`
	Decreases      int       `json:"decreases,omitempty"` // today
	Items          int64     `json:"-"`                   // filled by Describe alone, and only approximately right: see there
	SizeBytes      int64     `json:"-"`
	LocalIndexes   []Index   `json:"local,omitempty"`
	GlobalIndexes  []Index   `json:"global,omitempty"`
	StreamLabel    string    `json:"streamLabel,omitempty"` // of the latest stream, which may be disabled
	StreamARN      string    `json:"streamARN,omitempty"`
	TTL            TTL       `json:"ttl,omitzero"`

	Number uint64 `json:"number"` // its place among the keys; never used again
}

// TTL is a table's time to live.
type TTL struct {
	Attribute string `json:"attribute,omitempty"`
	Status    Status `json:"status,omitempty"` // "" is Disabled
}

// On reports whether items expire.
func (t TTL) On() bool { return t.Status == Enabling || t.Status == Enabled }

// TypeOf is the type of an attribute that some key uses, item.TypeAbsent for others.
func (d *Description) TypeOf(name string) item.Type {
	for _, a := range d.Attributes {
		if a.Name == name {
			return a.Type
		}
	}
	return item.TypeAbsent
}

// Index finds an index by its name; global says of which kind it is.
func (d *Description) Index(name string) (x *Index, global, ok bool) {
	for i := range d.LocalIndexes {
		if d.LocalIndexes[i].Name == name {
			return &d.LocalIndexes[i], false, true
		}
	}
	for i := range d.GlobalIndexes {
		if d.GlobalIndexes[i].Name == name {
			return &d.GlobalIndexes[i], true, true
		}
	}
	return nil, false, false
}
