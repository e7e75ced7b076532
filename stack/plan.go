package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/resource"
	"github.com/rouse-dev/rouse/stack/template"
)

// Plan is what deploying a template would do.
type Plan struct {
	StackName string   `json:"stackName"`
	New       bool     `json:"new"` // the stack would be created
	Changes   []Change `json:"changes"`
	Outputs   bool     `json:"outputs"` // outputs, tags or settings of the stack change
	Warnings  []string `json:"warnings,omitempty"`
}

// Change is what would happen to one resource.
type Change struct {
	Action      string            `json:"action"` // Add, Modify, Remove
	LogicalID   string            `json:"logicalId"`
	Type        string            `json:"type"`
	PhysicalID  string            `json:"physicalId,omitempty"`
	Replacement string            `json:"replacement,omitempty"` // of Modify: True, False, Conditional
	Details     []resource.Change `json:"details,omitempty"`
	Policy      string            `json:"policy,omitempty"` // of Remove: Retain when the resource stays
	Pos         template.Pos      `json:"pos,omitzero"`
}

// Empty reports whether deploying would change nothing.
func (p Plan) Empty() bool { return len(p.Changes) == 0 && !p.Outputs && !p.New }

// String is the plan for people.
func (p Plan) String() string {
	var b strings.Builder
	switch {
	case p.Empty():
		fmt.Fprintf(&b, "%s: %s\n", p.StackName, noUpdates)
	case p.New:
		fmt.Fprintf(&b, "%s: a new stack\n", p.StackName)
	default:
		fmt.Fprintf(&b, "%s:\n", p.StackName)
	}
	for _, c := range p.Changes {
		sign := map[string]string{"Add": "+ create ", "Remove": "- delete ", "Modify": "~ update "}[c.Action]
		switch {
		case c.Replacement == "True":
			sign = "! replace"
		case c.Replacement == "Conditional":
			sign = "? replace"
		case c.Policy == "Retain":
			sign = "  keep   "
		}
		fmt.Fprintf(&b, "  %s %s  %s\n", sign, c.LogicalID, c.Type)
		for _, d := range c.Details {
			why := "changes"
			if d.Unknown {
				why = "may change: its value is known after deployment"
			}
			if d.Replace {
				why += "; this needs a replacement"
			}
			fmt.Fprintf(&b, "              %s %s\n", d.Property, why)
		}
	}
	if p.Outputs && !p.New {
		b.WriteString("  ~ outputs or settings of the stack\n")
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "  note: %s\n", w)
	}
	return b.String()
}

// forecast is the world of a plan: resources that stay as they are, or are updated in place, keep their ids.
type forecast struct {
	records map[string]*resourceRecord
	fresh   map[string]bool // will be made, or made anew
}

func (f forecast) ref(id string) (string, bool) {
	r := f.records[id]
	if r == nil || f.fresh[id] || r.Now.PhysicalID == "" {
		return "", false
	}
	return r.Now.PhysicalID, true
}

func (f forecast) attr(id, name string) (any, bool) {
	r := f.records[id]
	if r == nil || f.fresh[id] {
		return nil, false
	}
	v, ok := r.Now.Attrs[name]
	return v, ok
}

// made is false for all: what a resource lacks now, its update may bring.
func (f forecast) made(string) bool { return false }

// decide says what a deployment does with a resource that has the evaluated properties e.
func decide(r *template.Resource, e evaluated, rec *resourceRecord) (action, []resource.Change) {
	if rec == nil || rec.Now.PhysicalID == "" {
		return actionCreate, nil
	}
	if rec.Now.Type != r.Type {
		return actionReplace, []resource.Change{{Property: "Type", Replace: true}}
	}
	changes := e.typ.Diff(rec.Now.Props, e.props)
	if len(changes) == 0 {
		return actionNone, nil
	}
	for _, c := range changes {
		if c.Replace {
			return actionReplace, changes
		}
	}
	return actionUpdate, changes
}

// plan forecasts what deploying c does to the resources that exist.
func (c *compiled) plan(records map[string]*resourceRecord) Plan {
	p := Plan{StackName: c.st.Name}
	for _, w := range c.warnings {
		p.Warnings = append(p.Warnings, w.Error())
	}
	f := forecast{records: records, fresh: map[string]bool{}}
	for _, id := range c.order {
		r, rec := c.t.Resource(id), records[id]
		e, _ := c.evaluate(r, f) // its problems were found by check
		act, changes := decide(r, e, rec)
		ch := Change{LogicalID: id, Type: r.Type, Details: changes, Pos: r.Pos}
		switch act {
		case actionNone:
			continue
		case actionCreate:
			ch.Action, f.fresh[id] = "Add", true
		case actionUpdate:
			ch.Action, ch.Replacement, ch.PhysicalID = "Modify", "False", rec.Now.PhysicalID
		case actionReplace:
			ch.Action, ch.Replacement, ch.PhysicalID, f.fresh[id] = "Modify", "True", rec.Now.PhysicalID, true
			if !slices.ContainsFunc(changes, func(d resource.Change) bool { return d.Replace && !d.Unknown }) {
				ch.Replacement = "Conditional"
			}
		}
		p.Changes = append(p.Changes, ch)
	}
	var gone []Change
	for id, rec := range records {
		if !slices.Contains(c.order, id) && rec.Status != DeleteComplete {
			ch := Change{Action: "Remove", LogicalID: id, Type: rec.Now.Type, PhysicalID: rec.Now.PhysicalID}
			if rec.Now.Deletion == "Retain" || rec.Now.Deletion == "RetainExceptOnCreate" {
				ch.Policy = "Retain"
			}
			gone = append(gone, ch)
		}
	}
	slices.SortFunc(gone, func(a, b Change) int { return strings.Compare(a.LogicalID, b.LogicalID) })
	p.Changes = append(p.Changes, gone...)
	if out, err := c.outputs(f); err == nil {
		p.Outputs = !slices.Equal(out, c.st.Outputs)
	}
	return p
}

// Plan says what deploying req would do, and changes nothing.
func (s *Stacks) Plan(ctx context.Context, account string, req Request) (Plan, error) {
	p, err := s.prepare(ctx, account, req, "")
	if err != nil {
		return Plan{}, err
	}
	return p.plan, nil
}
