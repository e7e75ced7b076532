package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestOpenErrors: what an operator does wrong is said in words, and never with the password.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestTLS: over TCP, encrypted and with the server's name verified, everything works as over a socket: also asking the server to
// stop waiting, which goes by a connection of its own.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, TLS: true})
	address, root := server.Address()
	schema := pgtest.Schema()
	url := "postgres://rouse@" + address + "/postgres?sslmode=verify-full&sslrootcert=" + root
	s := server.Open(t, postgres.Config{URL: url, Schema: schema})
	set(t, s, "k", "v")
	if got := value(t, s, "k"); got != "v" {
		t.Errorf("key over TLS: got %q, want v", got)
	}
	if got := server.SQL(`select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'rouse %' and not ssl`); got != "0" {
		t.Errorf("connections without TLS: got %s, want none", got)
	}
	holder := server.Session(t)
	holder.Send(`select pg_advisory_lock((select class from "` + schema + `".meta), s) from generate_series(0, 4095) s;`)
	waitFor(t, "somebody to hold all locks", func() bool {
		return server.SQL(`select count(*) >= 4096 from pg_locks where locktype = 'advisory'`) == "t"
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := s.Update(ctx, func(tx kv.Tx) error { tx.Set([]byte("k"), []byte("w")); return nil })
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 4*time.Second {
		t.Errorf("Update that waits for a lock: got %v after %v, want %v at once", err, time.Since(began), context.DeadlineExceeded)
	}
	if got := value(t, s, "k"); got != "v" {
		t.Errorf("key after an Update that was left: got %q, want v", got)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://rouse@" + address + "/postgres?sslmode=verify-full", Schema: schema}); err == nil {
		t.Error("Open with a certificate that nobody vouches for: got nil, want an error")
	}
}

// TestTooOld: a View or Update that takes too long is told so, and writes nothing.
func TestTooOld(t *testing.T) {
	t.Parallel()
	s := start(t).Store(t)
	set(t, s, "k", "v")
	over := time.After(kv.TxTimeMax + 200*time.Millisecond)
	var wg sync.WaitGroup
	late := make(chan bool)
	wg.Go(func() {
		err := s.View(t.Context(), func(v kv.View) error {
			if _, _, err := v.Get([]byte("k")); err != nil {
				return err
			}
			<-late
			_, _, err := v.Get([]byte("k"))
			return err
		})
		if !errors.Is(err, kv.ErrTooOld) {
			t.Errorf("View: got %v, want %v", err, kv.ErrTooOld)
		}
	})
	for _, read := range []bool{true, false} {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx kv.Tx) error {
				if read {
					tx.Get([]byte("k"))
				}
				<-late
				tx.Set([]byte("k"), []byte("late"))
				return nil
			})
			if !errors.Is(err, kv.ErrTooOld) {
				t.Errorf("Update: got %v, want %v", err, kv.ErrTooOld)
			}
		})
	}
	<-over
	close(late)
	wg.Wait()
	if got := value(t, s, "k"); got != "v" {
		t.Errorf("key: got %q, want v", got)
	}
}
