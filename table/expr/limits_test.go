package expr_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

// bindOne binds one expression and returns the text of the error, "" for none.
func bindOne(what, text string, names map[string]string, values item.Item) string {
	b := block{names: names, values: values}
	got := b.bind([2]string{what, text})[0]
	if message, bad := strings.CutPrefix(got, "error: "); bad {
		return message
	}
	return ""
}

func TestLimits(t *testing.T) {
	const depth = 2046
	v := item.NewNumber(item.Int(1))
	in := func(n int) (string, item.Item) {
		values, list := item.Item{}, []string{}
		for i := range n {
			key := fmt.Sprintf(":%d", i)
			values[key] = v
			list = append(list, key)
		}
		return "a IN (" + strings.Join(list, ",") + ")", values
	}
	in100, values100 := in(100)
	in101, values101 := in(101)
	long := "#" + strings.Repeat("n", 254)
	one := item.Item{":v": v}
	for _, c := range []struct {
		name, what, text string
		names            map[string]string
		values           item.Item
		want             string
	}{
		{"4096 bytes", "projection", strings.Repeat("x", 4096), nil, nil, ""},
		{"4097 bytes", "projection", strings.Repeat("x", 4097), nil, nil,
			"Invalid ProjectionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"},
		{"4096 bytes of update", "update", "SET" + strings.Repeat(" ", 4086) + "a = :v", nil, one, ""},
		{"long syntax error", "condition", strings.Repeat("(", 15000), nil, nil,
			"Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 15000"},
		{"299 operators", "condition", "a<b " + strings.Repeat("or (a<b ", 149) + strings.Repeat(")", 149), nil, nil, ""},
		{"909 operators", "condition", "a<b " + strings.Repeat("or (a<b ", 454) + strings.Repeat(")", 454), nil, nil,
			"Invalid ConditionExpression: The expression contains too many operators; operator count: 301"},
		{"1000 NOT", "condition", strings.Repeat("not ", 1000) + "a<b", nil, nil,
			"Invalid ConditionExpression: The expression contains too many operators; operator count: 301"},
		{"299 NOT", "condition", strings.Repeat("not ", 299) + "a<b", nil, nil, ""},
		{"301 sums", "update", "SET " + sums(301), nil, one,
			"Invalid UpdateExpression: The expression contains too many operators; operator count: 301"},
		{"300 sums", "update", "SET " + sums(300), nil, one, ""},
		{"parentheses only", "condition", strings.Repeat("(", 4096), nil, nil,
			`Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("`},
		{"2046 parentheses", "condition", strings.Repeat("(", depth) + "a<b" + strings.Repeat(")", depth), nil, nil,
			"Invalid ConditionExpression: The expression has redundant parentheses;"},
		{"1355 calls", "condition", "a < " + strings.Repeat("f(", 1355) + "b" + strings.Repeat(")", 1355), nil, nil,
			"Invalid ConditionExpression: Invalid function name; function: f"},
		{"680 sizes", "condition", "a < " + strings.Repeat("size(", 680) + "b" + strings.Repeat(")", 680), nil, nil,
			"Invalid ConditionExpression: Incorrect operand type for operator or function; operator or function: size, operand type: N"},
		{"IN of 100", "condition", in100, nil, values100, ""},
		{"IN of 101", "condition", in101, nil, values101,
			"Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"},
		{"name of 255", "projection", long, map[string]string{long: "a"}, nil, ""},
		{"name of 256", "projection", long + "n", map[string]string{long + "n": "a"}, nil,
			"ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long; size of key: 256"},
		{"value of 256", "condition", "a = :v", nil, item.Item{":" + strings.Repeat("v", 255): v},
			"ExpressionAttributeValues contains invalid key: The expression attribute map contains a key that is too long;"},
		{"1000 paths that overlap", "projection", strings.Repeat("a.b,", 1000) + "c", nil, nil,
			"Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; " +
				"path one: [a, b], path two: [a, b]"},
	} {
		if got := bindOne(c.what, c.text, c.names, c.values); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// sums is n actions of a SET with one operator each.
func sums(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf("a%d=b+:v", i)
	}
	return strings.Join(parts, ",")
}

func TestKeysOfValuesAreCheckedBeforeValues(t *testing.T) {
	for _, c := range []struct {
		sent bool
		keys []string
		want string
	}{
		{false, nil, ""},
		{true, []string{":a", ":b"}, ""},
		{true, nil, "ExpressionAttributeValues must not be empty"},
		{true, []string{":a", "c", "b"}, `ExpressionAttributeValues contains invalid key: Syntax error; key: "b"`},
	} {
		got := ""
		if err := expr.CheckValueKeys(c.sent, c.keys); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.keys, got, c.want)
		}
	}
}

func TestReserved(t *testing.T) {
	for word, want := range map[string]bool{"size": true, "SIZE": true, "AbOrt": true, "authorization": true, "zone": true,
		"remove": false, "a": false, "": false, "sizes": false, "status2": false, "localtimestamps": false} {
		if got := expr.Reserved(word); got != want {
			t.Errorf("Reserved(%q): got %v, want %v", word, got, want)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := expr.NewCache(10)
	bind := func(text string) {
		t.Helper()
		if _, err := c.Bind(expr.Request{Projection: &text}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		bind(fmt.Sprintf("a%d", i))
	}
	if got := c.Len(); got != 10 {
		t.Errorf("after 100 short texts: got %d expressions, want 10", got)
	}
	for i := range 100 {
		bind(fmt.Sprintf("a%d%s", i, strings.Repeat("x", 2000)))
	}
	if got := c.Len(); got != 2 {
		t.Errorf("after 100 texts of 2,000 bytes: got %d expressions, want the 2 that fit into 5,120 bytes", got)
	}
	bad := "a b"
	if _, err := c.Bind(expr.Request{Projection: &bad}); err == nil || c.Len() != 2 {
		t.Errorf("a text with an error: got %v and %d expressions, want an error and 2", err, c.Len())
	}
	zero := expr.NewCache(0)
	text := "a"
	if _, err := zero.Bind(expr.Request{Projection: &text}); err != nil || zero.Len() != 0 {
		t.Errorf("a cache of nothing: got %v and %d expressions, want none of either", err, zero.Len())
	}
}

// Requests with other names and values share one parsed text, at the same time.
func TestBoundPartsAreIndependent(t *testing.T) {
	c := expr.NewCache(4)
	update, condition := "SET #n = #n + :v, m.#n = :v", "#n = :v AND attribute_exists(m)"
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("n%d", g)
			v := item.NewNumber(item.Int(int64(g)))
			old := item.Item{name: v, "m": item.NewMap(item.Item{})}
			for range 200 {
				b, err := c.Bind(expr.Request{Update: &update, Condition: &condition,
					Names: map[string]string{"#n": name}, Values: item.Item{":v": v}})
				if err != nil {
					t.Error(err)
					return
				}
				ok, _ := b.Condition.Match(old)
				it, err := b.Update.Apply(old)
				want := fmt.Sprintf(`{"m":{"%s":%d},"%s":%d}`, name, g, name, 2*g)
				if err != nil || !ok || writeItem(it) != want {
					t.Errorf("got %v, %s, %v, want true, %s", ok, writeItem(it), err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestWhatAnEngineAsks(t *testing.T) {
	text, cond := "SET a.b = c.d + :v, e = :s, f = if_not_exists(g, :v), h = list_append(h, i), j = k REMOVE l ADD n :v", "x.y = x.z AND w = :v"
	b, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Condition: &cond,
		Values: item.Item{":v": item.NewNumber(item.Int(1)), ":s": item.NewString("s")}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(b.Update.Paths(), b.Update.Names()), "[a.b e f h j l n] [a e f h j l n]"; got != want {
		t.Errorf("written: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(b.Update.Reads()), "[a.b c.d e f g h h i j k l n]"; got != want {
		t.Errorf("all paths: got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(b.Condition.Paths(), b.Condition.Names()), "[x.y x.z w] [x w]"; got != want {
		t.Errorf("of the condition: got %s, want %s", got, want)
	}
	for name, want := range map[string]string{"a": "", "e": "S", "f": "N", "h": "L", "j": "", "l": "", "n": "N", "q": ""} {
		typ, ok := b.Update.TypeOf(name)
		if typ.String() != want || ok != (want != "") {
			t.Errorf("type of %s: got %q, %v, want %q", name, typ, ok, want)
		}
	}
	for text, want := range map[string]bool{"REMOVE a": true, "DELETE a :s REMOVE b": true, "REMOVE a SET b = :s": false, "ADD a :s": false} {
		set, _ := item.NewSet(item.TypeStringSet, []item.Value{item.NewString("x")})
		r := expr.Request{Update: &text}
		if strings.Contains(text, ":s") {
			r.Values = item.Item{":s": set}
		}
		b, err := expr.NewCache(1).Bind(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Update.RemovesOnly(); got != want {
			t.Errorf("%s: removes only: got %v, want %v", text, got, want)
		}
	}
}

func TestKeyRange(t *testing.T) {
	s := item.NewString
	for _, c := range []struct {
		r    expr.KeyRange
		in   string
		want bool
	}{
		{expr.KeyRange{Op: expr.RangeAll}, "x", true},
		{expr.KeyRange{Op: expr.RangeEQ, Low: s("b")}, "b", true},
		{expr.KeyRange{Op: expr.RangeEQ, Low: s("b")}, "a", false},
		{expr.KeyRange{Op: expr.RangeLT, Low: s("b")}, "b", false},
		{expr.KeyRange{Op: expr.RangeLE, Low: s("b")}, "b", true},
		{expr.KeyRange{Op: expr.RangeGT, Low: s("b")}, "b", false},
		{expr.KeyRange{Op: expr.RangeGE, Low: s("b")}, "b", true},
		{expr.KeyRange{Op: expr.RangeBetween, Low: s("b"), High: s("d")}, "d", true},
		{expr.KeyRange{Op: expr.RangeBetween, Low: s("b"), High: s("d")}, "e", false},
		{expr.KeyRange{Op: expr.RangeBeginsWith, Low: s("b")}, "bc", true},
		{expr.KeyRange{Op: expr.RangeBeginsWith, Low: s("b")}, "a", false},
	} {
		if got := c.r.InRange(s(c.in)); got != c.want {
			t.Errorf("%v of %s: got %v, want %v", c.r, c.in, got, c.want)
		}
	}
}

// A short text cannot ask for gigabytes.
func TestUpdatesAreBounded(t *testing.T) {
	list := make([]item.Value, 200_000)
	set := make([]item.Value, 100_000)
	for i := range list {
		list[i] = item.NewNull()
	}
	for i := range set {
		set[i] = item.NewNumber(item.Int(int64(i)))
	}
	big, err := item.NewSet(item.TypeNumberSet, set)
	if err != nil {
		t.Fatal(err)
	}
	old := item.Item{"b": item.NewList(list)}
	var appends, adds []string
	for i := range 150 {
		appends = append(appends, fmt.Sprintf("a%d=list_append(b,b)", i))
		adds = append(adds, fmt.Sprintf("s%d :s", i))
		one, err := item.NewSet(item.TypeNumberSet, []item.Value{item.NewNumber(item.Int(-1))})
		if err != nil {
			t.Fatal(err)
		}
		old[fmt.Sprintf("s%d", i)] = one
	}
	const want = "Item size to update has exceeded the maximum allowed size"
	for text, values := range map[string]item.Item{
		"SET " + strings.Join(appends, ","): nil,
		"ADD " + strings.Join(adds, ","):    {":s": big},
	} {
		b, err := expr.NewCache(1).Bind(expr.Request{Update: &text, Values: values})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Update.Apply(old); err == nil || err.Error() != want {
			t.Errorf("%s…: got %v, want %s", text[:30], err, want)
		}
	}
	text := "SET a = list_append(b, b), b = list_append(b, if_not_exists(q, list_append(b, b)))"
	b, err := expr.NewCache(1).Bind(expr.Request{Update: &text})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update.Apply(item.Item{"b": item.NewList(list[:50_000])}); err != nil {
		t.Errorf("350,000 elements: got %v, want no error", err)
	}
}
