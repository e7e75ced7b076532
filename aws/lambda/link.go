package lambda

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
)

// CodePath is where CodeHandler must be mounted; requests for what is below it go there. The catalog's keys of archives
// begin with its last part.
const CodePath = "/_rouse/code/"

const (
	linkRoot = "/_rouse/"       // what stands before the key of an archive in a link
	linkLife = 10 * time.Minute // as long as Lambda's links
)

// link is an address at which the archive called key can be had for linkLife, by whoever has the link.
func (d *Door) link(key string) string {
	expires := strconv.FormatInt(time.Now().Add(linkLife).Unix(), 10)
	return d.cfg.BaseURL + linkRoot + key + "?expires=" + expires + "&signature=" + d.sign(key, expires)
}

// sign authenticates a link. The secret is used for nothing but what begins with these words.
func (d *Door) sign(key, expires string) string {
	h := hmac.New(sha256.New, d.cfg.Secret)
	_, _ = io.WriteString(h, "rouse code link\n"+key+"\n"+expires)
	return hex.EncodeToString(h.Sum(nil))
}

// CodeHandler serves the links of GetFunction and GetLayerVersion. It is mounted at CodePath and needs no other
// authorisation: the signature is one. What is not a valid link gets 403, without a word about what exists.
func (d *Door) CodeHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		key, ok := strings.CutPrefix(r.URL.Path, linkRoot)
		q := r.URL.Query()
		want := d.sign(key, q.Get("expires"))
		expires, err := strconv.ParseInt(q.Get("expires"), 10, 64)
		if !ok || err != nil || !hmac.Equal([]byte(want), []byte(q.Get("signature"))) {
			http.Error(w, "the signature of the link is not valid", http.StatusForbidden)
			return
		}
		if time.Now().Unix() > expires {
			http.Error(w, "the link has expired", http.StatusForbidden)
			return
		}
		body, size, err := d.catalog.OpenCode(r.Context(), key)
		if err != nil && rouse.KindOf(err) == rouse.NotFound {
			http.Error(w, "the code is gone", http.StatusNotFound)
			return
		}
		if err != nil {
			http.Error(w, "the code cannot be read", http.StatusInternalServerError)
			return
		}
		defer body.Close()
		w.Header().Set("Content-Type", "application/zip")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("Cache-Control", "private, no-store")
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, body) // what was sent cannot be taken back; the client sees a short body
		}
	})
}
