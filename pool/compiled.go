package pool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/guest"
	"github.com/rouse-dev/rouse/sandbox"
)

// Functions are compiled in sandboxes of their own, which have no network and run nothing of the function: so what comes
// out depends on the files and the runtime alone, is kept under a hash of both, and is right for every function that has the
// same. No function can have a say in what another one, or its own next version, runs. A file that is damaged is not used.

const (
	compileLeast   = 4 << 10 // bytes of an archive: what is smaller is compiled faster than it is read
	compileMemory  = 512     // MiB
	compiledMax    = 512 << 20
	compiledShort  = 64 << 20 // bytes kept in memory
	compiledFormat = "1"
)

// compiledKey names what compile makes for a version.
func compiledKey(v *catalog.Version, rt Runtime) string {
	parts := []string{compiledFormat, rt.Kind.String(), rt.Interpreter.Version, rt.Interpreter.Path, v.CodeSHA256, v.Handler}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// compilable reports whether it is worth while.
func (m *Maker) compilable(v *catalog.Version, rt Runtime) bool {
	return m.Compiled != "" && v.CodeSHA256 != "" && v.CodeSize >= compileLeast && m.bootable(v, rt)
}

// compiled is what was made for a version; nil when there is nothing.
func (m *Maker) compiled(v *catalog.Version, rt Runtime) *guest.Code {
	if !m.compilable(v, rt) {
		return nil
	}
	key := compiledKey(v, rt)
	m.mu.Lock()
	c, ok := m.codes[key]
	m.mu.Unlock()
	if ok {
		return c
	}
	c, err := m.readCompiled(key)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.Logger.Warn("read compiled code", "fn", v.ARN.String(), "err", err)
		}
		return nil
	}
	m.keepCompiled(key, c)
	return c
}

// keepCompiled remembers code, within bounds.
func (m *Maker) keepCompiled(key string, c *guest.Code) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.codes == nil {
		m.codes = map[string]*guest.Code{}
	}
	if old, ok := m.codes[key]; ok {
		m.codesBytes -= old.Size()
	}
	for k, old := range m.codes { // in no order: what is still needed comes back
		if m.codesBytes+c.Size() <= compiledShort {
			break
		}
		m.codesBytes -= old.Size()
		delete(m.codes, k)
	}
	m.codes[key] = c
	m.codesBytes += c.Size()
}

// compile makes the code of a version, unless it is there.
func (m *Maker) compile(ctx context.Context, v *catalog.Version, rt Runtime, task string) {
	if !m.compilable(v, rt) || m.compiled(v, rt) != nil {
		return
	}
	key := compiledKey(v, rt)
	c, err := m.compileIn(ctx, rt, task, v.Handler)
	if err == nil {
		m.keepCompiled(key, c)
		err = m.writeCompiled(key, c)
	} else if ctx.Err() == nil {
		m.keepCompiled(key, &guest.Code{}) // it would fail again
	}
	if err != nil {
		m.Logger.Warn("compile code", "fn", v.ARN.String(), "err", err)
	}
}

// compileIn compiles the files of a folder in a sandbox of its own.
func (m *Maker) compileIn(ctx context.Context, rt Runtime, task, handler string) (*guest.Code, error) {
	limits := limitsOf(compileMemory, 0)
	limits.Share = refillShare
	box, err := m.Driver.Create(ctx, sandbox.Spec{Image: rt.Image, Limits: limits})
	if err != nil {
		return nil, err
	}
	s := &spare{box: box, lines: &relay{}}
	defer s.end()
	if err := box.Mount(task, sandbox.MountTask); err != nil {
		return nil, err
	}
	if err := m.boot(ctx, s, guest.Config{MemoryMB: compileMemory}, rt); err != nil {
		return nil, err
	}
	return s.guest.Compile(ctx, handler)
}

// readCompiled reads a file: the SHA-256 of the rest, and the rest.
func (m *Maker) readCompiled(key string) (*guest.Code, error) {
	b, err := os.ReadFile(filepath.Join(m.Compiled, key))
	if err != nil {
		return nil, err
	}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b[:sha256.Size]) {
		return nil, errors.Join(fmt.Errorf("%s is damaged", key), os.Remove(filepath.Join(m.Compiled, key)))
	}
	return guest.DecodeCode(b[sha256.Size:])
}

// writeCompiled writes one, whole or not at all, and removes the oldest beyond what may be kept.
func (m *Maker) writeCompiled(key string, c *guest.Code) error {
	if err := os.MkdirAll(m.Compiled, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(m.Compiled, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := c.Encode()
	sum := sha256.Sum256(b)
	_, err = f.Write(append(sum[:], b...))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(m.Compiled, key)); err != nil {
		return err
	}
	return m.trimCompiled()
}

func (m *Maker) trimCompiled() error {
	type file struct {
		name string
		size int64
		at   time.Time
	}
	entries, err := os.ReadDir(m.Compiled)
	if err != nil {
		return err
	}
	var list []file
	var total int64
	for _, e := range entries {
		if st, err := e.Info(); err == nil {
			list = append(list, file{e.Name(), st.Size(), st.ModTime()})
			total += st.Size()
		}
	}
	slices.SortFunc(list, func(a, b file) int { return a.at.Compare(b.at) })
	for _, f := range list {
		if total <= compiledMax {
			break
		}
		if err := os.Remove(filepath.Join(m.Compiled, f.name)); err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}
