package expr_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/table/expr"
	"github.com/rouse-dev/rouse/table/item"
)

func FuzzCondition(f *testing.F)    { fuzz(f, "condition") }
func FuzzFilter(f *testing.F)       { fuzz(f, "filter") }
func FuzzKeyCondition(f *testing.F) { fuzz(f, "keycondition") }
func FuzzProjection(f *testing.F)   { fuzz(f, "projection") }
func FuzzUpdate(f *testing.F)       { fuzz(f, "update") }

// fuzz binds texts with names and values made of random bytes, and puts what comes out to a random item. Nothing
// panics, errors are DynamoDB's, a second time gives the same, and nothing that went in has changed.
func fuzz(f *testing.F, what string) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if ask, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), what+" "); ok {
				f.Add(ask, []byte("\x03\x08abcdefgh\x05\x21\x07\x02\x09\x31\x16\x04\x0a"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		s := &source{data: data}
		r := expr.Request{}
		for _, key := range placeholder.FindAllString(text, -1) {
			if key[0] == '#' {
				if r.Names == nil {
					r.Names = map[string]string{}
				}
				r.Names[key] = s.name()
			} else {
				if r.Values == nil {
					r.Values = item.Item{}
				}
				r.Values[key] = s.value(0)
			}
		}
		old := s.item(0)
		before, values := writeItem(old), writeItem(r.Values)
		first, second := try(t, what, text, r, old), try(t, what, text, r, old)
		if first != second {
			t.Errorf("%s: got %s, then %s", text, first, second)
		}
		if after := writeItem(old); after != before {
			t.Errorf("%s changed the item: got %s, want %s", text, after, before)
		}
		if after := writeItem(r.Values); after != values {
			t.Errorf("%s changed the values: got %s, want %s", text, after, values)
		}
	})
}

// try binds and applies once, and shows what came out.
func try(t *testing.T, what, text string, r expr.Request, old item.Item) string {
	switch what {
	case "condition":
		r.Condition = &text
	case "filter":
		r.Filter = &text
	case "keycondition":
		r.KeyCondition = &text
	case "projection":
		r.Projection = &text
	case "update":
		r.Update = &text
	}
	bound, err := expr.NewCache(1).Bind(r)
	if err != nil {
		return mustBeValidation(t, text, err)
	}
	switch {
	case r.Condition != nil:
		ok, err := bound.Condition.Match(old)
		return fmt.Sprint(ok, err)
	case r.Filter != nil:
		ok, err := bound.Filter.Match(old)
		return fmt.Sprint(ok, err)
	case r.KeyCondition != nil:
		got, err := bound.KeyCondition.For("a", "b")
		if err != nil {
			return mustBeValidation(t, text, err)
		}
		return got.String()
	case r.Projection != nil:
		part := bound.Projection.Of(old)
		if part.Size() > old.Size() {
			t.Errorf("%s: got a part of %d bytes of an item of %d", text, part.Size(), old.Size())
		}
		return writeItem(part)
	}
	it, err := bound.Update.Apply(old)
	if err != nil {
		return mustBeValidation(t, text, err)
	}
	checkApplied(t, text, bound.Update, old, it, r)
	return writeItem(it) + writeItem(bound.Update.Written(it))
}

// checkApplied checks what holds for every update.
func checkApplied(t *testing.T, text string, u *expr.Update, old, it item.Item, r expr.Request) {
	if d := it.Depth(); d > max(item.DepthMax, old.Depth()) {
		t.Errorf("%s: got an item of depth %d", text, d)
	}
	// Each of at most 2,000 values is one of the request, or at most a few of the old item's joined.
	if n, bound := it.Size(), (old.Size()+r.Values.Size()+len(text)+100)*len(text); n > bound {
		t.Errorf("%s: got an item of %d bytes, want at most %d", text, n, bound)
	}
	written := map[string]bool{}
	for _, name := range u.Names() {
		written[name] = true
	}
	for name, v := range old {
		if !written[name] && !v.Equal(it[name]) {
			t.Errorf("%s changed %s, which it does not name: got %s, want %s", text, name, write(it[name]), write(v))
		}
	}
	for name := range it {
		if _, ok := old[name]; !ok && !written[name] {
			t.Errorf("%s made %s, which it does not name", text, name)
		}
	}
}

func mustBeValidation(t *testing.T, text string, err error) string {
	e, ok := err.(*rouse.Error)
	if !ok || e.Kind != rouse.Invalid || e.Code != "ValidationException" || e.Message == "" {
		t.Errorf("%s: got error %#v, want one of validation", text, err)
	}
	return err.Error()
}

// source makes values of bytes; when they end it makes small ones.
type source struct {
	data []byte
}

func (s *source) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) name() string { return string("abcdefgh"[s.byte()%8]) }

func (s *source) item(depth int) item.Item {
	it := item.Item{}
	for range s.byte() % 8 {
		it[s.name()] = s.value(depth)
	}
	return it
}

func (s *source) value(depth int) item.Value {
	kind := s.byte()
	if depth > 4 {
		kind %= 4
	}
	switch kind % 10 {
	case 0:
		return item.NewNumber(item.Int(int64(int8(s.byte()))))
	case 1:
		return item.NewString(strings.Repeat(s.name(), int(s.byte()%4)))
	case 2:
		return item.NewBool(s.byte()%2 == 0)
	case 3:
		return item.NewNull()
	case 4:
		return item.NewBinary(bytes.Repeat([]byte{s.byte()}, int(s.byte()%4)))
	case 5:
		return item.NewMap(s.item(depth + 1))
	case 6:
		list := make([]item.Value, s.byte()%5)
		for i := range list {
			list[i] = s.value(depth + 1)
		}
		return item.NewList(list)
	case 7:
		n, err := item.ParseNumber(fmt.Sprintf("%d.%de%d", s.byte(), s.byte(), int8(s.byte())))
		if err != nil {
			n = item.Int(7)
		}
		return item.NewNumber(n)
	}
	t, elem := item.TypeStringSet, func(i int) item.Value { return item.NewString(fmt.Sprint(i)) }
	if kind%10 == 8 {
		t, elem = item.TypeNumberSet, func(i int) item.Value { return item.NewNumber(item.Int(int64(i))) }
	}
	from := int(s.byte() % 4)
	var elems []item.Value
	for i := range 1 + int(s.byte()%4) {
		elems = append(elems, elem(from+i))
	}
	set, err := item.NewSet(t, elems)
	if err != nil {
		panic(err)
	}
	return set
}
