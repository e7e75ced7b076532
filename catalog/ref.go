package catalog

import (
	"strings"

	"github.com/rouse-dev/rouse"
)

const (
	functionNameMax = 64
	refMax          = 256 // bytes of any form of a name
)

// Ref names a function, and perhaps a version or alias of it, in an account of this region.
type Ref struct {
	Account   string
	Name      string
	Qualifier string // "" when the function was named without one
}

func (r Ref) name() name { return name{r.Account, r.Name} }

func (r Ref) unqualified() Ref { r.Qualifier = ""; return r }

// ARN of what r names.
func (c *Catalog) ARN(r Ref) rouse.ARN { return c.arn(r.name(), r.Qualifier) }

// FunctionPattern is what Lambda says a function's name must look like. ParseRef takes the same language.
const FunctionPattern = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?` +
	`(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`

// ParseRef reads any form in which AWS lets a function be named: its name, "account:function:name", a full ARN, each with
// or without a qualifier, beside the qualifier that came as a parameter of its own. What the form leaves out is the
// caller's: account.
func (c *Catalog) ParseRef(account, s, qualifier string) (Ref, error) {
	r, region, ok := splitRef(s)
	if !ok || len(s) > refMax {
		return Ref{}, constraint("functionName", s, "Member must satisfy regular expression pattern: "+FunctionPattern)
	}
	if len(r.Name) > functionNameMax {
		return Ref{}, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at 'functionName' failed to "+
			"satisfy constraint: Member must have length less than or equal to 64", r.Name).
			WithCode("InvalidParameterValueException")
	}
	if region != "" && region != c.cfg.Region {
		return Ref{}, rouse.Errorf(rouse.NotFound, "Functions from '%s' are not reachable in this region ('%s')",
			region, c.cfg.Region).WithCode("ResourceNotFoundException")
	}
	if r.Account == "" {
		r.Account = account
	}
	if qualifier != "" {
		if r.Qualifier != "" && r.Qualifier != qualifier {
			return Ref{}, invalid("The derived qualifier from the function name does not match the specified qualifier.")
		}
		if qualifier != Latest && !word(qualifier, "-_$") || len(qualifier) > 128 {
			return Ref{}, constraint("qualifier", qualifier,
				`Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+`)
		}
		r.Qualifier = qualifier
	}
	if strings.HasSuffix(r.Qualifier, ".PUBLISHED") {
		return Ref{}, rouse.Errorf(rouse.Unsupported, "Rouse does not implement the qualifier $LATEST.PUBLISHED")
	}
	return r, nil
}

// splitRef takes the parts off from the left; each of them but the name may be absent.
func splitRef(s string) (r Ref, region string, ok bool) {
	if rest, found := strings.CutPrefix(s, "arn:"); found {
		partition, rest, found := strings.Cut(rest, ":")
		if partition != "" && (!strings.HasPrefix(partition, "aws") || !letters(partition[3:])) || !found {
			return Ref{}, "", false
		}
		if s, found = strings.CutPrefix(rest, "lambda:"); !found {
			return Ref{}, "", false
		}
	}
	parts := strings.Split(s, ":")
	if len(parts) > 1 && isRegion(parts[0]) {
		region, parts = parts[0], parts[1:]
	}
	if len(parts) > 1 && isAccount(parts[0]) {
		r.Account, parts = parts[0], parts[1:]
	}
	if len(parts) > 1 && parts[0] == "function" {
		parts = parts[1:]
	}
	if len(parts) > 2 || !word(parts[0], "-_") {
		return Ref{}, "", false
	}
	r.Name = parts[0]
	if len(parts) == 2 {
		r.Qualifier = parts[1]
		if q := r.Qualifier; q != Latest && q != Latest+".PUBLISHED" && !word(q, "-_") {
			return Ref{}, "", false
		}
	}
	return r, region, true
}

func isAccount(s string) bool { return len(s) == 12 && digits(s) }

// isRegion takes what AWS's pattern takes: us-east-1, us-gov-west-1, eusc-de-east-1.
func isRegion(s string) bool {
	parts := strings.Split(strings.TrimPrefix(s, "eusc-"), "-")
	if len(parts) == 4 && (parts[1] == "gov" || strings.HasPrefix(parts[1], "iso") && len(parts[1]) <= 4) {
		parts = append(parts[:1], parts[2:]...)
	}
	return len(parts) == 3 && len(parts[0]) == 2 && lower(parts[0]) && lower(parts[1]) && len(parts[2]) == 1 && digits(parts[2])
}

func digits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func lower(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}

// letters takes [a-zA-Z-]*.
func letters(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !alpha(r) && r != '-' }) < 0
}

func alpha(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// word takes one or more letters, digits and characters of also.
func word(s, also string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !alpha(r) && (r < '0' || r > '9') && !strings.ContainsRune(also, r)
	}) < 0
}

// invalid is Lambda's answer to a parameter that breaks a rule.
func invalid(format string, args ...any) *rouse.Error {
	return rouse.Errorf(rouse.Invalid, format, args...).WithCode("InvalidParameterValueException")
}

// constraint is AWS's answer to a parameter that breaks its shape's constraint.
func constraint(field, value, rule string) *rouse.Error {
	return rouse.Errorf(rouse.Invalid, "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s",
		value, field, rule).WithCode("ValidationException")
}

// conflict is Lambda's answer to a change that meets another.
func conflict(format string, args ...any) *rouse.Error {
	return rouse.Errorf(rouse.Conflict, format, args...).WithCode("ResourceConflictException")
}

// onlyFunctions refuses a qualifier where Lambda takes the function itself.
func onlyFunctions(r Ref) error {
	if r.Qualifier != "" {
		return invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this " +
			"operation. Please specify either a function name or an unqualified function ARN.")
	}
	return nil
}
