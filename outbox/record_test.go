package outbox

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/kv"
)

// memo is a transaction that remembers what was appended.
type memo struct {
	kv.Tx
	records []kv.Record
}

func (m *memo) Append(_, value []byte) {
	pos := kv.Pos{18: byte(len(m.records) >> 8), 19: byte(len(m.records) + 1)}
	m.records = append(m.records, kv.Record{Pos: pos, Value: bytes.Clone(value)})
}

// FuzzAssemble: whatever stands in a log, assemble answers; what appendRecord wrote comes back, however it was cut off.
func FuzzAssemble(f *testing.F) {
	f.Add([]byte("source"), "arn:aws:lambda:us-east-1:000000000000:function:f", "cause", []byte("{}"), 0, []byte("\x02{}"))
	f.Add([]byte{0, 0xff}, "", "\xff", bytes.Repeat([]byte("x"), 70_000), 1, []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte(nil), "t", "c", []byte(nil), 30, []byte(`{"parts":-1}`))
	f.Add([]byte(nil), "t", "c", []byte(nil), 9, []byte("\x16{\"parts\":99999999999}"))
	f.Fuzz(func(t *testing.T, source []byte, target, cause string, payload []byte, times int, garbage []byte) {
		assemble(1, []kv.Record{{Value: garbage}, {Value: garbage}}) // must not panic
		payload = bytes.Repeat(payload, min(max(times, 0), 40))
		var m memo
		h := header{Source: source, Target: target, Cause: cause}
		if err := appendRecord(&m, nil, h, payload); err != nil {
			return
		}
		one := len(m.records)
		if err := appendRecord(&m, nil, header{ID: "kept"}, nil); err != nil {
			t.Fatalf("appendRecord: got %v, want nil", err)
		}
		got, err := assemble(1, m.records)
		if err != nil || len(got) != 2 || !bytes.Equal(got[0].Payload, payload) || !bytes.Equal(got[0].Source, source) ||
			utf8.ValidString(target) && got[0].Target != target || got[1].ID != "kept" {
			t.Fatalf("assemble: got %v, %v, want both back", got, err)
		}
		if got[0].end != m.records[one-1].Pos {
			t.Errorf("end: got %x, want the position of the last part, %x", got[0].end, m.records[one-1].Pos)
		}
		for cut := range one {
			if got, err := assemble(1, m.records[:cut]); err != nil || len(got) != 0 {
				t.Errorf("assemble of %d parts of %d: got %d entries, %v, want none yet", cut, one, len(got), err)
			}
		}
	})
}
