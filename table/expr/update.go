package expr

import "github.com/rouse-dev/rouse/table/item"

// Update is an update that is ready to be applied.
type Update struct {
	scope
	tree *branch
}

// outcome is what an action does to its path.
type outcome struct {
	value  item.Value // what to write
	remove bool       // take the path out; neither: leave it as it is
	fault  fault
	err    error // of faultRange
}

// fault is why an action cannot be done.
type fault uint8

const (
	faultNone    fault = iota
	faultPath          // what the path goes into is not there, or of another type
	faultType          // an operand, or the attribute to change, is of another type than it has to be
	faultMissing       // a SET reads an attribute that is not there
	faultRange         // what is made is out of bounds: a number, a nesting, a size
)

// Apply makes the item that the update makes of old, which stays as it is and shares its unchanged values. Of an item
// that is not stored, old has the key only; see Create. All values are read from old, and all indexes are those of old:
// elements that are set beyond the end of a list are appended in the order of their indexes.
//
// Its errors are rouse.Invalid "ValidationException" with DynamoDB's texts. The size of the result, and whether key
// attributes have changed their types, is for the caller to check; here it is refused only where finding out took too
// much memory.
func (u *Update) Apply(old item.Item) (item.Item, error) { return u.apply(old, false) }

// Create is Apply for an item that is not stored yet, of which key has the key attributes. DynamoDB lets such an update
// remove what is nowhere.
func (u *Update) Create(key item.Item) (item.Item, error) { return u.apply(key, true) }

// RemovesOnly reports whether the update only takes away. DynamoDB does not create an item by such an update.
func (u *Update) RemovesOnly() bool {
	for i := range u.actions {
		if s := u.actions[i].section; s == sectionSet || s == sectionAdd {
			return false
		}
	}
	return len(u.actions) > 0
}

// Paths are the paths that the update writes, in the order of the text.
func (u *Update) Paths() []item.Path { return u.writtenPaths(u.paths) }

// Reads are all paths in the update, those that are only read included.
func (u *Update) Reads() []item.Path { return u.paths }

// Names are the top-level attributes that the update writes, each once.
func (u *Update) Names() []string { return topNames(u.Paths()) }

// Written is the part of it that the update's paths lead to: UPDATED_OLD of the item before it, UPDATED_NEW of the one
// after. It is empty when there is nothing there. As with DynamoDB, an element that was appended to a list is not found
// at the index that the update gave.
func (u *Update) Written(it item.Item) item.Item {
	if out := u.tree.project(it); out != nil {
		return out
	}
	return item.Item{}
}

// TypeOf is the type that the update gives to a top-level attribute, where that is known without the item; DynamoDB
// checks it against the keys of indexes before it reads anything.
func (u *Update) TypeOf(name string) (item.Type, bool) {
	for i := range u.actions {
		a := &u.actions[i]
		if p := u.paths[a.path]; len(p) != 1 || p[0].Name != name || a.section == sectionRemove {
			continue
		}
		t := u.written(&a.value)
		return t, t != item.TypeAbsent
	}
	return item.TypeAbsent, false
}

// written is the type of a value that is written, as far as it is known.
func (u *Update) written(o *operand) item.Type {
	switch {
	case o.kind == operandValue:
		return u.values[o.slot].Type()
	case o.isCall(fnPlus), o.isCall(fnMinus):
		return item.TypeNumber
	case o.isCall(fnListAppend):
		return item.TypeList
	case o.isCall(fnIfNotExists):
		return u.written(&o.args[1])
	}
	return item.TypeAbsent
}

// application is one Apply.
type application struct {
	*Update
	old    item.Item
	create bool
	room   int                // elements that lists and sets may still be made of
	less   map[int]*item.Less // by slot: what several DELETEs take out is looked at once
}

// roomMax is how many elements an update may join into lists and sets. An element counts for at least a byte of an
// item, so whoever needs more makes an item that is too large; without it a short text could ask for gigabytes.
const roomMax = 2 * item.SizeMax

func (u *Update) apply(old item.Item, create bool) (item.Item, error) {
	var few [8]outcome // most updates are small
	outcomes := few[:0]
	app := application{Update: u, old: old, create: create, room: roomMax}
	for i := range u.actions {
		outcomes = append(outcomes, app.act(&u.actions[i]))
	}
	if err := u.firstFault(outcomes, old); err != nil {
		return nil, err
	}
	return graftItem(old, u.tree, outcomes), nil
}

// act works out one action.
func (u *application) act(a *action) outcome {
	path := u.paths[a.path]
	if !writable(u.old, path) {
		if u.create && a.section == sectionRemove {
			return outcome{}
		}
		return outcome{fault: faultPath}
	}
	var o outcome
	switch a.section {
	case sectionRemove:
		return outcome{remove: true}
	case sectionSet:
		o = u.assigned(&a.value)
	case sectionAdd:
		now, _ := u.old.At(path)
		o = u.add(now, u.values[a.value.slot], a.legacy)
	case sectionDelete:
		now, _ := u.old.At(path)
		o = u.subtract(now, a.value.slot)
	}
	if o.fault == faultNone && len(path)-1+o.value.Depth() > item.DepthMax {
		return outcome{fault: faultRange, err: problem(textTooDeep)}
	}
	return o
}

// writable reports whether there is something that the last step of a path can go into.
func writable(it item.Item, p item.Path) bool {
	if len(p) == 1 {
		return true
	}
	into, _ := it.At(p[:len(p)-1])
	if p[len(p)-1].IsIndex {
		return into.Type() == item.TypeList
	}
	return into.Type() == item.TypeMap
}

// firstFault is the error that DynamoDB reports of several: a path into a value of another type; a wrong type anywhere;
// then, from the last section to the first, a path into nothing before an attribute that is not there; then numbers.
func (u *Update) firstFault(outcomes []outcome, old item.Item) error {
	var by [faultRange + 1]int
	for i := range outcomes {
		by[outcomes[i].fault]++
	}
	switch {
	case by[faultNone] == len(outcomes):
		return nil
	case by[faultPath] > 0 && u.intoWrongType(outcomes, old):
		return problem(textPath)
	case by[faultType] > 0:
		if u.actions[0].legacy {
			return problem(textLegacyType)
		}
		return problem(textOperandType)
	}
	missing := false
	for i := len(outcomes) - 1; i >= 0; i-- {
		if missing && u.actions[i].section != sectionSet {
			return problem(textMissing) // all of SET has been seen
		}
		switch outcomes[i].fault {
		case faultPath:
			return problem(textPath)
		case faultMissing:
			missing = true
		}
	}
	if missing {
		return problem(textMissing)
	}
	for i := range outcomes {
		if outcomes[i].err != nil {
			return outcomes[i].err
		}
	}
	panic("expr: an update that failed for no reason")
}

// intoWrongType reports whether a path goes into a value that is there and of another type.
func (u *Update) intoWrongType(outcomes []outcome, old item.Item) bool {
	for i := range outcomes {
		if p := u.paths[u.actions[i].path]; outcomes[i].fault == faultPath {
			if _, ok := old.At(p[:len(p)-1]); ok {
				return true
			}
		}
	}
	return false
}

// assigned works out the right side of a SET.
func (u *application) assigned(o *operand) outcome {
	switch o.kind {
	case operandValue:
		return outcome{value: u.values[o.slot]}
	case operandPath:
		if v, ok := u.old.At(u.paths[o.slot]); ok {
			return outcome{value: v}
		}
		return outcome{fault: faultMissing}
	}
	if o.fn == fnIfNotExists {
		if v, ok := u.old.At(u.paths[o.args[0].slot]); ok {
			return outcome{value: v}
		}
		return u.assigned(&o.args[1])
	}
	need := item.TypeNumber
	if o.fn == fnListAppend {
		need = item.TypeList
	}
	left, right := u.assigned(&o.args[0]), u.assigned(&o.args[1])
	missing := outcome{}
	for _, side := range [...]outcome{left, right} {
		switch {
		case side.fault == faultMissing:
			missing = side
		case side.fault != faultNone:
			return side
		case side.value.Type() != need:
			return outcome{fault: faultType}
		}
	}
	if missing.fault != faultNone {
		return missing
	}
	if o.fn == fnListAppend {
		return u.joined(left.value, right.value)
	}
	return sum(o.fn, left.value.Number(), right.value.Number())
}

// take takes room for n elements, and reports whether there was any.
func (u *application) take(n int) bool {
	u.room -= n
	return u.room >= 0
}

// joined is one list after the other.
func (u *application) joined(a, b item.Value) outcome {
	x, y := a.List(), b.List()
	if !u.take(len(x) + len(y)) {
		return tooLarge()
	}
	return outcome{value: item.NewList(append(append(make([]item.Value, 0, len(x)+len(y)), x...), y...))}
}

func tooLarge() outcome { return outcome{fault: faultRange, err: problem(textTooLarge)} }

// sum is x + y or x - y.
func sum(fn function, x, y item.Number) outcome {
	var n item.Number
	var err error
	if fn == fnMinus {
		n, err = x.Sub(y)
	} else {
		n, err = x.Add(y)
	}
	if err != nil {
		return outcome{fault: faultRange, err: err}
	}
	return outcome{value: item.NewNumber(n)}
}

// add is what ADD makes of the value at its path, which may be absent.
func (u *application) add(now, v item.Value, legacy bool) outcome {
	switch {
	case now.IsAbsent():
		return outcome{value: v}
	case now.Type() != v.Type():
		return outcome{fault: faultType}
	case v.Type() == item.TypeNumber:
		return sum(fnPlus, now.Number(), v.Number())
	case v.Type().IsSet():
		if !u.take(now.Len() + v.Len()) {
			return tooLarge()
		}
		return outcome{value: item.Union(now, v)}
	case legacy && v.Type() == item.TypeList:
		return u.joined(now, v)
	}
	return outcome{fault: faultType}
}

// subtract is what DELETE makes of the set at its path, which may be absent. A set without elements goes.
func (u *application) subtract(now item.Value, slot int) outcome {
	switch {
	case now.IsAbsent():
		return outcome{}
	case now.Type() != u.values[slot].Type():
		return outcome{fault: faultType}
	}
	less := u.less[slot]
	if less == nil {
		if u.less == nil {
			u.less = map[int]*item.Less{}
		}
		less = item.NewLess(u.values[slot])
		u.less[slot] = less
	}
	rest := less.From(now)
	return outcome{value: rest, remove: rest.IsAbsent()}
}

// graftItem is a copy of m with the outcomes below b.
func graftItem(m item.Item, b *branch, outcomes []outcome) item.Item {
	out := make(item.Item, len(m)+len(b.kids))
	for name, v := range m {
		out[name] = v
	}
	for i := range b.kids {
		kid := &b.kids[i]
		name := kid.step.Name
		switch {
		case kid.end < 0:
			if v, ok := m[name]; ok {
				out[name] = graft(v, kid, outcomes)
			}
		case outcomes[kid.end].remove:
			delete(out, name)
		case !outcomes[kid.end].value.IsAbsent():
			out[name] = outcomes[kid.end].value
		}
	}
	return out
}

// graft is v with the outcomes below b. A value of another type than the paths need is left alone: what they do there
// is nothing, or firstFault had refused it.
func graft(v item.Value, b *branch, outcomes []outcome) item.Value {
	switch isIndex := b.kids[0].step.IsIndex; {
	case isIndex && v.Type() == item.TypeList:
		return item.NewList(graftList(v.List(), b, outcomes))
	case !isIndex && v.Type() == item.TypeMap:
		return item.NewMap(graftItem(v.Map(), b, outcomes))
	}
	return v
}

// graftList is a copy of list with the outcomes below b.
func graftList(list []item.Value, b *branch, outcomes []outcome) []item.Value {
	out := make([]item.Value, 0, len(list)+len(b.kids))
	kids := b.kids
	for i, v := range list {
		if len(kids) == 0 || kids[0].step.Index != i {
			out = append(out, v)
			continue
		}
		kid := &kids[0]
		kids = kids[1:]
		switch {
		case kid.end < 0:
			out = append(out, graft(v, kid, outcomes))
		case outcomes[kid.end].remove:
		case outcomes[kid.end].value.IsAbsent():
			out = append(out, v)
		default:
			out = append(out, outcomes[kid.end].value)
		}
	}
	for i := range kids {
		if end := kids[i].end; end >= 0 && !outcomes[end].value.IsAbsent() {
			out = append(out, outcomes[end].value)
		}
	}
	return out
}
