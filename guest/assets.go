package guest

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed node/*.cjs node/*.mjs python/*.py
var assets embed.FS

// Install writes the bootstraps to dir, which the host then shows at /var/runtime. It is safe to call again, and beside
// running guests: a file that changed is replaced whole, one that did not is left alone.
func Install(dir string) error {
	return fs.WalkDir(assets, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		if err := install(to, b); err != nil {
			return fmt.Errorf("install bootstrap: %w", err)
		}
		return nil
	})
}

func install(to string, b []byte) error {
	if old, err := os.ReadFile(to); err == nil && string(old) == string(b) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil { // guests run as other users
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}
