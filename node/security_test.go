package node_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDataFolderIsPrivate: a folder that was there before, open to all, is not left so.
func TestDataFolderIsPrivate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	openAs(t, true, settings(data), nil)
	if st, err := os.Stat(data); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the data folder: got %v, %v, want 0700", st.Mode(), err)
	}
}
