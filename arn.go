package rouse

import "strings"

// ARN names a resource: arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html). Partition is always "aws" here; Region and
// Account are empty where the service's names are global.
type ARN struct {
	Service  string
	Region   string
	Account  string
	Resource string // the rest, colons and slashes included: "function:shop:3", "role/admin"
}

// ParseARN reads s. Errors are of Kind Invalid and name s.
func ParseARN(s string) (ARN, error) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, Errorf(Invalid, "%q is not an ARN: want arn:aws:service:region:account:resource", s)
	}
	return ARN{Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, nil
}

// String is the ARN's text; "" for the zero ARN.
func (a ARN) String() string {
	if a == (ARN{}) {
		return ""
	}
	return "arn:aws:" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// FunctionARN names a function; qualifier is a version, an alias or "".
func FunctionARN(region, account, name, qualifier string) ARN {
	r := "function:" + name
	if qualifier != "" {
		r += ":" + qualifier
	}
	return ARN{Service: "lambda", Region: region, Account: account, Resource: r}
}

// FunctionName splits a function's ARN into name and qualifier; ok is false for other resources.
func (a ARN) FunctionName() (name, qualifier string, ok bool) {
	rest, ok := strings.CutPrefix(a.Resource, "function:")
	if !ok || a.Service != "lambda" {
		return "", "", false
	}
	name, qualifier, _ = strings.Cut(rest, ":")
	return name, qualifier, name != ""
}
