package stream

import (
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/schema"
)

// Summary names a stream.
type Summary struct{ ARN, Table, Label string }

// Description is a stream as it is.
type Description struct {
	Summary
	Status  schema.Status // Enabled, or Disabled: read-only until its records are gone
	View    schema.StreamView
	Created time.Time
	Key     schema.Key
	Shards  []Shard
}

// Shard is a part of a stream. A stream of Rouse has one.
type Shard struct {
	ID    string
	First string // sequence number that all of its records are above or at
	Last  string // of its last record; "": it is open
}

// IteratorKind says where reading begins.
type IteratorKind string

// The kinds.
const (
	TrimHorizon   IteratorKind = "TRIM_HORIZON"
	Latest        IteratorKind = "LATEST"
	AtSequence    IteratorKind = "AT_SEQUENCE_NUMBER"
	AfterSequence IteratorKind = "AFTER_SEQUENCE_NUMBER"
)

// IteratorRequest asks for an iterator over a shard.
type IteratorRequest struct {
	Stream   string // ARN
	Shard    string
	Kind     IteratorKind
	Sequence string // of AtSequence and AfterSequence
}

// Records is a page of a shard.
type Records struct {
	Records []Record
	Next    string // the iterator that goes on; "": the shard is closed and read to its end
}

// ParseARN takes the ARN of a stream apart.
func ParseARN(arn string) (account, table, label string, ok bool) {
	a, err := rouse.ParseARN(arn)
	if err != nil || a.Service != "dynamodb" {
		return "", "", "", false
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) != 4 || parts[0] != "table" || parts[2] != "stream" || parts[1] == "" || parts[3] == "" {
		return "", "", "", false
	}
	return a.Account, parts[1], parts[3], true
}
