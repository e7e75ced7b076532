package tables_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

const stream = `,"LatestStreamArn":"arn:stream","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}`

func TestTail(t *testing.T) {
	_, _, err := (run{service: newService("shop-T-ABC")}).table("tail", "shop-T")
	if err == nil || !strings.HasPrefix(err.Error(), "shop-T has no stream\nTurn it on in the template") ||
		!strings.Contains(err.Error(), "--table-name shop-T-ABC") {
		t.Errorf("got error %v, want how to turn the stream on", err)
	}
	records := `{"Records":[
		{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1767225600,"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"},"x":{"N":"1"}},"SequenceNumber":"1"}},
		{"eventName":"MODIFY","dynamodb":{"ApproximateCreationDateTime":1767225600.5,"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"},"x":{"N":"2"},"y":{"BOOL":true}},"OldImage":{"id":{"S":"a"},"x":{"N":"1"},"z":{"S":"t"}},"SequenceNumber":"2"}},
		{"eventName":"REMOVE","userIdentity":{"Type":"Service","PrincipalId":"dynamodb.amazonaws.com"},"dynamodb":{"ApproximateCreationDateTime":1767225601,"Keys":{"id":{"S":"a"}},"OldImage":{"id":{"S":"a"}},"SequenceNumber":"3"}}],
		"NextShardIterator":"i2"}`
	answers := func() *service {
		s := newService("T")
		s.stream = stream
		s.answers["DescribeStream"] = []string{
			`{"StreamDescription":{"Shards":[{"ShardId":"s0","SequenceNumberRange":{"EndingSequenceNumber":"0"}},{"ShardId":"s1","SequenceNumberRange":{}}]}}`}
		s.answers["GetShardIterator"] = []string{`{"ShardIterator":"i1"}`}
		s.answers["GetRecords"] = []string{records, `{"Records":[]}`}
		return s
	}
	for _, c := range []struct {
		name     string
		terminal int
		flags    []string
		want     string
	}{
		{"pipe", 0, nil, `{"at":"2026-01-01T00:00:00Z","event":"INSERT","keys":{"id":"a"},"new":{"id":"a","x":1}}` + "\n" +
			`{"at":"2026-01-01T00:00:00Z","event":"MODIFY","keys":{"id":"a"},"new":{"id":"a","x":2,"y":true},"old":{"id":"a","x":1,"z":"t"}}` + "\n" +
			`{"at":"2026-01-01T00:00:01Z","event":"REMOVE","keys":{"id":"a"},"old":{"id":"a"},"expired":true}` + "\n"},
		{"terminal", 80, nil, "INSERT a x=1\nMODIFY a x: 1 → 2, y=true, without z\nREMOVE a expired\n"},
		{"own form", 0, []string{"--json"}, `"Keys":{"id":{"S":"a"}}`},
	} {
		s := answers()
		out, errs, err := (run{service: s, terminal: c.terminal}).table(append([]string{"tail", "T"}, c.flags...)...)
		if err == nil || err.Error() != "the stream of T has ended" || errs != "Following T; Ctrl-C ends.\n" {
			t.Errorf("%s: got %q, error %v, want that the stream has ended", c.name, errs, err)
		}
		if c.terminal > 0 { // without the times
			out = strings.Join(afterFirstWord(out), "\n") + "\n"
		}
		if out != c.want && (c.flags == nil || !strings.Contains(out, c.want)) {
			t.Errorf("%s: got\n%swant\n%s", c.name, out, c.want)
		}
		if s.wasAsked(`"ShardId":"s0"`) {
			t.Errorf("%s: got a reading of a shard that was closed before, want none", c.name)
		}
	}
}

func afterFirstWord(text string) (out []string) {
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, rest)
	}
	return out
}

// TestTailGoesOn: an iterator that expired is replaced by one after the last record, a full shard by the one after it.
func TestTailGoesOn(t *testing.T) {
	s := newService("T")
	s.stream = stream
	one := func(id, next string) string {
		return fmt.Sprintf(`{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":%q}},"SequenceNumber":%q}}]%s}`, id, id, next)
	}
	n := 0
	s.before = func(operation string, _ []byte) error {
		switch operation {
		case "DescribeStream":
			s.answers[operation] = []string{`{"StreamDescription":{"Shards":[{"ShardId":"s1","SequenceNumberRange":{}}]}}`}
			if n > 0 {
				s.answers[operation] = []string{`{"StreamDescription":{"Shards":[{"ShardId":"s1","SequenceNumberRange":{}},{"ShardId":"s2","SequenceNumberRange":{}}]}}`}
			}
		case "GetShardIterator":
			s.answers[operation] = []string{`{"ShardIterator":"i"}`}
		case "GetRecords":
			n++
			if n == 2 {
				return &apiError{"ExpiredIteratorException", "expired"}
			}
			s.answers[operation] = []string{map[int]string{1: one("1", `,"NextShardIterator":"i"`), 3: one("2", ""), 4: one("3", ""), 5: `{}`}[n]}
		}
		return nil
	}
	out, _, err := (run{service: s}).table("tail", "T")
	if strings.Count(out, "\n") != 3 || err == nil || err.Error() != "the stream of T has ended" {
		t.Errorf("got\n%serror %v, want three records and then the end", out, err)
	}
	if !s.wasAsked(`"SequenceNumber":"1","ShardId":"s1","ShardIteratorType":"AFTER_SEQUENCE_NUMBER"`) {
		t.Errorf("got calls %q, want one that goes on after the record read last", s.asked)
	}
	if !s.wasAsked(`"ShardId":"s2","ShardIteratorType":"TRIM_HORIZON"`) {
		t.Errorf("got calls %q, want the next shard from its beginning", s.asked)
	}
}

func TestExportImport(t *testing.T) {
	from, to, dir := newService("T"), newService("T"), t.TempDir()
	for i := range 90 {
		from.put(json.RawMessage(fmt.Sprintf(`{"id":{"S":"%03d"},"n":{"N":"%d"},"tags":{"SS":["a","b"]},"b":{"B":"aGk="}}`, i, i)))
	}
	_, errs, err := (run{service: from, dir: dir}).table("export", "T", "t.jsonl")
	if err != nil || !strings.HasPrefix(errs, "90 items exported in ") {
		t.Fatalf("got %q, error %v, want 90 items exported", errs, err)
	}
	to.refuse = 7
	synctest.Test(t, func(t *testing.T) { // whose time passes while what is left is put off
		_, errs, err = (run{service: to, dir: dir}).table("import", "T", "t.jsonl")
	})
	if err != nil || !strings.HasPrefix(errs, "90 items imported in ") || len(to.items) != 90 {
		t.Errorf("got %q, error %v, %d items, want 90", errs, err, len(to.items))
	}
	if got, want := string(to.items["042\x0042"]), string(from.items["042\x0042"]); !sameJSON(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Errorf("got files %v, want the export only", files)
	}
	out, _, err := (run{service: from, dir: dir}).table("export", "T", "-", "--json")
	if err != nil || strings.Count(out, `"tags":{"SS":["a","b"]}`) != 90 {
		t.Errorf("got %.100s…, error %v, want DynamoDB's own form", out, err)
	}
	from.before = func(operation string, _ []byte) error {
		if operation == "Scan" {
			return &apiError{"X", "no"}
		}
		return nil
	}
	if _, _, err := (run{service: from, dir: dir}).table("export", "T", "other.jsonl"); err == nil || err.Error() != "no" {
		t.Errorf("got error %v, want no", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("got files %v after an export that failed, want nothing new", files)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	_ = json.Unmarshal([]byte(a), &x)
	_ = json.Unmarshal([]byte(b), &y)
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// TestImportGoesOn: an import that was interrupted goes on, never with another file or table.
func TestImportGoesOn(t *testing.T) {
	dir, s := t.TempDir(), newService("T")
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, `{"id":"%03d"}`+"\n", i)
	}
	file := filepath.Join(dir, "t.jsonl")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.before = func(operation string, in []byte) error {
		if operation == "BatchWriteItem" && strings.Contains(string(in), `"100"`) {
			return &apiError{"AccessDeniedException", "denied"}
		}
		return nil
	}
	_, _, err := (run{service: s, dir: dir}).table("import", "T", "t.jsonl")
	if err == nil || err.Error() != "denied\n100 lines are imported; run it again to go on" {
		t.Fatalf("got error %v, want that 100 lines are imported", err)
	}
	s.before, s.order = nil, nil
	other := newService("U")
	if _, _, err := (run{service: other, dir: dir}).table("import", "U", "t.jsonl"); err == nil ||
		!strings.Contains(err.Error(), "is of another table") {
		t.Errorf("got error %v, want that it is of another table", err)
	}
	_, errs, err := (run{service: s, dir: dir}).table("import", "T", "t.jsonl")
	if err != nil || !strings.HasPrefix(errs, "Going on after line 100.\n100 items imported") || len(s.items) != 200 || len(s.order) != 100 {
		t.Errorf("got %q, error %v, %d items, %d of them now; want the 100 that were left", errs, err, len(s.items), len(s.order))
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(operation string, _ []byte) error {
		if operation == "BatchWriteItem" {
			cancel()
		}
		return nil
	}
	if _, _, err := (run{service: s, dir: dir, ctx: ctx}).table("import", "T", "t.jsonl"); err == nil ||
		!strings.HasPrefix(err.Error(), "interrupted") {
		t.Errorf("got error %v, want interrupted", err)
	}
}

// TestImportOrder: the last line of a key wins, in a batch and over batches.
func TestImportOrder(t *testing.T) {
	s := newService("T")
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, `{"id":"%d","v":%d}`+"\n", i%7, i)
	}
	if _, _, err := (run{service: s, in: text.String()}).table("import", "T", "-"); err != nil {
		t.Fatal(err)
	}
	for k := range 7 {
		want := lastOf(300, k)
		if got := string(s.items[fmt.Sprintf("%d\x00", k)]); !strings.Contains(got, fmt.Sprintf(`{"N":"%d"}`, want)) {
			t.Errorf("key %d: got %s, want %d", k, got, want)
		}
	}
}

func lastOf(n, k int) int {
	for i := n - 1; ; i-- {
		if i%7 == k {
			return i
		}
	}
}

func TestImportMistakes(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"{\"id\":\"1\"}\n\n{\"id\":2,}\n", "standard input:3: invalid character"},
		{"{\"id\":\"1\"}\n{\"x\":1}\n", "standard input:2: the item has no id, which is part of the key"},
		{"{\"id\":\"1\"}\n{\"id\":\"bad\"}\n{\"id\":\"3\"}\n", "standard input:2: bad is refused"},
		{"{\"id\":\"1\"}\n\"" + strings.Repeat("x", 5<<20), "line 2 is longer than 4.0 MiB"},
	} {
		s := newService("T")
		s.before = func(_ string, in []byte) error {
			if strings.Contains(string(in), `"bad"`) {
				return &apiError{"ValidationException", "bad is refused"}
			}
			return nil
		}
		_, _, err := (run{service: s, in: c.in}).table("import", "T", "-")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got error %v, want %s", err, c.want)
		}
		if c.want != "line 2 is longer than 4.0 MiB" && s.items["1\x00"] == nil {
			t.Errorf("%s: got nothing of the lines before, want them imported", c.want)
		}
	}
}
