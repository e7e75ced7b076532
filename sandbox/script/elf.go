//go:build linux && (amd64 || arm64)

package script

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"unsafe"
)

const (
	textBase  = 0x400000
	pageSize  = 0x10000 // the largest page of arm64; segments must not share one
	headSize  = 64
	phSize    = 56
	memHeader = 0x400
)

// ELF is the interpreter as a program: a header, the code, and the first KiB of its memory.
func ELF() []byte {
	start, size := text()
	code := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&start))), size)
	textSize := uint64(headSize+3*phSize) + uint64(size)
	machine := uint16(62) // EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = 183 // EM_AARCH64
	}
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	put([]uint16{2, machine})
	put(uint32(1))
	put([]uint64{textBase + headSize + 3*phSize, headSize, 0})
	put(uint32(0))
	put([]uint16{headSize, phSize, 3, 0, 0, 0})
	segment := func(typ, flags uint32, off, addr, fileSize, memSize, align uint64) {
		put([]uint32{typ, flags})
		put([]uint64{off, addr, addr, fileSize, memSize, align})
	}
	segment(1, 5, 0, textBase, textSize, textSize, pageSize)       // PT_LOAD, read and execute
	segment(1, 6, pageSize, Base, memHeader, memorySize, pageSize) // PT_LOAD, read and write
	segment(0x6474e551, 6, 0, 0, 0, 0, 16)                         // PT_GNU_STACK, not executable
	b.Write(code)
	b.Write(make([]byte, pageSize-b.Len()))
	b.Write(memory())
	return b.Bytes()
}

// memory is what the block at Base holds at first.
func memory() []byte {
	m := make([]byte, memHeader)
	word := func(off int, v uint64) { binary.LittleEndian.PutUint64(m[off:], v) }
	word(0x00, 3)          // control
	word(0x20, Base+0x50)  // msg_iov
	word(0x28, 1)          // msg_iovlen
	word(0x30, Base+0x100) // msg_control
	word(0x50, recordsAt)  // iov_base
	word(0x58, SizeMax)    // iov_len
	return m
}
