package sam

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse/stack/template"
)

// event is one of a function's Events.
type event struct {
	id    string // in the template
	p     Pos
	typ   string
	props *Value
}

// otherEvents are those that need services which Rouse does not have yet.
var otherEvents = []string{"S3", "SNS", "Kinesis", "DynamoDB", "SQS", "CloudWatchEvent", "EventBridgeRule",
	"CloudWatchLogs", "IoTRule",
	"AlexaSkill", "Cognito", "MSK", "MQ", "SelfManagedKafka", "DocumentDB"}

// eventsOf reads the Events of a function, those with a path by that path, the others by name: the translator's order.
func (x *expander) eventsOf(r *template.Resource) []event {
	v := r.Properties.Get("Events")
	if v == nil {
		return nil
	}
	if v.Kind != template.Map {
		x.wrong(v.Pos, r.ID, "Events", "it must be a map of events, not a %s", v.Kind)
		return nil
	}
	var out []event
	for _, f := range v.Fields {
		e := event{id: f.Key, p: f.Pos, props: f.Value.Get("Properties")}
		e.typ, _ = f.Value.Get("Type").IsString()
		if e.props == nil {
			e.props = template.Obj(f.Value.Pos)
		}
		if e.props.Kind != template.Map {
			x.wrong(e.props.Pos, r.ID, "Events."+e.id, "Properties should be a map.")
			continue
		}
		out = append(out, e)
	}
	key := func(e event) string {
		if p, ok := e.props.Get("Path").IsString(); ok {
			return p
		}
		return e.id
	}
	slices.SortStableFunc(out, func(a, b event) int { return strings.Compare(key(a), key(b)) })
	return out
}

// check reports properties of an event that are unknown or not implemented, and required ones that are missing.
func (x *expander) check(r *template.Resource, e event, names, refused, required string) bool {
	all := append(strings.Fields(names), strings.Fields(refused)...)
	ok := true
	for _, f := range e.props.Fields {
		switch {
		case slices.Contains(strings.Fields(refused), f.Key):
			x.refuse(f.Pos, r.ID, "Events."+e.id, "%s of an event of type %s", f.Key, e.typ)
			ok = false
		case !slices.Contains(all, f.Key):
			x.wrong(f.Pos, r.ID, "Events."+e.id, "property %s not defined for event of type %s%s", f.Key, e.typ,
				template.Suggest(f.Key, all))
			ok = false
		}
	}
	for _, n := range strings.Fields(required) {
		if e.props.Get(n) == nil {
			x.wrong(e.p, r.ID, "Events."+e.id, "Event with id [%s] is invalid. Missing required property '%s'.", e.id,
				n)
			ok = false
		}
	}
	return ok
}

// events adds what the function's events expand to.
func (f *function) events() {
	for _, e := range f.x.eventsOf(f.r) {
		switch e.typ {
		case "Api":
			f.apiEvent(e)
		case "HttpApi":
			f.httpEvent(e)
		case "Schedule":
			f.schedule(e)
		case "ScheduleV2":
			f.scheduleV2(e)
		default:
			if slices.Contains(otherEvents, e.typ) {
				f.x.refuse(e.p, f.r.ID, "Events."+e.id, "events of type %s", e.typ)
				continue
			}
			f.wrong(e.p, "Events."+e.id, "there are no events of type %q%s", e.typ,
				template.Suggest(e.typ, append([]string{"Api", "HttpApi", "Schedule", "ScheduleV2"}, otherEvents...)))
		}
	}
}

// permission adds the Lambda permission that lets a service invoke the function for an event.
func (f *function) permission(e event, service, suffix string, source *Value) {
	id := f.r.ID + e.id + "Permission"
	if alnum(suffix) {
		id += suffix
	} else {
		id += digestText(suffix)
	}
	p := e.p
	f.x.add(f.r, id, "AWS::Lambda::Permission", p, template.KV(p, "Action", template.Str(p, "lambda:InvokeFunction")),
		template.KV(p, "FunctionName", f.target(p)), template.KV(p, "Principal", template.Str(p, service)),
		template.KV(p, "SourceArn", source))
}

func (f *function) schedule(e event) {
	if !f.x.check(f.r, e, "Schedule Input Enabled State Name Description RetryPolicy RuleName", "DeadLetterConfig",
		"Schedule") {
		return
	}
	p, id := e.p, f.r.ID+e.id
	state := e.props.Get("State")
	if on := e.props.Get("Enabled"); on != nil {
		b, ok := f.x.resolve(on).Bool()
		if state != nil {
			f.wrong(on.Pos, "Events."+e.id, "State and Enabled Properties cannot both be specified.")
		}
		if !ok {
			f.wrong(on.Pos, "Events."+e.id, "Enabled must be true or false; a function belongs into State")
		}
		state = template.Str(on.Pos, map[bool]string{true: "ENABLED", false: "DISABLED"}[b])
	}
	target := template.Obj(p, template.KV(p, "Arn", f.arn(p)), template.KV(p, "Id", template.Str(p, targetID(id))),
		template.KV(e.props.KeyPos("Input"), "Input", e.props.Get("Input")),
		template.KV(e.props.KeyPos("RetryPolicy"), "RetryPolicy", e.props.Get("RetryPolicy")))
	at := e.props.KeyPos("Schedule")
	f.x.add(f.r, id, "AWS::Events::Rule", p, template.KV(at, "ScheduleExpression", e.props.Get("Schedule")),
		template.KV(p, "State", state), template.KV(p, "Name", e.props.Get("Name")),
		template.KV(p, "Description", e.props.Get("Description")),
		template.KV(p, "Targets", template.Of(p, target)))
	f.permission(e, "events.amazonaws.com", "", template.GetAtt(p, id, "Arn"))
}

// targetID is the id of a rule's target, at most 64 characters.
func targetID(id string) string {
	const suffix = "LambdaTarget"
	return id[:min(len(id), 64-len(suffix))] + suffix
}

func (f *function) scheduleV2(e event) {
	if !f.x.check(f.r, e, "ScheduleExpression FlexibleTimeWindow Name State Description StartDate EndDate ScheduleExpressionTimezone "+
		"GroupName KmsKeyArn Input RoleArn RetryPolicy OmitName", "DeadLetterConfig PermissionsBoundary",
		"ScheduleExpression") {
		return
	}
	p, id := e.p, f.r.ID+e.id
	window := e.props.Get("FlexibleTimeWindow")
	if window == nil {
		window = template.Obj(p, template.KV(p, "Mode", template.Str(p, "OFF")))
	}
	name := e.props.Get("Name")
	if omit, _ := e.props.Get("OmitName").Bool(); !omit && name == nil {
		name = template.Str(p, id)
	}
	role := e.props.Get("RoleArn")
	made := role == nil
	if made {
		role = template.GetAtt(p, id+"Role", "Arn")
	}
	target := template.Obj(p, template.KV(p, "Arn", f.arn(p)), template.KV(p, "RoleArn", role),
		template.KV(p, "Input", e.props.Get("Input")), template.KV(p, "RetryPolicy", e.props.Get("RetryPolicy")))
	fields := []Field{template.KV(p, "ScheduleExpression", e.props.Get("ScheduleExpression"))}
	for _, n := range []string{"State", "Description", "StartDate", "EndDate", "ScheduleExpressionTimezone",
		"GroupName", "KmsKeyArn"} {
		fields = append(fields, template.KV(e.props.KeyPos(n), n, e.props.Get(n)))
	}
	fields = append(fields, template.KV(p, "Name", name), template.KV(p, "FlexibleTimeWindow", window),
		template.KV(p, "Target", target))
	f.x.add(f.r, id, "AWS::Scheduler::Schedule", p, fields...)
	if !made {
		return
	}
	policy := template.Obj(p, template.KV(p, "PolicyName", template.Str(p, id+"LambdaPolicy")),
		template.KV(p, "PolicyDocument",
			template.Obj(p, template.KV(p, "Statement", template.Of(p, statement(p, "lambda:InvokeFunction", f.arn(p)))))))
	f.x.add(f.r, id+"Role", "AWS::IAM::Role", p, template.KV(p, "AssumeRolePolicyDocument",
		trustPolicy(p, "scheduler.amazonaws.com")),
		template.KV(p, "Policies", template.Of(p, policy)))
}
