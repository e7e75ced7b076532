// Package script is the program that prepares a sandbox from inside: a syscall interpreter of some 260 bytes, and the
// builder of the scripts that it runs.
//
// A Go program cannot make namespaces well. It is multi-threaded, so it cannot enter a user namespace at all and can
// enter the others only on threads that it throws away; and to have something run first inside a sandbox it would have
// to execute itself again: 28 ms and 6 MiB for a 30 MB binary. So the first program is generated. Its machine code
// (init_linux_*.s) is copied behind an ELF header into a memfd and started once; what it shall do comes over a socket.
// A process of it costs 12 KiB, a fork of it 80 µs.
//
// # Interpreter
//
// It owns one writable block at Base and knows nothing else:
//
//	Base + 0x000  control    the descriptor that scripts arrive on and errors leave by; 3 at first
//	Base + 0x010  msghdr     of recvmsg: script → Base+0x400, descriptors → Base+0x100
//	Base + 0x050  iovec
//	Base + 0x100  cmsghdr    16 bytes, then the received descriptors as int32
//	Base + 0x400  records    64 bytes each: number, six arguments, flags; then the script's data
//
// It receives a message, runs its records, and ends when the socket does: whoever holds the other end holds its life,
// and with it the life of the pid namespace whose first process it is.
//
//	number  >= 0   a system call. flags bit 0: errors are expected; bits 32..63: where to keep the result.
//	number    -1   receive the next script
//	number    -2   word[a1] = int32[a0]
//	number    -3   if word[a0] == a1 go on at a2
//	number    -4   if word[a0] <  a1 go on at a2
//
// A call that fails unexpectedly ends the process, after {number, result, record} went to the control socket; Failure
// reads it. The interpreter never calls anything it was not told to and has no handler, no stack and no allocator.
//
// # Builder
//
// A Script collects calls and the data they point to, and Bytes lays both out for one message. It is a value of one
// goroutine. Addresses and labels are resolved at the end; results of calls (Var) are copied into later records by the
// interpreter itself. What a script means is the business of whoever builds it (sandbox/ns).
package script

import (
	"encoding/binary"
	"fmt"
)

const (
	// Base is where the interpreter's memory begins.
	Base = 0x600000
	// SizeMax is how long a script may be, data included. It stays below the default limit of a socket message.
	SizeMax = 160 << 10
	// FilesMax is how many descriptors one message can bring.
	FilesMax = 64

	recordSize  = 64
	recordsAt   = Base + 0x400
	receivedAt  = Base + 0x110
	memorySize  = 0x400 + SizeMax
	opReceive   = -1
	opLoad      = -2
	opEqual     = -3
	opLess      = -4
	flagIgnore  = 1
	failureSize = 24
)

// Ptr is an address in the script's data.
type Ptr struct{ off int }

// Var is a cell that holds the result of a call, or a descriptor that came with the message.
type Var struct {
	data bool // off counts in the script's data; else addr is absolute
	off  int
	addr int64
}

// Label is a place in the script.
type Label struct{ n int }

// Step is one record, to be refined.
type Step struct {
	s *Script
	i int
}

type record struct {
	word [8]int64
	name string
}

// fixup is a word that depends on where the data begins or where a label is.
type fixup struct {
	data  bool // the word is in the data at index; else word slot of record index
	index int
	slot  int
	label int // -1: the value is offset off of the data
	off   int
	high  bool // the value goes to the upper half of the word
}

// Script is a program under construction. The zero value is empty and ready.
type Script struct {
	recs   []record
	data   []byte
	fixups []fixup
	labels []int
	err    error
}

// Received is the i-th descriptor that came with this script's message.
func Received(i int) Var { return Var{addr: receivedAt + 4*int64(i)} }

// Control is the descriptor that the interpreter listens on.
func Control() Var { return Var{addr: Base} }

// Call appends a system call; name appears in errors. Arguments are integers, strings (passed as C strings), byte slices
// and Ptr (passed by address; the kernel may write there), or Var (the value at run time).
func (s *Script) Call(name string, number uintptr, args ...any) Step {
	return s.add(name, int64(number), args)
}

// Ignore lets the call fail.
func (t Step) Ignore() Step {
	t.s.recs[t.i].word[7] |= flagIgnore
	return t
}

// Var keeps the call's result.
func (t Step) Var() Var {
	off := t.s.Data(make([]byte, 8)).off
	t.s.fixups = append(t.s.fixups, fixup{index: t.i, slot: 7, label: -1, off: off, high: true})
	return Var{data: true, off: off}
}

// Receive appends: wait for the next script. The descriptors of this one are forgotten, not closed.
func (s *Script) Receive() { s.add("receive", opReceive, nil) }

// SetControl makes v the control descriptor.
func (s *Script) SetControl(v Var) { s.add("set control", opLoad, []any{address{v}, int64(Base)}) }

// Store copies v, as a 64-bit word, to p.
func (s *Script) Store(v Var, p Ptr) { s.add("store", opLoad, []any{address{v}, p}) }

// NewLabel makes a label that Bind puts somewhere.
func (s *Script) NewLabel() Label {
	s.labels = append(s.labels, -1)
	return Label{len(s.labels) - 1}
}

// Bind puts l before the next record.
func (s *Script) Bind(l Label) { s.labels[l.n] = len(s.recs) }

// IfEqual goes on at l when v, a call's kept result, equals want: an integer or another Var.
func (s *Script) IfEqual(v Var, want any, l Label) {
	s.add("if equal", opEqual, []any{address{v}, want, l})
}

// IfLess goes on at l when v, a call's kept result, is below n.
func (s *Script) IfLess(v Var, n int, l Label) { s.add("if less", opLess, []any{address{v}, n, l}) }

// Jump goes on at l.
func (s *Script) Jump(l Label) { s.IfEqual(Var{data: true, off: s.Data(make([]byte, 8)).off}, 0, l) }

// Data places b, eight-byte aligned, and returns its address.
func (s *Script) Data(b []byte) Ptr {
	off := len(s.data)
	s.data = append(s.data, b...)
	for len(s.data)%8 != 0 {
		s.data = append(s.data, 0)
	}
	return Ptr{off}
}

// Str places a C string.
func (s *Script) Str(v string) Ptr {
	for i := range len(v) {
		if v[i] == 0 && s.err == nil {
			s.err = fmt.Errorf("string %q holds a zero byte", v)
		}
	}
	return s.Data(append([]byte(v), 0))
}

// Words places 64-bit words: integers, Ptr or nil.
func (s *Script) Words(words ...any) Ptr {
	p := s.Data(make([]byte, 8*len(words)))
	for i, w := range words {
		at := p.off + 8*i
		switch w := w.(type) {
		case nil:
		case Ptr:
			s.fixups = append(s.fixups, fixup{data: true, index: at, label: -1, off: w.off})
		default:
			n, ok := integer(w)
			if !ok {
				panic(fmt.Sprintf("script: no word of %T", w))
			}
			binary.LittleEndian.PutUint64(s.data[at:], uint64(n))
		}
	}
	return p
}

// Strings places a vector of C strings that ends with a null, as execve wants it.
func (s *Script) Strings(list []string) Ptr {
	words := make([]any, 0, len(list)+1)
	for _, v := range list {
		words = append(words, s.Str(v))
	}
	return s.Words(append(words, nil)...)
}

// Add returns the address n bytes beyond p.
func (p Ptr) Add(n int) Ptr { return Ptr{p.off + n} }

// address asks for where v lives instead of what it holds.
type address struct{ v Var }

func (s *Script) add(name string, number int64, args []any) Step {
	if len(args) > 6 {
		panic("script: " + name + " has more than six arguments")
	}
	r := record{name: name}
	r.word[0] = number
	var loads []any // pairs of Var and slot
	var fix []fixup
	for i, a := range args {
		slot := i + 1
		switch a := a.(type) {
		case string:
			fix = append(fix, fixup{slot: slot, label: -1, off: s.Str(a).off})
		case []byte:
			fix = append(fix, fixup{slot: slot, label: -1, off: s.Data(a).off})
		case Ptr:
			fix = append(fix, fixup{slot: slot, label: -1, off: a.off})
		case Label:
			fix = append(fix, fixup{slot: slot, label: a.n})
		case address:
			if a.v.data {
				fix = append(fix, fixup{slot: slot, label: -1, off: a.v.off})
			} else {
				r.word[slot] = a.v.addr
			}
		case Var:
			loads = append(loads, a, slot)
		default:
			n, ok := integer(a)
			if !ok {
				panic(fmt.Sprintf("script: %s: no argument of %T", name, a))
			}
			r.word[slot] = n
		}
	}
	// Each Var argument is a record of its own, before this one, that copies the value into this one's slot.
	self := len(s.recs) + len(loads)/2
	for i := 0; i < len(loads); i += 2 {
		l := s.NewLabel()
		s.labels[l.n] = self
		at := s.add("load", opLoad, []any{address{loads[i].(Var)}, l})
		s.fixups[len(s.fixups)-1].off = 8 * loads[i+1].(int)
		_ = at
	}
	for _, f := range fix {
		f.index = self
		s.fixups = append(s.fixups, f)
	}
	s.recs = append(s.recs, r)
	return Step{s, self}
}

func integer(a any) (int64, bool) {
	switch a := a.(type) {
	case int:
		return int64(a), true
	case int64:
		return a, true
	case uint64:
		return int64(a), true
	case uintptr:
		return int64(a), true
	case uint32:
		return int64(a), true
	case int32:
		return int64(a), true
	}
	return 0, false
}

// Bytes is the message. It fails when the script is too long, a string held a zero byte or a label was never bound.
func (s *Script) Bytes() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	head := recordSize * len(s.recs)
	size := head + len(s.data)
	if size > SizeMax {
		return nil, fmt.Errorf("script of %d bytes: the limit is %d", size, SizeMax)
	}
	out := make([]byte, size)
	for i, r := range s.recs {
		for j, w := range r.word {
			binary.LittleEndian.PutUint64(out[i*recordSize+8*j:], uint64(w))
		}
	}
	copy(out[head:], s.data)
	for _, f := range s.fixups {
		at := f.index*recordSize + 8*f.slot
		if f.data {
			at = head + f.index
		}
		value := uint64(recordsAt + head + f.off)
		if f.label >= 0 {
			if s.labels[f.label] < 0 {
				return nil, fmt.Errorf("record %d goes to a label that is nowhere", f.index)
			}
			value = uint64(recordsAt + s.labels[f.label]*recordSize + f.off)
		}
		if f.high {
			value = value<<32 | binary.LittleEndian.Uint64(out[at:])
		}
		binary.LittleEndian.PutUint64(out[at:], value)
	}
	return out, nil
}

// Constant is a cell that holds n.
func (s *Script) Constant(n int) Var { return Var{data: true, off: s.Words(n).off} }
