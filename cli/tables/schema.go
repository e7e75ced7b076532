package tables

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// table is a table as it describes itself.
type table struct {
	call Call
	sh   *Shell

	TableName, TableStatus, TableArn, LatestStreamArn string
	KeySchema                                         []keyPart
	AttributeDefinitions                              []struct{ AttributeName, AttributeType string }
	ItemCount, TableSizeBytes                         int64
	BillingModeSummary                                struct{ BillingMode string }
	StreamSpecification                               struct {
		StreamEnabled  bool
		StreamViewType string
	}
	GlobalSecondaryIndexes, LocalSecondaryIndexes []struct {
		IndexName string
		KeySchema []keyPart
	}
}

type keyPart struct{ AttributeName, KeyType string }

// key is an attribute of a key.
type key struct {
	name string // "" when there is none
	kind kind
}

func (sh *Shell) describe(ctx context.Context, call Call, name string) (*table, error) {
	var out struct{ Table table }
	if err := call(ctx, "dynamodb", "DescribeTable", map[string]any{"TableName": name}, &out); err != nil {
		return nil, err
	}
	t := out.Table
	t.call, t.sh = call, sh
	return &t, nil
}

// do runs an operation on the table.
func (t *table) do(ctx context.Context, operation string, in map[string]any, out any) error {
	in["TableName"] = t.TableName
	return t.call(ctx, "dynamodb", operation, in, out)
}

// keys are the partition and the sort key of the table, or of an index of it.
func (t *table) keys(index string) (hash, sort key, err error) {
	schema := t.KeySchema
	if index != "" {
		schema = nil
		var names []string
		for _, i := range append(t.GlobalSecondaryIndexes, t.LocalSecondaryIndexes...) {
			names = append(names, i.IndexName)
			if i.IndexName == index {
				schema = i.KeySchema
			}
		}
		switch {
		case schema == nil && len(names) == 0:
			return hash, sort, t.sh.Usage("%s has no indexes", t.TableName)
		case schema == nil:
			return hash, sort, t.sh.Usage("%s has no index %q; it has %s", t.TableName, index, strings.Join(names, ", "))
		}
	}
	for _, part := range schema {
		k := key{name: part.AttributeName}
		for _, d := range t.AttributeDefinitions {
			if d.AttributeName == part.AttributeName {
				k.kind = kind(d.AttributeType)
			}
		}
		if part.KeyType == "HASH" {
			hash = k
		} else {
			sort = k
		}
	}
	return hash, sort, nil
}

// keyNames are the names of the table's key, for what comes first.
func (t *table) keyNames() []string {
	hash, sort, _ := t.keys("")
	if sort.name == "" {
		return []string{hash.name}
	}
	return []string{hash.name, sort.name}
}

// value reads what the user typed as the key's type says.
func (k key) value(typed string) (value, error) {
	switch k.kind {
	case kNumber:
		if n := json.Number(typed); !json.Valid([]byte(typed)) || !isNumber(n) {
			return value{}, fmt.Errorf("%s is a number; %q is none", k.name, typed)
		}
	case kBinary:
		if _, err := base64.StdEncoding.DecodeString(typed); err != nil {
			return value{}, fmt.Errorf("%s holds bytes; %q is not base 64", k.name, typed)
		}
	}
	return value{kind: k.kind, text: typed}, nil
}

func isNumber(n json.Number) bool {
	return n != "" && strings.Trim(string(n), "+-.0123456789eE") == ""
}

// key makes the key of an item from KEY and SORT.
func (t *table) key(args []string) (item, error) {
	hash, sort, err := t.keys("")
	if err != nil {
		return nil, err
	}
	switch {
	case sort.name != "" && len(args) < 2:
		return nil, t.sh.Usage("%s has a sort key, %s: name it after the key, or use `rouse table query`", t.TableName, sort.name)
	case sort.name == "" && len(args) > 1:
		return nil, t.sh.Usage("%s has no sort key: %q is one argument too many", t.TableName, args[1])
	}
	out := item{}
	for i, k := range []key{hash, sort}[:len(args)] {
		if out[k.name], err = k.value(args[i]); err != nil {
			return nil, t.sh.Usage("%w", err)
		}
	}
	return out, nil
}

var sortForm = regexp.MustCompile(`(?is)^\s*(?:(<=|>=|=|<|>)\s*(.*?)|between\s+(.*?)\s+and\s+(.*?))\s*$`)

// keyCondition is the condition of a query: the key, and what --sort or --begins-with say.
func (t *table) keyCondition(index, typed, sorting, begins string) (*expression, error) {
	hash, sort, err := t.keys(index)
	if err != nil {
		return nil, err
	}
	e := &expression{text: "#hash = :hash", names: map[string]string{"#hash": hash.name}, values: map[string]value{}}
	if e.values[":hash"], err = hash.value(typed); err != nil {
		return nil, t.sh.Usage("%w", err)
	}
	if sorting == "" && begins == "" {
		return e, nil
	}
	if sort.name == "" {
		return nil, t.sh.Usage("%s has no sort key", strings.TrimSpace(t.TableName+" "+index))
	}
	e.names["#sort"] = sort.name
	form, texts := "", []string{begins}
	if begins != "" {
		form = "begins_with(#sort, :sort0)"
	} else {
		m := sortForm.FindStringSubmatch(sorting)
		switch {
		case m == nil:
			return nil, t.sh.Usage("--sort %q: want =, <, <=, > or >= and a value, or between A and B", sorting)
		case m[1] != "":
			form, texts = "#sort "+m[1]+" :sort0", m[2:3]
		default:
			form, texts = "#sort BETWEEN :sort0 AND :sort1", m[3:5]
		}
	}
	e.text += " AND " + form
	for i, text := range texts {
		if e.values[fmt.Sprintf(":sort%d", i)], err = sort.value(text); err != nil {
			return nil, t.sh.Usage("%w", err)
		}
	}
	return e, nil
}

// names lists all tables.
func names(ctx context.Context, call Call) ([]string, error) {
	var all []string
	in := map[string]any{}
	for {
		var page struct {
			TableNames             []string
			LastEvaluatedTableName string
		}
		if err := call(ctx, "dynamodb", "ListTables", in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.TableNames...)
		if page.LastEvaluatedTableName == "" {
			return all, nil
		}
		in["ExclusiveStartTableName"] = page.LastEvaluatedTableName
	}
}

// named finds the table that a user means: by its name, or by the logical id that its template gives it.
func (sh *Shell) named(ctx context.Context, call Call, name string) (string, error) {
	all, err := names(ctx, call)
	if err != nil {
		return "", err
	}
	var found, nicks []string
	for _, n := range all {
		if n == name {
			return name, nil
		}
		if strings.EqualFold(sh.Nick(n), name) {
			found = append(found, n)
		}
		nicks = append(nicks, sh.Nick(n))
	}
	const most = 10
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", sh.Usage("%q could be %s", name, strings.Join(found, " or "))
	case len(all) == 0:
		return "", fmt.Errorf("there is no table %q\nThere are no tables yet: a template makes them, as AWS::DynamoDB::Table", name)
	case len(nicks) > most:
		nicks = append(nicks[:most], fmt.Sprintf("and %d more (rouse table list)", len(all)-most))
	}
	return "", fmt.Errorf("there is no table %q\nTables: %s", name, strings.Join(nicks, ", "))
}
