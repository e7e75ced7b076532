package tables_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/cli/tables"
)

// apiError is an error with AWS's code.
type apiError struct{ code, text string }

func (e *apiError) Error() string { return e.text }

// service is DynamoDB with one table: enough for the commands. Requests are kept as JSON.
type service struct {
	name   string
	sort   bool // the table has a sort key, n, a number
	stream string

	mu      sync.Mutex
	items   map[string]json.RawMessage // by their key; guarded by mu
	order   []string                   // of keys; guarded by mu
	asked   []string                   // guarded by mu
	answers map[string][]string        // of operations, one after the other, the last again and again; guarded by mu
	before  func(operation string, in []byte) error
	refuse  int // how many of a batch's items are left unprocessed, of each batch once; guarded by mu
}

func newService(name string) *service {
	return &service{name: name, items: map[string]json.RawMessage{}, answers: map[string][]string{}}
}

func (s *service) call(_ context.Context, _, operation string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, operation+" "+string(b))
	if s.before != nil {
		if err := s.before(operation, b); err != nil {
			return err
		}
	}
	answer, err := s.do(operation, b)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal([]byte(answer), out)
}

// do runs one operation. The caller holds mu.
func (s *service) do(operation string, in []byte) (string, error) {
	if list := s.answers[operation]; len(list) > 0 {
		s.answers[operation] = list[min(1, len(list)-1):]
		return list[0], nil
	}
	var r struct {
		TableName           string
		Key, Item           json.RawMessage
		ConditionExpression string
		Limit               int
		ExclusiveStartKey   map[string]struct{ S string }
		RequestItems        map[string][]struct {
			PutRequest struct{ Item json.RawMessage }
		}
	}
	if err := json.Unmarshal(in, &r); err != nil {
		return "", err
	}
	switch operation {
	case "ListTables":
		return fmt.Sprintf(`{"TableNames":[%q]}`, s.name), nil
	case "DescribeTable":
		return s.describe(), nil
	case "GetItem":
		if it, ok := s.items[s.key(r.Key)]; ok {
			return `{"Item":` + string(it) + `}`, nil
		}
		return `{}`, nil
	case "DeleteItem":
		old, ok := s.items[s.key(r.Key)]
		delete(s.items, s.key(r.Key))
		if !ok {
			return `{}`, nil
		}
		return `{"Attributes":` + string(old) + `}`, nil
	case "PutItem":
		if _, ok := s.items[s.key(r.Item)]; ok && r.ConditionExpression != "" {
			return "", &apiError{"ConditionalCheckFailedException", "The conditional request failed"}
		}
		s.put(r.Item)
		return `{}`, nil
	case "BatchWriteItem":
		var left []string
		for i, p := range r.RequestItems[s.name] {
			if i < s.refuse {
				left = append(left, `{"PutRequest":{"Item":`+string(p.PutRequest.Item)+`}}`)
				continue
			}
			s.put(p.PutRequest.Item)
		}
		s.refuse = max(0, len(left)-1)
		if len(left) > 0 {
			return fmt.Sprintf(`{"UnprocessedItems":{%q:[%s]}}`, s.name, strings.Join(left, ",")), nil
		}
		return `{"UnprocessedItems":{}}`, nil
	case "Scan", "Query":
		return s.page(r.ExclusiveStartKey["id"].S, r.Limit), nil
	}
	return "", &apiError{"UnknownOperationException", operation}
}

func (s *service) describe() string {
	sort, define := "", ""
	if s.sort {
		sort, define = `,{"AttributeName":"n","KeyType":"RANGE"}`, `,{"AttributeName":"n","AttributeType":"N"}`
	}
	return fmt.Sprintf(`{"Table":{"TableName":%q,"TableArn":"arn:%s","TableStatus":"ACTIVE","ItemCount":%d,"TableSizeBytes":2048,
		"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}%s],"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}%s],
		"GlobalSecondaryIndexes":[{"IndexName":"byName","KeySchema":[{"AttributeName":"name","KeyType":"HASH"}]}]%s}}`,
		s.name, s.name, len(s.items), sort, define, s.stream)
}

func (s *service) key(it json.RawMessage) string {
	var m map[string]struct{ S, N string }
	_ = json.Unmarshal(it, &m)
	return m["id"].S + "\x00" + m["n"].N
}

func (s *service) put(it json.RawMessage) {
	k := s.key(it)
	s.order = append(s.order, k)
	s.items[k] = it
}

// page is at most limit items, or 2, after a key.
func (s *service) page(after string, limit int) string {
	if limit == 0 {
		limit = 2
	}
	var keys []string
	for k := range s.items {
		if id, _, _ := strings.Cut(k, "\x00"); id > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	last := ""
	if len(keys) > limit {
		keys = keys[:limit]
		id, _, _ := strings.Cut(keys[limit-1], "\x00")
		last = fmt.Sprintf(`,"LastEvaluatedKey":{"id":{"S":%q}}`, id)
	}
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = string(s.items[k])
	}
	return fmt.Sprintf(`{"Items":[%s],"ScannedCount":%d%s}`, strings.Join(list, ","), len(list), last)
}

func (s *service) wasAsked(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.asked, func(a string) bool { return strings.Contains(a, what) })
}

// run is one command line; the error is its own.
type run struct {
	*service
	in       string
	dir      string
	terminal int // columns; 0: a pipe
	ctx      context.Context
}

func (r run) table(args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	asJSON := false
	same := func(s string) string { return s }
	sh := &tables.Shell{In: strings.NewReader(r.in), Out: &out, Err: &errs, Terminal: r.terminal > 0,
		Connect: func() (tables.Call, error) { return r.call, nil },
		Path:    func(named string) string { return filepath.Join(r.dir, named) },
		Table: func(w io.Writer, header []string, rows [][]string, _ ...int) {
			for _, row := range append([][]string{header}, rows...) {
				fmt.Fprintln(w, strings.Join(row, " | "))
			}
		},
		Columns:  func() int { return r.terminal },
		Paint:    tables.Paint{Strong: same, Good: same, Warn: same, Bad: same, Dim: same, Key: same},
		Safe:     same,
		Progress: func() (func(string), func()) { return func(string) {}, func() {} },
		Nick:     func(name string) string { return strings.TrimSuffix(name, "-ABC") },
		Usage:    func(format string, args ...any) error { return fmt.Errorf("usage: "+format, args...) },
		Code: func(err error) string {
			var e *apiError
			if errors.As(err, &e) {
				return e.code
			}
			return ""
		},
		JSONFlag: func(c *cobra.Command) *cobra.Command { c.Flags().BoolVar(&asJSON, "json", false, ""); return c },
		JSON:     func() bool { return asJSON },
		Print:    func(v any) error { return json.NewEncoder(&out).Encode(v) },
	}
	c := tables.Command(sh)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetOut(&out)
	ctx := r.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	err = c.ExecuteContext(ctx)
	return out.String(), errs.String(), err
}

// TestForms: each value reads from its readable form into DynamoDB's own and back.
func TestForms(t *testing.T) {
	for _, c := range []struct{ plain, own string }{
		{`{"id":"1"}`, `{"id":{"S":"1"}}`},
		{`{"id":"","x":12345678901234567890.1234567890}`, `{"id":{"S":""},"x":{"N":"12345678901234567890.1234567890"}}`},
		{`{"id":"<&>","x":-1.50E+10}`, `{"id":{"S":"<&>"},"x":{"N":"-1.50E+10"}}`},
		{`{"id":"1","x":[true,false,null,[],{}]}`,
			`{"id":{"S":"1"},"x":{"L":[{"BOOL":true},{"BOOL":false},{"NULL":true},{"L":[]},{"M":{}}]}}`},
		{`{"id":"1","x":{"$set":["a","b"]}}`, `{"id":{"S":"1"},"x":{"SS":["a","b"]}}`},
		{`{"id":"1","x":{"$set":[1,2.0]}}`, `{"id":{"S":"1"},"x":{"NS":["1","2.0"]}}`},
		{`{"id":"1","x":{"$binary":"aGk="}}`, `{"id":{"S":"1"},"x":{"B":"aGk="}}`},
		{`{"id":"1","x":{"$set":[{"$binary":"aGk="}]}}`, `{"id":{"S":"1"},"x":{"BS":["aGk="]}}`},
		{`{"id":"1","x":{"$map":{"$set":["a"]}}}`, `{"id":{"S":"1"},"x":{"M":{"$set":{"L":[{"S":"a"}]}}}}`},
		{`{"id":"1","x":{"$map":{"$map":{"a":1}}}}`, `{"id":{"S":"1"},"x":{"M":{"$map":{"M":{"a":{"N":"1"}}}}}}`},
		{`{"id":"1","x":{"$set":1,"y":2}}`, `{"id":{"S":"1"},"x":{"M":{"$set":{"N":"1"},"y":{"N":"2"}}}}`},
	} {
		s := newService("T")
		if _, _, err := (run{service: s}).table("put", "T", c.plain); err != nil {
			t.Errorf("%s: got error %v, want none", c.plain, err)
			continue
		}
		if got := s.asked[len(s.asked)-1]; got != `PutItem {"Item":`+jsonSafe(c.own)+`,"TableName":"T"}` {
			t.Errorf("%s: got %s, want %s", c.plain, got, c.own)
		}
		id := s.order[0][:len(s.order[0])-1]
		if out, _, err := (run{service: s}).table("get", "T", id); err != nil || out != c.plain+"\n" {
			t.Errorf("got %s, error %v, want %s", out, err, c.plain)
		}
		if out, _, err := (run{service: s}).table("get", "T", id, "--json"); err != nil || out != c.own+"\n" {
			t.Errorf("--json: got %s, error %v, want %s", out, err, c.own)
		}
		s.asked = nil
		if _, _, err := (run{service: s, in: c.own}).table("put", "T", "--json"); err != nil || !s.wasAsked(jsonSafe(c.own)) {
			t.Errorf("put --json of %s: got %q, error %v", c.own, s.asked, err)
		}
	}
}

// jsonSafe is text as encoding/json escapes it for browsers.
func jsonSafe(text string) string {
	var b bytes.Buffer
	json.HTMLEscape(&b, []byte(text))
	return b.String()
}

func TestPutMistakes(t *testing.T) {
	s := newService("T")
	for _, c := range []struct{ in, want string }{
		{`[1]`, `usage: the item: want an item, such as {"id":"1","name":"Ada"}`},
		{`{"id":"1"} x`, "usage: the item: there is something after the item"},
		{`{"id":`, "usage: the item: unexpected EOF"},
		{`{"a":{"$set":[]}}`, "a: $set: want a list of texts"},
		{`{"a":{"$set":["x",1]}}`, "a set holds texts, or numbers, or binaries, of one kind"},
		{`{"a":{"$set":[true]}}`, "a set holds"},
		{`{"a":[{"$binary":"?"}]}`, "a: [0]: $binary: want base 64"},
		{`{"a":{"$map":1}}`, "$map: want an object"},
		{`@nowhere.json`, "no such file"},
	} {
		if _, _, err := (run{service: s, dir: t.TempDir()}).table("put", "T", c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %s", c.in, err, c.want)
		}
	}
	if _, _, err := (run{service: s, in: "{\"id\":\"1\"}\n\n{\"id\":2,}"}).table("put", "T", "-"); err == nil ||
		!strings.HasPrefix(err.Error(), "usage: standard input:3: invalid character") {
		t.Errorf("got error %v, want one of line 3", err)
	}
	if _, _, err := (run{service: s, in: `{"id":{"X":"1"}}`}).table("put", "T", "--json"); err == nil ||
		!strings.Contains(err.Error(), `"X" is no type of DynamoDB`) {
		t.Errorf("got error %v, want that X is no type", err)
	}
	if len(s.items) > 0 {
		t.Errorf("got %d items, want none of what was wrong", len(s.items))
	}
	if _, _, err := (run{service: s, in: "{\"id\":\"1\"}\n{\"id\":\"2\"}\n"}).table("put", "T"); err != nil || len(s.items) != 2 {
		t.Errorf("got %d items, error %v, want 2", len(s.items), err)
	}
	if _, _, err := (run{service: s}).table("put", "T", `{"id":"2"}`, "--new"); err == nil ||
		err.Error() != "T has an item of that key already: \"2\"" {
		t.Errorf("got error %v, want that there is an item of that key", err)
	}
}

func TestKeys(t *testing.T) {
	s := newService("shop-T-ABC")
	s.sort = true
	r := run{service: s}
	for _, c := range []struct{ args, want string }{
		{"get shop-T x 1.50", `GetItem {"ConsistentRead":true,"Key":{"id":{"S":"x"},"n":{"N":"1.50"}},"TableName":"shop-T-ABC"}`},
		{"get SHOP-t x one", `usage: n is a number; "one" is none`},
		{"get shop-T x", "has a sort key, n: name it after the key"},
		{"get T x", `there is no table "T"` + "\nTables: shop-T"},
		{"get shop-T x 1", "shop-T has no item x 1"},
		{"delete shop-T x 1", "shop-T has no item x 1"},
		{"get shop-T", "name a table and the item's key"},
		{"get shop-T a 1 c", `"c" is one argument too many`},
		{"query shop-T x", `"KeyConditionExpression":"#hash = :hash","ScanIndexForward":true`},
		{"query shop-T x --sort >=_2 --reverse --limit 7",
			`"ExpressionAttributeNames":{"#hash":"id","#sort":"n"},"ExpressionAttributeValues":{":hash":{"S":"x"},":sort0":{"N":"2"}},` +
				`"KeyConditionExpression":"#hash = :hash AND #sort \u003e= :sort0","Limit":7,"ScanIndexForward":false`},
		{"query shop-T x --sort BETWEEN_1_and_2", `":sort0":{"N":"1"},":sort1":{"N":"2"}`},
		{"query shop-T x --sort like_2", `--sort "like 2": want =, <, <=, > or >= and a value, or between A and B`},
		{"query shop-T x --sort =_y", `n is a number; "y" is none`},
		{"query shop-T x --sort =_1 --begins-with a", "exclude one another"},
		{"query shop-T x --index byName", `"IndexName":"byName"`},
		{"query shop-T x --index byName --sort =_1", "shop-T-ABC byName has no sort key"},
		{"query shop-T x --index other", `has no index "other"; it has byName`},
		{"scan shop-T --limit -1", "--limit -1: want a number of items"},
		{"scna shop-T", `there is no command "table scna"; did you mean table scan?`},
	} {
		s.asked = nil
		args := strings.Fields(c.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		_, _, err := r.table(args...)
		if !s.wasAsked(c.want) && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got error %v and calls %q, want %s", c.args, err, s.asked, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	s := newService("T")
	for _, c := range []struct{ in, want string }{
		{`price > 10`, `"ExpressionAttributeNames":{"#n0":"price"},"ExpressionAttributeValues":{":v0":{"N":"10"}},"FilterExpression":"#n0 \u003e :v0"`},
		{`a.b[1].c='it''s' and not b in ("x",-1.5e3) OR c between true and null`,
			`"ExpressionAttributeNames":{"#n0":"a","#n1":"b","#n2":"c"},"ExpressionAttributeValues":{":v0":{"S":"it's"},":v1":{"S":"x"},":v2":{"N":"-1.5e3"},":v3":{"BOOL":true},":v4":{"NULL":true}},` +
				`"FilterExpression":"#n0.#n1[1].#n2 = :v0 AND NOT #n1 IN ( :v1 , :v2 ) OR #n2 BETWEEN :v3 AND :v4"`},
		{"begins_with(`odd name.x`, 'a') AND size(tags) != 2 AND x == 1",
			`"ExpressionAttributeNames":{"#n0":"odd name.x","#n1":"tags","#n2":"x"}`},
		{"attribute_exists(größe)", `"FilterExpression":"attribute_exists ( #n0 )"`},
		{"", "Scan {\"TableName\":\"T\"}"},
		{" ", "the filter is empty"},
		{"starts(a, 'b')", "there is no function starts; there are attribute_exists"},
		{"a = 'b", "there is no closing '"},
		{"a; drop", `';' has no meaning here`},
		{"a.[1] = 1", "want a name after the point"},
		{"a[x] = 1", "want a number between [ and ]"},
		{strings.Repeat("a", 5000), "the filter has 5000 characters, at most 4096"},
	} {
		s.asked = nil
		_, _, err := (run{service: s}).table("scan", "T", "--filter", c.in)
		if !s.wasAsked(c.want) && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.100s: got error %v and calls %q, want %s", c.in, err, s.asked, c.want)
		}
	}
}

// TestCacheTables: what a screen says of tables, and that one in memory cannot be followed.
func TestCacheTables(t *testing.T) {
	for _, c := range []struct{ tag, note, tail string }{
		{`{"Key":"rouse:cache","Value":"16MiB"}`, "cache 16 MiB", "T is a cache table (rouse:cache), and those have no stream"},
		{`{"Key":"rouse:cache","Value":"2000000"}`, "cache 2000000 B", "T is a cache table"},
		{`{"Key":"other","Value":"16MiB"}`, "", "T has no stream\nTurn it on"},
	} {
		s := newService("T")
		s.answers["ListTagsOfResource"] = []string{`{"Tags":[` + c.tag + `]}`}
		facts, err := tables.Facts(t.Context(), s.call)
		if err != nil || len(facts) != 1 || facts[0] != (tables.Fact{Name: "T", Note: c.note}) {
			t.Errorf("with %s: got %v, %v; want T, %q", c.tag, facts, err, c.note)
		}
		if _, _, err := (run{service: s}).table("tail", "T"); err == nil || !strings.Contains(err.Error(), c.tail) {
			t.Errorf("tail with %s: got %v, want %q", c.tag, err, c.tail)
		}
	}
}

func TestReading(t *testing.T) {
	s := newService("T")
	for _, it := range []string{`{"id":{"S":"a"},"name":{"S":"Ada"},"c":{"N":"1"}}`, `{"id":{"S":"b"},"name":{"S":"true"},"rare":{"SS":["x"]}}`,
		`{"id":{"S":"c"},"c":{"N":"3"},"name":{"S":" "}}`} {
		s.put(json.RawMessage(it))
	}
	out, errs, err := (run{service: s}).table("scan", "T")
	if want := `{"id":"a","c":1,"name":"Ada"}` + "\n" + `{"id":"b","name":"true","rare":{"$set":["x"]}}` + "\n" +
		`{"id":"c","c":3,"name":" "}` + "\n"; out != want || errs != "" || err != nil {
		t.Errorf("in a pipe: got %s%s%v, want %s", out, errs, err, want)
	}
	out, _, _ = (run{service: s, terminal: 80}).table("scan", "T")
	if want := "id | c | name | …\na | 1 | Ada | \nb | – | \"true\" | rare={\"$set\":[\"x\"]}\nc | 3 | \" \" | \n"; out != want {
		t.Errorf("on a terminal: got\n%swant\n%s", out, want)
	}
	out, errs, _ = (run{service: s}).table("scan", "T", "--limit", "1")
	if want := `{"id":"a","c":1,"name":"Ada"}` + "\n"; out != want || errs != "" {
		t.Errorf("--limit 1: got %s%s, want %s", out, errs, want)
	}
	out, _, _ = (run{service: s, terminal: 80}).table("get", "T", "a")
	if want := "id    a\nc     1\nname  Ada\n"; out != want {
		t.Errorf("get on a terminal: got\n%swant\n%s", out, want)
	}
	for i := range 150 {
		s.put(json.RawMessage(fmt.Sprintf(`{"id":{"S":"x%03d"}}`, i)))
	}
	out, errs, _ = (run{service: s, terminal: 80}).table("scan", "T")
	if n := strings.Count(out, "\n"); n != 101 || errs != "These are the first 100; --limit shows more.\n" {
		t.Errorf("got %d lines and %q, want a header, 100 items and that there are more", n, errs)
	}
	out, _, _ = (run{service: s}).table("scan", "T")
	if n := strings.Count(out, "\n"); n != 153 {
		t.Errorf("got %d lines in a pipe, want all 153", n)
	}
	_, errs, _ = (run{service: newService("T")}).table("scan", "T")
	if errs != "No items.\n" {
		t.Errorf("got %q of an empty table, want No items.", errs)
	}
	out, _, _ = (run{service: s}).table("list")
	if want := "TABLE | KEY | SORT | ITEMS | SIZE | INDEXES | STREAM\nT | id S | – | 153 | 2.0 KiB | byName | –\n"; out != want {
		t.Errorf("list: got\n%swant\n%s", out, want)
	}
}

// FuzzForms holds: what is read of the readable form is written so that it reads the same again.
func FuzzForms(f *testing.F) {
	f.Add(`{"id":"1","a":[1,2.50,true,null,{"$set":["x"]},{"$binary":"aGk="},{"$map":{"$set":1}},{}]}`)
	f.Add(`{"id":"1","a":{"$set":[1e5,-0]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := newService("T")
		if strings.HasPrefix(text, "@") || strings.HasPrefix(text, "-") {
			return
		}
		if _, _, err := (run{service: s}).table("put", "T", "--", text); err != nil || len(s.order) != 1 {
			return
		}
		first := string(s.items[s.order[0]])
		s.answers["GetItem"] = []string{`{"Item":` + first + `}`}
		out, _, err := (run{service: s}).table("get", "T", "x")
		if err != nil {
			t.Fatalf("got error %v of %s", err, first)
		}
		if _, _, err := (run{service: s, in: out}).table("put", "T"); err != nil {
			t.Fatalf("got error %v of %s", err, out)
		}
		if again := string(s.items[s.order[1]]); again != first {
			t.Errorf("got %s, want %s", again, first)
		}
	})
}

// FuzzFilter holds: no filter crashes, and what comes of one has no text of its own left in it.
func FuzzFilter(f *testing.F) {
	f.Add("a.b[1] > 10 AND begins_with(`x y`, 'it''s') OR NOT c IN (1, \"2\", true)")
	f.Fuzz(func(t *testing.T, text string) {
		s := newService("T")
		if _, _, err := (run{service: s}).table("scan", "T", "--filter="+text); err != nil || text == "" {
			return
		}
		var in struct{ FilterExpression string }
		_, request, _ := strings.Cut(s.asked[len(s.asked)-1], " ")
		if err := json.Unmarshal([]byte(request), &in); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(in.FilterExpression, "'\"`;") {
			t.Errorf("got %s of %q, want placeholders only", in.FilterExpression, text)
		}
	})
}
