package identity

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/identity/policy"
)

var _ rouse.Authorizer = (*Identity)(nil)

// Authorize answers nil when from may do all of needs. A refusal is of Kind Denied and carries AWS's text.
func (i *Identity) Authorize(_ context.Context, from rouse.Origin, needs []rouse.Need) error {
	s := i.current.Load()
	for n := range needs {
		q := question{i: i, s: s, from: &from, need: &needs[n]}
		if needs[n].Policy != "" {
			doc, err := i.cache.compile(needs[n].Policy, policy.Resource)
			if err != nil {
				return fmt.Errorf("policy of %s: %w", needs[n].Resource, err)
			}
			q.resource = doc
		}
		if err := q.decide(); err != nil {
			return err
		}
	}
	return nil
}

// question is one need being decided.
type question struct {
	i        *Identity
	s        *snapshot
	from     *rouse.Origin
	need     *rouse.Need
	resource *policy.Document // the resource's policy, or the role's trust policy; nil when it has none
	trust    bool             // resource is a trust policy
	asker    *principal       // nil for services and the root user
}

// decide follows the table of the package page.
func (q *question) decide() error {
	if q.from.IsZero() {
		return q.denied(because("identity-based"))
	}
	if q.from.AccessKey == DevKeyID && !q.i.devKeyFrom(q.from.SourceIP) {
		return q.denied(because("identity-based"))
	}
	r := q.request()
	resource, reach := policy.None, policy.Nobody
	if q.resource != nil {
		resource, reach = q.resource.Evaluate(r)
	}
	if resource == policy.Deny {
		return q.denied(explicit("a resource-based policy"))
	}
	named := resource == policy.Allow
	if q.from.Principal.Service != "" {
		if named {
			return nil
		}
		return q.denied(because("resource-based"))
	}
	same := q.sameAccount()
	if q.from.Root {
		if named || same && !q.trust {
			return nil
		}
		return q.denied(because("resource-based"))
	}
	if q.asker = q.find(); q.asker == nil {
		return q.denied(because("identity-based"))
	}
	own := q.identity(r)
	if own == policy.Deny {
		return q.denied(explicit("an identity-based policy"))
	}
	bound := q.bound(r)
	if bound == policy.Deny {
		return q.denied(explicit("a permissions boundary"))
	}
	switch {
	case q.trust && !named, !same && !named:
		if own == policy.Allow {
			return q.denied(because("resource-based"))
		}
		return q.denied(because("identity-based"))
	case same && named && reach == policy.Exact:
		return nil // what is granted to this very user or session needs nothing else
	case same && named && reach == policy.Shared && bound == policy.Allow:
		return nil
	case own != policy.Allow:
		return q.denied(because("identity-based"))
	case bound != policy.Allow:
		return q.denied(fmt.Sprintf("because no permissions boundary allows the %s action", q.need.Action))
	}
	return nil
}

// find is the principal who asks, as it is now: nil if it was deleted, or made anew since.
func (q *question) find() *principal {
	arn := q.from.Principal.ARN
	if q.from.RoleARN != "" {
		arn = q.from.RoleARN
	}
	p := q.s.principals[arn]
	if p == nil {
		return nil
	}
	id, _, _ := strings.Cut(q.from.Principal.UserID, ":")
	if id != "" && id != p.ID {
		return nil
	}
	return p
}

// identity joins the policies of the asker.
func (q *question) identity(r *policy.Request) policy.Effect {
	best := policy.None
	for _, doc := range q.asker.docs {
		e, _ := doc.Evaluate(r)
		if e == policy.Deny {
			return e
		}
		best = max(best, e)
	}
	for _, arn := range q.asker.attached {
		m := q.s.policies[arn]
		if m == nil {
			continue
		}
		e, _ := m.doc.Evaluate(r)
		if e == policy.Deny {
			return e
		}
		best = max(best, e)
	}
	return best
}

// bound is what the permissions boundary says; Allow without one.
func (q *question) bound(r *policy.Request) policy.Effect {
	if q.asker.Boundary == "" {
		return policy.Allow
	}
	doc := q.asker.bound
	if doc == nil {
		m := q.s.policies[q.asker.Boundary]
		if m == nil {
			return policy.None
		}
		doc = m.doc
	}
	e, _ := doc.Evaluate(r)
	return e
}

// sameAccount reports whether the resource is in the asker's account. ARNs without an account (buckets, "*") are taken
// for the asker's own: whoever owns such a resource for another account has to give its policy.
func (q *question) sameAccount() bool {
	a := accountOf(q.need.Resource)
	return a == "" || a == "aws" || a == q.from.Principal.Account
}

// accountOf is the account field of an ARN.
func accountOf(arn string) string {
	for range 4 {
		at := strings.IndexByte(arn, ':')
		if at < 0 {
			return ""
		}
		arn = arn[at+1:]
	}
	account, _, ok := strings.Cut(arn, ":")
	if !ok {
		return ""
	}
	return account
}

func (q *question) request() *policy.Request {
	p := &q.from.Principal
	return &policy.Request{
		Action: q.need.Action, Resource: q.need.Resource, Key: q.key,
		Asker: policy.Asker{Account: p.Account, ARN: p.ARN, Role: q.from.RoleARN, Service: p.Service, Root: q.from.Root},
	}
}

func because(kind string) string { return "because no " + kind + " policy allows the %s action" }

func explicit(where string) string { return "with an explicit deny in " + where }

// denied is AWS's text; reason may name the action by %s.
func (q *question) denied(reason string) error {
	who := q.from.Principal.ARN
	if who == "" {
		who = q.from.Principal.Service
	}
	if who == "" {
		who = "anonymous"
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s", who, q.need.Action)
	if q.need.Resource != "" {
		text += " on resource: " + q.need.Resource
	}
	if !q.trust {
		text += " " + strings.Replace(reason, "%s", q.need.Action, 1)
	}
	return &rouse.Error{Kind: rouse.Denied, Message: text}
}

// answered reports whether key answers for a global key, in lower case without "aws:", wherever AWS would. Nobody has a
// second factor here, so that its age is rightly absent.
func answered(global string) bool {
	switch global {
	case "sourceip", "sourcearn", "sourceaccount", "useragent", "securetransport", "currenttime", "epochtime", "requestedregion",
		"resourceaccount", "principalisawsservice", "viaawsservice", "principalarn", "principalaccount", "principalservicename",
		"userid", "principaltype", "username", "tokenissuetime", "multifactorauthpresent", "multifactorauthage", "tagkeys":
		return true
	}
	return strings.HasPrefix(global, "principaltag/") || strings.HasPrefix(global, "requesttag/")
}

// key answers for condition keys: what the operation adds first, then the global keys of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html that are known here.
func (q *question) key(name string) []string {
	for k, v := range q.need.Conditions {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	rest, ok := strings.CutPrefix(name, "aws:")
	if !ok {
		return nil
	}
	o, p := q.from, &q.from.Principal
	switch rest {
	case "sourceip":
		return present(o.SourceIP)
	case "sourcearn":
		return present(o.SourceARN)
	case "sourceaccount":
		return present(accountOf(o.SourceARN))
	case "useragent":
		return present(o.UserAgent)
	case "securetransport":
		return []string{strconv.FormatBool(o.Secure)}
	case "currenttime":
		return []string{q.i.now().UTC().Format(time.RFC3339)}
	case "epochtime":
		return []string{strconv.FormatInt(q.i.now().Unix(), 10)}
	case "requestedregion":
		return []string{q.i.cfg.Region}
	case "resourceaccount":
		if a := accountOf(q.need.Resource); a != "" {
			return []string{a}
		}
		return present(p.Account)
	case "principalisawsservice":
		return []string{strconv.FormatBool(p.Service != "")}
	case "viaawsservice":
		return []string{"false"}
	}
	return q.principalKey(rest)
}

// principalKey answers for the keys that describe who asks.
func (q *question) principalKey(name string) []string {
	o, p := q.from, &q.from.Principal
	switch name {
	case "principalarn":
		if o.RoleARN != "" {
			return []string{o.RoleARN}
		}
		return present(p.ARN)
	case "principalaccount":
		return present(p.Account)
	case "principalservicename":
		return present(p.Service)
	case "userid":
		return present(p.UserID)
	case "principaltype":
		switch {
		case o.Root:
			return []string{"Account"}
		case o.RoleARN != "":
			return []string{"AssumedRole"}
		case p.ARN != "":
			return []string{"User"}
		}
	case "username":
		if a := q.live(); a != nil && a.user != nil {
			return []string{a.Name}
		}
	case "tokenissuetime":
		if !o.Issued.IsZero() {
			return []string{o.Issued.UTC().Format(time.RFC3339)}
		}
	case "multifactorauthpresent":
		if o.RoleARN != "" || strings.HasPrefix(o.AccessKey, temporary) {
			return []string{"false"}
		}
	}
	if tag, ok := strings.CutPrefix(name, "principaltag/"); ok {
		if a := q.live(); a != nil {
			for _, t := range a.Tags {
				if strings.EqualFold(t.Key, tag) {
					return []string{t.Value}
				}
			}
		}
	}
	return nil
}

// live is the asker; a resource's policy asks for it before decide has found it.
func (q *question) live() *principal {
	if q.asker == nil && q.from.Principal.Service == "" && !q.from.Root {
		q.asker = q.find()
	}
	return q.asker
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (i *Identity) now() time.Time { return i.cfg.Store.Now() }
