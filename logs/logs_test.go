package logs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/kvtest"
	"github.com/rouse-dev/rouse/kv/tuple"
	"github.com/rouse-dev/rouse/logs"
)

const (
	acc    = "123456789012"
	group  = "/aws/lambda/shop"
	stream = "2026/11/23/[$LATEST]0123"
)

func open(t testing.TB, store kv.Store, change ...func(*logs.Config)) *logs.Logs {
	t.Helper()
	cfg := logs.Config{Store: store}
	for _, c := range change {
		c(&cfg)
	}
	l, err := logs.Open(t.Context(), cfg)
	ok(t, err)
	return l
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("got %v, want no error", err)
	}
}

func wantError(t testing.TB, err error, kind rouse.Kind, code, text string) {
	t.Helper()
	var e *rouse.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an error of kind %v: %s", err, kind, text)
	}
	if e.Kind != kind || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v %q %q, want %v %q %q", e.Kind, e.Code, e.Message, kind, code, text)
	}
}

// world is a store with a group and a stream.
func world(t testing.TB) *logs.Logs {
	t.Helper()
	l := open(t, kvtest.Memory(t))
	ok(t, l.CreateGroup(t.Context(), acc, group, nil))
	ok(t, l.CreateStream(t.Context(), acc, group, stream))
	return l
}

func events(at time.Time, step time.Duration, messages ...string) []logs.Put {
	out := make([]logs.Put, len(messages))
	for i, m := range messages {
		out[i] = logs.Put{Time: at.Add(time.Duration(i) * step), Message: m}
	}
	return out
}

func insert(t testing.TB, l *logs.Logs, streamName string, e []logs.Put) {
	t.Helper()
	rejected, err := l.Put(t.Context(), acc, group, streamName, e)
	ok(t, err)
	if rejected != (logs.Rejected{TooNew: -1, TooOld: -1, Expired: -1}) {
		t.Fatalf("got %+v rejected, want none", rejected)
	}
}

func texts(list []logs.Event) string {
	var out []string
	for _, e := range list {
		out = append(out, e.Message)
	}
	return strings.Join(out, " ")
}

func TestEventsPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := world(t)
		page := func(q logs.Query, want string) logs.Page {
			t.Helper()
			q.Account, q.Group, q.Stream = acc, group, stream
			p, err := l.Events(t.Context(), q)
			ok(t, err)
			if got := texts(p.Events); got != want {
				t.Errorf("%+v: got %q, want %q", q, got, want)
			}
			return p
		}
		empty := page(logs.Query{}, "")
		start := time.Now().Add(-time.Hour)
		insert(t, l, stream, events(start, time.Second, "a", "b", "c", "d", "e"))
		page(logs.Query{Token: empty.Forward}, "a b c d e")
		page(logs.Query{Token: empty.Backward}, "")
		p := page(logs.Query{Limit: 2}, "d e")
		page(logs.Query{Limit: 2, Token: p.Forward}, "")
		p = page(logs.Query{Limit: 2, Token: p.Backward}, "b c")
		back := page(logs.Query{Limit: 2, Token: p.Backward}, "a")
		if end := page(logs.Query{Limit: 2, Token: back.Backward}, ""); end.Backward != back.Backward {
			t.Errorf("at the start: got %s, want the token given, %s", end.Backward, back.Backward)
		}
		p = page(logs.Query{Limit: 3, FromHead: true}, "a b c")
		p = page(logs.Query{Limit: 3, Token: p.Forward}, "d e")
		if end := page(logs.Query{Token: p.Forward}, ""); end.Forward != p.Forward {
			t.Errorf("at the end: got %s, want the token given, %s", end.Forward, p.Forward)
		}
		insert(t, l, stream, events(start.Add(time.Minute), 0, "f", "g"))
		page(logs.Query{Token: p.Forward}, "f g")
		from, to := start.Add(time.Second), start.Add(3*time.Second)
		page(logs.Query{Start: &from, End: &to}, "b c")
		page(logs.Query{Start: &from, End: &to, FromHead: true}, "b c")
		for _, bad := range []string{"x", "f/1/s", "f//s", "x/" + strings.Repeat("0", 56) + "/s", "f/" + strings.Repeat("9", 56) + "/s"} {
			_, err := l.Events(t.Context(), logs.Query{Account: acc, Group: group, Stream: stream, Token: bad})
			wantError(t, err, rouse.Invalid, "InvalidParameterException", "The specified nextToken is invalid.")
		}
		_, err := l.Events(t.Context(), logs.Query{Account: acc, Group: "none", Stream: stream})
		wantError(t, err, rouse.NotFound, "ResourceNotFoundException", "The specified log group does not exist.")
		_, err = l.Events(t.Context(), logs.Query{Account: acc, Group: group, Stream: "none"})
		wantError(t, err, rouse.NotFound, "ResourceNotFoundException", "The specified log stream does not exist.")
	})
}

// TestPageBytes: a page ends at PageBytesMax, and the token goes on behind it.
func TestPageBytes(t *testing.T) {
	l := world(t)
	big := strings.Repeat("x", 200<<10)
	for i := range 8 {
		insert(t, l, stream, events(time.Now().Add(time.Duration(i)*time.Millisecond), 0, strconv.Itoa(i)+big))
	}
	got, token := 0, ""
	for range 3 {
		p, err := l.Events(t.Context(), logs.Query{Account: acc, Group: group, Stream: stream, FromHead: true, Token: token})
		ok(t, err)
		if len(p.Events) > 5 {
			t.Errorf("got %d events of 200 KiB in one page, want at most 5", len(p.Events))
		}
		got, token = got+len(p.Events), p.Forward
	}
	if got != 8 {
		t.Errorf("got %d events in 3 pages, want 8", got)
	}
}

// TestModel compares pages, in both directions and over several streams, with a sorted list of all that was put.
func TestModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { model(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func model(t *testing.T, r *rand.Rand) {
	l := world(t)
	streams := []string{stream, "b", "c"}
	ok(t, l.CreateStream(t.Context(), acc, group, "b"))
	ok(t, l.CreateStream(t.Context(), acc, group, "c"))
	type put struct {
		at     int64
		n      int
		stream string
	}
	var all []put
	base := time.Now().Add(-2 * time.Hour).Truncate(time.Millisecond)
	for range 60 {
		name := streams[r.IntN(3)]
		at := base.Add(time.Duration(r.IntN(600)) * time.Second)
		var e []logs.Put
		for range 1 + r.IntN(20) {
			e = append(e, logs.Put{Time: at, Message: strconv.Itoa(len(all))})
			all = append(all, put{at.UnixMilli(), len(all), name})
			at = at.Add(time.Duration(r.IntN(20000)) * time.Millisecond)
		}
		insert(t, l, name, e)
	}
	slices.SortStableFunc(all, func(a, b put) int { return int(a.at - b.at) })
	want := func(keep func(put) bool) (out []string) {
		for _, p := range all {
			if keep(p) {
				out = append(out, strconv.Itoa(p.n))
			}
		}
		return out
	}
	for _, name := range streams {
		w := want(func(p put) bool { return p.stream == name })
		if got := follow(t, l, name, true, 1+r.IntN(50)); !slices.Equal(got, w) {
			t.Errorf("%s forward: got %v, want %v", name, got, w)
		}
		got := follow(t, l, name, false, 1+r.IntN(50))
		slices.Reverse(got)
		if !slices.Equal(got, w) {
			t.Errorf("%s backward: got %v, want %v", name, got, w)
		}
	}
	if got, w := search(t, l, logs.Search{Limit: 1 + r.IntN(50)}), want(func(put) bool { return true }); !slices.Equal(got, w) {
		t.Errorf("search: got %v, want %v", got, w)
	}
	from, to := base.Add(100*time.Second), base.Add(300*time.Second)
	w := want(func(p put) bool {
		return p.at >= from.UnixMilli() && p.at <= to.UnixMilli() && p.stream != "b" && strings.Contains(strconv.Itoa(p.n), "1")
	})
	if got := search(t, l, logs.Search{Streams: []string{stream, "c"}, Start: &from, End: &to, Pattern: "1", Limit: 7}); !slices.Equal(got, w) {
		t.Errorf("search by stream, time and term: got %v, want %v", got, w)
	}
}

func follow(t *testing.T, l *logs.Logs, name string, head bool, limit int) (out []string) {
	token := ""
	for {
		p, err := l.Events(t.Context(), logs.Query{Account: acc, Group: group, Stream: name, FromHead: head, Limit: limit, Token: token})
		ok(t, err)
		if len(p.Events) == 0 {
			return out
		}
		token = p.Forward
		if !head {
			token = p.Backward
			slices.Reverse(p.Events)
		}
		for _, e := range p.Events {
			out = append(out, e.Message)
		}
	}
}

func search(t *testing.T, l *logs.Logs, q logs.Search) (out []string) {
	q.Account, q.Group = acc, group
	ids := map[string]bool{}
	for {
		f, err := l.Search(t.Context(), q)
		ok(t, err)
		for _, e := range f.Events {
			out = append(out, e.Message)
			if ids[e.ID()] {
				t.Errorf("the id %s comes twice", e.ID())
			}
			ids[e.ID()] = true
		}
		if q.Token = f.Token; f.Token == "" {
			return out
		}
	}
}

func TestPutLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := world(t)
		now := time.Now()
		put := func(e []logs.Put) error {
			_, err := l.Put(t.Context(), acc, group, stream, e)
			return err
		}
		const code = "InvalidParameterException"
		wantError(t, put(nil), rouse.Invalid, code, "between 1 and 10000")
		wantError(t, put(make([]logs.Put, logs.PutEventsMax+1)), rouse.Invalid, code, "between 1 and 10000")
		wantError(t, put(events(now, 0, "")), rouse.Invalid, code, "length greater than or equal to 1")
		wantError(t, put(events(now, -time.Second, "a", "b")), rouse.Invalid, code, "Log events in a single PutLogEvents request must be in chronological order.")
		wantError(t, put(events(now, 0, strings.Repeat("x", logs.EventMax))), rouse.Invalid, code, "Log event too large: 262170 bytes exceeds limit of 262144")
		five := strings.Repeat("x", 250<<10)
		wantError(t, put(events(now, 0, five, five, five, five, five)), rouse.Invalid, code, "Upload too large")
		wantError(t, put(events(now.Add(-30*time.Hour), 25*time.Hour, "a", "b")), rouse.Invalid, code, "more than 24 hours")
		wantError(t, put(events(time.UnixMilli(-5), 0, "a")), rouse.Invalid, code, "greater than or equal to 0")
		_, err := l.Put(t.Context(), acc, group, "none", events(now, 0, "a"))
		wantError(t, err, rouse.NotFound, "ResourceNotFoundException", "The specified log stream does not exist.")

		rejected, err := l.Put(t.Context(), acc, group, stream, []logs.Put{{now.Add(-time.Minute), "ok"}, {now.Add(3 * time.Hour), "new"}})
		if err != nil || rejected.TooNew != 1 {
			t.Errorf("got %+v, %v; want the second too new", rejected, err)
		}
		rejected, err = l.Put(t.Context(), acc, group, stream, events(now.Add(-15*24*time.Hour), 0, "a", "b"))
		if err != nil || rejected.TooOld != 2 {
			t.Errorf("got %+v, %v; want two too old", rejected, err)
		}
		ok(t, l.SetRetention(t.Context(), acc, group, 1))
		rejected, err = l.Put(t.Context(), acc, group, stream, events(now.Add(-25*time.Hour), 0, "a"))
		if err != nil || rejected.Expired != 1 {
			t.Errorf("got %+v, %v; want one expired", rejected, err)
		}
		if got := strings.Join(follow(t, l, stream, true, 10), " "); got != "ok" {
			t.Errorf("got %q, want ok alone", got)
		}
	})
}

func TestGroupsAndStreams(t *testing.T) {
	l := open(t, kvtest.Memory(t))
	ctx := t.Context()
	for _, n := range []string{"b/2", "a", "b/1", "c"} {
		ok(t, l.CreateGroup(ctx, acc, n, map[string]string{"k": n}))
	}
	wantError(t, l.CreateGroup(ctx, acc, "a", nil), rouse.Exists, "ResourceAlreadyExistsException", "The specified log group already exists")
	wantError(t, l.CreateGroup(ctx, acc, "a b", nil), rouse.Invalid, "InvalidParameterException", "logGroupName")
	wantError(t, l.CreateGroup(ctx, acc, strings.Repeat("a", 513), nil), rouse.Invalid, "InvalidParameterException", "logGroupName")
	names := func(prefix, pattern, after string, limit int) string {
		t.Helper()
		list, more, err := l.Groups(ctx, acc, prefix, pattern, after, limit)
		ok(t, err)
		var out []string
		for _, g := range list {
			out = append(out, g.Name)
		}
		return fmt.Sprint(strings.Join(out, " "), more)
	}
	for got, want := range map[string]string{
		names("", "", "", 10): "a b/1 b/2 cfalse", names("", "", "", 2): "a b/1true", names("", "", "b/1", 2): "b/2 cfalse",
		names("b", "", "", 9): "b/1 b/2false", names("", "B/", "", 1): "b/1true", names("b", "", "b/1", 9): "b/2false",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	ok(t, l.Tag(ctx, acc, "a", map[string]string{"x": "1"}))
	ok(t, l.Untag(ctx, acc, "a", []string{"k", "none"}))
	ok(t, l.SetRetention(ctx, acc, "a", 7))
	wantError(t, l.SetRetention(ctx, acc, "a", 8), rouse.Invalid, "InvalidParameterException", "enum value set: [1, 3, 5, 7, 14")
	g, err := l.Group(ctx, acc, "a")
	if err != nil || g.Retention != 7 || len(g.Tags) != 1 || g.Tags["x"] != "1" {
		t.Errorf("got %+v, %v", g, err)
	}
	many := map[string]string{}
	for i := range logs.TagsMax + 1 {
		many[strconv.Itoa(i)] = ""
	}
	wantError(t, l.Tag(ctx, acc, "a", many), rouse.Limit, "TooManyTagsException", "50")
	wantError(t, l.Tag(ctx, acc, "none", nil), rouse.NotFound, "ResourceNotFoundException", "log group")

	for _, n := range []string{"s2", "s1", "t"} {
		ok(t, l.CreateStream(ctx, acc, "a", n))
	}
	wantError(t, l.CreateStream(ctx, acc, "a", "t"), rouse.Exists, "ResourceAlreadyExistsException", "The specified log stream already exists")
	wantError(t, l.CreateStream(ctx, acc, "a", "x:y"), rouse.Invalid, "InvalidParameterException", "logStreamName")
	wantError(t, l.CreateStream(ctx, acc, "none", "t"), rouse.NotFound, "ResourceNotFoundException", "log group")
	now := time.Now()
	for i, n := range []string{"t", "s1", "s2"} {
		_, err := l.Put(ctx, acc, "a", n, events(now.Add(time.Duration(i-9)*time.Second), 0, n))
		ok(t, err)
	}
	streams := func(q logs.StreamQuery) string {
		t.Helper()
		q.Account, q.Group = acc, "a"
		out := ""
		for {
			list, more, err := l.Streams(ctx, q)
			ok(t, err)
			for _, s := range list {
				out += s.Name + " "
			}
			if !more {
				return out
			}
			q.After = &list[len(list)-1]
		}
	}
	for q, want := range map[logs.StreamQuery]string{
		{Limit: 2}: "s1 s2 t ", {Limit: 1, Prefix: "s"}: "s1 s2 ", {Limit: 1, Descending: true}: "t s2 s1 ",
		{Limit: 2, ByTime: true}: "t s1 s2 ", {Limit: 1, ByTime: true, Descending: true}: "s2 s1 t ",
	} {
		if got := streams(q); got != want {
			t.Errorf("%+v: got %q, want %q", q, got, want)
		}
	}
}

// TestDeletionLeavesNothing: what is deleted is invisible at once, and after a sweep nothing of it is in the store.
func TestDeletionLeavesNothing(t *testing.T) {
	store := kvtest.Memory(t)
	l := open(t, store)
	ctx := t.Context()
	ok(t, l.CreateGroup(ctx, acc, group, nil))
	keys := func() (n int) {
		ok(t, store.Snapshot(ctx, func(p kv.Pair) error {
			if parts, err := tuple.Parse(p.Key); err == nil && len(parts) > 3 && parts[2] == "logs" {
				n++
			}
			return nil
		}))
		return n
	}
	before := keys()
	ok(t, l.CreateStream(ctx, acc, group, stream))
	for i := range 200 {
		insert(t, l, stream, events(time.Now().Add(time.Duration(i)*time.Second), 0, "x"))
	}
	ok(t, l.DeleteStream(ctx, acc, group, stream))
	if got := search(t, l, logs.Search{}); len(got) != 0 {
		t.Errorf("got %d events of a deleted stream, want none", len(got))
	}
	if g, err := l.Group(ctx, acc, group); err != nil || g.Bytes != 0 {
		t.Errorf("got %d bytes, %v; want 0", g.Bytes, err)
	}
	if got := keys(); got > before+1 { // the counters
		t.Errorf("got %d keys, want at most %d", got, before+1)
	}
	wantError(t, l.DeleteStream(ctx, acc, group, stream), rouse.NotFound, "ResourceNotFoundException", "log stream")
	ok(t, l.CreateStream(ctx, acc, group, stream))
	insert(t, l, stream, events(time.Now(), 0, "x", "y"))
	ok(t, l.DeleteGroup(ctx, acc, group))
	wantError(t, l.DeleteGroup(ctx, acc, group), rouse.NotFound, "ResourceNotFoundException", "log group")
	ok(t, l.CreateGroup(ctx, acc, group, nil))
	if got := search(t, l, logs.Search{}); len(got) != 0 {
		t.Errorf("got %d events of a deleted group, want none", len(got))
	}
	ok(t, l.Sweep(ctx))
	if got := keys(); got != before {
		t.Errorf("got %d keys, want %d", got, before)
	}
}

func TestRetentionByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := world(t)
		ok(t, l.CreateStream(t.Context(), acc, group, "idle"))
		ok(t, l.SetRetention(t.Context(), acc, group, 1))
		insert(t, l, stream, events(time.Now().Add(-23*time.Hour), time.Minute, "a", "b", "c"))
		<-time.After(time.Hour + 30*time.Second)
		if got := texts(mustSearch(t, l)); got != "b c" {
			t.Errorf("before the sweep: got %q, want b c", got)
		}
		<-time.After(time.Hour)
		ok(t, l.Sweep(t.Context()))
		if got := texts(mustSearch(t, l)); got != "" {
			t.Errorf("after the sweep: got %q, want nothing", got)
		}
		list, _, err := l.Streams(t.Context(), logs.StreamQuery{Account: acc, Group: group, Limit: 10})
		if err != nil || len(list) != 1 || list[0].Name != "idle" {
			t.Errorf("got %+v, %v; want the stream that never had an event", list, err)
		}
		if g, _ := l.Group(t.Context(), acc, group); g.Bytes != 0 {
			t.Errorf("got %d bytes, want 0", g.Bytes)
		}
	})
}

func mustSearch(t *testing.T, l *logs.Logs) []logs.Event {
	t.Helper()
	f, err := l.Search(t.Context(), logs.Search{Account: acc, Group: group})
	ok(t, err)
	return f.Events
}

func TestRetentionBySize(t *testing.T) {
	l := open(t, kvtest.Memory(t), func(c *logs.Config) { c.SizeMax = 40 << 10 })
	ok(t, l.CreateGroup(t.Context(), acc, group, nil))
	ok(t, l.CreateStream(t.Context(), acc, group, stream))
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		noise := make([]byte, 1000)
		for j := range noise {
			noise[j] = byte('!' + r.IntN(90))
		}
		insert(t, l, stream, events(time.Now().Add(time.Duration(i-200)*time.Second), 0, strconv.Itoa(i)+string(noise)))
	}
	ok(t, l.Sweep(t.Context()))
	got := mustSearch(t, l)
	if len(got) < 25 || len(got) > 40 || !strings.HasPrefix(got[len(got)-1].Message, "99") {
		t.Errorf("got %d events, want 25 to 40, the newest", len(got))
	}
}

func TestOpen(t *testing.T) {
	for want, cfg := range map[string]logs.Config{
		"Store is missing": {}, "at most a second": {Store: kvtest.Memory(t), FlushEvery: time.Minute},
	} {
		if _, err := logs.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	l := open(t, kvtest.Memory(t))
	if got, want := l.ARN(acc, group), "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop:*"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
