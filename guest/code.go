package guest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/rouse-dev/rouse"
)

// Code is what Compile made of a function's files: bytecode that one version of one runtime reads. It says nothing that
// is not in the files, for nothing of the function ran while it was made: so it fits every function with the same files.
// V8 does not look whether it is whole: whoever keeps it must.
type Code struct {
	files []codeFile
	data  []byte // of all of them, in order
}

type codeFile struct {
	Path  string `json:"path"` // below /var/task
	Bytes int    `json:"bytes"`
}

// Limits of what a compiling guest may answer, and of what another is handed.
const (
	codeFilesMax = 2000
	codeMax      = 24 << 20 // bytes, all files
)

// Empty reports whether there is nothing in it.
func (c *Code) Empty() bool { return c == nil || len(c.files) == 0 }

// Size is about what it takes of memory.
func (c *Code) Size() int { return len(c.data) + 64*len(c.files) }

// Encode is c as bytes: a uint32 LE, that many bytes of JSON about the files, and their code.
func (c *Code) Encode() []byte {
	meta, _ := json.Marshal(c.files) // texts and numbers: cannot fail
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(meta)+len(c.data)), uint32(len(meta)))
	return append(append(b, meta...), c.data...)
}

// DecodeCode reads what Encode made; it shares b's memory.
func DecodeCode(b []byte) (*Code, error) {
	bad := rouse.Errorf(rouse.Invalid, "this is no compiled code")
	if len(b) < 4 || len(b) > codeMax+codeFilesMax*1024 {
		return nil, bad
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n > int64(len(b)-4) {
		return nil, bad
	}
	c := &Code{data: b[4+n:]}
	if err := json.Unmarshal(b[4:4+n], &c.files); err != nil {
		return nil, bad
	}
	left := len(c.data)
	for _, f := range c.files {
		if !filepath.IsLocal(f.Path) || f.Bytes < 0 || f.Bytes > left {
			return nil, bad
		}
		left -= f.Bytes
	}
	if left != 0 || len(c.files) > codeFilesMax {
		return nil, bad
	}
	return c, nil
}

// add appends a file as a compiling guest sends it: a uint32 LE, that many bytes of JSON, and the code.
func (c *Code) add(b []byte) error {
	if len(b) < 4 || int64(binary.LittleEndian.Uint32(b)) > int64(len(b)-4) {
		return fmt.Errorf("%w: code without a name", errFrame)
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	var f codeFile
	if err := json.Unmarshal(b[4:n], &f); err != nil || !filepath.IsLocal(f.Path) {
		return fmt.Errorf("%w: code of %q", errFrame, f.Path)
	}
	if len(c.files) == codeFilesMax || len(c.data)+len(b)-n > codeMax {
		return fmt.Errorf("%w: more code than fits", errFrame)
	}
	f.Bytes = len(b) - n
	c.files, c.data = append(c.files, f), append(c.data, b[n:]...)
	return nil
}

// compileMessage is the payload of a 'K' frame to the guest.
type compileMessage struct {
	TaskRoot string `json:"root"`
	Handler  string `json:"handler"`
}

// Compile compiles the files that handler leads to, without running any of them. It takes Load's place: the guest can only
// be closed afterwards. What cannot be compiled is left out: whoever loads it will be told why.
func (g *Guest) Compile(ctx context.Context, handler string) (*Code, error) {
	w, ok := g.wire.(*framed)
	if !ok {
		return nil, rouse.Errorf(rouse.Unsupported, "%s has nothing to compile", g.cfg.Kind)
	}
	stop := w.heed(ctx)
	defer stop()
	msg, err := json.Marshal(compileMessage{g.host.Path(taskRoot), handler})
	if err != nil {
		return nil, fmt.Errorf("encode compile: %w", err)
	}
	c := &Code{}
	for err = sendFrame(w.conn, frameCode, msg); err == nil; {
		var kind frameKind
		var n int64
		var payload []byte
		if kind, n, err = w.frames.next(); err == nil {
			payload, err = w.frames.payload(n)
		}
		switch {
		case err != nil:
		case kind == frameReady:
			return c, nil
		case kind == frameCode:
			err = c.add(payload)
		default:
			err = fmt.Errorf("%w: %q instead of code", errFrame, byte(kind))
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, fmt.Errorf("compile: %w", err)
}

// keepMessage stands before the code in a 'C' frame.
type keepMessage struct {
	TaskRoot string     `json:"root"`
	Files    []codeFile `json:"files"`
}

// hand gives compiled code to a guest that is about to load it.
func (w *framed) hand(c *Code) error {
	if c.Empty() {
		return nil
	}
	meta, err := json.Marshal(keepMessage{w.g.host.Path(taskRoot), c.files})
	if err != nil {
		return fmt.Errorf("encode code: %w", err)
	}
	return sendFrame(w.conn, frameKeep, binary.LittleEndian.AppendUint32(nil, uint32(len(meta))), meta, c.data)
}
