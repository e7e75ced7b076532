package table

import (
	"github.com/rouse-dev/rouse/table/capacity"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/stream"
)

// Capacity is what a call consumed, in DynamoDB's units. Requests ask for it with Measure, because counting takes time.
type Capacity = capacity.Consumed

// GetRequest reads one item.
type GetRequest struct {
	Table      string
	Leading    *string // as in WriteRequest
	Key        item.Item
	Projection *expr.Projection // nil: all attributes
	Consistent bool             // counts in the capacity; every read is consistent
	Measure    bool
}

// GetResult is the answer; Item is nil when there is none.
type GetResult struct {
	Item     item.Item
	Capacity *Capacity // nil unless measured
}

// WriteKind is what a WriteRequest does.
type WriteKind uint8

// The kinds. Check writes nothing and is for transactions.
const (
	Put WriteKind = iota + 1
	Update
	Delete
	Check
)

// ReturnValues says which attributes a write answers with; "" is ReturnNone.
type ReturnValues string

// The choices; those of Put and Delete are ReturnNone and AllOld.
const (
	ReturnNone ReturnValues = "NONE"
	AllOld     ReturnValues = "ALL_OLD"
	AllNew     ReturnValues = "ALL_NEW"
	UpdatedOld ReturnValues = "UPDATED_OLD"
	UpdatedNew ReturnValues = "UPDATED_NEW"
)

// WriteRequest changes one item.
type WriteRequest struct {
	Table        string
	Leading      *string // the name of the partition key that permissions were asked for by: another is refused. Nil: any
	Kind         WriteKind
	Key          item.Item       // of Update, Delete and Check
	Item         item.Item       // of Put
	Update       *expr.Update    // of Update; nil: the item is made with its key alone if it is not there
	Condition    *expr.Condition // nil: none
	Return       ReturnValues
	ReturnOnFail bool // ConditionFailed carries the item
	Measure      bool
	Collection   bool // answer with the item collection, if the table has local indexes
}

// WriteResult is the answer to a write.
type WriteResult struct {
	Attributes item.Item // as Return asked; nil: none
	Capacity   *Capacity // nil unless measured
	Collection item.Item // the partition key, when it was asked for and there are local indexes; else nil
}

// Select says what a page is made of; "" is SelectAll for tables and SelectProjected for indexes, or SelectSpecific when
// there is a Projection.
type Select string

// The choices.
const (
	SelectAll       Select = "ALL_ATTRIBUTES"
	SelectProjected Select = "ALL_PROJECTED_ATTRIBUTES"
	SelectSpecific  Select = "SPECIFIC_ATTRIBUTES"
	SelectCount     Select = "COUNT"
)

// QueryRequest reads a part of a partition of a table or an index, in the order of its sort key.
type QueryRequest struct {
	Table, Index string
	Leading      *string // as in WriteRequest, of what is queried
	KeyCondition *expr.KeyCondition
	Filter       *expr.Condition  // nil: none
	Legacy       bool             // Filter came as QueryFilter: error texts name it so
	Projection   *expr.Projection // nil: all, or as Select says
	Select       Select
	Limit        int       // items read, before the filter; 0: only the page's size bounds it
	Start        item.Item // ExclusiveStartKey; nil: the beginning
	Reverse      bool
	Consistent   bool
	Measure      bool
}

// ScanRequest reads all of a table or an index, or one of Segments parts of it.
type ScanRequest struct {
	Table, Index string
	Filter       *expr.Condition
	Projection   *expr.Projection
	Select       Select
	Limit        int
	Start        item.Item
	Segment      int
	Segments     int // 0 and 1: all of it
	Consistent   bool
	Measure      bool
}

// Page is a page of a Query or a Scan.
type Page struct {
	Items    []item.Item // nil for SelectCount
	Count    int         // that passed the filter
	Scanned  int         // that were read
	Last     item.Item   // where the next page starts; nil: there is nothing after this one
	Capacity *Capacity
}

// BatchGetRequest reads items of one table.
type BatchGetRequest struct {
	Table      string
	Leading    *string // as in WriteRequest
	Keys       []item.Item
	Projection *expr.Projection
	Consistent bool
}

// BatchGetResult answers one BatchGetRequest: the items that are there, in the order of their keys, and the keys that did
// not fit into the answer.
type BatchGetResult struct {
	Items       []item.Item
	Unprocessed []item.Item
	Capacity    *Capacity
}

// BatchWriteResult says what became of a batch.
type BatchWriteResult struct {
	Unprocessed []int // places of the writes that were not done
	Capacity    []Capacity
	Collections map[string][]item.Item // by table, when asked for
}

// TransactRequest is a transaction of writes.
type TransactRequest struct {
	Writes     []WriteRequest
	Token      string   // ClientRequestToken; "": none
	Digest     [32]byte // of all that makes the request the same request; compared when the token is seen again
	Measure    bool
	Collection bool
}

// TransactResult is the answer to a transaction.
type TransactResult struct {
	Items       []item.Item // of gets: one per request, nil where there is none
	Capacity    []Capacity  // one per table
	Collections map[string][]item.Item
}

// What streams look like is package stream's; callers name it by this one.
type (
	StreamSummary     = stream.Summary
	StreamDescription = stream.Description
	Shard             = stream.Shard
	IteratorKind      = stream.IteratorKind
	IteratorRequest   = stream.IteratorRequest
	StreamRecord      = stream.Record
	Records           = stream.Records
)

// Where reading begins.
const (
	TrimHorizon   = stream.TrimHorizon
	Latest        = stream.Latest
	AtSequence    = stream.AtSequence
	AfterSequence = stream.AfterSequence
)
