package runtimes

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

const (
	codeFilesMax = 200_000  // files that CheckCode looks at; a function of that many is not checked further
	nativeMax    = 64 << 20 // bytes of a native module that are searched
	namedMax     = 5        // files that an error names
)

var (
	pythonTag = regexp.MustCompile(`\.cpython-3(\d+)[a-z]*[-.]`)
	nodeMark  = regexp.MustCompile(`node_register_module_v(\d+)`)
)

// nodeABI is what Node.js calls NODE_MODULE_VERSION, by major version.
func nodeABI(major int) string {
	abis := map[int]string{16: "93", 17: "102", 18: "108", 19: "111", 20: "115", 21: "120", 22: "127", 23: "131",
		24: "137", 25: "141"}
	return abis[major]
}

// CheckCode refuses code whose native modules were built for another version or another machine than the one that it
// gets, naming the files. The error is of Kind Invalid.
func (r *Registry) CheckCode(dir string, c Choice) error {
	var wrong []string
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > codeFilesMax {
			return fs.SkipAll
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if why := r.wrongModule(path, c.Given); why != "" {
			rel, _ := filepath.Rel(dir, path)
			wrong = append(wrong, rel+" ("+why+")")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for native modules: %w", err)
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	more := ""
	if n := len(wrong) - namedMax; n > 0 {
		wrong, more = wrong[:namedMax], fmt.Sprintf(" and %d more", n)
	}
	return rouse.Errorf(rouse.Invalid, "native modules do not fit %s %s, which %s gets on this machine: %s%s",
		display(c.Given.Kind), c.Given.Version, c.Asked, strings.Join(wrong, ", "), more)
}

// wrongModule says why a file cannot be loaded by the interpreter, or "".
func (r *Registry) wrongModule(path string, e Entry) string {
	name := filepath.Base(path)
	switch {
	case e.Kind == guest.Python && strings.HasSuffix(name, ".so"):
		if m := pythonTag.FindStringSubmatch(name); m != nil {
			if have := parseVersion(e.Version)[1]; m[1] != strconv.Itoa(have) {
				return "built for Python 3." + m[1]
			}
		}
		return r.wrongMachine(path)
	case e.Kind == guest.Node && strings.HasSuffix(name, ".node"):
		if strings.Contains(filepath.ToSlash(path), "/prebuilds/") {
			return "" // one of many, of which its loader takes the one that fits
		}
		if why := r.wrongMachine(path); why != "" {
			return why
		}
		want := nodeABI(parseVersion(e.Version)[0])
		if abi := moduleABI(path); abi != "" && want != "" && abi != want {
			return "built for Node.js ABI " + abi + ", this is " + want
		}
	}
	return ""
}

// moduleABI is the ABI that a module registers itself for; "" for modules of Node-API, which fit all.
func moduleABI(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, nativeMax))
	if err != nil {
		return ""
	}
	if m := nodeMark.FindSubmatch(b); m != nil && !bytes.Contains(b, []byte("napi_register_module_v")) {
		return string(m[1])
	}
	return ""
}

// wrongMachine says for which other machine a module was built, or "".
func (r *Registry) wrongMachine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		return ""
	}
	switch {
	case bytes.HasPrefix(magic[:], []byte("MZ")):
		return "built for Windows"
	case magic == [4]byte{0xcf, 0xfa, 0xed, 0xfe} || magic == [4]byte{0xca, 0xfe, 0xba, 0xbe}:
		if r.cfg.OS != "darwin" {
			return "built for macOS"
		}
		return ""
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return "" // nothing that anybody could load by mistake
	}
	machines := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}
	switch arch := machines[e.Machine]; {
	case r.cfg.OS != "linux":
		return "built for Linux"
	case arch == "":
		return "built for " + e.Machine.String()
	case arch != r.cfg.Arch:
		return "built for linux/" + arch
	}
	return ""
}
