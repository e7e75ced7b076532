package expr

import "github.com/rouse-dev/rouse/table/item"

// grammar is what a text is parsed as. Conditions, filters and key conditions are one grammar.
type grammar uint8

const (
	grammarCondition grammar = iota
	grammarUpdate
	grammarProjection
)

// expression is a parsed text. It is immutable: any number of requests bind it at once, each with names and values of
// its own, which they hold in slots.
type expression struct {
	names     []string       // the #names in the order in which they first appear
	nameSlot  map[string]int // position in names
	values    []string       // the :values, likewise
	valueSlot map[string]int
	paths     []pathText  // every document path, in the order of the text
	fixed     []item.Path // the same, ready to use; nil when a path has a #name
	written   *branch     // the tree of fixed paths of an update or a projection; nil where overlap is set
	overlap   string      // why fixed paths cannot stand together; "" when they can

	cond    condNode // of a condition
	actions []action // of an update; a projection consists of its paths
}

// pathText is a document path as it was written.
type pathText []stepText

// stepText is a step of a path: a name written out, a #name in a slot, or an index.
type stepText struct {
	name string
	slot int // of a #name; -1 otherwise
	at   int // the index of a list; -1 otherwise
}

// condKind is the form of a condition.
type condKind uint8

const (
	condAnd condKind = iota
	condOr
	condNot
	condCompare // args[0] cmp args[1]
	condBetween // args[0] BETWEEN args[1] AND args[2]
	condIn      // args[0] IN (args[1], …)
	condCall    // args[0], a call of a function that is true or false
)

// condNode is a node of a condition: kids for AND, OR and NOT, args for the others.
type condNode struct {
	kind condKind
	cmp  comparator
	kids []condNode
	args []operand
}

// comparator is one of = <> < <= > >=.
type comparator uint8

const (
	cmpEQ comparator = iota
	cmpNE
	cmpLT
	cmpLE
	cmpGT
	cmpGE
)

// isOrder reports whether the comparator asks for an order, which only S, N and B have.
func (c comparator) isOrder() bool { return c >= cmpLT }

func (c comparator) String() string {
	switch c {
	case cmpEQ:
		return "="
	case cmpNE:
		return "<>"
	case cmpLT:
		return "<"
	case cmpLE:
		return "<="
	case cmpGT:
		return ">"
	}
	return ">="
}

// swapped is the comparator that says the same with its operands exchanged.
func (c comparator) swapped() comparator {
	switch c {
	case cmpLT:
		return cmpGT
	case cmpLE:
		return cmpGE
	case cmpGT:
		return cmpLT
	case cmpGE:
		return cmpLE
	}
	return c
}

// operandKind is the form of an operand.
type operandKind uint8

const (
	operandPath  operandKind = iota // paths[slot]
	operandValue                    // values[slot]
	operandCall                     // fn(args…); + and - of an update are calls, too
)

type operand struct {
	kind operandKind
	fn   function
	slot int
	args []operand
}

// isCall reports whether o is a call of fn.
func (o *operand) isCall(fn function) bool { return o.kind == operandCall && o.fn == fn }

// function is what a call calls.
type function uint8

const (
	fnUnknown function = iota
	fnAttributeExists
	fnAttributeNotExists
	fnAttributeType
	fnBeginsWith
	fnContains
	fnSize
	fnIfNotExists
	fnListAppend
	fnPlus
	fnMinus
)

// functionOf finds the function with a name. Names of functions, unlike keywords, are written in one case only.
func functionOf(name string) function {
	switch name {
	case "attribute_exists":
		return fnAttributeExists
	case "attribute_not_exists":
		return fnAttributeNotExists
	case "attribute_type":
		return fnAttributeType
	case "begins_with":
		return fnBeginsWith
	case "contains":
		return fnContains
	case "size":
		return fnSize
	case "if_not_exists":
		return fnIfNotExists
	case "list_append":
		return fnListAppend
	}
	return fnUnknown
}

func (f function) String() string {
	return [...]string{"", "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size",
		"if_not_exists", "list_append", "+", "-"}[f]
}

// operands is how many operands the function takes.
func (f function) operands() int {
	switch f {
	case fnAttributeExists, fnAttributeNotExists, fnSize:
		return 1
	}
	return 2
}

// ofUpdates reports whether the function belongs into an update; the others belong into conditions.
func (f function) ofUpdates() bool { return f >= fnIfNotExists }

// section is a clause of an update.
type section uint8

const (
	sectionSet section = iota
	sectionRemove
	sectionAdd
	sectionDelete
	sectionEnd
)

func (s section) String() string { return [...]string{"SET", "REMOVE", "ADD", "DELETE"}[s] }

// action is one action of an update: what is done to paths[path] with value.
type action struct {
	section section
	legacy  bool // of AttributeUpdates: ADD takes lists, and a wrong type has another text
	path    int
	value   operand // not of REMOVE
}

// slotOf finds s among known, or adds it.
func slotOf(known *[]string, slots *map[string]int, s string) int {
	if i, ok := (*slots)[s]; ok {
		return i
	}
	if *slots == nil {
		*slots = map[string]int{}
	}
	i := len(*known)
	(*slots)[s] = i
	*known = append(*known, s)
	return i
}
