package sam

import (
	"fmt"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

const basicRole = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"

// role makes the function's role, unless it names one.
func (f *function) role(extra []*Value) {
	given := f.prop("Role")
	if given == nil {
		f.lambda.Properties = f.lambda.Properties.With("Role", template.GetAtt(f.r.Pos, f.r.ID+"Role", "Arn"))
		f.makeRole(extra)
		return
	}
	f.lambda.Properties = f.lambda.Properties.With("Role", given)
	name, arg, _ := given.Intrinsic()
	if name != "Fn::If" || arg.Kind != template.List || len(arg.Items) != 3 {
		return
	}
	// A role that is made only when a condition says so.
	cond, _ := arg.Items[0].IsString()
	then, otherwise := noValue(arg.Items[1]), noValue(arg.Items[2])
	own := template.GetAtt(given.Pos, f.r.ID+"Role", "Arn")
	choose := func(a, b *Value) *Value {
		return template.Obj(given.Pos, template.KV(given.Pos, "Fn::If", template.Of(given.Pos, arg.Items[0], a, b)))
	}
	switch {
	case then && otherwise:
		f.lambda.Properties = f.lambda.Properties.With("Role", own)
		f.makeRole(extra)
	case then:
		f.lambda.Properties = f.lambda.Properties.With("Role", choose(own, arg.Items[2]))
		f.makeRole(extra).Condition = cond
	case otherwise:
		f.lambda.Properties = f.lambda.Properties.With("Role", choose(arg.Items[1], own))
		f.makeRole(extra).Condition = "NOT" + cond
		p := given.Pos
		f.x.condition(template.KV(p, "NOT"+cond, template.Obj(p, template.KV(p, "Fn::Not",
			template.Of(p, template.Obj(p, template.KV(p, "Condition", template.Str(p, cond))))))))
	}
}

// condition adds a condition to the template, once.
func (x *expander) condition(c Field) {
	for _, f := range x.out.Conditions {
		if f.Key == c.Key {
			return
		}
	}
	x.out.Conditions = append(x.out.Conditions, c)
}

func noValue(v *Value) bool { name, _ := v.RefName(); return name == "AWS::NoValue" }

// makeRole makes the execution role with its managed policies and inline statements.
func (f *function) makeRole(extra []*Value) *template.Resource {
	p := f.r.Properties.KeyPos("Policies")
	managed := template.Of(p, template.Str(p, basicRole))
	if f.prop("DurableConfig") != nil {
		managed.Items[0] = template.Str(p,
			"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicDurableExecutionRolePolicy")
	}
	if t := f.prop("Tracing"); t != nil {
		if s, _ := f.x.resolve(t).IsString(); s != "Disabled" {
			managed.Items = append(managed.Items, template.Str(t.Pos, "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess"))
		}
	}
	if v := f.prop("VpcConfig"); v != nil {
		managed.Items = append(managed.Items, template.Str(v.Pos,
			"arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"))
	}
	inline := template.Of(p)
	if q := f.prop("DeadLetterQueue"); q != nil {
		inline.Items = append(inline.Items, f.deadLetter(q))
	}
	inline.Items = append(inline.Items, extra...)
	if v := f.prop("Policies"); v != nil {
		list := []*Value{v}
		if v.Kind == template.List {
			list = v.Items
		}
		for i, it := range list {
			f.policy(i, it, managed, inline)
		}
	}
	if len(inline.Items) == 0 {
		inline = nil
	}
	trust := f.prop("AssumeRolePolicyDocument")
	if trust == nil {
		trust = trustPolicy(f.r.Pos, "lambda.amazonaws.com")
	}
	return f.x.add(f.r, f.r.ID+"Role", "AWS::IAM::Role", p, template.KV(trust.Pos, "AssumeRolePolicyDocument", trust),
		template.KV(f.r.Properties.KeyPos("RolePath"), "Path", f.prop("RolePath")),
		template.KV(p, "ManagedPolicyArns", managed), template.KV(p, "Policies", inline),
		template.KV(f.r.Properties.KeyPos("PermissionsBoundary"), "PermissionsBoundary", f.prop("PermissionsBoundary")),
		template.KV(p, "Tags", tagList(p, f.prop("Tags"), "lambda:createdBy", "SAM")))
}

func trustPolicy(p Pos, service string) *Value {
	return template.Obj(p, template.KV(p, "Version", template.Str(p, "2012-10-17")),
		template.KV(p, "Statement", template.Of(p,
			template.Obj(p, template.KV(p, "Action", template.Strs(p, "sts:AssumeRole")),
				template.KV(p, "Effect", template.Str(p, "Allow")),
				template.KV(p, "Principal", template.Obj(p, template.KV(p, "Service", template.Strs(p, service))))))))
}

func (f *function) deadLetter(q *Value) *Value {
	typ, _ := q.Get("Type").IsString()
	action, ok := map[string]string{"SQS": "sqs:SendMessage", "SNS": "sns:Publish"}[typ]
	if !ok || q.Get("TargetArn") == nil {
		f.wrong(q.Pos, "DeadLetterQueue",
			"'DeadLetterQueue' requires Type (SQS or SNS) and TargetArn properties to be specified.")
	}
	p := q.Pos
	return template.Obj(p, template.KV(p, "PolicyName", template.Str(p, "DeadLetterQueuePolicy")),
		template.KV(p, "PolicyDocument",
			template.Obj(p, template.KV(p, "Version", template.Str(p, "2012-10-17")),
				template.KV(p, "Statement", template.Of(p,
					template.Obj(p, template.KV(p, "Action", template.Str(p, action)),
						template.KV(p, "Resource", q.Get("TargetArn")),
						template.KV(p, "Effect", template.Str(p, "Allow"))))))))
}

// policy adds the i-th of the function's Policies to the managed or the inline ones.
func (f *function) policy(i int, v, managed, inline *Value) {
	p := v.Pos
	named := func(doc *Value) *Value {
		return template.Obj(p, template.KV(p, "PolicyName", template.Str(p, fmt.Sprintf("%sRolePolicy%d", f.r.ID, i))),
			template.KV(p, "PolicyDocument", doc))
	}
	doc, arn := f.onePolicy(v)
	if name, arg, ok := v.Intrinsic(); ok && name == "Fn::If" && arg.Kind == template.List && len(arg.Items) == 3 {
		branches := [2]*Value{arg.Items[1], arg.Items[2]}
		statements := false
		for k, b := range branches {
			if noValue(b) {
				continue
			}
			d, a := f.onePolicy(b)
			if d != nil {
				branches[k], statements = named(d), true
			} else if a != nil {
				branches[k] = a
			}
		}
		choice := template.Obj(p, template.KV(p, "Fn::If", template.Of(p, arg.Items[0], branches[0], branches[1])))
		if statements {
			inline.Items = append(inline.Items, choice)
		} else {
			managed.Items = append(managed.Items, choice)
		}
		return
	}
	if doc != nil {
		inline.Items = append(inline.Items, named(doc))
		return
	}
	if arn == nil {
		return
	}
	if text, ok := arn.IsString(); ok {
		for _, m := range managed.Items {
			if have, _ := m.IsString(); have == text {
				return
			}
		}
	}
	managed.Items = append(managed.Items, arn)
}

// onePolicy reads a policy: a document for an inline one, else the ARN of a managed one.
func (f *function) onePolicy(v *Value) (doc, arn *Value) {
	if name, ok := v.IsString(); ok {
		if strings.HasSuffix(name, "Policy") && !strings.HasPrefix(name, "arn:") {
			if st, ok := policyTemplate(name); ok && len(st) > 0 {
				f.wrong(v.Pos, "Policies", "%s is a policy template: write \"- %s: {…}\" with its parameters, or {}",
					name, name)
				return nil, nil
			}
		}
		return nil, template.Str(v.Pos, managedARN(name))
	}
	if isIntrinsic(v) {
		return nil, v
	}
	if v.Kind != template.Map {
		f.wrong(v.Pos, "Policies", "a policy is a name, an ARN, a policy document or a policy template, not a %s",
			v.Kind)
		return nil, nil
	}
	if v.Get("Statement") != nil {
		return v, nil
	}
	if len(v.Fields) != 1 {
		f.wrong(v.Pos, "Policies", "want a policy document with a Statement, or one policy template")
		return nil, nil
	}
	t := v.Fields[0]
	if _, ok := policyTemplate(t.Key); !ok {
		f.wrong(t.Pos, "Policies", "there is no policy template %s%s", t.Key,
			template.Suggest(t.Key, policyTemplates()))
		return nil, nil
	}
	return f.x.expandPolicy(f.r.ID, t.Key, t.Value, t.Pos), nil
}
