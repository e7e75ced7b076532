package item_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/table/item"
)

// What each should cost: Decode one allocation for the map (two with its header) and none for scalars, one for each list
// and nested map; DecodeSome the same for what it keeps and nothing for what it passes over; SizeOf, KeyHash and AppendKey
// none; Append none beyond its destination; a small sum and a parsed number one, their form.

// order is what a shop keeps: 11 attributes, half a kilobyte.
func order(b *testing.B) item.Item {
	lines := make([]item.Value, 3)
	for i := range lines {
		lines[i] = item.NewMap(item.Item{"sku": str(fmt.Sprintf("article-%d", i)), "count": nval(b, "2"), "price": nval(b, "19.99")})
	}
	return item.Item{
		"pk": str("customer#01HV3Z6J7Q"), "sk": str("order#2026-03-01T12:00:00Z"), "total": nval(b, "119.94"), "paid": item.NewBool(true),
		"currency": str("EUR"), "created": nval(b, "1772366400"), "lines": item.NewList(lines), "note": str(strings.Repeat("text ", 30)),
		"tags": set(b, item.TypeStringSet, str("new"), str("gift")), "version": nval(b, "3"), "address": item.NewMap(item.Item{"city": str("Berlin")}),
	}
}

// counter is the smallest useful item.
func counter(b *testing.B) item.Item {
	return item.Item{"pk": str("page#index"), "count": nval(b, "123456")}
}

func benchItems(b *testing.B, run func(b *testing.B, it item.Item)) {
	for name, it := range map[string]item.Item{"counter": counter(b), "order": order(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, it)
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	benchItems(b, func(b *testing.B, it item.Item) {
		data := item.Append(nil, it)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := item.Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeSome(b *testing.B) {
	benchItems(b, func(b *testing.B, it item.Item) {
		data := item.Append(nil, it)
		for b.Loop() {
			if _, err := item.DecodeSome(data, "pk", "version"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSizeOf(b *testing.B) {
	benchItems(b, func(b *testing.B, it item.Item) {
		data := item.Append(nil, it)
		for b.Loop() {
			if n, err := item.SizeOf(data); err != nil || n == 0 {
				b.Fatal(n, err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	benchItems(b, func(b *testing.B, it item.Item) {
		var dst []byte
		for b.Loop() {
			dst = item.Append(dst[:0], it)
		}
	})
}

// BenchmarkDeflated is the price of the rare item that does not fit plainly.
func BenchmarkDeflated(b *testing.B) {
	it := item.Item{}
	for i := range 58_500 {
		it[fmt.Sprintf("%07x", i*2654435761%(1<<28))] = str("")
	}
	data := item.Append(nil, it)
	if data[0] != 2 {
		b.Fatalf("version %d, want 2", data[0])
	}
	b.Run("Append", func(b *testing.B) {
		for b.Loop() {
			data = item.Append(data[:0], it)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := item.Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkKeys(b *testing.B) {
	s, n := str("customer#01HV3Z6J7Q"), nval(b, "1772366400.123")
	key := make([]byte, 0, 64)
	b.Run("KeyHash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			item.KeyHash(s)
		}
	})
	b.Run("AppendKey", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			key = item.AppendKey(item.AppendKey(key[:0], s), n)
		}
	})
}

func BenchmarkNumber(b *testing.B) {
	count, one, price, fee, rate := item.Int(123456), item.Int(1), num(b, "119.94"), num(b, "0.5"), num(b, "1234567890.12345678901234567890")
	b.Run("Add/counter", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := count.Add(one); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Add/price", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := price.Add(fee); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Add/exact", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := price.Add(rate); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, s := range []string{"7", "1772366400", "1234567890.12345678901234567890"} {
		n := num(b, s)
		b.Run(fmt.Sprintf("Parse/%d", len(s)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := item.ParseNumber(s); err != nil {
					b.Fatal(err)
				}
			}
		})
		var text []byte
		b.Run(fmt.Sprintf("AppendText/%d", len(s)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text = n.AppendText(text[:0])
			}
		})
	}
}
