package node

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rouse-dev/rouse/cli"
)

// The folder of a node's state.
//
//	store/      the key-value store
//	blobs/      code, layers and artifacts
//	code/       unpacked code: a cache
//	compiled/   what was compiled of it: a cache
//	runtime/    bootstraps and added interpreters
//	seal.key    what seals secrets in the store; without it they are lost
//	node.json   how the running node is reached
const (
	storeFolder   = "store"
	blobFolder    = "blobs"
	codeFolder    = "code"
	compileFolder = "compiled"
	runtimeFolder = "runtime"
	sandboxFolder = "sandbox"
	sealFile      = "seal.key"
)

const sealBytes = 32

// sealKey reads the key that seals secrets, or makes it at first start.
func sealKey(data string) ([]byte, error) {
	file := filepath.Join(data, sealFile)
	b, err := os.ReadFile(file)
	if err == nil {
		if len(b) != sealBytes {
			return nil, fmt.Errorf("%s has %d bytes, want %d: it is not a seal key of Rouse", file, len(b), sealBytes)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(data, storeFolder)); err == nil {
		return nil, fmt.Errorf("%s is missing and the store beside it exists: its secrets cannot be read without it; "+
			"bring it back from a backup, or start anew with `rouse reset`", file)
	}
	key := make([]byte, sealBytes)
	_, _ = rand.Read(key) // never fails
	return key, writeSynced(file, key)
}

// writeSynced writes a small file so that it is there, whole, after a crash.
func writeSynced(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// writeNodeFile says how the node is reached. It tells clients where to look and nothing secret.
func (n *Node) writeNodeFile() error {
	info := cli.NodeInfo{URL: n.url, PID: os.Getpid(), Mode: n.mode(), Region: n.cfg.Region, Account: n.cfg.Account, Version: Version()}
	if n.cfg.Dev && n.cfg.Plain != "off" {
		info.Plain = reachable(n.cfg.Plain)
	}
	b, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	return writeSynced(filepath.Join(n.cfg.Data, cli.NodeFile), append(b, '\n'))
}

func (n *Node) mode() string {
	if n.cfg.Dev {
		return "dev"
	}
	return "serve"
}
