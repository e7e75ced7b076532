package schema_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/item"
	"github.com/rouse-dev/rouse/table/schema"
)

const wrong = "One or more parameter values were invalid: "

func attrs(names ...string) (as []schema.Attribute) {
	for _, n := range names {
		as = append(as, schema.Attribute{Name: n, Type: item.TypeString})
	}
	return as
}

// valid is a definition with everything.
func valid() schema.Definition {
	all := schema.Projection{Kind: schema.ProjectAll}
	return schema.Definition{
		Name: "t", Attributes: attrs("p", "r", "a", "b"), Key: schema.Key{Hash: "p", Range: "r"}, Billing: schema.PayPerRequest,
		Local:  []schema.IndexDefinition{{Name: "local", Key: schema.Key{Hash: "p", Range: "a"}, Projection: all}},
		Global: []schema.IndexDefinition{{Name: "global", Key: schema.Key{Hash: "b"}, Projection: all}},
		Stream: schema.NewImage, Class: "STANDARD", Tags: map[string]string{"k": "v"},
	}
}

func text(t *testing.T, what string, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestDefinitions(t *testing.T) {
	units := &schema.Throughput{Read: 1, Write: 1}
	include := func(names ...string) schema.Projection {
		return schema.Projection{Kind: schema.ProjectInclude, Attributes: names}
	}
	for _, c := range []struct {
		what   string
		change func(*schema.Definition)
		want   string
	}{
		{"valid", func(*schema.Definition) {}, ""},
		{"throughput, paid per request", func(d *schema.Definition) { d.Throughput = units },
			wrong + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"},
		{"no throughput", func(d *schema.Definition) { d.Billing = "" },
			wrong + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"},
		{"too much throughput", func(d *schema.Definition) {
			d.Billing, d.Throughput = "", &schema.Throughput{Read: 1_000_000_000_001, Write: 1}
		}, "Given value 1000000000001 for ReadCapacityUnits is out of bounds"},
		{"no type of a key", func(d *schema.Definition) { d.Attributes = attrs("r", "a", "b") },
			wrong + "Some index key attributes are not defined in AttributeDefinitions. Keys: [p, r], AttributeDefinitions: [r, a, b]"},
		{"fewer types than keys", func(d *schema.Definition) { d.Attributes = attrs("p") }, "Invalid KeySchema: Some index key attribute have no definition"},
		{"one key twice", func(d *schema.Definition) { d.Key.Range = "p" }, "Both the Hash Key and the Range Key element in the KeySchema have the same name"},
		{"unused type", func(d *schema.Definition) { d.Attributes = attrs("p", "r", "a", "b", "c") },
			wrong + "Some AttributeDefinitions are not used. AttributeDefinitions: [p, r, a, b, c], keys used: [p, r, a, b]"},
		{"unused type, no index", func(d *schema.Definition) { d.Local, d.Global = nil, nil },
			wrong + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"},
		{"one type twice", func(d *schema.Definition) { d.Attributes = attrs("p", "r", "a", "b", "b") }, "Attribute Name is duplicated: b"},
		{"local index without a sort key", func(d *schema.Definition) { d.Local[0].Key.Range = "" },
			wrong + "Index KeySchema does not have a range key for index: local"},
		{"local index by another partition", func(d *schema.Definition) { d.Local[0].Key.Hash = "b" },
			wrong + "Index KeySchema does not have the same leading hash key as table KeySchema for index: local. index hash key: b, table hash key: p"},
		{"local index of a table without sort key", func(d *schema.Definition) { d.Key.Range = "" },
			wrong + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"},
		{"one name twice", func(d *schema.Definition) { d.Global[0].Name = "local" }, wrong + "Duplicate index name: local"},
		{"no projection", func(d *schema.Definition) { d.Global[0].Projection = schema.Projection{} }, wrong + "Unknown ProjectionType: null"},
		{"attributes with ALL", func(d *schema.Definition) { d.Global[0].Projection.Attributes = []string{"x"} },
			wrong + "ProjectionType is ALL, but NonKeyAttributes is specified"},
		{"INCLUDE of nothing", func(d *schema.Definition) { d.Global[0].Projection = include() },
			wrong + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"},
		{"INCLUDE of one twice", func(d *schema.Definition) { d.Global[0].Projection = include("x", "x") },
			wrong + "Duplicate element in NonKeyAttributes: x"},
		{"index throughput, paid per request", func(d *schema.Definition) { d.Global[0].Throughput = units },
			wrong + "ProvisionedThroughput should not be specified for index: global when BillingMode is PAY_PER_REQUEST"},
		{"no index throughput", func(d *schema.Definition) { d.Billing, d.Throughput = schema.Provisioned, units },
			wrong + "ProvisionedThroughput is not specified for index: global"},
		{"class", func(d *schema.Definition) { d.Class = "FIRST" },
			"Invalid table-class parameter provided. Please try again with a valid table-class value: [STANDARD, STANDARD_INFREQUENT_ACCESS]."},
		{"tag of AWS", func(d *schema.Definition) { d.Tags = map[string]string{"aws:x": ""} }, "Tag Key cannot be prefixed with aws:, Key: aws:x"},
		{"cache with a stream", func(d *schema.Definition) { d.CacheBytes = 1 << 20 }, "Rouse does not implement streams of cache tables"},
	} {
		d := valid()
		c.change(&d)
		text(t, c.what, d.Check(), c.want)
	}
}

func TestProjectedLimit(t *testing.T) {
	d := valid()
	d.Local = nil
	d.Attributes = attrs("p", "r", "b")
	d.Global = nil
	for i := range 6 {
		x := schema.IndexDefinition{Name: fmt.Sprint("index-", i), Key: schema.Key{Hash: "b"}, Projection: schema.Projection{Kind: schema.ProjectInclude}}
		for j := range schema.IncludedMax {
			x.Projection.Attributes = append(x.Projection.Attributes, fmt.Sprint("x", j))
		}
		d.Global = append(d.Global, x)
		if i < 5 {
			text(t, fmt.Sprint(i+1, " indexes that include 20"), d.Check(), "")
		}
	}
	if d.Check() == nil {
		t.Error("120 included attributes: got nil, want an error")
	}
	d.Global = d.Global[:1]
	d.Global[0].Projection.Attributes = append(d.Global[0].Projection.Attributes, "more")
	if d.Check() == nil {
		t.Error("21 included attributes in one index: got nil, want an error")
	}
}

func TestChanges(t *testing.T) {
	now := time.Unix(1e9, 0)
	units := func(r, w int64) *schema.Throughput { return &schema.Throughput{Read: r, Write: w} }
	record := func(billing schema.Billing) *schema.Record {
		d := valid()
		d.Billing = billing
		if billing == schema.Provisioned {
			d.Throughput, d.Global[0].Throughput = units(1, 1), units(1, 1)
		}
		return schema.NewRecord(d, "arn", "id", 7, now)
	}
	text(t, "a change of nothing", (&schema.Change{}).Check(), "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "+
		"GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required")
	text(t, "provisioned without throughput", (&schema.Change{Billing: schema.Provisioned}).Check(),
		wrong+"ProvisionedThroughput must be specified when BillingMode is PROVISIONED")
	text(t, "two indexes at once", (&schema.Change{Indexes: []schema.IndexChange{{Delete: "a"}, {Delete: "b"}}}).Check(),
		"Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	text(t, "one index twice", (&schema.Change{Indexes: []schema.IndexChange{{Update: &schema.IndexUpdate{Name: "a"}}, {Delete: "a"}}}).Check(),
		wrong+"Only one global secondary index update per index is allowed simultaneously. Index: a")

	r := record(schema.Provisioned)
	text(t, "the same throughput", r.SetThroughput(schema.Change{Throughput: units(1, 1)}, now),
		"The provisioned throughput for the table will not change. The requested value equals the current value. "+
			"Current ReadCapacityUnits provisioned for the table: 1. Requested ReadCapacityUnits: 1. "+
			"Current WriteCapacityUnits provisioned for the table: 1. Requested WriteCapacityUnits: 1. "+
			"Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.")
	text(t, "more throughput", r.SetThroughput(schema.Change{Throughput: units(2, 1)}, now), "")
	if r.Throughput.Read != 2 || !r.Increased.Equal(now) || !r.Decreased.IsZero() {
		t.Errorf("more throughput: got %+v, increased %v, decreased %v", *r.Throughput, r.Increased, r.Decreased)
	}
	text(t, "paid per request", r.SetThroughput(schema.Change{Billing: schema.PayPerRequest}, now), "")
	if r.Throughput.Read != 0 || r.GlobalIndexes[0].Throughput.Read != 0 {
		t.Errorf("paid per request: got %+v, want no throughput", *r.Throughput)
	}
	text(t, "back without the index", r.SetThroughput(schema.Change{Billing: schema.Provisioned, Throughput: units(1, 1)}, now),
		wrong+"ProvisionedThroughput must be specified for index: global")

	r = record(schema.PayPerRequest)
	text(t, "index throughput, paid per request", r.UpdateIndex(&schema.IndexUpdate{Name: "global", Throughput: units(1, 1)}, now),
		wrong+"ProvisionedThroughput should not be specified for index: global when BillingMode is PAY_PER_REQUEST")
	text(t, "update of no index", r.UpdateIndex(&schema.IndexUpdate{Name: "none"}, now), "Requested resource not found: Index: none for table: t not found")
	_, err := r.AddIndex(schema.IndexDefinition{Name: "local", Key: schema.Key{Hash: "b"}, Projection: schema.Projection{Kind: schema.ProjectAll}})
	text(t, "an index that is there", err, "Attempting to create an index which already exists")
	number, err := r.AddIndex(schema.IndexDefinition{Name: "more", Key: schema.Key{Hash: "b"}, Projection: schema.Projection{Kind: schema.ProjectAll}})
	if err != nil || number != 3 || r.GlobalIndexes[1].Status != schema.Creating {
		t.Errorf("AddIndex: got number %d, %v, %+v; want 3, CREATING", number, err, r.GlobalIndexes)
	}
	_, err = r.AddIndex(schema.IndexDefinition{Name: "again", Key: schema.Key{Hash: "b"}, Projection: schema.Projection{Kind: schema.ProjectAll}})
	text(t, "an index while one is filled", err, "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")
	if number, err := r.DropIndex("global"); err != nil || number != 2 {
		t.Errorf("DropIndex: got %d, %v; want 2", number, err)
	}
	if err := r.AddAttributes([]schema.Attribute{{Name: "b", Type: item.TypeNumber}}); rouse.KindOf(err) != rouse.Invalid {
		t.Errorf("another type of a key: got %v, want it refused", err)
	}
	if err := errors.Join(r.AddAttributes(attrs("b", "unused")), r.DropAttributes()); err != nil || r.TypeOf("unused") != item.TypeAbsent || r.TypeOf("b") != item.TypeString {
		t.Errorf("attributes: got %+v, %v; want b and not unused", r.Attributes, err)
	}
}

// TestEntryKeys: entries order by the index's sort key, and no two items share one.
func TestEntryKeys(t *testing.T) {
	rec := schema.NewRecord(valid(), "arn", "id", 7, time.Time{})
	sch := schema.New(&rec.Description, []byte("prefix"))
	local := &sch.Indexes[0]
	part := rapid.SampledFrom([]string{"a", "ab", "abc", "b"})
	gen := rapid.Custom(func(t *rapid.T) item.Item {
		return item.Item{"p": item.NewString("p"), "r": item.NewString(part.Draw(t, "r")), "a": item.NewString(part.Draw(t, "a"))}
	})
	rapid.Check(t, func(rt *rapid.T) {
		x, y := gen.Draw(rt, "x"), gen.Draw(rt, "y")
		kx, ky := sch.EntryKey(local, x), sch.EntryKey(local, y)
		if order, _ := item.Compare(x["a"], y["a"]); order != 0 && order != bytes.Compare(kx, ky) {
			rt.Fatalf("entries of %s and %s: got order %d, want %d", x["a"].Str(), y["a"].Str(), bytes.Compare(kx, ky), order)
		}
		if same := x.Equal(y); same != bytes.Equal(kx, ky) {
			rt.Fatalf("entries: got the same key: %v, want %v", bytes.Equal(kx, ky), same)
		}
	})
	long := item.Item{"p": item.NewString(strings.Repeat("p", 2048)), "r": item.NewString(strings.Repeat("\x00", 1024)), "a": item.NewString(strings.Repeat("\x00", 1024)), "b": item.NewString("b")}
	for _, key := range [][]byte{sch.ItemKey(long), sch.EntryKey(local, long), sch.EntryKey(&sch.Indexes[1], long)} {
		if len(key) > 1400 {
			t.Errorf("key at the limits: got %d bytes, want at most 1,400", len(key))
		}
	}
	var keys []string
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}} {
		keys = append(keys, string(sch.EntryKey(&sch.Indexes[1], item.Item{"p": item.NewString(pair[0]), "r": item.NewString(pair[1]), "b": item.NewString("b")})))
	}
	if slices.Sort(keys); keys[0] == keys[1] {
		t.Error("keys that are the same when put together share an entry")
	}
}
