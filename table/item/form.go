package item

// The parts of a form; the package page draws it.
const (
	pairsMax = 20 // base-100 digits: 38 decimal digits that begin with half a pair
	formMax  = pairsMax + 1
	formZero = 0x80
	formBias = 0xC0 // added to the exponent of a positive number
	formEnd  = 102  // ends a negative form, so that the shorter, nearer to zero, sorts last
	zeroForm = "\x80"

	formExpMax = 63  // 99…E+124 and 9…E+125 begin with a pair of this exponent
	formExpMin = -64 // 1E-130 does
)

// digits is a number taken apart: 0.d[0]d[1]… × 100^exp. Trimmed, neither the first nor the last digit is zero, and
// zero has none.
type digits struct {
	neg bool
	exp int
	n   int
	d   [pairsMax]byte // base 100
}

// whole is i × 100^low, trimmed.
func whole(i int64, low int) digits {
	d := digits{neg: i < 0}
	u := uint64(i)
	if d.neg {
		u = -u
	}
	var b [10]byte // an int64 has 19 decimal digits
	n := len(b)
	for ; u > 0; u /= 100 {
		n--
		b[n] = byte(u % 100)
	}
	d.exp = len(b) - n + low
	d.n = copy(d.d[:], b[n:])
	for d.n > 0 && d.d[d.n-1] == 0 {
		d.n--
	}
	return d
}

// low is the place of the last digit: the number is a multiple of 100^low.
func (d *digits) low() int { return d.exp - d.n }

// over is the number divided by 100^low, where low is at most its own and the result has at most 18 decimal digits.
func (d *digits) over(low int) int64 {
	var u int64
	for i := range d.exp - low {
		u *= 100
		if i < d.n {
			u += int64(d.d[i])
		}
	}
	if d.neg {
		return -u
	}
	return u
}

// number writes the form of trimmed digits.
func (d *digits) number() Number {
	if d.n == 0 {
		return Number{}
	}
	var b [formMax]byte
	b[0] = byte(d.exp + formBias)
	for i, x := range d.d[:d.n] {
		b[i+1] = x + 1
	}
	n := d.n + 1
	if d.neg {
		b[0] = ^b[0]
		for i, x := range d.d[:d.n] {
			b[i+1] = 101 - x
		}
		if d.n < pairsMax {
			b[n] = formEnd
			n++
		}
	}
	return Number{string(b[:n])}
}

// digits reads a valid form.
func (n Number) digits() digits {
	var d digits
	if n.form == "" {
		return d
	}
	rest := n.form[1:]
	if d.neg = n.form[0] < formZero; !d.neg {
		d.exp = int(n.form[0]) - formBias
		d.n = len(rest)
		for i := range len(rest) {
			d.d[i] = rest[i] - 1
		}
		return d
	}
	d.exp = int(^n.form[0]) - formBias
	if len(rest) <= pairsMax && rest[len(rest)-1] == formEnd {
		rest = rest[:len(rest)-1]
	}
	d.n = len(rest)
	for i := range len(rest) {
		d.d[i] = 101 - rest[i]
	}
	return d
}

// validForm reports whether b is the form of a number, as number writes it.
func validForm(b string) bool {
	if len(b) < 2 {
		return b == zeroForm
	}
	rest := b[1:]
	if b[0] < formZero {
		if len(rest) <= pairsMax {
			if rest[len(rest)-1] != formEnd {
				return len(rest) == pairsMax && validPairs(rest, 101)
			}
			rest = rest[:len(rest)-1]
		}
		return validPairs(rest, 101)
	}
	return validPairs(rest, 1)
}

// validPairs checks the digits of a form, where zero is written as zero: 1, or 101 and counting down.
func validPairs(pairs string, zero byte) bool {
	if len(pairs) == 0 || len(pairs) > pairsMax {
		return false
	}
	digit := func(i int) byte {
		if zero == 1 {
			return pairs[i] - 1
		}
		return 101 - pairs[i]
	}
	for i := range len(pairs) {
		if digit(i) > 99 {
			return false
		}
	}
	first, last := digit(0), digit(len(pairs)-1)
	n := 2 * len(pairs)
	if first < 10 {
		n--
	}
	if last%10 == 0 {
		n--
	}
	return first > 0 && last > 0 && n <= digitsMax
}
