// Package policy reads IAM policy documents and decides by them.
//
// A Document is compiled once by Parse: actions are folded, patterns are split, numbers, dates and networks of conditions
// are parsed. Evaluate then answers for one document: Deny, Allow or None, and for a resource's policy how closely it
// named the asker. How several documents make one decision (identity and resource policies, boundaries, accounts) is the
// business of the room above, package identity.
//
// # What is understood
//
// Version 2012-10-17 and 2008-10-17 (in which variables are plain text), Id, Statement (one or a list), Sid, Effect,
// Action and NotAction, Resource and NotResource, Principal and NotPrincipal, Condition with every operator that AWS
// documents, ForAnyValue and ForAllValues, …IfExists, policy variables with defaults and the ${*}, ${?}, ${$} escapes.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html.
//
// Anything else is refused with AWS's text: a policy that is half understood would grant or withhold what its author did
// not mean. Duplicate JSON keys are refused for the same reason.
//
// # Choices where AWS says nothing
//
// A variable without a value and without a default never widens access: an Allow statement that needs it does not apply.
// Resource patterns are matched field by field of the ARN, so that a star does not reach over a colon of the first five.
//
// # Concurrency
//
// A Document is immutable and safe for concurrent use. Parse is meant for hostile input: it is bounded by TextMax, and
// matching is linear in the pattern for each star, never exponential.
package policy

import "strings"

// Limits of a document. AWS's quotas per kind of policy (6,144 for managed, 10,240 inline, …) are the caller's.
const (
	TextMax       = 128 << 10 // bytes
	statementsMax = 1000
	depthMax      = 8
)

// Effect is what a document says about a request.
type Effect uint8

// None is "says nothing"; Deny wins over Allow.
const (
	None Effect = iota
	Allow
	Deny
)

// Reach is how closely a resource's policy named the asker whom it allows.
type Reach uint8

// The reaches, each including what the ones before give.
const (
	Nobody  Reach = iota
	Account       // the asker's account: the account's own policies must allow as well
	Shared        // everyone, or the role that the asker's session is of
	Exact         // this user, this session, this service, or the root user
)

// Kind is where a document is attached; it decides what the document must and must not hold.
type Kind uint8

// The kinds.
const (
	Identity Kind = iota // to a user, group or role: no Principal, Resource required
	Resource             // to a resource: Principal and Resource required
	Trust                // to a role: Principal required, no Resource, sts actions only
)

// Asker is who asks, as Principal elements see it.
type Asker struct {
	Account string // 12 digits
	ARN     string // of the user, the session or the root user
	Role    string // for a session: the ARN of its role
	Service string // instead of ARN: "lambda.amazonaws.com"
	Root    bool
}

// Request is what is asked. Key answers for a condition key, in lower case ("aws:sourceip"); nil or empty means absent.
// One Request may be evaluated against many documents, by one goroutine.
type Request struct {
	Action   string
	Resource string // an ARN or "*"
	Asker    Asker
	Key      func(name string) []string

	arn      [6]string
	arnState uint8 // 0 not split yet, 1 an ARN, 2 none
}

// Document is a compiled policy.
type Document struct {
	statements []statement
}

type statement struct {
	effect       Effect
	notAction    bool
	actions      []pattern // folded to lower case
	notResource  bool
	resources    []arnPattern // nil: the statement has none and applies to whatever it is attached to
	notPrincipal bool
	principals   []principal // nil: an identity policy
	conditions   []condition
}

// Evaluate answers for r: whether a statement denies, else whether one allows, and the best Reach among those that allow.
func (d *Document) Evaluate(r *Request) (Effect, Reach) {
	effect, reach := None, Nobody
	for i := range d.statements {
		s := &d.statements[i]
		if effect == Allow && s.effect == Allow && reach == Exact {
			continue
		}
		at, ok := s.applies(r)
		if !ok {
			continue
		}
		if s.effect == Deny {
			return Deny, at
		}
		effect, reach = Allow, max(reach, at)
	}
	return effect, reach
}

// DenialKeys are the condition keys of Deny statements, as written.
func (d *Document) DenialKeys() []string {
	var names []string
	for i := range d.statements {
		if d.statements[i].effect != Deny {
			continue
		}
		for _, c := range d.statements[i].conditions {
			names = append(names, c.name)
		}
	}
	return names
}

func (s *statement) applies(r *Request) (Reach, bool) {
	if s.matchAction(r.Action) == s.notAction {
		return Nobody, false
	}
	reach := s.reach(&r.Asker)
	if reach == Nobody {
		return Nobody, false
	}
	// What a variable without a value would have excluded is unknown: nothing is granted by an exclusion that needs it.
	strict := s.effect == Allow
	if s.resources != nil {
		matched, unknown := s.matchResource(r)
		if matched == s.notResource || s.notResource && unknown && strict {
			return Nobody, false
		}
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		ok, unknown := c.holds(r)
		if !ok || c.negate && unknown && strict {
			return Nobody, false
		}
	}
	return reach, true
}

func (s *statement) matchAction(action string) bool {
	for i := range s.actions {
		if s.actions[i].matchFold(action) {
			return true
		}
	}
	return false
}

func (s *statement) matchResource(r *Request) (matched, unknown bool) {
	for i := range s.resources {
		ok, u := s.resources[i].match(r)
		unknown = unknown || u
		if ok {
			return true, unknown
		}
	}
	return false, unknown
}

// splitARN fills r.arn with the six fields of the resource once per request.
func (r *Request) splitARN() bool {
	if r.arnState == 0 {
		r.arnState = 2
		if fields, ok := arnFields(r.Resource); ok {
			r.arn, r.arnState = fields, 1
		}
	}
	return r.arnState == 1
}

func arnFields(s string) (fields [6]string, ok bool) {
	rest := s
	for i := range 5 {
		var found bool
		fields[i], rest, found = strings.Cut(rest, ":")
		if !found {
			return fields, false
		}
	}
	fields[5] = rest
	return fields, fields[0] == "arn"
}
