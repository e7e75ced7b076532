package postgres_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestOpenErrors: what an operator does wrong is said in words, and never with the password.
func TestOpenErrors(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Auth: "scram-sha-256"})
	server.SQL(`create role plain login password 'right horse'; create role guest login password 'right horse';
		create schema given; grant usage on schema given to plain; create schema newer authorization rouse`)
	made := server.Open(t, postgres.Config{Schema: "newer"})
	made.Close()
	server.SQL(`update newer.meta set format = 99`)
	at := func(user, password, database, more string) string {
		return fmt.Sprintf("postgres://%s:%s@/%s?host=%s%s", user, strings.ReplaceAll(password, " ", "%20"), database, server.Dir(), more)
	}
	for _, c := range []struct{ name, url, want string }{
		{"no server", "postgres://plain:right%20horse@/postgres?host=/nowhere/at/all", "no server answers"},
		{"bad password", at("plain", "wrong horse", "postgres", ""), "refuses the user or the password"},
		{"no such user", at("nobody-here", "wrong horse", "postgres", ""), "refuses the user or the password"},
		{"no such database", at("plain", "right horse", "elsewhere", ""), "no such database"},
		{"no rights in the database", at("plain", "right horse", "postgres", ""), "permission denied"},
		{"no rights in the schema", at("plain", "right horse", "postgres", "&schema=given"), "permission denied"},
		{"newer format", "postgres://rouse:" + server.Password() + "@/postgres?schema=newer&host=" + server.Dir(), "written by a newer Rouse"},
		{"not a URL", "postgres://plain:right horse@[::1/db", "not well formed"},
		{"unknown setting", at("plain", "right horse", "postgres", "&no_such_thing=1"), "no_such_thing"},
		{"bad sslmode", at("plain", "right horse", "postgres", "&sslmode=perhaps"), "sslmode"},
		{"many readers", at("plain", "right horse", "postgres", "&readers=5000"), "1 to 1000"},
	} {
		cfg, err := postgres.ParseURL(c.url)
		if err == nil {
			_, err = postgres.Open(t.Context(), cfg)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), server.Password())) {
			t.Errorf("%s: the error tells the password: %v", c.name, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	cfg, err := postgres.ParseURL("postgres://u:p%40q@h1:5433,h2:5432/db?schema=shop&readers=3&writers=7&sslmode=require&target_session_attrs=read-write")
	if err != nil || cfg.Schema != "shop" || cfg.Readers != 3 || cfg.Writers != 7 || strings.Contains(cfg.URL, "schema") ||
		!strings.Contains(cfg.URL, "sslmode=require") || !strings.Contains(cfg.URL, "h1:5433,h2:5432") {
		t.Errorf("ParseURL: got %+v, %v, want its own parameters taken and the rest left", cfg, err)
	}
	for _, url := range []string{"", "mysql://h/d", "postgres://u@h/d?writers=0", "postgres://u@h/d?readers=x", "postgres://u@h/d?schema=" + strings.Repeat("s", 64)} {
		if cfg, err := postgres.ParseURL(url); err == nil {
			t.Errorf("ParseURL of %q: got %+v, want an error", url, cfg)
		}
	}
	for url, want := range map[string]string{
		"postgres://u:secret@h/d?sslmode=require":               "postgres://u@h/d?sslmode=require",
		"postgres://h/d?password=secret&sslpassword=secret":     "postgres://h/d",
		"postgres://u:secret@h1,h2:5433/d?sslkey=secret#secret": "postgres://u@h1,h2:5433/d",
		"not a url secret": "postgres://…",
	} {
		if got := postgres.Redact(url); got != want {
			t.Errorf("Redact of %q: got %q, want %q", url, got, want)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("postgres://u:p@h/d?schema=s&readers=1")
	f.Add("postgres://u:p@h1,h2:1/d?sslmode=disable")
	f.Fuzz(func(t *testing.T, url string) { _, _ = postgres.ParseURL(url); _ = postgres.Redact(url) })
}

// TestSecretsStayUnsaid: neither the log nor the server's list of connections tells the password.
func TestSecretsStayUnsaid(t *testing.T) {
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Auth: "scram-sha-256"})
	var said strings.Builder
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema(), Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	set(t, s, "k", "v")
	server.Stop()
	waitFor(t, "the store to be away", func() bool { return s.Health() != nil })
	if err := s.Health(); strings.Contains(err.Error(), server.Password()) {
		t.Errorf("Health tells the password: %v", err)
	}
	s.Close()
	if !strings.Contains(said.String(), "store away") || strings.Contains(said.String(), server.Password()) {
		t.Errorf("log: got %s, want that the store is away, and no password", said.String())
	}
}
