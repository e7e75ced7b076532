package sam

import "github.com/rouse-dev/rouse/stack/template"

// keyTypes are the words for the type of a simple table's key.
var keyTypes = map[string]string{"String": "S", "Number": "N", "Binary": "B"}

// simpleTable expands a table with one key, which is called id unless the template says otherwise. It is paid for by
// request unless it has a capacity.
func (x *expander) simpleTable(r *template.Resource) {
	x.known(r, []string{"PrimaryKey", "ProvisionedThroughput", "TableName", "Tags", "SSESpecification",
		"PointInTimeRecoverySpecification"}, nil)
	props, p := r.Properties, r.Pos
	name, kind := template.Str(p, "id"), template.Str(p, "S")
	if key := props.Get("PrimaryKey"); key != nil {
		p = key.Pos
		name, kind = key.Get("Name"), x.keyType(r, key)
		if name == nil {
			x.wrong(key.Pos, r.ID, "PrimaryKey", "'PrimaryKey' is missing required Property 'Name'.")
			return
		}
	}
	if kind == nil {
		return
	}
	t := *r
	t.Type = "AWS::DynamoDB::Table"
	t.Properties = template.Obj(props.Pos,
		template.KV(p, "AttributeDefinitions", template.Of(p, template.Obj(p, template.KV(p, "AttributeName", name),
			template.KV(p, "AttributeType", kind)))),
		template.KV(p, "KeySchema", template.Of(p, template.Obj(p, template.KV(p, "AttributeName", name),
			template.KV(p, "KeyType", template.Str(p, "HASH"))))))
	if capacity := props.Get("ProvisionedThroughput"); capacity != nil {
		t.Properties = t.Properties.With("ProvisionedThroughput", capacity)
	} else {
		t.Properties = t.Properties.With("BillingMode", template.Str(r.Pos, "PAY_PER_REQUEST"))
	}
	for _, n := range []string{"TableName", "SSESpecification", "PointInTimeRecoverySpecification"} {
		if v := props.Get(n); v != nil {
			t.Properties = t.Properties.With(n, v)
		}
	}
	if tags := props.Get("Tags"); tags != nil {
		t.Properties = t.Properties.With("Tags", tagList(tags.Pos, tags))
	}
	x.resources = append(x.resources, &t)
}

// keyType is the type of a simple table's key in DynamoDB's letter; nil when there is none of that name.
func (x *expander) keyType(r *template.Resource, key *Value) *Value {
	v := key.Get("Type")
	if v == nil {
		x.wrong(key.Pos, r.ID, "PrimaryKey", "'PrimaryKey' is missing required Property 'Type'.")
		return nil
	}
	word, _ := x.resolve(v).IsString()
	letter, ok := keyTypes[word]
	if !ok {
		x.wrong(v.Pos, r.ID, "PrimaryKey.Type", "Invalid 'Type' %q; want String, Number or Binary.", word)
		return nil
	}
	return template.Str(v.Pos, letter)
}
