package catalog

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// Modes of function URLs.
const (
	AuthNone       = "NONE"
	AuthIAM        = "AWS_IAM"
	InvokeBuffered = "BUFFERED"
	InvokeStream   = "RESPONSE_STREAM"
)

// URL is the HTTP endpoint of a function or alias. Immutable.
type URL struct {
	ID         string    // 32 characters, the first label of its host
	Function   rouse.ARN `json:"-"` // with the alias it belongs to, if any
	Qualifier  string
	AuthType   string
	InvokeMode string
	CORS       *CORS `json:",omitempty"`
	Created    time.Time
	Modified   time.Time
}

// CORS is what browsers are told.
type CORS struct {
	AllowCredentials *bool
	AllowHeaders     []string
	AllowMethods     []string
	AllowOrigins     []string
	ExposeHeaders    []string
	MaxAge           *int // seconds, 0–86400
}

// URLChange says what a URL is to be. In an update nil and "" leave what was.
type URLChange struct {
	AuthType   string
	InvokeMode string
	CORS       *CORS
}

func (u *URL) take(ch URLChange) error {
	if ch.AuthType != "" {
		u.AuthType = ch.AuthType
	}
	if ch.InvokeMode != "" {
		u.InvokeMode = ch.InvokeMode
	}
	if ch.CORS != nil {
		u.CORS = ch.CORS
	}
	switch {
	case u.AuthType != AuthNone && u.AuthType != AuthIAM:
		return constraint("authType", u.AuthType, "Member must satisfy enum value set: [NONE, AWS_IAM]")
	case u.InvokeMode != InvokeBuffered && u.InvokeMode != InvokeStream:
		return constraint("invokeMode", u.InvokeMode, "Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]")
	}
	if u.CORS == nil {
		return nil
	}
	for _, m := range u.CORS.AllowMethods {
		if !slices.Contains([]string{"GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"}, m) {
			return invalid("AllowMethods: %q is not one of GET, PUT, HEAD, POST, PATCH, DELETE, *", m)
		}
	}
	if u.CORS.AllowCredentials != nil && *u.CORS.AllowCredentials && slices.Contains(u.CORS.AllowOrigins, "*") {
		return invalid("CORS configuration is not valid. AllowOrigins cannot be * when AllowCredentials is true.")
	}
	return nil
}

// checkURLQualifier refuses versions: a URL belongs to a function or an alias.
func checkURLQualifier(q string) error {
	if q != "" && (digits(q) || !word(q, "-_")) {
		return constraint("qualifier", q, `Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)`)
	}
	return nil
}

// newURLID makes 32 characters of chance, in lower case as a host's label must be.
func newURLID() string {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}

// CreateURL gives the function or alias that r names an endpoint.
func (c *Catalog) CreateURL(ctx context.Context, r Ref, ch URLChange) (*URL, error) {
	if err := checkURLQualifier(r.Qualifier); err != nil {
		return nil, err
	}
	u := &URL{ID: newURLID(), Qualifier: r.Qualifier, InvokeMode: InvokeBuffered}
	if err := u.take(ch); err != nil {
		return nil, err
	}
	if _, ok := c.functions.get(r.name()); !ok {
		return nil, noSuchFunction()
	}
	err := c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if r.Qualifier != "" && !slices.Contains(h.Aliases, r.Qualifier) {
			return noSuchFunction()
		}
		if slices.Contains(h.URLs, r.Qualifier) {
			return rouse.Errorf(rouse.Exists, "Failed to create function url config for [functionArn = %s]. Error message:  "+
				"FunctionUrlConfig exists for this Lambda function", c.ARN(r)).WithCode("ResourceConflictException")
		}
		if err := h.room(); err != nil {
			return err
		}
		h.URLs = append(h.URLs, r.Qualifier)
		u.Created, u.Modified = tx.Now(), tx.Now()
		return write(tx, c.functionKey(r.name(), partURL, r.Qualifier), u)
	})
	if err != nil {
		return nil, err
	}
	return c.URL(r)
}

// UpdateURL changes an endpoint; its address stays.
func (c *Catalog) UpdateURL(ctx context.Context, r Ref, ch URLChange) (*URL, error) {
	if err := checkURLQualifier(r.Qualifier); err != nil {
		return nil, err
	}
	if _, ok := c.functions.get(r.name()); !ok {
		return nil, noSuchFunction()
	}
	err := c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, _ *head) error {
		key := c.functionKey(r.name(), partURL, r.Qualifier)
		u := &URL{}
		ok, err := read(tx, key, u)
		if err != nil {
			return err
		}
		if !ok {
			return noSuchResource()
		}
		if err := u.take(ch); err != nil {
			return err
		}
		u.Modified = tx.Now()
		return write(tx, key, u)
	})
	if err != nil {
		return nil, err
	}
	return c.URL(r)
}

// DeleteURL takes the endpoint away.
func (c *Catalog) DeleteURL(ctx context.Context, r Ref) error {
	if err := checkURLQualifier(r.Qualifier); err != nil {
		return err
	}
	if _, err := c.URL(r); err != nil {
		return err
	}
	return c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if !slices.Contains(h.URLs, r.Qualifier) {
			return noSuchResource()
		}
		h.URLs = without(h.URLs, r.Qualifier)
		tx.Delete(c.functionKey(r.name(), partURL, r.Qualifier))
		return nil
	})
}

// URL answers the endpoint of the function or alias that r names.
func (c *Catalog) URL(r Ref) (*URL, error) {
	if err := checkURLQualifier(r.Qualifier); err != nil {
		return nil, err
	}
	if f, ok := c.functions.get(r.name()); ok {
		if u := f.url(r.Qualifier); u != nil {
			return u, nil
		}
	}
	return nil, noSuchResource()
}

// URLs lists the endpoints of a function and its aliases, the function's own first, after the qualifier after; more says
// that there are others after the last one.
func (c *Catalog) URLs(r Ref, after *string, limit int) (urls []*URL, more bool, err error) {
	f, ok := c.functions.get(r.name())
	if !ok {
		return nil, false, noSuchFunction()
	}
	for _, u := range slices.SortedFunc(slices.Values(f.urls), func(a, b *URL) int {
		return compareQualifiers(a.Qualifier, b.Qualifier)
	}) {
		if after != nil && u.Qualifier <= *after {
			continue
		}
		if len(urls) == limit {
			return urls, true, nil
		}
		urls = append(urls, u)
	}
	return urls, false, nil
}

// ResolveURL finds an endpoint by its id. It reads memory only.
func (c *Catalog) ResolveURL(id string) (*URL, error) {
	if u, ok := c.urls.get(id); ok {
		return u, nil
	}
	return nil, noSuchResource()
}

func noSuchFunction() *rouse.Error {
	return rouse.Errorf(rouse.NotFound, "Function does not exist").WithCode("ResourceNotFoundException")
}

func noSuchResource() *rouse.Error {
	return rouse.Errorf(rouse.NotFound, "The resource you requested does not exist.").WithCode("ResourceNotFoundException")
}
