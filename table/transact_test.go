package table_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table"
	"github.com/rouse-dev/rouse/table/item"
)

// TestTransactRoom: transactions of nearly 4 MB fit with as many indexes of all attributes as docs/COMPATIBILITY.md says,
// and are refused whole beyond.
func TestTransactRoom(t *testing.T) {
	for _, c := range []struct {
		indexes int
		stream  table.StreamView
		fits    bool
	}{{14, "", true}, {15, "", false}, {12, table.NewAndOldImages, true}, {13, table.NewAndOldImages, false}} {
		bubble(t, func(t *testing.T, e *engine) {
			d := definition("wide")
			d.Stream = c.stream
			d.Attributes = append(d.Attributes, table.Attribute{Name: "g", Type: item.TypeString})
			for i := range c.indexes {
				d.Global = append(d.Global, table.IndexDefinition{Name: fmt.Sprint("g-", i), Key: table.Key{Hash: "g"},
					Projection: table.Projection{Kind: table.ProjectAll}})
			}
			e.create(d)
			write := func(body string) error {
				var r table.TransactRequest
				for i := range table.TransactMax {
					it := item.Item{"id": str(fmt.Sprint(i)), "g": str("g"), "body": str(strings.Repeat(body, 41_900))}
					r.Writes = append(r.Writes, table.WriteRequest{Table: "wide", Kind: table.Put, Item: it})
				}
				_, err := e.TransactWrite(t.Context(), account, r)
				return err
			}
			err := write("a")
			if err == nil {
				err = write("b") // now each record has two images
			}
			if c.fits && err != nil || !c.fits && (err == nil || !strings.Contains(err.Error(), "too large for one transaction")) {
				t.Errorf("%d indexes, stream %q: got %v, want it to fit: %v", c.indexes, c.stream, err, c.fits)
			}
		})
	}
}
