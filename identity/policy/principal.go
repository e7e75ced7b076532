package policy

import (
	"regexp"
	"strings"
)

type principalKind uint8

const (
	principalAll     principalKind = iota // "*" or {"AWS": "*"}
	principalAccount                      // an account, by number or by the ARN of its root
	principalARN                          // a user, a role or a session
	principalService                      // a service of the platform
	principalOther                        // an identity provider or a canonical user: nobody here is one
)

type principal struct {
	kind  principalKind
	value string
}

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

// reach is how closely the statement names who asks; for NotPrincipal, Exact for whoever is not excepted.
func (s *statement) reach(a *Asker) Reach {
	if s.principals == nil {
		return Exact
	}
	best := Nobody
	for i := range s.principals {
		best = max(best, s.principals[i].reach(a))
	}
	if !s.notPrincipal {
		return best
	}
	// NotPrincipal excepts those whom it names. Naming an account excepts its root user alone: its users and roles have
	// to be named beside it, as AWS demands.
	if best >= Shared {
		return Nobody
	}
	return Exact
}

func (p *principal) reach(a *Asker) Reach {
	switch p.kind {
	case principalAll:
		return Shared
	case principalService:
		if a.Service != "" && a.Service == p.value {
			return Exact
		}
	case principalAccount:
		switch {
		case a.Account != p.value || a.Service != "":
		case a.Root:
			return Exact
		default:
			return Account
		}
	case principalARN:
		switch {
		case a.ARN == p.value && a.ARN != "":
			return Exact
		case a.Role == p.value && a.Role != "":
			return Shared
		}
	}
	return Nobody
}

// readPrincipals reads a Principal or NotPrincipal element.
func readPrincipals(v any) ([]principal, error) {
	if s, ok := v.(string); ok {
		if s != "*" {
			return nil, errSyntax
		}
		return []principal{{kind: principalAll}}, nil
	}
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		return nil, errSyntax
	}
	var out []principal
	for kind, v := range m {
		values, err := stringList(v)
		if err != nil || len(values) == 0 {
			return nil, errSyntax
		}
		for _, s := range values {
			p, err := readPrincipal(kind, s)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func readPrincipal(kind, s string) (principal, error) {
	switch kind {
	case "AWS":
		return readAWS(s)
	case "Service":
		if s == "" || strings.ContainsAny(s, "*? ") || !strings.Contains(s, ".") {
			return principal{}, malformed("Invalid principal in policy: \"SERVICE\":%q", s)
		}
		return principal{principalService, s}, nil
	case "Federated":
		return principal{principalOther, s}, nil
	case "CanonicalUser":
		return principal{principalOther, s}, nil
	}
	return principal{}, errSyntax
}

func readAWS(s string) (principal, error) {
	if s == "*" {
		return principal{kind: principalAll}, nil
	}
	if accountPattern.MatchString(s) {
		return principal{principalAccount, s}, nil
	}
	f, ok := arnFields(s)
	bad := !ok || f[1] != "aws" || f[2] != "iam" && f[2] != "sts" || f[3] != "" ||
		!accountPattern.MatchString(f[4]) || strings.ContainsAny(s, "*?")
	if bad {
		return principal{}, malformed("Invalid principal in policy: \"AWS\":%q", s)
	}
	if f[5] == "root" {
		return principal{principalAccount, f[4]}, nil
	}
	for _, prefix := range []string{"user/", "role/", "assumed-role/", "federated-user/"} {
		if len(f[5]) > len(prefix) && strings.HasPrefix(f[5], prefix) {
			return principal{principalARN, s}, nil
		}
	}
	return principal{}, malformed("Invalid principal in policy: \"AWS\":%q", s)
}

// Principals lists the users, roles and sessions that d names by ARN, so that a caller can refuse those that do not exist.
func (d *Document) Principals() []string {
	var out []string
	for i := range d.statements {
		for _, p := range d.statements[i].principals {
			if p.kind == principalARN {
				out = append(out, p.value)
			}
		}
	}
	return out
}
