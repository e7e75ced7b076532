package guest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// frameKind is the fifth byte of a frame; see the package page.
type frameKind byte

const (
	frameInit   frameKind = 'I'
	frameEvent  frameKind = 'E'
	frameUp     frameKind = 'U'
	frameReady  frameKind = 'R'
	frameFailed frameKind = 'F'
	frameResult frameKind = 'O'
	frameHead   frameKind = 'H'
	frameData   frameKind = 'D'
	frameEnd    frameKind = 'Z'
	frameError  frameKind = 'X'
	frameFatal  frameKind = 'Q'
	frameCode   frameKind = 'K'
	frameKeep   frameKind = 'C'
)

const (
	frameHeader  = 5
	frameBuffer  = 64 << 10 // read at once; a result of at most this size is passed on without a copy
	smallMax     = 1 << 20  // bytes of a frame that is kept whole: head, error, up
	discardedMax = 1 << 30  // bytes of a too large result that are read past; beyond it the guest is broken
)

// errFrame is what a guest that does not speak the protocol answers with.
var errFrame = errors.New("guest: broken frame")

// frameReader reads frames from the guest's socket.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, frameBuffer)}
}

// next reads a frame's header. Its payload, n bytes, has to be taken with payload or pass before the next one.
func (f *frameReader) next() (kind frameKind, n int64, err error) {
	h, err := f.r.Peek(frameHeader)
	if err != nil {
		if errors.Is(err, io.EOF) && len(h) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	kind, n = frameKind(h[4]), int64(binary.LittleEndian.Uint32(h))
	_, _ = f.r.Discard(frameHeader)
	switch kind {
	case frameUp, frameReady, frameFailed, frameHead, frameError, frameFatal, frameEnd:
		if n > smallMax {
			return 0, 0, fmt.Errorf("%w: %d bytes of kind %q", errFrame, n, byte(kind))
		}
	case frameCode:
		if n > codeMax {
			return 0, 0, fmt.Errorf("%w: %d bytes of kind %q", errFrame, n, byte(kind))
		}
	case frameResult, frameData:
		if n > discardedMax {
			return 0, 0, fmt.Errorf("%w: %d bytes of kind %q", errFrame, n, byte(kind))
		}
	default:
		return 0, 0, fmt.Errorf("%w: unknown kind %q", errFrame, byte(kind))
	}
	return kind, n, nil
}

// payload reads a small frame whole.
func (f *frameReader) payload(n int64) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(f.r, b)
	return b, noEOF(err)
}

// pass hands n bytes to write in pieces that live until it returns.
func (f *frameReader) pass(n int64, write func([]byte)) error {
	return pass(f.r, n, frameBuffer, write)
}

// pass hands n bytes of r to write in pieces of at most piece bytes, which r's buffer has to hold.
func pass(r *bufio.Reader, n, piece int64, write func([]byte)) error {
	for n > 0 {
		b, err := r.Peek(int(min(n, piece)))
		if err != nil {
			return noEOF(err)
		}
		write(b)
		_, _ = r.Discard(len(b))
		n -= int64(len(b))
	}
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sendFrame writes a frame whose payload is the concatenation of parts, with one writev.
func sendFrame(c net.Conn, kind frameKind, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	var h [frameHeader]byte
	binary.LittleEndian.PutUint32(h[:], uint32(n))
	h[4] = byte(kind)
	bufs := make(net.Buffers, 0, len(parts)+1)
	bufs = append(bufs, h[:])
	bufs = append(bufs, parts...)
	_, err := bufs.WriteTo(c)
	return err
}
