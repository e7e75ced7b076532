//go:build linux && (amd64 || arm64)

package script

// text gives the address and size of the interpreter's machine code. On amd64 and arm64 it has no absolute address of
// its own, so a copy runs wherever it is put.
func text() (start, size uintptr)
