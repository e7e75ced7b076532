// Package expr is the expressions of the database: the language in which requests say which items they mean, what must
// hold before a write, which parts of an item they want, and how an item changes. It is pure: no store, no clock, no
// wire format, no table.
//
// # The language
//
// It is DynamoDB's. Keywords are written in any case, functions in small letters only; white space separates tokens and
// means nothing else.
//
//	condition  = or ;                                  a ConditionExpression, FilterExpression, KeyConditionExpression
//	or         = and { "OR" and } ;
//	and        = not { "AND" not } ;
//	not        = "NOT" not | "(" or ")" | comparison | call ;
//	comparison = operand ( "=" | "<>" | "<" | "<=" | ">" | ">=" ) operand
//	           | operand "BETWEEN" operand "AND" operand
//	           | operand "IN" "(" operand { "," operand } ")" ;
//	update     = section { section } ;                 each section once, in any order
//	section    = "SET" path "=" sum { "," path "=" sum }
//	           | "REMOVE" path { "," path }
//	           | ( "ADD" | "DELETE" ) path value { "," path value } ;
//	sum        = operand [ ( "+" | "-" ) operand ] | "(" sum ")" ;
//	projection = path { "," path } ;
//	operand    = path | value | call | "(" operand ")" ;
//	call       = word "(" operand { "," operand } ")" ;
//	path       = name { "." name | "[" digits "]" } ;  in conditions its head may stand in parentheses: (a.b).c
//	name       = word | "#" part { part } ;            a word that is not reserved (see Reserved)
//	value      = ":" part { part } ;
//	word       = letter { part } ;                     part = letter | digit | "_"
//
// A condition has attribute_exists, attribute_not_exists, attribute_type, begins_with and contains, which are true or
// false, and size, which is a number. A SET has if_not_exists and list_append. Two pairs of parentheses around one
// thing are an error in a condition.
//
// # Three steps
//
//	text ── parse ──> expression ── bind ──> Condition, Projection, KeyCondition, Update ── Match, Of, For, Apply
//	        once per text, cached    once per request, with its #names and :values           once per item
//
// A parsed expression is an immutable tree whose names and values are numbered slots. Cache keeps it. Bind fills the
// slots and checks what depends on them: a request pays for its slots and the checks, not for the text. What Bind
// answers walks the shared tree with the slots beside it; asking a condition about an item allocates (almost) nothing,
// applying an update makes the containers along the written paths anew and shares all else with the old item. For that,
// the paths of an update or a projection are a tree (branch), which exists because DynamoDB forbids paths that overlap.
//
// The legacy parameters (Expected, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter, AttributesToGet) are plain
// structs here that are bound to the same four parts.
//
// # Errors
//
// Every error is rouse.Invalid with the code ValidationException and DynamoDB's own text; programs compare them. Of
// several faults DynamoDB reports one, by classes, not by their places in the text:
//
//	the request's names and values by themselves
//	each expression in turn (update, condition, key condition, filter, projection):
//	    syntax; redundant parentheses; too many operators; functions unknown and misused; reserved words
//	    (in an update reserved words first, then sections used twice)
//	    condition: per comparison, what is undefined, numbers of operands, operands not distinct, types
//	    update: undefined names, undefined values, overlapping paths, conflicting paths, types
//	names, then values, that no expression uses
//	the form of the key condition
//
// Where DynamoDB lists several keys in one error its order is that of a hash table; here they are sorted.
//
// # Limits
//
// An expression has at most 4,096 bytes and 300 operators, an IN 100 values, a path 32 steps, a #name or :value 255
// bytes. The length bounds the recursion of the parser; the parser never goes back, so parsing takes time in proportion
// to the text. A Cache is bounded by its number of expressions and by the bytes of their texts. What list_append and
// ADD may join in one update is bounded by what an item can hold, so that no short text asks for gigabytes.
//
// # What it leaves to others
//
// Whatever needs the table: which attributes are keys, the types of index keys, the size of items. Paths, Names,
// Reads, TypeOf and the Check methods of KeyCondition answer what table needs for that. Which parameters an operation
// takes, and which not together, is the door's to say.
package expr
