package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// Policy is the resource policy of a function, a version or an alias. Immutable.
type Policy struct {
	Qualifier  string
	RevisionID string
	Statements []Statement
	text       string // the document, made once
}

// Statement is one grant. The members stand in the order in which Lambda writes them.
type Statement struct {
	Sid       string
	Effect    string
	Principal json.RawMessage // {"Service":…}, {"AWS":…} or "*"
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

// document writes the policy as IAM reads it.
func (p *Policy) document() (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Version   string
		ID        string `json:"Id"`
		Statement []Statement
	}{"2012-10-17", "default", p.Statements})
	return strings.TrimSuffix(b.String(), "\n"), err
}

// UnmarshalJSON reads a stored policy and writes its document once, for all who will ask.
func (p *Policy) UnmarshalJSON(b []byte) (err error) {
	type plain Policy
	if err := json.Unmarshal(b, (*plain)(p)); err != nil {
		return err
	}
	p.text, err = p.document()
	return err
}

// Grant is what AddPermission is asked for.
type Grant struct {
	Sid           string
	Action        string
	Principal     string // a service, an account, an ARN of IAM or "*"
	SourceARN     string
	SourceAccount string
	Org           string // PrincipalOrgID
	EventToken    string
	URLAuthType   string // lambda:FunctionUrlAuthType
	ViaURL        *bool  // lambda:InvokedViaFunctionUrl
	RevisionID    string // "" or what the policy must have now
}

// statement makes the statement of g for a resource.
func (g Grant) statement(resource string) (Statement, error) {
	if !word(g.Sid, "-_") || len(g.Sid) > 100 {
		return Statement{}, constraint("statementId", g.Sid, "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)")
	}
	principal, err := grantee(g.Principal)
	if err != nil {
		return Statement{}, err
	}
	s := Statement{Sid: g.Sid, Effect: "Allow", Principal: principal, Action: g.Action, Resource: resource}
	when := func(operator, key, value string) {
		if value == "" {
			return
		}
		if s.Condition == nil {
			s.Condition = map[string]map[string]string{}
		}
		if s.Condition[operator] == nil {
			s.Condition[operator] = map[string]string{}
		}
		s.Condition[operator][key] = value
	}
	when("StringEquals", "AWS:SourceAccount", g.SourceAccount)
	when("StringEquals", "lambda:FunctionUrlAuthType", g.URLAuthType)
	when("StringEquals", "aws:PrincipalOrgID", g.Org)
	when("StringEquals", "lambda:EventSourceToken", g.EventToken)
	when("ArnLike", "AWS:SourceArn", g.SourceARN)
	if g.ViaURL != nil {
		when("Bool", "lambda:InvokedViaFunctionUrl", map[bool]string{true: "true", false: "false"}[*g.ViaURL])
	}
	return s, nil
}

// grantee writes a principal as IAM wants it. An account becomes its root, as Lambda does.
func grantee(p string) (json.RawMessage, error) {
	switch {
	case p == "*":
		return json.RawMessage(`"*"`), nil
	case isAccount(p):
		return json.Marshal(map[string]string{"AWS": "arn:aws:iam::" + p + ":root"})
	case strings.HasPrefix(p, "arn:"):
		arn, err := rouse.ParseARN(p)
		if err == nil && (arn.Service == "iam" || arn.Service == "sts") && isAccount(arn.Account) {
			return json.Marshal(map[string]string{"AWS": p})
		}
	case strings.Contains(p, ".") && word(p, ".-") && !strings.HasPrefix(p, ".") && !strings.HasSuffix(p, "."):
		return json.Marshal(map[string]string{"Service": p})
	}
	return nil, noPrincipal()
}

func noPrincipal() error {
	return invalid("The provided principal was invalid. Please check the principal and try again.")
}

// known reports whether a principal exists, as far as this can be known: a role or user of the account.
func (c *Catalog) known(ctx context.Context, account, principal string) bool {
	arn, err := rouse.ParseARN(principal)
	if err != nil || c.cfg.Principal == nil || arn.Service != "iam" || arn.Account != account || arn.Resource == "root" {
		return true
	}
	return c.cfg.Principal(ctx, principal)
}

// AddPermission adds a statement to the policy of what r names.
func (c *Catalog) AddPermission(ctx context.Context, r Ref, g Grant) (Statement, error) {
	if r.Qualifier == Latest {
		return Statement{}, invalid("We currently do not support adding policies for $LATEST.")
	}
	s, err := g.statement(c.ARN(r).String())
	if err != nil {
		return Statement{}, err
	}
	if !c.known(ctx, r.Account, g.Principal) {
		return Statement{}, noPrincipal()
	}
	revision := uuid.NewString()
	err = c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if err := h.qualified(c, r.name(), r.Qualifier); err != nil {
			return err
		}
		key := c.functionKey(r.name(), partPolicy, r.Qualifier)
		p := Policy{Qualifier: r.Qualifier}
		had, err := read(tx, key, &p)
		if err != nil {
			return err
		}
		if err := sameRevision(g.RevisionID, p.RevisionID, "GetPolicy"); err != nil {
			return err
		}
		if slices.ContainsFunc(p.Statements, func(t Statement) bool { return t.Sid == s.Sid }) {
			return rouse.Errorf(rouse.Exists, "The statement id (%s) provided already exists. Please provide a new statement id, "+
				"or remove the existing statement.", s.Sid).WithCode("ResourceConflictException")
		}
		if !had {
			if err := h.room(); err != nil {
				return err
			}
			h.Policies = with(h.Policies, r.Qualifier)
		}
		p.Statements = append(p.Statements, s)
		p.RevisionID = revision
		if text, err := p.document(); err != nil {
			return err
		} else if len(text) > PolicyMax {
			return rouse.Errorf(rouse.Limit, "The final policy size (%d) is bigger than the limit (%d).", len(text), PolicyMax).
				WithCode("PolicyLengthExceededException")
		}
		return write(tx, key, &p)
	})
	return s, err
}

// RemovePermission removes a statement; the policy goes with its last one.
func (c *Catalog) RemovePermission(ctx context.Context, r Ref, sid, revisionID string) error {
	n := r.name()
	if _, ok := c.functions.get(n); !ok {
		return rouse.Errorf(rouse.NotFound, "No policy found for: %s", c.arn(n, "")).WithCode("ResourceNotFoundException")
	}
	revision := uuid.NewString()
	return c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		key := c.functionKey(n, partPolicy, r.Qualifier)
		var p Policy
		ok, err := read(tx, key, &p)
		if err != nil {
			return err
		}
		if !ok {
			return rouse.Errorf(rouse.NotFound, "No policy is associated with the given resource.").
				WithCode("ResourceNotFoundException")
		}
		i := slices.IndexFunc(p.Statements, func(s Statement) bool { return s.Sid == sid })
		if i < 0 {
			return rouse.Errorf(rouse.NotFound, "Statement %s is not found in resource policy.", sid).
				WithCode("ResourceNotFoundException")
		}
		if err := sameRevision(revisionID, p.RevisionID, "GetPolicy"); err != nil {
			return err
		}
		p.Statements = slices.Delete(p.Statements, i, i+1)
		p.RevisionID = revision
		if len(p.Statements) == 0 {
			h.Policies = without(h.Policies, r.Qualifier)
			tx.Delete(key)
			return nil
		}
		return write(tx, key, &p)
	})
}

// GetPolicy answers the document and its revision; NotFound when there is none.
func (c *Catalog) GetPolicy(r Ref) (document, revisionID string, err error) {
	if f, ok := c.functions.get(r.name()); ok {
		if p := f.policy(r.Qualifier); p != nil {
			return p.text, p.RevisionID, nil
		}
	}
	return "", "", rouse.Errorf(rouse.NotFound, "The resource you requested does not exist.").
		WithCode("ResourceNotFoundException")
}

// Policy is the document that decides about calls of fn, "" when it has none: for rouse.Need.Policy. Each qualifier has a
// policy of its own; $LATEST has none. It reads memory only.
func (c *Catalog) Policy(fn rouse.ARN) string {
	s, qualifier, ok := fn.FunctionName()
	if !ok {
		return ""
	}
	f, ok := c.functions.get(name{fn.Account, s})
	if !ok {
		return ""
	}
	if p := f.policy(qualifier); p != nil {
		return p.text
	}
	return ""
}
