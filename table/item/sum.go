package item

import "github.com/cockroachdb/apd/v3"

// Add is n + o, exactly. A sum that needs more than 38 digits or is too large is refused as a number overflow, as
// DynamoDB does, and one too near to zero as an underflow.
func (n Number) Add(o Number) (Number, error) { return sum(n, o, false) }

// Sub is n - o, by the rules of Add.
func (n Number) Sub(o Number) (Number, error) { return sum(n, o, true) }

// sum adds o to n, or takes it away.
func sum(n, o Number, less bool) (Number, error) {
	if x, ok := n.Int64(); ok {
		if y, ok := o.Int64(); ok {
			if less {
				y = -y // of the smallest int64 it is itself; the check below finds the sign wrong
			}
			const half = 1 << 62
			if x > -half && x < half && y > -half && y < half {
				return Int(x + y), nil
			}
		}
	}
	a, b := n.decimal(), o.decimal()
	b.Negative = b.Negative != less
	var exact apd.Context // of precision 0: nothing is rounded
	exact.MaxExponent, exact.MinExponent = 2*exponentMax, 4*exponentMin
	r := new(apd.Decimal)
	if _, err := exact.Add(r, a, b); err != nil {
		return Number{}, invalid(textOverflow)
	}
	p := scanner{s: r.Text('E')}
	if !p.scan() {
		panic("item: a sum that is not a number: " + p.s)
	}
	switch {
	case p.n == 0:
		return Number{}, nil
	case p.exp < exponentMin:
		return Number{}, invalid(textUnderflow)
	case p.exp > exponentMax || p.n > digitsMax:
		return Number{}, invalid(textOverflow)
	}
	d := p.digits()
	return d.number(), nil
}

// decimal is the number for arithmetic.
func (n Number) decimal() *apd.Decimal {
	d := n.digits()
	r := &apd.Decimal{Negative: d.neg, Exponent: int32(2 * (d.exp - d.n))}
	var b [2 * pairsMax]byte
	for i, x := range d.d[:d.n] {
		b[2*i], b[2*i+1] = '0'+x/10, '0'+x%10
	}
	if d.n > 0 {
		if _, ok := r.Coeff.SetString(string(b[:2*d.n]), 10); !ok {
			panic("item: digits are not a number: " + string(b[:2*d.n]))
		}
	}
	return r
}
