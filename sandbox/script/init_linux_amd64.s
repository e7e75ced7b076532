#include "textflag.h"

// The interpreter, freestanding: it is copied behind an ELF header and never called from Go. See script.go for the
// records and the memory map. R12 is the base of its memory, BX the record at work. Linux keeps both over a SYSCALL.
TEXT ·code(SB),NOSPLIT|NOFRAME,$0
	MOVL $0x600000, R12
receive:
	MOVQ $0x200, 0x38(R12)     // msg_controllen: the kernel shrinks it with each message
	MOVL $47, AX               // recvmsg(control, header, MSG_CMSG_CLOEXEC)
	MOVQ 0(R12), DI
	LEAQ 0x10(R12), SI
	MOVL $0x40000000, DX
	SYSCALL
	TESTQ AX, AX
	JLE  die                   // the other end is gone: so are we, and with us our pid namespace
	LEAQ 0x400(R12), BX
step:
	MOVQ 0(BX), AX
	TESTQ AX, AX
	JLT  pseudo
	MOVQ 8(BX), DI
	MOVQ 16(BX), SI
	MOVQ 24(BX), DX
	MOVQ 32(BX), R10
	MOVQ 40(BX), R8
	MOVQ 48(BX), R9
	SYSCALL
	MOVQ 56(BX), CX
	MOVQ CX, DX
	SHRQ $32, DX
	JEQ  unkept
	MOVQ AX, 0(DX)
unkept:
	TESTQ AX, AX
	JGE  next
	TESTQ $1, CX
	JNE  next
	MOVQ AX, 8(BX)             // report {number, result, address} of the failed record, and end
	MOVQ BX, 16(BX)
	MOVL $1, AX                // write(control, record, 24)
	MOVQ 0(R12), DI
	MOVQ BX, SI
	MOVL $24, DX
	SYSCALL
die:
	MOVL $231, AX              // exit_group(1)
	MOVL $1, DI
	SYSCALL
next:
	ADDQ $64, BX
	JMP  step
pseudo:
	CMPQ AX, $-1
	JEQ  receive
	MOVQ 8(BX), DI
	MOVQ 16(BX), SI
	CMPQ AX, $-2
	JEQ  load
	CMPQ AX, $-3
	JEQ  equal
	CMPQ AX, $-4
	JEQ  less
	JMP  die
load:                          // word[a1] = int32[a0]
	MOVLQSX 0(DI), CX
	MOVQ CX, 0(SI)
	JMP  next
equal:                         // if word[a0] == a1, go on at a2
	CMPQ SI, 0(DI)
	JNE  next
	MOVQ 24(BX), BX
	JMP  step
less:                          // if word[a0] < a1, go on at a2
	MOVQ 0(DI), CX
	CMPQ CX, SI
	JGE  next
	MOVQ 24(BX), BX
	JMP  step
TEXT ·codeEnd(SB),NOSPLIT|NOFRAME,$0
	RET

// func text() (start, size uintptr)
TEXT ·text(SB),NOSPLIT,$0-16
	LEAQ ·code(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·codeEnd(SB), CX
	SUBQ AX, CX
	MOVQ CX, size+8(FP)
	RET
