package postgres_test

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv/postgres"
	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// paper is a log that a test reads while others write it.
type paper struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// TestWatchWarns: an operator hears once of a transaction that holds back the logs, with who it is, and once that it is over.
func TestWatchWarns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a quarter of a minute")
	}
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv})
	var said paper
	s := server.Open(t, postgres.Config{Schema: pgtest.Schema(), Watch: 100 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if got := said.String(); strings.Count(got, "does not sync its disk") != 1 {
		t.Errorf("log of a server with fsync off: got %q, want one warning", got)
	}
	server.SQL(`create table other (n int)`)
	const warning = `level=WARN msg="a transaction that has written does not end`
	session := server.Session(t)
	session.Send("set application_name = 'forgetful'; begin; insert into other values (1);")
	waitFor(t, "the warning", func() bool { set(t, s, "k", "v"); return strings.Contains(said.String(), warning) })
	if got := said.String(); !strings.Contains(got, "application forgetful, idle in transaction") {
		t.Errorf("warning: got %q, want who holds the logs back", got)
	}
	session.Send("rollback;")
	waitFor(t, "its end", func() bool { return strings.Contains(said.String(), `msg="over: a transaction`) })
	if got := strings.Count(said.String(), warning); got != 1 {
		t.Errorf("warnings: got %d, want one", got)
	}
}
