package script

import (
	"encoding/binary"
	"fmt"
	"syscall"
)

// CallError is a call of a script that failed.
type CallError struct {
	Name  string // as given to Call
	Errno syscall.Errno
}

func (e *CallError) Error() string { return e.Name + ": " + e.Errno.Error() }

// Unwrap returns the errno.
func (e *CallError) Unwrap() error { return e.Errno }

// Failure reads an error report. ok is false when message is not one.
func (s *Script) Failure(message []byte) (err *CallError, ok bool) {
	if len(message) != failureSize {
		return nil, false
	}
	result := int64(binary.LittleEndian.Uint64(message[8:]))
	index := (int64(binary.LittleEndian.Uint64(message[16:])) - recordsAt) / recordSize
	name := fmt.Sprintf("record %d", index)
	if index >= 0 && index < int64(len(s.recs)) {
		name = s.recs[index].name
	}
	return &CallError{name, syscall.Errno(-result)}, true
}

// Reply appends: write b to the control socket. b must not be as long as a failure report (24 bytes).
func (s *Script) Reply(writeNumber uintptr, b []byte) {
	s.Call("reply", writeNumber, Control(), b, len(b))
}

// ReplyFiles appends: send the word cells of values as the message, each eight bytes, with the descriptors beside it.
func (s *Script) ReplyFiles(sendmsgNumber uintptr, values []Var, fds []Var) {
	body := s.Data(make([]byte, 8*max(1, len(values))+8))
	for i, v := range values {
		s.Store(v, body.Add(8*i))
	}
	length := 16 + 4*len(fds)
	control := make([]byte, length+16) // the last Store writes eight bytes for four
	binary.LittleEndian.PutUint64(control, uint64(length))
	binary.LittleEndian.PutUint32(control[8:], syscall.SOL_SOCKET)
	binary.LittleEndian.PutUint32(control[12:], scmRights)
	c := s.Data(control)
	for i, v := range fds {
		s.Store(v, c.Add(16+4*i))
	}
	iov := s.Words(body, 8*max(1, len(values)))
	hdr := s.Words(nil, nil, iov, 1, c, (length+7)&^7, nil)
	s.Call("reply with files", sendmsgNumber, Control(), hdr, 0)
}

const scmRights = 1 // SCM_RIGHTS
