package gateway_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/txtar"
)

var rewrite = flag.Bool("rewrite", false, "write the goldens of the scenarios anew")

// TestScenarios runs the files in testdata: each is an archive of cases, and each case has up to four parts.
//
//	NAME/request    METHOD URL, headers, an empty line and the body. ${http}, ${rest} and ${url} are the ids of the fixture
//	NAME/answer     what the function answers; "! TYPE MESSAGE" is a failure, "~ KIND" an error of the platform;
//	                "@ {head JSON}" and then lines is a stream. Without this part no function may be asked
//	NAME/event      the event that the function must have got
//	NAME/response   status, headers by name, an empty line and the body
//
// Ids and the like are replaced by words, so that the goldens do not change from run to run.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runFile(t, file) })
		})
	}
}

type scenario struct {
	name    string
	request string
	answer  string
	asks    bool
}

func runFile(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(data)
	var all []*scenario
	want := map[string]string{}
	for _, f := range archive.Files {
		name, part, _ := strings.Cut(f.Name, "/")
		if part == "request" {
			all = append(all, &scenario{name: name})
		}
		s := all[len(all)-1]
		switch part {
		case "request":
			s.request = string(f.Data)
		case "answer":
			s.answer, s.asks = strings.TrimSuffix(string(f.Data), "\n"), true
		default:
			want[f.Name] = string(f.Data)
		}
	}
	fx := newFixture(t)
	out := &txtar.Archive{Comment: archive.Comment}
	add := func(name, text string) {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(text)})
		if _, golden := want[name]; golden || strings.HasSuffix(name, "/event") || strings.HasSuffix(name, "/response") {
			if want[name] != text && !*rewrite {
				t.Errorf("%s:\ngot\n%s\nwant\n%s", name, text, want[name])
			}
		}
	}
	for _, s := range all {
		event, response := fx.run(t, s)
		add(s.name+"/request", s.request)
		if s.asks {
			add(s.name+"/answer", s.answer)
			add(s.name+"/event", event)
		} else if event != "" {
			t.Errorf("%s: a function was asked, want none", s.name)
		}
		add(s.name+"/response", response)
	}
	if *rewrite {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run makes the request and answers the event and the response as the goldens have them.
func (fx *fixture) run(t *testing.T, s *scenario) (event, response string) {
	t.Helper()
	fx.invoker.prepare(s.answer)
	r := fx.request(t, s.request)
	w := httptest.NewRecorder()
	aborted := func() (aborted bool) {
		defer func() {
			if v := recover(); v != nil {
				err, _ := v.(error)
				aborted = errors.Is(err, http.ErrAbortHandler)
				if !aborted {
					panic(v)
				}
			}
		}()
		fx.handler(r).ServeHTTP(w, r)
		return false
	}()
	if got := fx.invoker.event(); got != nil {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, got, "", "\t"); err != nil {
			t.Errorf("%s: the event is not JSON: %v\n%s", s.name, err, got)
		}
		var v any
		_ = json.Unmarshal(got, &v)
		sorted, _ := json.MarshalIndent(v, "", "\t")
		event = fx.words(unescapeHTML(string(sorted))) + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d", w.Code)
	if aborted {
		b.WriteString(" aborted")
	}
	b.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		for _, v := range w.Header()[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if w.Body.Len() > 0 {
		fmt.Fprintf(&b, "\n%s", w.Body.String())
	}
	return event, fx.words(b.String())
}

func unescapeHTML(s string) string {
	return strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(s)
}

// request reads METHOD URL, headers and body.
func (fx *fixture) request(t *testing.T, text string) *http.Request {
	t.Helper()
	for name, id := range fx.ids {
		text = strings.ReplaceAll(text, "${"+name+"}", id)
	}
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 1<<24)
	in.Scan()
	method, target, _ := strings.Cut(in.Text(), " ")
	headers := [][2]string{}
	for in.Scan() && in.Text() != "" {
		k, v, _ := strings.Cut(in.Text(), ": ")
		headers = append(headers, [2]string{k, v})
	}
	var body []string
	for in.Scan() {
		body = append(body, in.Text())
	}
	payload := strings.Join(body, "\n")
	if n, ok := strings.CutPrefix(payload, "repeat "); ok {
		var count int
		_, _ = fmt.Sscan(n, &count)
		payload = strings.Repeat("x", count)
	}
	payload = strings.ReplaceAll(payload, `\xff`, "\xff")
	r := httptest.NewRequest(method, target, strings.NewReader(payload))
	if payload == "" {
		r = httptest.NewRequest(method, target, nil)
	}
	r.RemoteAddr = "203.0.113.7:40000"
	for _, h := range headers {
		v := h[1]
		if n, ok := strings.CutPrefix(v, "repeat "); ok {
			var count int
			_, _ = fmt.Sscan(n, &count)
			v = strings.Repeat("x", count)
		}
		r.Header.Add(h[0], v)
	}
	return r
}

var replacements = []struct {
	from *regexp.Regexp
	to   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`[0-9A-Za-z+/]{15}=`), "SHORTID="},
	{regexp.MustCompile(`Root=1-[0-9a-f]{8}-[0-9a-f]{24}`), "Root=TRACE"},
	{regexp.MustCompile(`"deploymentId": "[a-z0-9]{6}"`), `"deploymentId": "DEPLOYMENT"`},
	{regexp.MustCompile(`"resourceId": "[a-z0-9]{6}([a-z0-9]{4})?"`), `"resourceId": "RESOURCE"`},
}

// words replaces what changes from run to run.
func (fx *fixture) words(s string) string {
	for name, id := range fx.ids {
		s = strings.ReplaceAll(s, id, strings.ToUpper(name))
	}
	for _, r := range replacements {
		s = r.from.ReplaceAllString(s, r.to)
	}
	return s
}
