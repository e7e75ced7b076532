package filter_test

import (
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/logs/filter"
)

const (
	trail = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],` +
		`"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"ThisFlag":true,"a-b":"x"}`
	users = `{"user":{"id":1,"email":"John.Stiles@example.com"},"users":[{"id":2,"email":"John.Doe@example.com"},` +
		`{"id":3,"email":"Jane.Doe@example.com"}],"actions":["GET","PUT","DELETE"],"coordinates":[[0,1,2],[4,5,6],[7,8,9]]}`
	numbers = `{"latency":750,"numbers":[9999],"processes":[0,1,2,3,{"averageRuntime":55.5}],"errorCode":400,"text":"400"}`
	apache  = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
)

// TestMatch holds the examples of AWS's page on filter patterns, and what they leave open.
func TestMatch(t *testing.T) {
	rows := []struct {
		pattern, message string
		want             bool
	}{
		{``, "anything", true},
		{`  `, "anything", true},
		{`ERROR`, "[ERROR] A fatal exception has occurred", true},
		{`ERROR`, "Exiting with ERRORCODE: -1", true},
		{`ERROR`, "error", false},
		{`"ERROR" - "Exiting"`, "Exiting with ERRORCODE: -1", false},
		{`ERROR -Exiting`, "[ERROR] x", true},
		{`ERROR Exception`, "[ERROR] Caught IllegalArgumentException", true},
		{`ERROR Exception`, "[ERROR] x", false},
		{`"Failed to process"`, "[WARN] Failed to process the request", true},
		{`"Failed to process"`, "Failed  to process", false},
		{`"say \"hi\" \\"`, `say "hi" \`, true},
		{`?ERROR ?WARN`, "WARN message", true},
		{`?ERROR ?WARN`, "INFO message", false},
		{`?"two words" ?x`, "a two words b", true},
		{`?ERROR INFO`, "INFO message", true},
		{`ERROR -WARN`, "ERROR WARN message", false},
		{`%AUTHORIZED%`, "[ERROR 401] UNAUTHORIZED REQUEST", true},
		{`%^\[ERROR 4\d+%`, "[ERROR 401] x", true},
		{`%^x%`, "yx", false},
		{`-%\d%`, "no digits", true},

		{`{ $.eventType = "UpdateTrail" }`, trail, true},
		{`{ $.eventType = UpdateTrail }`, trail, true},
		{`{ $.eventType = "Update*" }`, trail, true},
		{`{ $.eventType = *Trail }`, trail, true},
		{`{ $.eventType = "*dateT*" }`, trail, true},
		{`{ $.eventType = "Up*ail" }`, trail, false},
		{`{ $.sourceIPAddress != 123.123.* }`, trail, true},
		{`{ $.sourceIPAddress != 111.111.* }`, trail, false},
		{`{ $.arrayKey[0] = "value" }`, trail, true},
		{`{ $.arrayKey[5] = "value" }`, trail, false},
		{`{ $.arrayKey[*] = "another value" }`, trail, true},
		{`{ $.arrayKey = "value" }`, trail, false},
		{`{ $.arrayKey != "value" }`, trail, false},
		{`{ $.objectList[1].id = 2 }`, trail, true},
		{`{ $.objectList[*].id = 2 }`, trail, true},
		{`{ $.SomeObject IS NULL }`, trail, true},
		{`{ $.ThisFlag IS NULL }`, trail, false},
		{`{ $.SomeOtherObject NOT EXISTS }`, trail, true},
		{`{ $.SomeObject NOT EXISTS }`, trail, false},
		{`{ $.SomeObject EXISTS }`, trail, true},
		{`{ $.SomeOtherObject IS NULL }`, trail, false},
		{`{ $.ThisFlag IS TRUE }`, trail, true},
		{`{ $.ThisFlag is false }`, trail, false},
		{`{ $.a-b = x }`, trail, true},
		{`{ $.['a-b'] = x }`, trail, true},
		{`{ $.missing != x }`, trail, false},
		{`{ $.eventType = %^Up[a-z]+T% }`, trail, true},
		{`{ $.eventType = "x" }`, "not JSON", false},
		{`{ $.eventType = "x" }`, `{"eventType":"x"} trailing`, false},

		{`{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }`, users, true},
		{`{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }`, users, false},
		{`{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }`, users, true},
		{`{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = nomatch }`, users, false},
		{`{ $.coordinates[1][2] = 6 }`, users, true},

		{`{ $.latency >= 500 }`, numbers, true},
		{`{ $.numbers[0] < 10e3 }`, numbers, true},
		{`{ $.numbers[0] < 10e-3 }`, numbers, false},
		{`{ $.processes[4].averageRuntime <= 55.5 }`, numbers, true},
		{`{ $.errorCode = 400 }`, numbers, true},
		{`{ $.errorCode != 500 }`, numbers, true},
		{`{ $.latency > +1000 }`, numbers, false},
		{`{ $.latency = * }`, numbers, true},
		{`{ $.text = 400 }`, numbers, true},

		{`[ip, user, username, timestamp, request, status_code, bytes > 1000]`, apache, true},
		{`[ip, user, username, timestamp, request, status_code, bytes < 1000]`, apache, false},
		{`[ip, user, username, timestamp, request, status_code = 4*, bytes]`, apache, true},
		{`[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]`, apache, true},
		{`[ip, user, username, timestamp, request, status_code = 4* && status_code != 403, bytes]`, apache, true},
		{`[ip, user, username, timestamp, request, status_code = 4* && status_code != 404, bytes]`, apache, false},
		{`[..., status_code, bytes]`, apache, true},
		{`[..., request=*.html*, status_code=4*,]`, apache, true},
		{`[ip, user, ..., status_code = 404, bytes]`, apache, true},
		{`[ip, user, ...]`, apache, true},
		{`[ip = 127.0.0.*, ...]`, apache, true},
		{`[a, b]`, apache, false},
		{`[w1=ERROR, w2]`, "ERROR message", true},
		{`[w1=ERROR || w1=WARN, w2]`, "WARN message", true},
		{`[w1=%E.R%, w2]`, "ERROR message", true},
		{`[w1 = "two words", w2]`, `"two words" x`, true},
	}
	for _, row := range rows {
		f, err := filter.Parse(row.pattern)
		if err != nil {
			t.Errorf("%s: got %v, want no error", row.pattern, err)
			continue
		}
		if got := f.Match(row.message); got != row.want {
			t.Errorf("%s on %s: got %v, want %v", row.pattern, row.message, got, row.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, pattern := range []string{
		`"open`, `-`, `?`, `{`, `{}`, `{ $ = 1 }`, `{ $.a }`, `{ $.a = }`, `{ $.a = 1`, `{ $.a = 1 } x`, `{ $.a ~ 1 }`, `{ a = 1 }`,
		`{ ($.a = 1 }`, `{ $.a[x] = 1 }`, `{ $.a IS 3 }`, `{ $.a NOT 3 }`, `{ $.a > "x" }`, `{ $.a > x }`, `{ $.a = %(x)% }`, `{ $.a = %[% }`,
		`{ $.a = %x% && $.b = %y% && $.c = %z% }`, `[`, `[a`, `[a, b = ]`, `[..., a, ...]`, `[a] x`, `[a = 1 && b = 2]`, `%open`, `%%`,
		strings.Repeat("x", filter.PatternMax+1), "{" + strings.Repeat("(", 100) + "$.a = 1" + strings.Repeat(")", 100) + "}",
	} {
		if _, err := filter.Parse(pattern); err == nil {
			t.Errorf("%.60s: got no error, want one", pattern)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range []string{`a "b" -c ?d %e%`, `{ ($.a[0].b = "x*" || $.c IS NULL) && $.d NOT EXISTS }`, `[a, b=1 && b!=2, ..., c]`} {
		f.Add(p, trail)
		f.Add(p, apache)
	}
	f.Fuzz(func(t *testing.T, pattern, message string) {
		p, err := filter.Parse(pattern)
		if err != nil {
			return
		}
		if first := p.Match(message); first != p.Match(message) {
			t.Errorf("%q on %q: got two answers", pattern, message)
		}
	})
}
