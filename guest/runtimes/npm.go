package runtimes

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Limits on what a registry answers.
const (
	metadataMax = 64 << 20  // bytes of a package's list of versions
	tarballMax  = 256 << 20 // bytes of a package, packed
	unpackedMax = 1 << 30   // bytes of a package, unpacked
	entriesMax  = 50_000    // files of a package
)

// distribution is where a version of a package is, and what it must be.
type distribution struct {
	Version   string
	Tarball   string
	Integrity string // "sha512-…"
}

// versions asks the registry for a package's versions.
func (r *Registry) versions(ctx context.Context, name string) ([]distribution, error) {
	body, err := r.get(ctx, r.cfg.Registry+"/"+url.PathEscape(name), "application/vnd.npm.install-v1+json", metadataMax)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var m struct {
		Versions map[string]struct {
			Dist struct {
				Tarball   string `json:"tarball"`
				Integrity string `json:"integrity"`
			} `json:"dist"`
		} `json:"versions"`
	}
	if err := json.NewDecoder(body).Decode(&m); err != nil {
		return nil, fmt.Errorf("read the versions of %s: %w", name, err)
	}
	var list []distribution
	for v, d := range m.Versions {
		list = append(list, distribution{Version: v, Tarball: d.Dist.Tarball, Integrity: d.Dist.Integrity})
	}
	return list, nil
}

// get asks for a document of at most limit bytes.
func (r *Registry) get(ctx context.Context, from, accept string, limit int64) (io.ReadCloser, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if accept != "" {
		q.Header.Set("Accept", accept)
	}
	res, err := r.cfg.HTTP.Do(q)
	if err != nil {
		return nil, rouse.Errorf(rouse.Unavailable, "fetch: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return &limited{ReadCloser: res.Body, left: limit}, nil
	case http.StatusNotFound:
		res.Body.Close()
		return nil, rouse.Errorf(rouse.NotFound, "%s is not there", from)
	}
	res.Body.Close()
	return nil, rouse.Errorf(rouse.Unavailable, "fetch %s: %s", from, res.Status)
}

// limited fails instead of ending early, so that a cut document is not taken for a whole one.
type limited struct {
	io.ReadCloser
	left int64
}

var errTooLarge = errors.New("more than it may have")

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// fetch downloads a package to a temporary file in dir and verifies it. The caller closes and removes the file.
func (r *Registry) fetch(ctx context.Context, d distribution, dir string) (*os.File, error) {
	want, err := integrity(d.Integrity)
	if err != nil {
		return nil, err
	}
	from, err := r.mirrored(d.Tarball)
	if err != nil {
		return nil, err
	}
	body, err := r.get(ctx, from, "", tarballMax)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	f, err := os.CreateTemp(dir, "package-*.tgz")
	if err != nil {
		return nil, err
	}
	sum := sha512.New()
	if _, err = io.Copy(io.MultiWriter(f, sum), body); err == nil && subtle.ConstantTimeCompare(sum.Sum(nil), want) != 1 {
		err = rouse.Errorf(rouse.Invalid, "its sha512 is not the one that is expected")
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return nil, fmt.Errorf("fetch %s: %w", from, err)
	}
	return f, nil
}

// integrity reads "sha512-BASE64"; weaker sums are refused.
func integrity(s string) ([]byte, error) {
	for _, one := range strings.Fields(s) {
		if enc, ok := strings.CutPrefix(one, "sha512-"); ok {
			if b, err := base64.StdEncoding.DecodeString(enc); err == nil && len(b) == sha512.Size {
				return b, nil
			}
		}
	}
	return nil, rouse.Errorf(rouse.Invalid, "the package has no sha512 integrity")
}

// mirrored moves an address of the public registry to the configured one, as npm does.
func (r *Registry) mirrored(tarball string) (string, error) {
	u, err := url.Parse(tarball)
	if err != nil || u.Host == "" {
		return "", rouse.Errorf(rouse.Invalid, "%q is not the address of a package", tarball)
	}
	if rest, ok := strings.CutPrefix(tarball, DefaultRegistry+"/"); ok {
		return r.cfg.Registry + "/" + rest, nil
	}
	base, err := url.Parse(r.cfg.Registry)
	if err != nil || u.Scheme != base.Scheme || u.Host != base.Host {
		return "", rouse.Errorf(rouse.Invalid, "%s is not on the registry %s", tarball, r.cfg.Registry)
	}
	return tarball, nil
}

// unpack writes the files of a package below dir, those that keep accepts. Links and paths that lead out are refused.
func unpack(tgz io.Reader, dir string, keep func(name string) bool) error {
	z, err := gzip.NewReader(tgz)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	t := tar.NewReader(&limited{ReadCloser: z, left: unpackedMax})
	for n := 0; ; n++ {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if n >= entriesMax {
			return rouse.Errorf(rouse.Invalid, "unpack: more than %d files", entriesMax)
		}
		_, name, inside := strings.Cut(h.Name, "/") // packages have one folder, usually called package
		if h.Typeflag != tar.TypeReg || !inside || !keep(name) {
			continue
		}
		if !filepath.IsLocal(name) || path.Clean(name) != name {
			return rouse.Errorf(rouse.Invalid, "unpack: %q leads out of the package", h.Name)
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), t, h.FileInfo().Mode()); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

func writeFile(to string, from io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	perm := os.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
