package item

import "github.com/cockroachdb/apd/v3"

// Add is n + o, exactly. A sum that needs more than 38 digits or is too large is refused as a number overflow, as
// DynamoDB does, and one too near to zero as an underflow.
func (n Number) Add(o Number) (Number, error) { return sum(n, o, false) }

// Sub is n - o, by the rules of Add.
func (n Number) Sub(o Number) (Number, error) { return sum(n, o, true) }

// sum adds o to n, or takes it away. What fits into machine words, as counters and prices do, is added there.
func sum(n, o Number, less bool) (Number, error) {
	a, b := n.digits(), o.digits()
	if b.n == 0 {
		return n, nil
	}
	b.neg = b.neg != less
	if a.n == 0 {
		return b.number(), nil
	}
	const wordPairs = 9 // 18 decimal digits: two such numbers add up within an int64
	low := min(a.low(), b.low())
	if max(a.exp, b.exp)-low > wordPairs {
		return exactSum(a.decimal(), b.decimal())
	}
	d := whole(a.over(low)+b.over(low), low)
	switch {
	case d.n == 0:
		return Number{}, nil
	case d.exp > formExpMax:
		return Number{}, invalid(textOverflow)
	case d.exp < formExpMin:
		return Number{}, invalid(textUnderflow)
	}
	return d.number(), nil
}

// exactSum adds numbers of any distance.
func exactSum(a, b *apd.Decimal) (Number, error) {
	var exact apd.Context // of precision 0: nothing is rounded
	exact.MaxExponent, exact.MinExponent = 4*exponentMax, 4*exponentMin
	r := new(apd.Decimal)
	if _, err := exact.Add(r, a, b); err != nil {
		panic("item: the sum of " + a.String() + " and " + b.String() + ": " + err.Error())
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
func (d *digits) decimal() *apd.Decimal {
	r := &apd.Decimal{Negative: d.neg, Exponent: int32(2 * d.low())}
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
