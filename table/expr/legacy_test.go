package expr_test

import (
	"encoding/json"
	"fmt"

	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// Legacy parameters are written as the API has them, with values in the notation of readValue.
type legacyJSON struct {
	Value              json.RawMessage
	Exists             *bool
	ComparisonOperator string
	AttributeValueList []json.RawMessage
	Action             string
}

func (l legacyJSON) value() item.Value {
	if l.Value == nil {
		return item.Value{}
	}
	return mustRead(l.Value)
}

func (l legacyJSON) list() []item.Value {
	if l.AttributeValueList == nil {
		return nil
	}
	list := []item.Value{}
	for _, text := range l.AttributeValueList {
		list = append(list, mustRead(text))
	}
	return list
}

func mustRead(text []byte) item.Value {
	v, err := readValue(string(text))
	if err != nil {
		panic(err)
	}
	return v
}

// legacy binds a legacy parameter.
func (b *block) legacy(what, text string) string {
	if what == "attributes" {
		var names []string
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			panic(err)
		}
		p, err := expr.BindAttributesToGet(names)
		if err != nil {
			return failure(err)
		}
		return b.project(p)
	}
	var params map[string]legacyJSON
	if err := json.Unmarshal([]byte(text), &params); err != nil {
		panic(err)
	}
	expected, comparisons := map[string]expr.Expectation{}, map[string]expr.Comparison{}
	updates := map[string]expr.AttributeUpdate{}
	for name, l := range params {
		expected[name] = expr.Expectation{Value: l.value(), Exists: l.Exists, Operator: l.ComparisonOperator, List: l.list()}
		comparisons[name] = expr.Comparison{Operator: l.ComparisonOperator, List: l.list()}
		updates[name] = expr.AttributeUpdate{Action: l.Action, Value: l.value()}
	}
	switch what {
	case "expected", "queryfilter":
		var c *expr.Condition
		var err error
		if what == "expected" {
			c, err = expr.BindExpected(expected, b.operator)
		} else {
			c, err = expr.BindFilter(comparisons, b.operator)
		}
		if err != nil {
			return failure(err)
		}
		return b.match(c)
	case "keyconditions":
		k, err := expr.BindKeyConditions(comparisons)
		if err != nil {
			return failure(err)
		}
		return b.keyRange(k)
	case "updates":
		u, err := expr.BindAttributeUpdates(updates)
		if err != nil {
			return failure(err)
		}
		return b.apply(u)
	}
	return fmt.Sprintf("what is %q?", what)
}
