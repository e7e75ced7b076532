package item

// Limits of a Number.
const (
	digitsMax   = 38   // significant decimal digits
	exponentMax = 125  // of the first significant digit
	exponentMin = -130 // of the first significant digit
)

// DynamoDB's texts about numbers.
const (
	textNotNumeric = "The parameter cannot be converted to a numeric value"
	textTooPrecise = "Attempting to store more than 38 significant digits in a Number"
	textOverflow   = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	textUnderflow  = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
)

// Number is an exact decimal number of up to 38 significant digits. It is immutable; its zero value is zero. Numbers of
// equal value are ==.
type Number struct {
	form string // as the package page draws it; zero is ""
}

// Int is the number i.
func Int(i int64) Number {
	d := whole(i, 0)
	return d.number()
}

// Int64 is the number as an integer; false when it has a fraction or does not fit.
func (n Number) Int64() (int64, bool) {
	if n.form == "" {
		return 0, true
	}
	d := n.digits()
	if d.exp > 10 || d.n > d.exp {
		return 0, false
	}
	var u uint64
	for i := range d.exp {
		var x uint64
		if i < d.n {
			x = uint64(d.d[i])
		}
		if u > (1<<63)/100 {
			return 0, false
		}
		u = u*100 + x
	}
	if d.neg {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}

// bytes is the form, with a zero's one byte.
func (n Number) bytes() string {
	if n.form == "" {
		return zeroForm
	}
	return n.form
}

// ParseNumber reads a number as DynamoDB accepts it: an optional sign, decimal digits with an optional point, an
// optional exponent. Errors carry DynamoDB's texts.
func ParseNumber(s string) (Number, error) {
	if s == "" {
		return Number{}, invalid(textNotNumeric)
	}
	p := scanner{s: s}
	if !p.scan() {
		return Number{}, invalid(textNotNumeric + ": " + s)
	}
	switch {
	case p.n == 0:
		return Number{}, nil
	case p.exp > exponentMax:
		return Number{}, invalid(textOverflow)
	case p.exp < exponentMin:
		return Number{}, invalid(textUnderflow)
	case p.n > digitsMax:
		return Number{}, invalid(textTooPrecise)
	}
	d := p.digits()
	return d.number(), nil
}

// scanner reads the text of a number.
type scanner struct {
	s   string
	neg bool
	exp int             // of the first significant digit
	n   int             // significant digits; beyond digitsMax they are counted and not kept
	d   [digitsMax]byte // the significant digits, 0…9
}

// scan reads all of s and reports whether it is a number.
func (p *scanner) scan() bool {
	s := p.s
	if s[0] == '-' || s[0] == '+' {
		p.neg = s[0] == '-'
		s = s[1:]
	}
	i, seen, point, zeros := 0, false, false, 0
	whole := 0 // digits before the point, from the first significant one on; negative: zeros after the point before it
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		seen = true
		switch {
		case c != '0':
			p.keep(c-'0', zeros)
			zeros = 0
		case p.n > 0:
			zeros++ // significant only if another digit follows
		case point:
			whole--
		}
		if !point && p.n > 0 {
			whole++
		}
	}
	if !seen {
		return false
	}
	e, ok := exponent(s[i:])
	p.exp = whole - 1 + e
	return ok
}

// keep adds a digit after so many zeros.
func (p *scanner) keep(c byte, zeros int) {
	p.n += zeros
	if p.n < digitsMax {
		p.d[p.n] = c
	}
	p.n++
}

// exponent reads "" or an exponent. Beyond any number's it stays at a million, which no count of digits that fits into
// a request brings back.
func exponent(s string) (int, bool) {
	const far = 1 << 40
	if s == "" {
		return 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if s == "" {
		return 0, false
	}
	e := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		e = min(e*10+int(s[i]-'0'), far)
	}
	if neg {
		e = -e
	}
	return e, true
}

// digits pairs the decimal digits so that the exponent is even.
func (p *scanner) digits() digits {
	d := digits{neg: p.neg}
	at := 0 // place of the first digit: 1 in the lower half of a pair
	if p.exp&1 == 0 {
		at = 1
	}
	d.exp = (p.exp + 1 + at) / 2
	for _, c := range p.d[:p.n] {
		if at&1 == 0 {
			c *= 10
		}
		d.d[at/2] += c
		at++
	}
	d.n = (at + 1) / 2
	return d
}

// String writes the number as DynamoDB answers: plain notation, no zeros at the end of a fraction, no sign on zero.
func (n Number) String() string {
	var b [exponentMax - exponentMin + 4]byte
	return string(n.AppendText(b[:0]))
}

// AppendText appends what String returns.
func (n Number) AppendText(b []byte) []byte {
	d := n.digits()
	if d.n == 0 {
		return append(b, '0')
	}
	if d.neg {
		b = append(b, '-')
	}
	if d.exp <= 0 {
		b = append(b, "0."...)
		for range -d.exp {
			b = append(b, "00"...)
		}
	}
	for i, x := range d.d[:d.n] {
		if i == d.exp && i > 0 {
			b = append(b, '.')
		}
		if x >= 10 || i > 0 || d.exp <= 0 {
			b = append(b, '0'+x/10)
		}
		b = append(b, '0'+x%10)
	}
	if d.n > d.exp { // a fraction, whose last pair may end in zero
		if b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
		return b
	}
	for range d.exp - d.n {
		b = append(b, "00"...)
	}
	return b
}
