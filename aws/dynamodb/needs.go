package dynamodb

import (
	"context"
	"encoding/base64"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/item"
)

// ask is one permission in the making. Root asks for no conditions: no policy binds it.
type ask struct {
	need rouse.Need
	root bool
}

// ask begins the need of action on a table or, with index, on one of its indexes.
func (d *Door) ask(from rouse.Origin, action, tableName, index string) ask {
	arn := d.arnOf(from, tableName)
	if index != "" {
		arn += "/index/" + index
	}
	return ask{rouse.Need{Action: "dynamodb:" + action, Resource: arn}, from.Root}
}

// when adds a condition key with a value of the request; "" is not sent.
func (a *ask) when(key, value string) {
	if value != "" {
		a.all(key, []string{value})
	}
}

// all adds a condition key with all its values, empty ones included: what policies do not see they do not forbid. None are
// no key.
func (a *ask) all(key string, values []string) {
	if a.root || len(values) == 0 {
		return
	}
	if a.need.Conditions == nil {
		a.need.Conditions = make(map[string][]string, 4)
	}
	a.need.Conditions["dynamodb:"+key] = values
}

// attributes adds dynamodb:Attributes: the top-level attributes that a request names, each once.
func (a *ask) attributes(lists ...[]string) {
	if a.root {
		return
	}
	var names []string
	seen := map[string]bool{}
	for _, list := range lists {
		for _, n := range list {
			if !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	a.all("Attributes", names)
}

// hashOf is the name of the partition key of a table or one of its indexes, "" when there is no such table or index:
// that will be said later, to those who may ask.
func (d *Door) hashOf(ctx context.Context, from rouse.Origin, tableName, index string) (string, error) {
	desc, err := d.tables.Schema(ctx, account(from), tableName)
	if rouse.KindOf(err) == rouse.NotFound && err != nil {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return keyOf(desc, index).Hash, nil
}

// keyOf is the key of a table or of one of its indexes; zero when there is no such index.
func keyOf(desc *table.Description, index string) table.Key {
	if index == "" {
		return desc.Key
	}
	x, _, ok := desc.Index(index)
	if !ok {
		return table.Key{}
	}
	return x.Key
}

// leading adds dynamodb:LeadingKeys for items or keys. It answers with the name of the partition key that it took them by,
// which the room holds against the table that it finds: another of the name may have come meanwhile. Nil for root.
func (d *Door) leading(ctx context.Context, from rouse.Origin, a *ask, tableName string, items ...item.Item) (by *string, err error) {
	if a.root {
		return nil, nil
	}
	hash, err := d.hashOf(ctx, from, tableName, "")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, it := range items {
		if v, ok := it[hash]; ok {
			keys = append(keys, keyText(v))
		}
	}
	a.all("LeadingKeys", keys)
	return &hash, nil
}

// keyText is a key as policies write it.
func keyText(v item.Value) string {
	switch v.Type() {
	case item.TypeNumber:
		return v.Number().String()
	case item.TypeBinary:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return v.Str()
}

// names lists the attributes of an item or key.
func names(it item.Item) []string {
	list := make([]string, 0, len(it))
	for n := range it {
		list = append(list, n)
	}
	return list
}

// tops lists the first steps of paths.
func tops(paths []item.Path) []string {
	list := make([]string, 0, len(paths))
	for _, p := range paths {
		if len(p) > 0 {
			list = append(list, p[0].Name)
		}
	}
	return list
}
