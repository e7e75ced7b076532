package route_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/api/route"
)

func table(t testing.TB, loose bool, keys ...string) *route.Table[string] {
	t.Helper()
	tb := &route.Table[string]{Loose: loose}
	for _, k := range keys {
		if k == "$default" {
			tb.Default(k)
			continue
		}
		method, path, _ := strings.Cut(k, " ")
		if err := tb.Add(method, path, k); err != nil {
			t.Fatal(err)
		}
	}
	return tb
}

// The first block is the example of AWS's page on routes of HTTP APIs, the second what was seen on AWS with REST APIs.
func TestMatch(t *testing.T) {
	docs := []string{"GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default"}
	rest := []string{"POST /test", "ANY /test/any", "OPTIONS /{proxy+}", "GET /part1", "GET /part1/hard", "GET /{proxy+}"}
	deep := []string{"GET /a/{x}/b", "GET /a/c/{y+}", "GET /{p+}", "GET /", "GET /a/{x}", "POST /a/{other}", "ANY /a/{x}/b"}
	for _, c := range []struct {
		keys   []string
		loose  bool
		method string
		path   string
		want   string
		values []string
	}{
		{docs, false, "GET", "/pets/dog/1", "GET /pets/dog/1", nil},
		{docs, false, "GET", "/pets/dog/2", "GET /pets/dog/{id}", []string{"2"}},
		{docs, false, "GET", "/pets/cat/1", "GET /pets/{proxy+}", []string{"cat/1"}},
		{docs, false, "POST", "/test/5", "ANY /{proxy+}", []string{"test/5"}},
		{docs, false, "GET", "/", "$default", nil},
		{docs, false, "GET", "/pets/", "ANY /{proxy+}", []string{"pets/"}},
		{docs, false, "GET", "/pets/dog/1/", "GET /pets/{proxy+}", []string{"dog/1/"}},

		{rest, true, "OPTIONS", "/test", "OPTIONS /{proxy+}", []string{"test"}},
		{rest, true, "POST", "/test", "POST /test", nil},
		{rest, true, "POST", "/test///", "POST /test", nil},
		{rest, true, "OPTIONS", "/test/any", "ANY /test/any", nil},
		{rest, true, "GET", "/part1/random", "GET /{proxy+}", []string{"part1/random"}},
		{rest, true, "GET", "/proxy-value/", "GET /{proxy+}", []string{"proxy-value"}},
		{rest, true, "GET", "/proxy-value//x", "GET /{proxy+}", []string{"proxy-value//x"}},
		{rest, true, "DELETE", "/nothing", "", nil},

		{deep, false, "GET", "/a/c/b", "GET /a/{x}/b", []string{"c"}},
		{deep, false, "PUT", "/a/c/b", "ANY /a/{x}/b", []string{"c"}},
		{deep, false, "GET", "/a/c/d", "GET /a/c/{y+}", []string{"d"}},
		{deep, false, "GET", "/a/z/d", "GET /{p+}", []string{"a/z/d"}},
		{deep, false, "POST", "/a/1%2F2", "POST /a/{other}", []string{"1%2F2"}},
		{deep, false, "GET", "/", "GET /", nil},
		{deep, false, "GET", "/a/", "GET /{p+}", []string{"a/"}},
	} {
		got, values, ok := table(t, c.loose, c.keys...).Match(c.method, c.path, nil)
		if got != c.want || ok != (c.want != "") || !slices.Equal(values, c.values) {
			t.Errorf("%s %s: got %q %q, want %q %q", c.method, c.path, got, values, c.want, c.values)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := "/" + strings.Repeat("a", route.PathMax)
	deep := strings.Repeat("/a", route.SegmentsMax+1)
	for _, path := range []string{"", "a", "/{", "/}", "/{}", "/{+}", "/{a}b", "/a{b}", "/{a+}/b", "/{a}/{a}", "/{{a}}",
		"/{a+b}", long, deep} {
		if _, err := route.Parse(path); err == nil {
			t.Errorf("Parse(%.20q): got no error, want one", path)
		}
	}
	if _, err := route.Parse(strings.Repeat("/a", route.SegmentsMax)); err != nil {
		t.Errorf("Parse at the limit: got %v, want none", err)
	}
}

func TestAddRefusesTwice(t *testing.T) {
	tb := table(t, false, "GET /a/{x}", "ANY /b", "GET /c/{p+}")
	for _, k := range []string{"GET /a/{y}", "ANY /b", "GET /c/{q+}"} {
		method, path, _ := strings.Cut(k, " ")
		if err := tb.Add(method, path, k); err == nil {
			t.Errorf("Add(%s) again: got no error, want one", k)
		}
	}
}

// oracle is the same rule written without a tree: all routes that match, the best by a sort of its own.
func oracle(keys []string, method, path string) string {
	best, bestRank := "", ""
	for _, k := range keys {
		m, pattern, _ := strings.Cut(k, " ")
		if m != method && m != route.Any {
			continue
		}
		p, err := route.Parse(pattern)
		if err != nil {
			continue
		}
		var parts []string
		if path != "/" {
			parts = strings.Split(path[1:], "/")
		}
		rank, ok := "", true // one letter a segment, smaller is better
		for i, s := range p.Segments {
			if p.Greedy && i == len(p.Segments)-1 {
				ok = ok && len(strings.Join(parts[min(i, len(parts)):], "/")) > 0
				rank += "c"
				break
			}
			if i >= len(parts) || (s.Param && parts[i] == "") || (!s.Param && parts[i] != s.Text) {
				ok = false
				break
			}
			rank += map[bool]string{true: "b", false: "a"}[s.Param]
		}
		if !ok || (!p.Greedy && len(parts) != len(p.Segments)) {
			continue
		}
		rank = map[bool]string{true: "1", false: "0"}[p.Greedy] + rank + map[bool]string{true: "1", false: "0"}[m == route.Any]
		if best == "" || rank < bestRank {
			best, bestRank = k, rank
		}
	}
	return best
}

func FuzzMatch(f *testing.F) {
	f.Add("GET /a/{x}\nANY /{p+}\nGET /a/b", "GET", "/a/b")
	f.Add("GET /{x}/b\nGET /a/{y+}\nPOST /a/b", "GET", "/a/b/")
	f.Add("ANY /a//b\nGET /", "PUT", "/a//b")
	f.Fuzz(func(t *testing.T, routes, method, path string) {
		if !strings.HasPrefix(path, "/") || len(routes) > 2000 || len(path) > 2000 || method == route.Any {
			return
		}
		tb := new(route.Table[string])
		var kept []string
		for _, k := range strings.Split(routes, "\n") {
			m, p, _ := strings.Cut(k, " ")
			if tb.Add(m, p, k) == nil {
				kept = append(kept, k)
			}
		}
		got, _, _ := tb.Match(method, path, nil)
		if want := oracle(kept, method, path); got != want {
			t.Errorf("%q of %q: got %q, want %q", method+" "+path, kept, got, want)
		}
	})
}

// A match should cost one map look-up a segment and no allocation.
func BenchmarkMatch(b *testing.B) {
	tb := table(b, false, "GET /pets", "GET /pets/{id}", "POST /pets/{id}/toys/{toy}", "ANY /{proxy+}")
	values := make([]string, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := tb.Match("POST", "/pets/17/toys/ball", values[:0]); !ok {
			b.Fatal("no match")
		}
	}
}
