package sam

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// rename rewrites references to what got another name: Ref and ${…} of "Layer" or "Function.Version", and the
// attributes of these. A resource of the template that has such a name itself does not exist: names hold no dots.
func (x *expander) rename() {
	if len(x.renamed) == 0 {
		return
	}
	for i, r := range x.out.Resources {
		c := *r
		c.Properties = x.renameIn(r.Properties)
		c.DependsOn = slices.Clone(r.DependsOn)
		for j, d := range c.DependsOn {
			if to, ok := x.renamed[d]; ok {
				c.DependsOn[j] = to
			}
		}
		x.out.Resources[i] = &c
	}
	x.out.Outputs = slices.Clone(x.out.Outputs)
	for i := range x.out.Outputs {
		o := &x.out.Outputs[i]
		o.Value = x.renameIn(o.Value)
		if o.Export != nil {
			o.Export = x.renameIn(o.Export)
		}
	}
}

func (x *expander) renameIn(v *Value) *Value {
	if name, arg, ok := v.Intrinsic(); ok {
		switch name {
		case "Ref":
			if to, ok := x.renamed[arg.Text]; ok && arg.Kind == template.String {
				return template.Ref(v.Pos, to)
			}
			return v
		case "Fn::GetAtt":
			return x.renameAtt(v, arg)
		case "Fn::Sub":
			return x.renameSub(v, arg)
		}
	}
	switch v.Kind {
	case template.List:
		out := *v
		out.Items = make([]*Value, len(v.Items))
		for i, it := range v.Items {
			out.Items[i] = x.renameIn(it)
		}
		return &out
	case template.Map:
		out := *v
		out.Fields = slices.Clone(v.Fields)
		for i := range out.Fields {
			out.Fields[i].Value = x.renameIn(out.Fields[i].Value)
		}
		return &out
	}
	return v
}

func (x *expander) renameAtt(v, arg *Value) *Value {
	var parts []string
	for _, it := range arg.Items {
		t, ok := it.IsString()
		if !ok {
			return v
		}
		parts = append(parts, t)
	}
	if to, attr, ok := x.renamedName(strings.Join(parts, ".")); ok && attr != "" {
		return template.GetAtt(v.Pos, to, attr)
	}
	return v
}

// renamedName splits "Function.Version.Attr" or "Layer.Attr" into the new logical id and the attribute.
func (x *expander) renamedName(name string) (id, attr string, ok bool) {
	if to, ok := x.renamed[name]; ok {
		return to, "", true
	}
	parts := strings.SplitN(name, ".", 3)
	if len(parts) == 3 {
		if to, ok := x.renamed[parts[0]+"."+parts[1]]; ok {
			return to, parts[2], true
		}
	}
	if len(parts) >= 2 {
		if to, ok := x.renamed[parts[0]]; ok {
			return to, strings.Join(parts[1:], "."), true
		}
	}
	return "", "", false
}

func (x *expander) renameSub(v, arg *Value) *Value {
	text, vars := arg, (*Value)(nil)
	if arg.Kind == template.List && len(arg.Items) == 2 {
		text, vars = arg.Items[0], x.renameIn(arg.Items[1])
	}
	t, ok := text.IsString()
	if !ok {
		return v
	}
	var b strings.Builder
	for rest := t; ; {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			b.WriteString("${" + after)
			break
		}
		rest = tail
		if to, attr, ok := x.renamedName(name); ok && vars.Get(name) == nil {
			name = to
			if attr != "" {
				name += "." + attr
			}
		}
		b.WriteString("${" + name + "}")
	}
	out := template.Str(text.Pos, b.String())
	if vars != nil {
		out = template.Of(arg.Pos, out, vars)
	}
	return template.Obj(v.Pos, template.KV(v.Pos, "Fn::Sub", out))
}
