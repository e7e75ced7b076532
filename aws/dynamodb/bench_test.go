package dynamodb_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/wire"
)

// What the door itself costs a function's call to its table: decoding straight into values, the need, the room in memory,
// encoding, one checksum. No copies of the body but the one that holds its strings, and a store's read or commit.
func BenchmarkGetItem(b *testing.B) {
	bench(b, "GetItem", `{"TableName":"bench","Key":{"a":{"S":"user#8f14e45f"}}}`)
}

func BenchmarkPutItem(b *testing.B) {
	bench(b, "PutItem", `{"TableName":"bench","Item":`+record+`}`)
}

const record = `{"a":{"S":"user#8f14e45f"},"name":{"S":"Ada Lovelace"},"age":{"N":"36"},"active":{"BOOL":true},"tags":{"SS":["math","engine"]},` +
	`"address":{"M":{"street":{"S":"12 St James's Square"},"city":{"S":"London"}}},"seen":{"L":[{"N":"1"},{"N":"2"}]}}`

func bench(b *testing.B, operation, input string) {
	_, door, _ := open(b)
	send(b, door, root, "CreateTable", `{"TableName":"bench","AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}`)
	if status, body := send(b, door, root, "PutItem", `{"TableName":"bench","Item":`+record+`}`); status != 200 {
		b.Fatalf("PutItem: got %d %s, want 200", status, body)
	}
	table := compiled(b, door)
	user := rouse.Origin{Principal: rouse.Principal{Account: acc, ARN: "arn:aws:iam::" + acc + ":user/u"}}
	for name, from := range map[string]rouse.Origin{"root": root, "role": user} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
			r.Header.Set("X-Amz-Target", door.TargetPrefix+"."+operation)
			w := &discard{head: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				m, err := table.Route(r)
				if err != nil {
					b.Fatal(err)
				}
				in, err := m.Decode(wire.Input{HTTP: r, Body: []byte(input)})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Needs(b.Context(), from, in); err != nil {
					b.Fatal(err)
				}
				out, err := m.Handle(b.Context(), from, in)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Encode(w, out, "00000000-0000-0000-0000-000000000000"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// discard is an answer that nobody reads.
type discard struct{ head http.Header }

func (d *discard) Header() http.Header         { return d.head }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
