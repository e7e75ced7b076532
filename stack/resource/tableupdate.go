package resource

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/rouse-dev/rouse"
)

// updateTable brings a table to its new properties. It compares them with what the table says of itself, not with the old
// ones, so that it can be run again from wherever it was interrupted. DynamoDB takes one kind of change at a time: each is
// waited for.
func updateTable(ctx context.Context, c Client, r *Request) (State, error) {
	state := State{Physical: r.Physical, Attrs: r.Attrs}
	if err := fixedIndexes(r); err != nil {
		return state, err
	}
	now, err := activeTable(ctx, c, r)
	if err != nil {
		return state, err
	}
	for _, change := range []func(context.Context, Client, *Request, tableState) error{
		dropIndexes, updateThroughput, addIndexes, updateStream, updateSettings} {
		if err := change(ctx, c, r, now); err != nil {
			return state, err
		}
	}
	if err := updateTTL(ctx, c, r); err != nil {
		return state, err
	}
	if now, err = describeTable(ctx, c, r); err != nil {
		return state, err
	}
	state = now.state(r)
	arn := state.Attrs["Arn"]
	return state, retag(r, func(set map[string]string) error {
		return c.Call(ctx, "dynamodb", "TagResource", map[string]any{"ResourceArn": arn, "Tags": keyValues(set)}, nil)
	}, func(keys []string) error {
		return c.Call(ctx, "dynamodb", "UntagResource", map[string]any{"ResourceArn": arn, "TagKeys": keys}, nil)
	})
}

// changeTable makes one change and waits for its end.
func changeTable(ctx context.Context, c Client, r *Request, in map[string]any) error {
	in["TableName"] = r.Physical
	if err := c.Call(ctx, "dynamodb", "UpdateTable", in, nil); err != nil {
		return err
	}
	_, err := activeTable(ctx, c, r)
	return err
}

// fixedIndexes refuses to change what an index was made with.
func fixedIndexes(r *Request) error {
	for _, i := range indexes(r.Props) {
		for _, old := range indexes(r.Old) {
			if old["IndexName"] == i["IndexName"] && (!same(old["KeySchema"], i["KeySchema"]) ||
				!same(old["Projection"], i["Projection"])) {
				return rouse.Errorf(rouse.Invalid, "Cannot update GSI's properties other than Provisioned Throughput and "+
					"Contributor Insights Specification. You can create a new GSI with a different name. (%s)", i["IndexName"])
			}
		}
	}
	return nil
}

// capacity reads a throughput of the template.
func capacity(props map[string]any, name string) (t throughput) {
	m, _ := props[name].(map[string]any)
	number := func(key string) int64 {
		n, _ := m[key].(json.Number)
		i, _ := n.Int64()
		return i
	}
	return throughput{number("ReadCapacityUnits"), number("WriteCapacityUnits"), number("MaxReadRequestUnits"),
		number("MaxWriteRequestUnits")}
}

// Billing modes.
const (
	provisioned   = "PROVISIONED"
	payPerRequest = "PAY_PER_REQUEST"
)

// unlimited stands for no upper bound, which DynamoDB writes as -1.
func (t throughput) unlimited() throughput {
	if t.MaxReadRequestUnits == 0 {
		t.MaxReadRequestUnits = -1
	}
	if t.MaxWriteRequestUnits == 0 {
		t.MaxWriteRequestUnits = -1
	}
	return t
}

// differs says what has to be sent so that a table or index has the capacity of props; empty when it has it already. What
// was paid for by request has none, whatever it says.
func (t throughput) differs(maximum throughput, props map[string]any, was, mode string) map[string]any {
	out, onDemand := map[string]any{}, mode == payPerRequest
	want := capacity(props, "ProvisionedThroughput")
	if !onDemand && (was != mode || want.ReadCapacityUnits != t.ReadCapacityUnits ||
		want.WriteCapacityUnits != t.WriteCapacityUnits) {
		out["ProvisionedThroughput"] = props["ProvisionedThroughput"]
	}
	if want := capacity(props, "OnDemandThroughput").unlimited(); onDemand && want != maximum.unlimited() {
		out["OnDemandThroughput"] = want
	}
	return out
}

// updateThroughput brings billing and capacity, of the table and of the indexes that stay, to what the template says.
func updateThroughput(ctx context.Context, c Client, r *Request, now tableState) error {
	mode, was := orText(text(r.Props, "BillingMode"), provisioned), orText(now.BillingModeSummary.BillingMode, provisioned)
	in := now.ProvisionedThroughput.differs(now.OnDemandThroughput, r.Props, was, mode)
	if mode != was {
		in["BillingMode"] = mode
	}
	var updates []any
	for _, i := range indexes(r.Props) {
		k := slices.IndexFunc(now.GlobalSecondaryIndexes, func(n indexState) bool { return n.IndexName == i["IndexName"] })
		if k < 0 {
			continue
		}
		n := now.GlobalSecondaryIndexes[k]
		if diff := n.ProvisionedThroughput.differs(n.OnDemandThroughput, i, was, mode); len(diff) > 0 {
			diff["IndexName"] = i["IndexName"]
			updates = append(updates, map[string]any{"Update": diff})
		}
	}
	if len(updates) > 0 {
		in["GlobalSecondaryIndexUpdates"] = updates
	}
	if len(in) == 0 {
		return nil
	}
	return changeTable(ctx, c, r, in)
}

// dropIndexes deletes the indexes that the template no longer has, one after the other.
func dropIndexes(ctx context.Context, c Client, r *Request, now tableState) error {
	keep := indexes(r.Props)
	for _, i := range now.GlobalSecondaryIndexes {
		if slices.ContainsFunc(keep, func(k map[string]any) bool { return k["IndexName"] == i.IndexName }) {
			continue
		}
		if err := changeTable(ctx, c, r, map[string]any{"GlobalSecondaryIndexUpdates": []any{
			map[string]any{"Delete": map[string]any{"IndexName": i.IndexName}}}}); err != nil {
			return err
		}
	}
	return nil
}

// addIndexes makes the indexes that the table has not, one after the other, each filled before the next.
func addIndexes(ctx context.Context, c Client, r *Request, now tableState) error {
	var have, add []map[string]any
	for _, i := range indexes(r.Props) {
		if slices.ContainsFunc(now.GlobalSecondaryIndexes, func(n indexState) bool { return n.IndexName == i["IndexName"] }) {
			have = append(have, i)
		} else {
			add = append(add, i)
		}
	}
	for _, i := range add {
		have = append(have, i)
		if err := changeTable(ctx, c, r, map[string]any{"AttributeDefinitions": definitions(r.Props, have),
			"GlobalSecondaryIndexUpdates": []any{map[string]any{"Create": i}}}); err != nil {
			return err
		}
	}
	return nil
}

// definitions are those of the template's attributes that a table with these global indexes uses: more are refused.
func definitions(props map[string]any, global []map[string]any) []any {
	used := map[string]bool{}
	use := func(holder map[string]any) {
		keys, _ := holder["KeySchema"].([]any)
		for _, it := range keys {
			m, _ := it.(map[string]any)
			used[text(m, "AttributeName")] = true
		}
	}
	use(props)
	local, _ := props["LocalSecondaryIndexes"].([]any)
	for _, it := range local {
		m, _ := it.(map[string]any)
		use(m)
	}
	for _, i := range global {
		use(i)
	}
	all, _ := props["AttributeDefinitions"].([]any)
	return slices.DeleteFunc(slices.Clone(all), func(it any) bool {
		m, _ := it.(map[string]any)
		return !used[text(m, "AttributeName")]
	})
}

// updateStream turns the stream on or off. Another view is another stream.
func updateStream(ctx context.Context, c Client, r *Request, now tableState) error {
	want, was := streamView(r.Props), ""
	if now.StreamSpecification.StreamEnabled {
		was = now.StreamSpecification.StreamViewType
	}
	if want == was {
		return nil
	}
	if was != "" {
		if err := changeTable(ctx, c, r, map[string]any{"StreamSpecification": map[string]any{"StreamEnabled": false}}); err != nil {
			return err
		}
	}
	if want == "" {
		return nil
	}
	return changeTable(ctx, c, r, map[string]any{
		"StreamSpecification": map[string]any{"StreamEnabled": true, "StreamViewType": want}})
}

// updateSettings brings what is only noted to what the template says.
func updateSettings(ctx context.Context, c Client, r *Request, now tableState) error {
	in := map[string]any{}
	if want, _ := r.Props["DeletionProtectionEnabled"].(bool); want != now.DeletionProtectionEnabled {
		in["DeletionProtectionEnabled"] = want
	}
	if want := orText(text(r.Props, "TableClass"), "STANDARD"); want != orText(now.TableClassSummary.TableClass, "STANDARD") {
		in["TableClass"] = want
	}
	if len(in) == 0 {
		return nil
	}
	return changeTable(ctx, c, r, in)
}
