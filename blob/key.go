package blob

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SegmentMax is how many bytes a segment of a key may take as a file name: what file systems allow, less the mark.
const SegmentMax = 254

// blobMark ends the names of files, so that "a" and "a/b" can both be blobs. escape never writes it.
const blobMark = "~"

// file is where the blob of key lies, relative to the folder.
func file(key string) (string, error) {
	if len(key) == 0 || len(key) > KeyMax || !utf8.ValidString(key) {
		return "", fmt.Errorf("%w: %.64q: want 1 to %d bytes of UTF-8", ErrKey, key, KeyMax)
	}
	segments := strings.Split(key, "/")
	for i, s := range segments {
		if s == "" || s == "." || s == ".." || strings.ContainsFunc(s, unicode.IsControl) {
			return "", fmt.Errorf("%w: %.64q: segment %.32q", ErrKey, key, s)
		}
		segments[i] = escape(s)
		if len(segments[i]) > SegmentMax {
			return "", fmt.Errorf("%w: %.64q: segment %.32q… is too long", ErrKey, key, s)
		}
	}
	return path.Join(segments...) + blobMark, nil
}

// escape makes a segment a file name. What could mean something to a file system is written as %xx: upper case, so that
// names that differ by case stay apart, a leading dot, and everything but the plainest characters.
func escape(segment string) string {
	var b strings.Builder
	for i := range len(segment) {
		switch c := segment[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// unescape is the segment that escape made name of; ok is false for names that it does not make.
func unescape(name string) (segment string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+3 > len(name) {
			return "", false
		}
		c, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	segment = b.String()
	return segment, escape(segment) == name
}
