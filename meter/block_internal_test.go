package meter

import (
	"testing"
	"time"
)

func FuzzOpenBlock(f *testing.F) {
	cut, err := blocks([]Record{{ID: "a", At: time.Unix(1, 0)}, {ID: "b", At: time.Unix(2, 0)}})
	if err != nil || len(cut) != 1 {
		f.Fatalf("%d blocks, %v, want one", len(cut), err)
	}
	f.Add(cut[0].value)
	f.Add([]byte{blockFormat, 1})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		records, err := openBlock("1", value)
		if err == nil && (len(records) == 0 || len(records) > blockRecords) {
			t.Errorf("%d records and no error, want 1 to %d", len(records), blockRecords)
		}
	})
}
