package template

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// function is the intrinsic function called name; nil when there is none. Those of conditions are in Scope.decide.
func function(name string) func(s *Scope, arg, at *Value) *Value {
	switch name {
	case "Ref":
		return (*Scope).ref
	case "Fn::GetAtt":
		return (*Scope).getAtt
	case "Fn::Sub":
		return (*Scope).sub
	case "Fn::Join":
		return (*Scope).join
	case "Fn::Select":
		return (*Scope).pick
	case "Fn::Split":
		return (*Scope).split
	case "Fn::FindInMap":
		return (*Scope).findInMap
	case "Fn::If":
		return (*Scope).choose
	case "Fn::ImportValue":
		return (*Scope).importValue
	case "Fn::Base64":
		return (*Scope).base64
	case "Fn::Cidr":
		return (*Scope).cidr
	case "Fn::GetAZs":
		return (*Scope).zones
	case "Fn::Transform":
		return (*Scope).transform
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		return (*Scope).misplaced
	case "Fn::Length", "Fn::ToJsonString", "Fn::ForEach":
		return (*Scope).extension
	}
	return nil
}

func functionNames() []string {
	return []string{"Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::FindInMap", "Fn::If",
		"Fn::ImportValue", "Fn::Base64", "Fn::Cidr", "Fn::GetAZs", "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not",
		"Fn::Transform"}
}

func (s *Scope) misplaced(_, at *Value) *Value {
	return s.wrong(at.Pos, "%s makes a condition: it stands in the Conditions section, and Fn::If names it",
		at.Fields[0].Key)
}

func (s *Scope) extension(_, at *Value) *Value {
	return s.unsupported(at.Pos, "%s: it needs the transform AWS::LanguageExtensions", at.Fields[0].Key)
}

func (s *Scope) transform(arg, at *Value) *Value {
	name, _ := arg.Get("Name").IsString()
	if name == "AWS::Include" {
		return s.wrong(at.Pos, "AWS::Include: the file was not found; want Parameters: {Location: path} of a file beside the template")
	}
	return s.unsupported(at.Pos, "the transform %q; it has AWS::Include%s", name,
		Suggest(name, []string{"AWS::Include"}))
}

// name evaluates the value of a pseudo parameter, a parameter or a resource.
func (s *Scope) name(name string, p Pos) *Value {
	switch name {
	case "AWS::AccountId":
		return Str(p, s.Account)
	case "AWS::Region":
		return Str(p, s.Region)
	case "AWS::Partition":
		return Str(p, "aws")
	case "AWS::URLSuffix":
		return Str(p, "amazonaws.com")
	case "AWS::StackName":
		return Str(p, s.StackName)
	case "AWS::StackId":
		return Str(p, s.StackID)
	case "AWS::NotificationARNs":
		return Strs(p, s.Notifications...)
	case "AWS::NoValue":
		return noValue
	}
	if v, ok := s.parameters[name]; ok {
		return v
	}
	if r, ok := s.resources[name]; ok {
		if !s.exists(r, p) || s.Ref == nil {
			return unknown(p)
		}
		if v := s.Ref(name); v != nil {
			return v
		}
		return unknown(p)
	}
	return s.wrong(p, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template%s",
		name, s.block(), Suggest(name, s.names()))
}

func (s *Scope) block() string {
	if s.in == "Outputs" || s.in == "Conditions" {
		return s.in
	}
	return "Resources"
}

func (s *Scope) names() []string {
	names := slices.Clone(pseudo)
	for n := range s.parameters {
		names = append(names, n)
	}
	for n := range s.resources {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// exists reports whether a resource that something refers to is part of this deployment.
func (s *Scope) exists(r *Resource, p Pos) bool {
	if s.in == "Conditions" {
		s.wrong(p, "Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", r.ID)
		return false
	}
	if r.Condition == "" || s.condition(r.Condition, r.Pos) {
		return true
	}
	s.wrong(p, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template: its condition %s is false",
		r.ID, s.block(), r.Condition)
	return false
}

func (s *Scope) ref(arg, at *Value) *Value {
	name, ok := arg.IsString()
	if !ok {
		return s.wrong(arg.Pos, "Ref wants the name of a parameter or resource, not a %s", arg.Kind)
	}
	return s.name(name, at.Pos)
}

func (s *Scope) getAtt(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) < 2 {
		return s.wrong(arg.Pos, "Fn::GetAtt wants [resource, attribute]")
	}
	id, ok := arg.Items[0].IsString()
	if !ok {
		return s.wrong(arg.Items[0].Pos, "Fn::GetAtt wants the name of a resource, not a %s", arg.Items[0].Kind)
	}
	var parts []string
	for _, it := range arg.Items[1:] {
		e := s.eval(it)
		text, ok := e.Scalar()
		if !ok {
			return s.wrong(it.Pos, "Fn::GetAtt wants the name of an attribute")
		}
		parts = append(parts, text)
	}
	return s.attribute(id, strings.Join(parts, "."), at.Pos)
}

func (s *Scope) attribute(id, attr string, p Pos) *Value {
	r, ok := s.resources[id]
	if !ok {
		names := make([]string, 0, len(s.resources))
		for n := range s.resources {
			names = append(names, n)
		}
		slices.Sort(names)
		return s.wrong(p, "Template format error: Unresolved resource dependencies [%s] in the %s block of the template%s",
			id, s.block(), Suggest(id, names))
	}
	if !s.exists(r, p) || s.Attr == nil {
		return unknown(p)
	}
	v, err := s.Attr(id, attr)
	if err != nil {
		return s.wrong(p, "%s", err)
	}
	if v == nil {
		return unknown(p)
	}
	return v
}

func (s *Scope) sub(arg, at *Value) *Value {
	text, vars := arg, (*Value)(nil)
	if arg.Kind == List {
		if len(arg.Items) != 2 || arg.Items[1].Kind != Map {
			return s.wrong(arg.Pos, "Fn::Sub wants a string, or a list of a string and a map of variables")
		}
		text, vars = arg.Items[0], arg.Items[1]
	}
	t, ok := text.IsString()
	if !ok {
		return s.wrong(text.Pos, "Fn::Sub wants a string, not a %s", text.Kind)
	}
	var b strings.Builder
	lost := false
	for rest := t; rest != ""; {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		rest = tail
		if !closed {
			b.WriteString("${" + after)
			break
		}
		if lit, is := strings.CutPrefix(name, "!"); is {
			b.WriteString("${" + lit + "}")
			continue
		}
		v := s.variable(name, vars, text.Pos)
		if v == noValue {
			continue
		}
		part, ok := v.Scalar()
		if !ok {
			if v.Kind != Unknown {
				s.wrong(text.Pos, "Fn::Sub: ${%s} is a %s, want a string", name, v.Kind)
			}
			lost = true
			continue
		}
		if b.Len()+len(part) > textMax {
			return s.wrong(at.Pos, "Fn::Sub makes more than %d bytes", textMax)
		}
		b.WriteString(part)
	}
	if lost {
		return unknown(at.Pos)
	}
	return Str(at.Pos, b.String())
}

func (s *Scope) variable(name string, vars *Value, p Pos) *Value {
	name = strings.TrimSpace(name)
	if v := vars.Get(name); v != nil {
		return s.eval(v)
	}
	if id, attr, ok := strings.Cut(name, "."); ok {
		return s.attribute(id, attr, p)
	}
	return s.name(name, p)
}

// list evaluates v to a list; false when it is not one or not known.
func (s *Scope) list(fn string, v *Value) (*Value, bool) {
	e := s.eval(v)
	if e.Kind == Unknown {
		return e, false
	}
	if e.Kind != List || e == noValue {
		return s.wrong(v.Pos, "%s wants a list, not a %s", fn, e.Kind), false
	}
	return e, true
}

// text evaluates v to a string; false when it is not one or not known.
func (s *Scope) text(fn string, v *Value) (string, *Value, bool) {
	e := s.eval(v)
	if t, ok := e.Scalar(); ok {
		return t, e, true
	}
	if e.Kind != Unknown || e == noValue {
		return "", s.wrong(v.Pos, "%s wants a string, not a %s", fn, e.Kind), false
	}
	return "", e, false
}

func (s *Scope) join(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) != 2 {
		return s.wrong(arg.Pos, "Fn::Join wants [delimiter, list]")
	}
	delim, ok := arg.Items[0].Scalar()
	if !ok {
		return s.wrong(arg.Items[0].Pos, "Fn::Join wants a delimiter that is a plain string")
	}
	l, ok := s.list("Fn::Join", arg.Items[1])
	if !ok {
		return unknown(at.Pos)
	}
	parts, size := make([]string, 0, len(l.Items)), 0
	for _, it := range l.Items {
		t, ok := it.Scalar()
		if !ok {
			if it.Kind != Unknown {
				s.wrong(it.Pos, "Fn::Join wants strings, not a %s", it.Kind)
			}
			return unknown(at.Pos)
		}
		if size += len(t) + len(delim); size > textMax {
			return s.wrong(at.Pos, "Fn::Join makes more than %d bytes", textMax)
		}
		parts = append(parts, t)
	}
	return Str(at.Pos, strings.Join(parts, delim))
}

func (s *Scope) pick(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) != 2 {
		return s.wrong(arg.Pos, "Fn::Select wants [index, list]")
	}
	t, _, ok := s.text("Fn::Select", arg.Items[0])
	if !ok {
		return unknown(at.Pos)
	}
	l, ok := s.list("Fn::Select", arg.Items[1])
	if !ok {
		return unknown(at.Pos)
	}
	i, err := strconv.Atoi(t)
	if err != nil || i < 0 || i >= len(l.Items) {
		return s.wrong(at.Pos, "Template error: Fn::Select cannot select nonexistent value at index %s", t)
	}
	return l.Items[i]
}

func (s *Scope) split(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) != 2 {
		return s.wrong(arg.Pos, "Fn::Split wants [delimiter, string]")
	}
	delim, ok := arg.Items[0].Scalar()
	if !ok || delim == "" {
		return s.wrong(arg.Items[0].Pos, "Fn::Split wants a delimiter that is a plain string")
	}
	t, _, ok := s.text("Fn::Split", arg.Items[1])
	if !ok {
		return unknown(at.Pos)
	}
	return Strs(at.Pos, strings.Split(t, delim)...)
}

func (s *Scope) findInMap(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) < 3 || len(arg.Items) > 4 {
		return s.wrong(arg.Pos, "Fn::FindInMap wants [map, key, key]")
	}
	if len(arg.Items) == 4 {
		return s.unsupported(arg.Items[3].Pos,
			"Fn::FindInMap with a default: it needs the transform AWS::LanguageExtensions")
	}
	v := s.t.Mappings
	for _, it := range arg.Items {
		key, _, ok := s.text("Fn::FindInMap", it)
		if !ok {
			return unknown(at.Pos)
		}
		next := v.Get(key)
		if next == nil {
			var names []string
			if v != nil {
				for _, f := range v.Fields {
					names = append(names, f.Key)
				}
			}
			return s.wrong(it.Pos, "Template error: Unable to get mapping for %s%s", key, Suggest(key, names))
		}
		v = next
	}
	return v
}

func (s *Scope) choose(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) != 3 {
		return s.wrong(arg.Pos, "Fn::If wants [condition, value if true, value if false]")
	}
	name, ok := arg.Items[0].IsString()
	if n, a, is := arg.Items[0].Intrinsic(); is && n == "Condition" {
		name, ok = a.Text, true
	}
	if !ok {
		return s.wrong(arg.Items[0].Pos, "Fn::If wants the name of a condition, not a %s", arg.Items[0].Kind)
	}
	if s.condition(name, arg.Items[0].Pos) {
		return s.eval(arg.Items[1])
	}
	return s.eval(arg.Items[2])
}

func (s *Scope) importValue(arg, at *Value) *Value {
	name, _, ok := s.text("Fn::ImportValue", arg)
	if !ok || s.Import == nil {
		return unknown(at.Pos)
	}
	v, err := s.Import(name)
	if err != nil {
		return s.wrong(at.Pos, "%s", err)
	}
	return Str(at.Pos, v)
}

func (s *Scope) base64(arg, at *Value) *Value {
	t, _, ok := s.text("Fn::Base64", arg)
	if !ok {
		return unknown(at.Pos)
	}
	return Str(at.Pos, base64.StdEncoding.EncodeToString([]byte(t)))
}

// zones answers three zones: a region of Rouse is one cluster, and templates pick among the first few.
func (s *Scope) zones(arg, at *Value) *Value {
	region, _, ok := s.text("Fn::GetAZs", arg)
	if !ok {
		return unknown(at.Pos)
	}
	if region == "" {
		region = s.Region
	}
	return Strs(at.Pos, region+"a", region+"b", region+"c")
}

func (s *Scope) cidr(arg, at *Value) *Value {
	if arg.Kind != List || len(arg.Items) != 3 {
		return s.wrong(arg.Pos, "Fn::Cidr wants [block, count, bits]")
	}
	var texts []string
	for _, it := range arg.Items {
		t, _, ok := s.text("Fn::Cidr", it)
		if !ok {
			return unknown(at.Pos)
		}
		texts = append(texts, t)
	}
	block, err := netip.ParsePrefix(texts[0])
	if err != nil {
		return s.wrong(arg.Items[0].Pos, "Fn::Cidr: %q is not a block like 10.0.0.0/16", texts[0])
	}
	count, err := strconv.Atoi(texts[1])
	if err != nil || count < 1 || count > 256 {
		return s.wrong(arg.Items[1].Pos, "Fn::Cidr wants a count from 1 to 256, not %q", texts[1])
	}
	size := block.Addr().BitLen()
	bits, err := strconv.Atoi(texts[2])
	if err != nil || bits < 1 || bits > size-block.Bits() {
		return s.wrong(arg.Pos, "Fn::Cidr wants bits from 1 to %d", size-block.Bits())
	}
	return s.subnets(block.Masked().Addr(), count, bits, size-block.Bits(), at)
}

func (s *Scope) subnets(from netip.Addr, count, bits, room int, at *Value) *Value {
	if room-bits < 9 && count > 1<<(room-bits) {
		return s.wrong(at.Pos, "Fn::Cidr: the block has room for %d subnets, not %d", 1<<(room-bits), count)
	}
	raw, out := from.AsSlice(), &Value{Kind: List, Pos: at.Pos}
	for range count {
		addr, _ := netip.AddrFromSlice(raw)
		out.Items = append(out.Items, Str(at.Pos, netip.PrefixFrom(addr, from.BitLen()-bits).String()))
		// Add 2^bits.
		i, carry := len(raw)-1-bits/8, 1<<(bits%8)
		for ; i >= 0 && carry > 0; i-- {
			sum := int(raw[i]) + carry
			raw[i], carry = byte(sum), sum>>8
		}
	}
	return out
}
