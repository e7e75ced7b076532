package dynamodb

import (
	"maps"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/table/attr"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// Placeholders are what expressions stand beside.
type Placeholders struct {
	ExpressionAttributeNames map[string]string `eachmax:"65535"`
}

// param is a parameter that may have been sent.
type param struct {
	name string
	sent bool
}

func sent(list []param) []string {
	var out []string
	for _, p := range list {
		if p.sent {
			out = append(out, p.name)
		}
	}
	return out
}

// together says whether the parameters of a request go together: no old ones beside expressions, no placeholders
// without them. withValues are those expressions that may have values.
func together(expressions, old []param, names map[string]string, values bool, withValues ...string) error {
	given := sent(expressions)
	if len(given) > 0 {
		if others := sent(old); len(others) > 0 {
			return invalid("Can not use both expression and non-expression parameters in the same request: "+
				"Non-expression parameters: {%s} Expression parameters: {%s}", strings.Join(others, ", "), strings.Join(given, ", "))
		}
	} else if names != nil {
		return invalid("ExpressionAttributeNames can only be specified when using expressions")
	}
	if !values || slices.ContainsFunc(given, func(g string) bool { return slices.Contains(withValues, g) }) {
		return nil
	}
	verb := " is"
	if len(withValues) > 1 {
		verb = " are"
	}
	return invalid("ExpressionAttributeValues can only be specified when using expressions: %s%s null",
		strings.Join(withValues, " and "), verb)
}

// nothing is bound where no expressions were sent. Never changed.
var nothing = &expr.Bound{}

// bind understands a request's expressions.
func (d *Door) bind(r expr.Request, values attr.Map) (*expr.Bound, error) {
	if values.Err != nil {
		if err := expr.CheckNames(r.Names); err != nil {
			return nil, err
		}
		if err := expr.CheckValueKeys(true, names(values.Item)); err != nil {
			return nil, err
		}
		return nil, invalid("ExpressionAttributeValues contains invalid value: %s for key %s", values.Err, values.ErrName)
	}
	if r.Values = values.Item; r.Condition == nil && r.Filter == nil && r.Projection == nil && r.KeyCondition == nil && r.Update == nil &&
		r.Names == nil && r.Values == nil {
		return nothing, nil
	}
	return d.expressions.Bind(r)
}

// Condition is a comparison of the old parameters.
type Condition struct {
	AttributeValueList []attr.Value
	ComparisonOperator *string `wire:",required" enum:"IN|NULL|BETWEEN|LT|NOT_CONTAINS|EQ|GT|NOT_NULL|NE|LE|BEGINS_WITH|GE|CONTAINS"`
}

// ExpectedAttributeValue is what a write expects of an attribute.
type ExpectedAttributeValue struct {
	AttributeValueList []attr.Value
	ComparisonOperator string `enum:"IN|NULL|BETWEEN|LT|NOT_CONTAINS|EQ|GT|NOT_NULL|NE|LE|BEGINS_WITH|GE|CONTAINS"`
	Exists             *bool
	Value              attr.Value
}

// AttributeValueUpdate is what becomes of an attribute.
type AttributeValueUpdate struct {
	Action string
	Value  attr.Value
}

// valuesOf are the values of a list, or what makes the first of them none.
func valuesOf(list []attr.Value) ([]item.Value, error) {
	if list == nil {
		return nil, nil
	}
	out := make([]item.Value, len(list))
	var first error
	for i, v := range list {
		if out[i] = v.Value; v.Err != nil && first == nil {
			first = v.Err
		}
		if v.IsAbsent() {
			out[i] = item.NewNull() // stands in for what is refused in the end
		}
	}
	return out, first
}

// comparisons translates KeyConditions, QueryFilter and ScanFilter.
func comparisons(m map[string]Condition) (map[string]expr.Comparison, error) {
	out := make(map[string]expr.Comparison, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		c := m[name]
		list, err := valuesOf(c.AttributeValueList)
		if err != nil {
			return nil, err
		}
		out[name] = expr.Comparison{Operator: *c.ComparisonOperator, List: list}
	}
	return out, nil
}

// filterOf binds QueryFilter or ScanFilter.
func filterOf(m map[string]Condition, operator string) (*expr.Condition, error) {
	list, err := comparisons(m)
	if err != nil || m == nil {
		return nil, err
	}
	return expr.BindFilter(list, operator)
}

// expectedOf binds Expected. Values that are none come last.
func expectedOf(m map[string]ExpectedAttributeValue, operator string) (*expr.Condition, error) {
	if m == nil {
		return nil, nil
	}
	out := make(map[string]expr.Expectation, len(m))
	var first error
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e := m[name]
		list, err := valuesOf(e.AttributeValueList)
		x := expr.Expectation{Value: e.Value.Value, Exists: e.Exists, Operator: e.ComparisonOperator, List: list}
		if e.Value.Err != nil {
			x.Value, err = item.NewNull(), e.Value.Err
		}
		if out[name] = x; err != nil && first == nil {
			first = err
		}
	}
	c, err := expr.BindExpected(out, operator)
	if err == nil {
		err = first
	}
	return c, err
}

// updatesOf binds AttributeUpdates.
func updatesOf(m map[string]AttributeValueUpdate) (*expr.Update, error) {
	if m == nil {
		return nil, nil
	}
	out := make(map[string]expr.AttributeUpdate, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if u := m[name]; u.Value.Err != nil {
			return nil, u.Value.Err
		} else {
			out[name] = expr.AttributeUpdate{Action: u.Action, Value: u.Value.Value}
		}
	}
	return expr.BindAttributeUpdates(out)
}

// projectionOfRequest is the projection of an expression or of AttributesToGet.
func projectionOfRequest(b *expr.Bound, old []string) (*expr.Projection, error) {
	if old == nil {
		return b.Projection, nil
	}
	return expr.BindAttributesToGet(old)
}

// startError words what is wrong with ExclusiveStartKey; some texts DynamoDB leaves as they are.
func startError(m attr.Map) error {
	if m.Err == nil {
		return nil
	}
	text := m.Err.Error()
	for _, plain := range []string{"contains duplicates", "number set", "numeric value", "significant digits", "number with magnitude"} {
		if strings.Contains(text, plain) {
			return m.Err
		}
	}
	return invalid("The provided starting key is invalid: %s", text)
}
