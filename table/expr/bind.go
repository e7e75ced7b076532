package expr

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/table/item"
)

// placeholderMax is the length of a #name or :value, its first character included.
const placeholderMax = 255

// Request is what a request says by expressions.
type Request struct {
	// The expressions; nil when the request has none. An empty text is an error of its own.
	Condition, Filter, Projection, KeyCondition, Update *string
	// Names are ExpressionAttributeNames, Values ExpressionAttributeValues. Nil when not sent; sent but empty is an
	// error.
	Names  map[string]string
	Values item.Item
}

// Bound is what the expressions of a request mean. A part is nil where the request has none. The parts are immutable
// and safe for concurrent use; they share memory with the request's Names and Values, which may not be changed.
type Bound struct {
	Condition, Filter *Condition
	Projection        *Projection
	KeyCondition      *KeyCondition
	Update            *Update
}

// Bind parses the expressions, or finds them parsed, and puts the request's names and values in. Its errors are
// rouse.Invalid "ValidationException" with DynamoDB's texts, the one that DynamoDB would report first.
func (c *Cache) Bind(r Request) (*Bound, error) {
	if err := CheckNames(r.Names); err != nil {
		return nil, err
	}
	if err := checkValues(r.Values); err != nil {
		return nil, err
	}
	b := binding{cache: c, names: r.Names, values: r.Values}
	var out Bound
	if e := b.expression("UpdateExpression", grammarUpdate, r.Update); e != nil {
		out.Update = b.update(e)
	}
	out.Condition = b.condition("ConditionExpression", r.Condition)
	key := b.condition("KeyConditionExpression", r.KeyCondition)
	out.Filter = b.condition("FilterExpression", r.Filter)
	if e := b.expression("ProjectionExpression", grammarProjection, r.Projection); e != nil {
		out.Projection = b.projection(e)
	}
	b.unused()
	if b.err == nil && key != nil {
		out.KeyCondition, b.err = keyCondition(key)
	}
	if b.err != nil {
		return nil, b.err
	}
	return &out, nil
}

// CheckNames checks ExpressionAttributeNames by themselves; nil means not sent. Bind calls it; a door may before.
func CheckNames(names map[string]string) error {
	if names == nil {
		return nil
	}
	if len(names) == 0 {
		return problem("ExpressionAttributeNames must not be empty")
	}
	var bad, empty *string
	for key, name := range names {
		switch {
		case !isPlaceholder(key, '#') || len(key) > placeholderMax:
			bad = lesser(bad, key)
		case name == "":
			empty = lesser(empty, key)
		}
	}
	switch {
	case bad != nil && len(*bad) > placeholderMax:
		return problem("ExpressionAttributeNames contains invalid key: "+
			"The expression attribute map contains a key that is too long; size of key: %d", len(*bad))
	case bad != nil:
		return problem(`ExpressionAttributeNames contains invalid key: Syntax error; key: "%s"`, *bad)
	case empty != nil:
		return problem("ExpressionAttributeNames contains invalid value: Empty attribute name for key %s", *empty)
	}
	return nil
}

// CheckValueKeys checks the keys of ExpressionAttributeValues. DynamoDB does so before it looks at any of the values,
// so a door that decodes them calls it first. Sent is whether the request has them at all.
func CheckValueKeys(sent bool, keys []string) error {
	if !sent {
		return nil
	}
	if len(keys) == 0 {
		return problem("ExpressionAttributeValues must not be empty")
	}
	var bad *string
	for _, key := range keys {
		bad = badValueKey(bad, key)
	}
	return valueKeyError(bad)
}

// checkValues is CheckValueKeys of the keys of values.
func checkValues(values item.Item) error {
	if values == nil {
		return nil
	}
	if len(values) == 0 {
		return CheckValueKeys(true, nil)
	}
	var bad *string
	for key := range values {
		bad = badValueKey(bad, key)
	}
	return valueKeyError(bad)
}

// badValueKey is the lesser of bad and key, if key is none of ExpressionAttributeValues.
func badValueKey(bad *string, key string) *string {
	if isPlaceholder(key, ':') && len(key) <= placeholderMax {
		return bad
	}
	return lesser(bad, key)
}

func valueKeyError(key *string) error {
	switch {
	case key == nil:
		return nil
	case len(*key) > placeholderMax:
		return problem("ExpressionAttributeValues contains invalid key: " +
			"The expression attribute map contains a key that is too long;")
	}
	return problem(`ExpressionAttributeValues contains invalid key: Syntax error; key: "%s"`, *key)
}

// lesser is the lesser of two strings, so that of several errors it is always the same that is reported.
func lesser(known *string, s string) *string {
	if known == nil || s < *known {
		return &s
	}
	return known
}

// binding is the work of one Bind. After its first error it does nothing.
type binding struct {
	cache  *Cache
	names  map[string]string
	values item.Item
	bound  [5]*expression // for unused
	n      int
	err    error
}

// expression finds the parsed form of a text that was sent.
func (b *binding) expression(name string, g grammar, text *string) *expression {
	if text == nil || b.err != nil {
		return nil
	}
	e, err := b.cache.get(g, *text)
	if err != nil {
		b.err = within(name, err)
		return nil
	}
	b.bound[b.n] = e
	b.n++
	return e
}

// scope is an expression with a request's names and values.
type scope struct {
	*expression
	paths  []item.Path
	values []item.Value // by slot
}

// scope fills the slots of e. What is undefined stays empty, for a check to find.
func (b *binding) scope(e *expression) scope {
	s := scope{expression: e, paths: e.fixed}
	if len(e.values) > 0 {
		s.values = make([]item.Value, len(e.values))
		for i, key := range e.values {
			s.values[i] = b.values[key]
		}
	}
	if s.paths == nil {
		names := make([]string, len(e.names))
		for i, key := range e.names {
			names[i] = b.names[key]
		}
		s.paths = e.resolve(names)
	}
	return s
}

// undefined are the positions of the first #name and the first :value that the request does not define; -1 for none.
func (b *binding) undefined(s *scope) (name, value int) {
	name = slices.IndexFunc(s.names, func(key string) bool { return b.names[key] == "" })
	value = slices.IndexFunc(s.values, item.Value.IsAbsent)
	return name, value
}

func undefinedName(key string) error {
	return problem("An expression attribute name used in the document path is not defined; attribute name: %s", key)
}

func undefinedValue(key string) error {
	return problem("An expression attribute value used in expression is not defined; attribute value: %s", key)
}

// condition binds a condition of any kind.
func (b *binding) condition(name string, text *string) *Condition {
	e := b.expression(name, grammarCondition, text)
	if e == nil {
		return nil
	}
	s := b.scope(e)
	n, v := b.undefined(&s)
	check := checker{scope: &s, someUndefined: n >= 0 || v >= 0, names: b.names}
	if err := check.condition(&e.cond); err != nil {
		b.err = within(name, err)
		return nil
	}
	return newCondition(s)
}

// projection binds a projection.
func (b *binding) projection(e *expression) *Projection {
	s := b.scope(e)
	if n, _ := b.undefined(&s); n >= 0 {
		b.err = within("ProjectionExpression", undefinedName(e.names[n]))
		return nil
	}
	tree := b.tree("ProjectionExpression", &s)
	return newProjection(s.paths, tree)
}

// update binds an update. DynamoDB looks at all names, all values, and the paths to write, before any operand.
func (b *binding) update(e *expression) *Update {
	const name = "UpdateExpression"
	s := b.scope(e)
	if n, v := b.undefined(&s); n >= 0 {
		b.err = within(name, undefinedName(e.names[n]))
	} else if v >= 0 {
		b.err = within(name, undefinedValue(e.values[v]))
	}
	tree := b.tree(name, &s)
	if b.err == nil {
		check := checker{scope: &s}
		b.err = within(name, check.update())
	}
	return &Update{scope: s, tree: tree}
}

// tree is the tree of the paths that may not overlap.
func (b *binding) tree(name string, s *scope) *branch {
	if b.err != nil {
		return nil
	}
	tree, overlap := s.written, s.overlap
	if s.fixed == nil {
		tree, overlap = grow(s.writtenPaths(s.paths))
	}
	if overlap != "" {
		b.err = within(name, problem("%s", overlap))
	}
	return tree
}

// unused looks for names and values that the request defines and no expression has.
func (b *binding) unused() {
	if b.err != nil {
		return
	}
	var names, values []string
	for key := range b.names {
		if !b.uses(func(e *expression) map[string]int { return e.nameSlot }, key) {
			names = append(names, key)
		}
	}
	for key := range b.values {
		if !b.uses(func(e *expression) map[string]int { return e.valueSlot }, key) {
			values = append(values, key)
		}
	}
	switch {
	case names != nil:
		b.err = unusedError("ExpressionAttributeNames", names)
	case values != nil:
		b.err = unusedError("ExpressionAttributeValues", values)
	}
}

// uses reports whether an expression has a slot for key.
func (b *binding) uses(slots func(*expression) map[string]int, key string) bool {
	for _, e := range b.bound[:b.n] {
		if _, ok := slots(e)[key]; ok {
			return true
		}
	}
	return false
}

func unusedError(what string, keys []string) error {
	slices.Sort(keys)
	return problem("Value provided in %s unused in expressions: keys: {%s}", what, strings.Join(keys, ", "))
}
