package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// IsURL reports whether a text names a store on PostgreSQL.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// ParseURL reads a store's URL: what libpq takes, and of this package's Config the parameters schema, readers and writers.
// Errors do not repeat the URL, which may hold a password.
func ParseURL(text string) (Config, error) {
	if !IsURL(text) {
		return Config{}, errors.New("the URL of a store begins with postgres://, such as postgres://rouse@db.example.org/rouse")
	}
	u, err := url.Parse(text)
	if err != nil {
		return Config{}, errors.New("the URL of the store is not well formed; a password with special characters has to be escaped (%40 for @)")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, errors.New("the parameters in the URL of the store are not well formed")
	}
	c := Config{Schema: q.Get("schema")}
	for name, n := range map[string]*int{"readers": &c.Readers, "writers": &c.Writers} {
		if v := q.Get(name); v != "" {
			if *n, err = strconv.Atoi(v); err != nil || *n < 1 || *n > connectionsMax {
				return Config{}, fmt.Errorf("%s in the URL of the store: want a number from 1 to %d", name, connectionsMax)
			}
		}
		q.Del(name)
	}
	q.Del("schema")
	u.RawQuery = q.Encode()
	c.URL = u.String()
	_, err = configure(c) // what else may be wrong with it
	return c, err
}

// Redact is a store's URL without its secrets, for people.
func Redact(text string) string {
	u, err := url.Parse(text)
	if err != nil || !IsURL(text) {
		return "postgres://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	q := u.Query()
	for k := range q {
		if name := strings.ToLower(k); strings.Contains(name, "pass") || strings.Contains(name, "key") {
			q.Del(k)
		}
	}
	u.RawQuery, u.Fragment = q.Encode(), ""
	return u.String()
}
