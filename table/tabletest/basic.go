package tabletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/item"
)

// show writes an item for people.
func show(it item.Item) string {
	if it == nil {
		return "nothing"
	}
	names := make([]string, 0, len(it))
	for name := range it {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", name, showValue(it[name]))
	}
	return b.String()
}

func showValue(v item.Value) string {
	switch v.Type() {
	case item.TypeString:
		return fmt.Sprintf("%q", v.Str())
	case item.TypeNumber:
		return v.Number().String()
	case item.TypeBinary:
		return fmt.Sprintf("x%x", v.Bytes())
	case item.TypeMap:
		return "{" + show(v.Map()) + "}"
	}
	parts := []string{}
	for _, e := range append(slices.Clone(v.List()), v.Elems()...) {
		parts = append(parts, showValue(e))
	}
	return v.Type().String() + "[" + strings.Join(parts, " ") + "]"
}

func testTables(t *testing.T, open Open) {
	b := fresh(t, open)
	if d := b.create(definition("music", "artist", "song")); d.Status != table.Creating || d.ARN != "arn:aws:dynamodb:"+Region+":"+Account+":table/music" {
		t.Errorf("Create: got %s %s, want CREATING and the ARN", d.Status, d.ARN)
	}
	_, err := b.db.Create(b.t.Context(), Account, definition("music", "a"))
	refuses(t, "create again", err, "ResourceInUseException", "Table already exists: music")
	b.create(definition("art", "a"))
	b.create(definition("zoo", "a"))
	names, last, err := b.db.List(b.t.Context(), Account, "", 2)
	if b.must(err); fmt.Sprint(names, last) != `[art music]music` {
		t.Errorf("List of 2: got %v, last %q; want art, music, last music", names, last)
	}
	names, last, err = b.db.List(b.t.Context(), Account, last, 2)
	if b.must(err); fmt.Sprint(names, last) != `[zoo]` {
		t.Errorf("List after music: got %v, last %q; want zoo and no more", names, last)
	}
	d, err := b.db.Describe(b.t.Context(), Account, "art")
	if b.must(err); d.Status != table.Active || d.Billing != table.PayPerRequest || d.BillingChanged.IsZero() {
		t.Errorf("Describe: got %+v; want it active and paid per request", d)
	}
	d, err = b.db.Delete(b.t.Context(), Account, "art")
	if b.must(err); d.Status != table.Deleting {
		t.Errorf("Delete: got %s, want DELETING", d.Status)
	}
	_, err = b.db.Describe(b.t.Context(), Account, "art")
	refuses(t, "describe what is gone", err, "ResourceNotFoundException", "Requested resource not found: Table: art not found")
	_, err = b.db.Get(b.t.Context(), Account, table.GetRequest{Table: "art", Key: item.Item{"a": s("x")}})
	refuses(t, "get from what is gone", err, "ResourceNotFoundException", "Requested resource not found")
}

func testItems(t *testing.T, open Open) {
	b := fresh(t, open)
	b.create(definition("music", "artist", "song"))
	it := item.Item{"artist": s("Abba"), "song": s("SOS"), "plays": n(6), "genres": item.NewList([]item.Value{s("pop"), item.NewNull()})}
	key := item.Item{"artist": s("Abba"), "song": s("SOS")}
	b.put("music", it)
	same(t, "what was put", b.get("music", key), it)
	got, err := b.update("music", key, "SET plays = plays + :v, hit = :v", item.Item{":v": n(1)}, table.UpdatedNew)
	b.must(err)
	same(t, "what was updated", got, item.Item{"plays": n(7), "hit": n(1)})
	got, err = b.update("music", key, "REMOVE genres", nil, table.AllOld)
	b.must(err)
	same(t, "the item before", got, item.Item{"artist": s("Abba"), "song": s("SOS"), "plays": n(7), "hit": n(1), "genres": it["genres"]})
	same(t, "the item after", b.get("music", key), item.Item{"artist": s("Abba"), "song": s("SOS"), "plays": n(7), "hit": n(1)})
}
