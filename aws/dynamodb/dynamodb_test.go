package dynamodb_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/dynamodb"
	"github.com/rouse-dev/rouse/aws/dynamodb/streams"
	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/aws/wire/wiretest"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/table"
)

var rewrite = flag.Bool("rewrite", false, "write what was got into testdata")

const acc = "123456789012"

var root = rouse.Origin{Root: true, Principal: rouse.Principal{Account: acc, ARN: "arn:aws:iam::" + acc + ":root"}}

// open makes a room on a store in memory, and the doors to it.
func open(t testing.TB) (tables *table.Tables, door, changes wire.Service) {
	t.Helper()
	tables, err := table.Open(t.Context(), table.Config{Store: kvtest.Memory(t), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return tables, dynamodb.New(dynamodb.Config{Tables: tables, Region: "us-east-1"}).Service(), streams.New(tables, "us-east-1").Service()
}

func TestTables(t *testing.T) {
	_, door, changes := open(t)
	wiretest.Check(t, door)
	wiretest.Check(t, changes)
	for _, s := range []wire.Service{door, changes} {
		wiretest.CheckModel(t, os.Getenv, s, s.Name+"/2012-08-10")
	}
}

// call is one step of a scenario: an operation and its input, and what was answered.
type call struct {
	comment           string
	operation, input  string
	answer            string
	variable, capture string // $name=path.to.member keeps a member of the answer
}

// TestScenarios runs testdata/*.txt: each file from empty tables, each step a request and, below dashes, status and body.
//
//	# a comment
//	PutItem {"TableName":"t","Item":{"a":{"S":"x"}}}
//	----
//	200 {}
//
// Lines that follow the operation belong to its input. "$it = ShardIterator" above dashes keeps a member of the answer for
// later steps. Times, ids and what depends on them are not compared.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: got %d files, %v, want some", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { scenario(t, file) })
	}
}

func scenario(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, door, changes := open(t)
	known := map[string]string{}
	var out strings.Builder
	for _, c := range parse(t, string(text)) {
		input := c.input
		for name, value := range known {
			input = strings.ReplaceAll(input, name, value)
		}
		s := door
		if _, err := compiled(t, changes).Operation(c.operation); err == nil {
			s = changes
		}
		status, body := send(t, s, root, c.operation, input)
		if c.variable != "" {
			known[c.variable] = member(body, c.capture)
		}
		got := strconv.Itoa(status) + " " + plain(body)
		if got != c.answer && !*rewrite {
			t.Errorf("%s %s:\n got %s\nwant %s", c.operation, c.input, got, c.answer)
		}
		out.WriteString(c.comment + c.operation + " " + c.input + "\n")
		if c.variable != "" {
			out.WriteString(c.variable + " = " + c.capture + "\n")
		}
		out.WriteString("----\n" + got + "\n\n")
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// parse reads a file of steps, which empty lines part.
func parse(t *testing.T, text string) []call {
	t.Helper()
	var list []call
	var c call
	answer := false
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, "\n")
		name, path, assigned := strings.Cut(line, " = ")
		switch {
		case line == "":
			if c.operation != "" {
				list = append(list, c)
				c, answer = call{}, false
			} else if c.comment != "" {
				c.comment += "\n"
			}
		case line == "----":
			answer = true
		case answer:
			c.answer += line
		case strings.HasPrefix(line, "#"):
			c.comment += line + "\n"
		case strings.HasPrefix(line, "$") && assigned:
			c.variable, c.capture = name, path
		case c.operation == "":
			c.operation, c.input, _ = strings.Cut(line, " ")
		default:
			c.input += "\n" + line
		}
	}
	return list
}

func compiled(t testing.TB, s wire.Service) *wire.Table {
	t.Helper()
	table, err := wire.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// send calls an operation as a client does.
func send(t testing.TB, s wire.Service, from rouse.Origin, operation, input string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
	r.Header.Set("X-Amz-Target", s.TargetPrefix+"."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp := wiretest.Roundtrip(t, s, from, r)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// vary is what differs from run to run.
var vary = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`("[A-Za-z]*DateTime":)[0-9.]+`), `${1}0`},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), `ID`},
	{regexp.MustCompile(`20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+`), `LABEL`},
	{regexp.MustCompile(`("(Shard|NextShard)Iterator":)"[^"]*"`), `${1}"…"`},
	{regexp.MustCompile(`("(Starting|Ending)?SequenceNumber":)"[0-9]*"`), `${1}"…"`},
	{regexp.MustCompile(`("eventID":)"[0-9a-f]*"`), `${1}"…"`},
	{regexp.MustCompile(`shardId-[0-9a-f-]+`), `shardId-…`},
}

// plain is a body in one form: members in order, without what varies.
func plain(body string) string {
	for _, v := range vary {
		body = v.re.ReplaceAllString(body, v.to)
	}
	var doc any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if d.Decode(&doc) != nil {
		return body
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(doc) != nil {
		return body
	}
	return strings.TrimSpace(b.String())
}

// member follows a path such as Shards.0.ShardId.
func member(body, path string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return ""
	}
	for p := range strings.SplitSeq(path, ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(t) {
				return ""
			}
			v = t[i]
		}
	}
	s, _ := v.(string)
	return s
}
