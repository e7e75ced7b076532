package resource_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/stack/resource"
)

// tables is DynamoDB as far as stacks use it, with the rules that make its changes slow: each is under way until it has
// been asked for once, and until then the next one is refused.
type tables struct {
	all map[string]map[string]any // by name: what DescribeTable says
	ttl map[string]string
}

func (ts *tables) call(operation string, in map[string]any) (any, error) {
	name, _ := in["TableName"].(string)
	d := ts.all[name]
	if d == nil && strings.HasSuffix(operation, "Table") && operation != "CreateTable" {
		return nil, rouse.Errorf(rouse.NotFound, "Requested resource not found: Table: %s not found", name)
	}
	switch operation {
	case "CreateTable":
		return ts.create(name, in)
	case "DescribeTable":
		defer ts.settle(name)
		return map[string]any{"Table": maps.Clone(d)}, nil
	case "DeleteTable":
		if d["DeletionProtectionEnabled"] == true {
			return nil, rouse.Errorf(rouse.Invalid, "Resource cannot be deleted as it is currently protected against deletion. "+
				"Disable deletion protection first.")
		}
		d["TableStatus"] = "DELETING"
		return nil, nil
	case "UpdateTable":
		return nil, ts.update(d, in)
	case "UpdateTimeToLive":
		spec := in["TimeToLiveSpecification"].(map[string]any)
		delete(ts.ttl, name)
		if spec["Enabled"] == true {
			ts.ttl[name] = spec["AttributeName"].(string)
		}
	case "DescribeTimeToLive":
		if a, ok := ts.ttl[name]; ok {
			return map[string]any{"TimeToLiveDescription": map[string]any{"TimeToLiveStatus": "ENABLED", "AttributeName": a}}, nil
		}
		return map[string]any{"TimeToLiveDescription": map[string]any{"TimeToLiveStatus": "DISABLED"}}, nil
	}
	return nil, nil
}

func (ts *tables) create(name string, in map[string]any) (any, error) {
	if ts.all[name] != nil {
		return nil, rouse.Errorf(rouse.Conflict, "Table already exists: %s", name)
	}
	d := maps.Clone(in)
	d["TableStatus"] = "CREATING"
	d["BillingModeSummary"] = map[string]any{"BillingMode": in["BillingMode"]}
	d["TableClassSummary"] = map[string]any{"TableClass": in["TableClass"]}
	ts.stream(d)
	ts.all[name] = d
	return map[string]any{"TableDescription": d}, nil
}

func (ts *tables) stream(d map[string]any) {
	if spec, _ := d["StreamSpecification"].(map[string]any); spec["StreamEnabled"] == true {
		d["LatestStreamArn"] = fmt.Sprintf("arn:stream/%v", spec["StreamViewType"])
	}
}

func (ts *tables) settle(name string) {
	d := ts.all[name]
	if d["TableStatus"] == "DELETING" {
		delete(ts.all, name)
		return
	}
	d["TableStatus"] = "ACTIVE"
	list, _ := d["GlobalSecondaryIndexes"].([]any)
	for _, it := range list {
		it.(map[string]any)["IndexStatus"] = "ACTIVE"
	}
}

func (ts *tables) update(d, in map[string]any) error {
	if d["TableStatus"] != "ACTIVE" {
		return rouse.Errorf(rouse.Conflict, "Attempt to change a resource which is still in use: Table is being updated")
	}
	d["TableStatus"] = "UPDATING"
	for k, v := range in {
		switch k {
		case "BillingMode":
			d["BillingModeSummary"] = map[string]any{"BillingMode": v}
		case "TableClass":
			d["TableClassSummary"] = map[string]any{"TableClass": v}
		case "GlobalSecondaryIndexUpdates":
			ts.indexes(d, v.([]any))
		default:
			d[k] = v
		}
	}
	ts.stream(d)
	return nil
}

func (ts *tables) indexes(d map[string]any, updates []any) {
	list, _ := d["GlobalSecondaryIndexes"].([]any)
	list = slices.Clone(list)
	for _, u := range updates {
		for verb, v := range u.(map[string]any) {
			i := v.(map[string]any)
			same := func(it any) bool { return it.(map[string]any)["IndexName"] == i["IndexName"] }
			switch verb {
			case "Create":
				list = append(list, maps.Clone(i))
			case "Delete":
				list = slices.DeleteFunc(list, same)
			case "Update":
				old := maps.Clone(list[slices.IndexFunc(list, same)].(map[string]any))
				maps.Copy(old, i)
				list[slices.IndexFunc(list, same)] = old
			}
		}
	}
	d["GlobalSecondaryIndexes"] = list
}

const protected = `{TableName: t, AttributeDefinitions: [{AttributeName: id, AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}],
 BillingMode: PAY_PER_REQUEST, DeletionProtectionEnabled: true}`

// TestInterruptedTable: what an interrupted create of a table has left is found and deleted, even when it is protected
// already; a table that was complete is not.
func TestInterruptedTable(t *testing.T) {
	typ := resource.Types()["AWS::DynamoDB::Table"]
	props, problems := check(t, typ, protected)
	if problems != "" {
		t.Fatal(problems)
	}
	c := &recorder{}
	req := &resource.Request{Physical: "t", Region: "us-east-1", Account: "1", Props: props}
	if _, found, err := typ.Find(t.Context(), c, req); found || err != nil {
		t.Errorf("got found %v, error %v of a table that is not there, want nothing", found, err)
	}
	state, err := typ.Create(t.Context(), c, req)
	if err != nil {
		t.Fatal(err)
	}
	req.Attrs = state.Attrs
	if err := typ.Delete(t.Context(), c, req); err == nil || !strings.Contains(err.Error(), "protected against deletion") {
		t.Errorf("got error %v for a protected table, want that it is protected", err)
	}
	state, found, err := typ.Find(t.Context(), c, req)
	if !found || err != nil || state.Physical != "t" {
		t.Fatalf("got %+v, %v, %v, want the table t", state, found, err)
	}
	req.Attrs = state.Attrs
	if err := typ.Delete(t.Context(), c, req); err != nil {
		t.Errorf("got error %v for a table whose create was interrupted, want none", err)
	}
	if err := typ.Delete(t.Context(), c, req); err != nil {
		t.Errorf("got error %v for a table that is gone, want none", err)
	}
}

// TestTableUpdateAgain: an update that has been done does nothing when it is run again, as after a crash.
func TestTableUpdateAgain(t *testing.T) {
	typ := resource.Types()["AWS::DynamoDB::Table"]
	old, problems := check(t, typ, protected)
	next, more := check(t, typ, `{TableName: t, AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: a, AttributeType: N}],
 KeySchema: [{AttributeName: id, KeyType: HASH}], ProvisionedThroughput: {ReadCapacityUnits: 2, WriteCapacityUnits: 1},
 GlobalSecondaryIndexes: [{IndexName: byA, KeySchema: [{AttributeName: a, KeyType: HASH}], Projection: {ProjectionType: ALL},
   ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}}],
 StreamSpecification: {StreamViewType: KEYS_ONLY}, TimeToLiveSpecification: {AttributeName: until, Enabled: true}}`)
	if problems+more != "" {
		t.Fatal(problems + more)
	}
	c := &recorder{}
	req := &resource.Request{Physical: "t", Region: "us-east-1", Account: "1", Props: old}
	if _, err := typ.Create(t.Context(), c, req); err != nil {
		t.Fatal(err)
	}
	req.Old, req.Props = old, next
	for range 2 {
		c.log.Reset()
		if _, err := typ.Update(t.Context(), c, req); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.log.String(); strings.Contains(got, "Update") {
		t.Errorf("got these calls of an update that was done already, want none that changes something:\n%s", got)
	}
	b, _ := json.Marshal(c.tables.all["t"]["GlobalSecondaryIndexes"])
	if !strings.Contains(string(b), `"IndexName":"byA"`) {
		t.Errorf("got indexes %s, want byA", b)
	}
}
