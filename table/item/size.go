package item

// Size is the number of bytes of the item as DynamoDB counts them for its limit of 400 KB and for capacity: names and
// values.
func (it Item) Size() int {
	n := 0
	for name, v := range it {
		n += len(name) + v.Size()
	}
	return n
}

// Size is the number of bytes of the value as DynamoDB counts them, without the attribute's name: strings in UTF-8,
// a number one and another for every two digits and for a sign, null and boolean one, lists and maps three and one more
// for each element; sets add nothing to their elements.
func (v Value) Size() int {
	switch v.t {
	case TypeNull, TypeBool:
		return 1
	case TypeString, TypeBinary:
		return int(v.n)
	case TypeNumber:
		return v.numberSize()
	case TypeStringSet, TypeNumberSet, TypeBinarySet:
		n := 0
		for _, e := range v.elems() {
			n += e.Size()
		}
		return n
	case TypeList:
		n := 3
		for _, e := range v.elems() {
			n += 1 + e.Size()
		}
		return n
	case TypeMap:
		m := v.Map()
		return 3 + len(m) + m.Size()
	}
	return 0
}

// numberSize is the length of the form, whose end of a negative number counts even where 20 digits leave it out.
func (v Value) numberSize() int {
	if v.n == formMax && *(*byte)(v.p) < formZero && v.raw()[pairsMax] != formEnd {
		return formMax + 1
	}
	return int(v.n)
}
