package resource

import (
	"context"
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/template"
)

const tableTable = `
AttributeDefinitions list object {
  AttributeName string required
  AttributeType string required
}
BillingMode string
ContributorInsightsSpecification object {
  Enabled no -- contributor insights
  Mode string
}
DeletionProtectionEnabled bool
GlobalSecondaryIndexes list object -- several can be added or removed in one update, which does one after the other {
  ContributorInsightsSpecification object {
    Enabled no -- contributor insights
    Mode string
  }
  IndexName string required
  KeySchema list object required {
    AttributeName string required
    KeyType string required
  }
  OnDemandThroughput object {
    MaxReadRequestUnits int
    MaxWriteRequestUnits int
  }
  Projection object required {
    NonKeyAttributes list string
    ProjectionType string
  }
  ProvisionedThroughput object {
    ReadCapacityUnits int required
    WriteCapacityUnits int required
  }
  WarmThroughput no
}
GlobalTableSettingsReplicationMode no
GlobalTableSourceArn no
ImportSourceSpecification no
KeySchema list object required replace {
  AttributeName string required
  KeyType string required
}
KinesisStreamSpecification no
LocalSecondaryIndexes list object replace {
  IndexName string required
  KeySchema list object required {
    AttributeName string required
    KeyType string required
  }
  Projection object required {
    NonKeyAttributes list string
    ProjectionType string
  }
}
OnDemandThroughput object {
  MaxReadRequestUnits int
  MaxWriteRequestUnits int
}
PointInTimeRecoverySpecification object {
  PointInTimeRecoveryEnabled no -- back up the whole node with rouse backup
  RecoveryPeriodInDays int
}
ProvisionedThroughput object {
  ReadCapacityUnits int required
  WriteCapacityUnits int required
}
ResourcePolicy no
SSESpecification object {
  KMSMasterKeyId no -- keys of KMS
  SSEEnabled bool required -- there is no KMS: tables are encrypted as the node's disk is, and true says so as a note
  SSEType string only=KMS
}
StreamSpecification object {
  ResourcePolicy no
  StreamViewType string required
}
TableClass string
TableName string replace
Tags list object {
  Key string required
  Value string required
}
TimeToLiveSpecification object {
  AttributeName string
  Enabled bool required
}
WarmThroughput no
`

// cacheTag makes a table one that lives in memory, within the size that it says. Under Metadata of a resource the same
// key does the same, in templates that have to deploy on AWS unchanged.
const cacheTag = "rouse:cache"

func tableTypes() []*Type {
	return []*Type{{Name: "AWS::DynamoDB::Table", naming: naming{property: "TableName", max: 255}, tags: "Tags",
		Attributes: []string{"Arn", "StreamArn"}, Properties: properties(tableTable),
		create: createTable, update: updateTable, remove: removeTable, ready: tableReady, check: checkTable,
		replaceIf: replacesTable, mark: cacheTag, notes: tableNotes,
		// What is found was made by a create whose end nobody saw: it is ours, and may be protected from deletion already.
		find: func(ctx context.Context, c Client, r *Request) (State, bool, error) {
			d, err := describeTable(ctx, c, r)
			state := d.state(r)
			state.Attrs[unfinished] = true
			return state, err == nil, err
		},
	}}
}

// unfinished is the attribute of a table that Find has found.
const unfinished = "unfinished"

// throughput is capacity, provisioned or at most.
type throughput struct {
	ReadCapacityUnits, WriteCapacityUnits     int64 `json:",omitempty"`
	MaxReadRequestUnits, MaxWriteRequestUnits int64 `json:",omitempty"`
}

// tableState is what DescribeTable says, as far as it can change.
type tableState struct {
	TableStatus, TableArn, LatestStreamArn    string
	DeletionProtectionEnabled                 bool
	BillingModeSummary                        struct{ BillingMode string }
	TableClassSummary                         struct{ TableClass string }
	ProvisionedThroughput, OnDemandThroughput throughput
	StreamSpecification                       struct {
		StreamEnabled  bool
		StreamViewType string
	}
	GlobalSecondaryIndexes []indexState
}

type indexState struct {
	IndexName, IndexStatus                    string
	ProvisionedThroughput, OnDemandThroughput throughput
}

func (d tableState) state(r *Request) State {
	s := State{Physical: r.Physical, Attrs: map[string]any{"Arn": r.arn("dynamodb", "table/"+r.Physical)}}
	if d.LatestStreamArn != "" && d.StreamSpecification.StreamEnabled {
		s.Attrs["StreamArn"] = d.LatestStreamArn
	}
	return s
}

// active reports whether the table and its indexes can be used and changed.
func (d tableState) active() bool {
	return d.TableStatus == "ACTIVE" && !slices.ContainsFunc(d.GlobalSecondaryIndexes, func(i indexState) bool {
		return i.IndexStatus != "ACTIVE"
	})
}

func describeTable(ctx context.Context, c Client, r *Request) (tableState, error) {
	var out struct{ Table tableState }
	err := c.Call(ctx, "dynamodb", "DescribeTable", map[string]any{"TableName": r.Physical}, &out)
	return out.Table, err
}

func tableReady(ctx context.Context, c Client, r *Request) (bool, error) {
	d, err := describeTable(ctx, c, r)
	return d.active(), err
}

// A change of a table is waited for until it has ended, at growing distances: the next one is refused before, and filling
// an index may take long.
const (
	tableTick    = 5 * time.Millisecond
	tableTickMax = time.Second
)

// activeTable waits until a table takes the next change.
func activeTable(ctx context.Context, c Client, r *Request) (d tableState, err error) {
	err = every(ctx, func() (bool, error) {
		d, err = describeTable(ctx, c, r)
		return d.active(), err
	})
	return d, err
}

// every asks until done, at growing distances.
func every(ctx context.Context, done func() (bool, error)) error {
	for wait := tableTick; ; wait = min(2*wait, tableTickMax) {
		if ok, err := done(); ok || err != nil {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

func createTable(ctx context.Context, c Client, r *Request) (State, error) {
	in := take(r.Props, "AttributeDefinitions KeySchema BillingMode ProvisionedThroughput OnDemandThroughput LocalSecondaryIndexes "+
		"DeletionProtectionEnabled TableClass")
	in["TableName"] = r.Physical
	if list := indexes(r.Props); len(list) > 0 {
		in["GlobalSecondaryIndexes"] = list
	}
	if tags, _ := r.Props["Tags"].([]any); len(tags) > 0 {
		in["Tags"] = tags
	}
	if view := streamView(r.Props); view != "" {
		in["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": view}
	}
	var out struct{ TableDescription tableState }
	if err := c.Call(ctx, "dynamodb", "CreateTable", in, &out); err != nil {
		return State{}, err
	}
	state := out.TableDescription.state(r)
	if ttlOf(r.Props) == "" {
		return state, nil
	}
	if _, err := activeTable(ctx, c, r); err != nil {
		return state, err
	}
	return state, setTTL(ctx, c, r, ttlOf(r.Props), true)
}

// indexes are the global indexes of the API: the template's without what the check has let pass as switched off.
func indexes(props map[string]any) []map[string]any {
	list, _ := props["GlobalSecondaryIndexes"].([]any)
	var out []map[string]any
	for _, it := range list {
		m, _ := it.(map[string]any)
		out = append(out, take(m, "IndexName KeySchema Projection ProvisionedThroughput OnDemandThroughput"))
	}
	return out
}

// streamView is what the stream shows; "" when there is none.
func streamView(props map[string]any) string {
	spec, _ := props["StreamSpecification"].(map[string]any)
	return text(spec, "StreamViewType")
}

// ttlOf is the attribute by which items expire; "" when none do.
func ttlOf(props map[string]any) string {
	spec, _ := props["TimeToLiveSpecification"].(map[string]any)
	if on, _ := spec["Enabled"].(bool); !on {
		return ""
	}
	return text(spec, "AttributeName")
}

func setTTL(ctx context.Context, c Client, r *Request, attribute string, on bool) error {
	return c.Call(ctx, "dynamodb", "UpdateTimeToLive", map[string]any{"TableName": r.Physical,
		"TimeToLiveSpecification": map[string]any{"AttributeName": attribute, "Enabled": on}}, nil)
}

// updateTTL brings the time to live to what the template says. An attribute gives way to another in two steps.
func updateTTL(ctx context.Context, c Client, r *Request) error {
	if !changed(r, "TimeToLiveSpecification") {
		return nil
	}
	var out struct {
		TimeToLiveDescription struct{ TimeToLiveStatus, AttributeName string }
	}
	if err := c.Call(ctx, "dynamodb", "DescribeTimeToLive", map[string]any{"TableName": r.Physical}, &out); err != nil {
		return err
	}
	now, want := out.TimeToLiveDescription.AttributeName, ttlOf(r.Props)
	if s := out.TimeToLiveDescription.TimeToLiveStatus; s == "DISABLED" || s == "DISABLING" {
		now = ""
	}
	if now == want {
		return nil
	}
	if now != "" {
		if err := setTTL(ctx, c, r, now, false); err != nil {
			return err
		}
	}
	if want == "" {
		return nil
	}
	return setTTL(ctx, c, r, want, true)
}

// removeTable deletes a table and waits until its name is free.
func removeTable(ctx context.Context, c Client, r *Request) error {
	name := map[string]any{"TableName": r.Physical}
	d, err := describeTable(ctx, c, r)
	if err != nil {
		return err
	}
	if d.DeletionProtectionEnabled && r.Attrs[unfinished] == true {
		if err := changeTable(ctx, c, r, map[string]any{"DeletionProtectionEnabled": false}); err != nil {
			return err
		}
	}
	if d.TableStatus != "DELETING" {
		if _, err := activeTable(ctx, c, r); err != nil {
			return err
		}
		if err := c.Call(ctx, "dynamodb", "DeleteTable", name, nil); err != nil {
			return err
		}
	}
	return every(ctx, func() (bool, error) {
		_, err := describeTable(ctx, c, r)
		if err != nil && rouse.KindOf(err) == rouse.NotFound {
			return true, nil
		}
		return false, err
	})
}

// replacesTable: a table is in memory, within its bound, or it is not; and an attribute keeps its type.
func replacesTable(old, props map[string]any) bool {
	if tagMap(old["Tags"])[cacheTag] != tagMap(props["Tags"])[cacheTag] {
		return true
	}
	types := attributeTypes(old)
	for name, t := range attributeTypes(props) {
		if before, ok := types[name]; ok && before != t {
			return true
		}
	}
	return false
}

func attributeTypes(props map[string]any) map[string]string {
	out := map[string]string{}
	list, _ := props["AttributeDefinitions"].([]any)
	for _, it := range list {
		m, _ := it.(map[string]any)
		out[text(m, "AttributeName")] = text(m, "AttributeType")
	}
	return out
}

// checkTable finds what DynamoDB would refuse only after other resources have been made.
func checkTable(props *template.Value) (ps template.Problems) {
	wrong := func(p template.Pos, path, text string) {
		ps = append(ps, template.Problem{Pos: p, Path: path, Text: text})
	}
	if defined, used, ok := keyNames(props); ok && !slices.Equal(defined, used) {
		wrong(props.KeyPos("AttributeDefinitions"), "AttributeDefinitions",
			"Property AttributeDefinitions is inconsistent with the KeySchema of the table and the secondary indexes")
	}
	mode, known := provisioned, true
	if v := props.Get("BillingMode"); v != nil {
		mode, known = v.Scalar()
	}
	if known && mode == provisioned && props.Get("ProvisionedThroughput") == nil {
		wrong(props.Pos, "ProvisionedThroughput", "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits "+
			"must both be specified when BillingMode is PROVISIONED; BillingMode PAY_PER_REQUEST needs none")
	}
	if ttl := props.Get("TimeToLiveSpecification"); ttl != nil {
		if on, _ := ttl.Get("Enabled").Bool(); on && ttl.Get("AttributeName") == nil {
			wrong(ttl.Pos, "TimeToLiveSpecification", "required key [AttributeName] not found")
		}
	}
	return ps
}

// tableNotes tells what is accepted and is not as somebody may believe.
func tableNotes(props *template.Value) (ps template.Problems) {
	if on, _ := props.Get("SSESpecification").Get("SSEEnabled").Bool(); on {
		ps = append(ps, template.Problem{Pos: props.KeyPos("SSESpecification"), Path: "SSESpecification",
			Text: "there is no KMS: the table is encrypted if the node's disk is"})
	}
	return ps
}

// keyNames are the attributes that are defined, and those that keys use, both sorted. ok is false when some are not
// known before deployment.
func keyNames(props *template.Value) (defined, used []string, ok bool) {
	ok = true
	names := func(out *[]string, list *template.Value) {
		if list == nil {
			return
		}
		if list.Kind != template.List {
			ok = false
			return
		}
		for _, it := range list.Items {
			name, known := it.Get("AttributeName").Scalar()
			if ok = ok && known; !slices.Contains(*out, name) {
				*out = append(*out, name)
			}
		}
	}
	names(&defined, props.Get("AttributeDefinitions"))
	names(&used, props.Get("KeySchema"))
	for _, kind := range []string{"LocalSecondaryIndexes", "GlobalSecondaryIndexes"} {
		list := props.Get(kind)
		if list != nil && list.Kind != template.List {
			return nil, nil, false
		}
		if list != nil {
			for _, it := range list.Items {
				names(&used, it.Get("KeySchema"))
			}
		}
	}
	slices.Sort(defined)
	slices.Sort(used)
	return defined, used, ok
}
