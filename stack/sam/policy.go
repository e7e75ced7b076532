package sam

import (
	_ "embed"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// policiesText lists SAM's policy templates: a name, then its statements, continued on deeper lines. A statement is
//
//	[=] service:Action :Action … > resource … [? operator key value]
//
// where ":Action" repeats the service, "~" stands for "arn:${AWS::Partition}:", "@" for
// "${AWS::Region}:${AWS::AccountId}", ${name} for the parameter Name and ${name=Other} for the parameter Other; "="
// keeps a single action a string and ">>" makes a list of the resources.
//
//go:embed policies.txt
var policiesText string

// managedText lists AWS's managed policies that do not stand at the root, by their path.
//
//go:embed managed.txt
var managedText string

// managedARN is the ARN of a managed policy that is named by an ARN or by its name alone.
func managedARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	path := ""
	for line := range strings.Lines(managedText) {
		if !strings.HasPrefix(line, " ") {
			path = strings.TrimSpace(line)
			continue
		}
		for _, n := range strings.Fields(line) {
			if n == name {
				return "arn:aws:iam::aws:policy/" + path + name
			}
		}
	}
	return "arn:aws:iam::aws:policy/" + name
}

// policyTemplate is the statements of the policy template called name; false when there is none.
func policyTemplate(name string) (statements []string, ok bool) {
	in := false
	for line := range strings.Lines(policiesText) {
		line = strings.TrimRight(line, "\n")
		switch {
		case !strings.HasPrefix(line, " "):
			if in {
				return statements, true
			}
			in = line == name
		case in && strings.HasPrefix(line, "    "):
			statements[len(statements)-1] += " " + strings.TrimSpace(line)
		case in:
			statements = append(statements, strings.TrimSpace(line))
		}
	}
	return statements, in
}

func policyTemplates() []string {
	var names []string
	for line := range strings.Lines(policiesText) {
		if !strings.HasPrefix(line, " ") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	return names
}

// expandPolicy makes the policy document of a policy template with the values that the function gives for its
// parameters.
func (x *expander) expandPolicy(id, name string, given *Value, p Pos) *Value {
	texts, _ := policyTemplate(name)
	e := &policyExpansion{p: p, given: given, used: map[string]bool{}}
	list := template.Of(p)
	for _, t := range texts {
		list.Items = append(list.Items, e.statement(t))
	}
	var names []string
	for n := range e.used {
		names = append(names, n)
		if given.Get(n) == nil {
			x.wrong(p, id, "Policies", "%s needs the parameter %s", name, n)
		}
	}
	if given != nil {
		for _, f := range given.Fields {
			if !e.used[f.Key] {
				x.warn(f.Pos, id, "Policies", "%s has no parameter %s%s; it is ignored", name, f.Key,
					template.Suggest(f.Key, names))
			}
		}
	}
	return template.Obj(p, template.KV(p, "Statement", list))
}

type policyExpansion struct {
	p     Pos
	given *Value
	used  map[string]bool // parameters
}

func (e *policyExpansion) statement(text string) *Value {
	p := e.p
	text, one := strings.CutPrefix(text, "= ")
	text, condition, _ := strings.Cut(text, " ? ")
	acts, rest, list := strings.Cut(text, " >> ")
	if !list {
		acts, rest, _ = strings.Cut(text, " > ")
	}
	actions, service := template.Of(p), ""
	for _, a := range strings.Fields(acts) {
		if strings.HasPrefix(a, ":") {
			a = service + a
		}
		service, _, _ = strings.Cut(a, ":")
		actions.Items = append(actions.Items, template.Str(p, a))
	}
	action := actions
	if one {
		action = actions.Items[0]
	}
	resources := template.Of(p)
	for _, r := range strings.Fields(rest) {
		resources.Items = append(resources.Items, e.sub(r))
	}
	resource := resources
	if !list {
		resource = resources.Items[0]
	}
	s := template.Obj(p, template.KV(p, "Effect", template.Str(p, "Allow")), template.KV(p, "Action", action),
		template.KV(p, "Resource", resource))
	if f := strings.Fields(condition); len(f) == 3 {
		s = s.With("Condition", template.Obj(p, template.KV(p, f[0],
			template.Obj(p, template.KV(p, f[1], e.sub(f[2]))))))
	}
	return s
}

// sub makes the Fn::Sub of a resource, with the given values as its variables.
func (e *policyExpansion) sub(text string) *Value {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "~", "arn:${AWS::Partition}:"), "@",
		"${AWS::Region}:${AWS::AccountId}")
	if !strings.Contains(text, "${") {
		return template.Str(e.p, text)
	}
	var vars []Field
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(text, "${")
		out.WriteString(before)
		if !ok {
			break
		}
		name, rest, _ := strings.Cut(after, "}")
		text = rest
		if strings.HasPrefix(name, "AWS::") {
			out.WriteString("${" + name + "}")
			continue
		}
		name, param, other := strings.Cut(name, "=")
		if !other {
			param = strings.ToUpper(name[:1]) + name[1:]
		}
		e.used[param] = true
		out.WriteString("${" + name + "}")
		if v := e.given.Get(param); v != nil {
			vars = append(vars, template.KV(e.p, name, v))
		}
	}
	return template.Sub(e.p, out.String(), vars...)
}
