#include "textflag.h"

// The interpreter, freestanding: it is copied behind an ELF header and never called from Go. See script.go for the
// records and the memory map. R19 is the base of its memory, R20 the record at work; an SVC changes only R0.
TEXT ·code(SB),NOSPLIT|NOFRAME,$0
	MOVD $0x600000, R19
receive:
	MOVD $0x200, R1
	MOVD R1, 0x38(R19)         // msg_controllen: the kernel shrinks it with each message
	MOVD $212, R8              // recvmsg(control, header, MSG_CMSG_CLOEXEC)
	MOVD 0(R19), R0
	ADD  $0x10, R19, R1
	MOVD $0x40000000, R2
	SVC
	CMP  $0, R0
	BLE  die                   // the other end is gone: so are we, and with us our pid namespace
	ADD  $0x400, R19, R20
step:
	MOVD 0(R20), R8
	CMP  $0, R8
	BLT  pseudo
	MOVD 8(R20), R0
	MOVD 16(R20), R1
	MOVD 24(R20), R2
	MOVD 32(R20), R3
	MOVD 40(R20), R4
	MOVD 48(R20), R5
	SVC
	MOVD 56(R20), R9
	LSR  $32, R9, R10
	CBZ  R10, unkept
	MOVD R0, 0(R10)
unkept:
	CMP  $0, R0
	BGE  next
	TBNZ $0, R9, next
	MOVD R0, 8(R20)            // report {number, result, address} of the failed record, and end
	MOVD R20, 16(R20)
	MOVD $64, R8               // write(control, record, 24)
	MOVD 0(R19), R0
	MOVD R20, R1
	MOVD $24, R2
	SVC
die:
	MOVD $94, R8               // exit_group(1)
	MOVD $1, R0
	SVC
next:
	ADD  $64, R20, R20
	JMP  step
pseudo:
	CMN  $1, R8
	BEQ  receive
	MOVD 8(R20), R9
	MOVD 16(R20), R10
	CMN  $2, R8
	BEQ  load
	CMN  $3, R8
	BEQ  equal
	CMN  $4, R8
	BEQ  less
	JMP  die
load:                          // word[a1] = int32[a0]
	MOVW 0(R9), R11
	MOVD R11, 0(R10)
	JMP  next
equal:                         // if word[a0] == a1, go on at a2
	MOVD 0(R9), R11
	CMP  R10, R11
	BNE  next
	MOVD 24(R20), R20
	JMP  step
less:                          // if word[a0] < a1, go on at a2
	MOVD 0(R9), R11
	CMP  R10, R11
	BGE  next
	MOVD 24(R20), R20
	JMP  step
TEXT ·codeEnd(SB),NOSPLIT|NOFRAME,$0
	RET

// func text() (start, size uintptr)
TEXT ·text(SB),NOSPLIT,$0-16
	MOVD $·code(SB), R0
	MOVD R0, start+0(FP)
	MOVD $·codeEnd(SB), R1
	SUB  R0, R1, R1
	MOVD R1, size+8(FP)
	RET
