package postgres

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rouse-dev/rouse/kv"
)

// Load fills an empty store with what from yields: the pairs of a Snapshot of any driver. Records keep their positions, and those
// to come stand in a new epoch, above them. It is one transaction: the store is whole or as empty as before. A store that
// holds anything is refused.
func Load(ctx context.Context, cfg Config, from func(yield func(kv.Pair) error) error) error {
	s, err := configure(cfg)
	if err != nil {
		return fmt.Errorf("kv: load store: %w", err)
	}
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("kv: load store at %s: %w", Redact(cfg.URL), err)
	}
	long, err := s.settings("restore", longParams)
	if err != nil {
		return fmt.Errorf("kv: load store: %w", err)
	}
	pg, err := pgconn.ConnectConfig(ctx, long)
	if err != nil {
		return fmt.Errorf("kv: load store: %w", plainly(err))
	}
	defer pg.Close(context.WithoutCancel(ctx))
	if err := s.load(ctx, pg, from); err != nil {
		return fmt.Errorf("kv: load store at %s: %w", Redact(cfg.URL), err)
	}
	return nil
}

func (s *Store) load(ctx context.Context, pg *pgconn.PgConn, from func(yield func(kv.Pair) error) error) error {
	if _, err := pg.Exec(ctx, s.in(`begin; lock table {s}.kv, {s}.log, {s}.trim in exclusive mode`)).ReadAll(); err != nil {
		return err
	}
	full, err := one(ctx, pg, s.in(`select exists (select from {s}.kv) or exists (select from {s}.log) or exists (select from {s}.trim)`))
	if err != nil {
		return err
	}
	if full != "f" {
		return fmt.Errorf("schema %s holds a store already", s.cfg.Schema)
	}
	text, err := one(ctx, pg, `select pg_current_xact_id()`)
	if err != nil {
		return err
	}
	xid, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return err
	}
	l := &loading{s: s, pg: pg, xid: xid8(xid)}
	err = from(func(p kv.Pair) error {
		e, err := kv.ParseEntry(p)
		if err != nil {
			return err
		}
		return l.add(ctx, e)
	})
	if err = errors.Join(err, l.end(err)); err != nil {
		return plainly(err)
	}
	if l.epoch >= kv.EpochMax {
		return fmt.Errorf("a record of epoch %d: there is none above it", l.epoch)
	}
	_, err = pg.Exec(ctx, fmt.Sprintf(s.in(`update {s}.meta set epoch = greatest(epoch, %d); commit; analyze {s}.kv; analyze {s}.log`), l.epoch+1)).ReadAll()
	return plainly(err)
}

// loading is one COPY after the other, as the kinds of entries change.
type loading struct {
	s     *Store
	pg    *pgconn.PgConn
	xid   []byte // of the transaction: the version of all keys
	epoch uint32 // the highest of all positions

	kind byte
	out  *bufio.Writer
	pipe *io.PipeWriter
	done chan error
}

// copies are the statements, by kind.
var copies = map[byte]string{
	kv.EntryKey:  `copy {s}.kv (k, x, v) from stdin with (format binary)`,
	kv.EntryLog:  `copy {s}.log (l, e, x, i, v) from stdin with (format binary)`,
	kv.EntryTrim: `copy {s}.trim (l, e, x, i) from stdin with (format binary)`,
}

// copyHead begins a COPY in binary; copyTail ends it.
const (
	copyHead = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTail = "\xff\xff"
)

func (l *loading) add(ctx context.Context, e kv.Entry) error {
	if e.Kind != l.kind {
		if err := l.end(nil); err != nil {
			return err
		}
		l.begin(ctx, e.Kind)
	}
	switch l.epoch = max(l.epoch, e.Pos.Epoch()); {
	case e.Kind == kv.EntryKey:
		return l.row(e.Name, l.xid, e.Value)
	case binary.BigEndian.Uint64(e.Pos[12:]) > math.MaxInt64 && e.Kind == kv.EntryTrim:
		return l.row(e.Name, e.Pos[:4], e.Pos[4:12], int8b(math.MaxInt64))
	case binary.BigEndian.Uint64(e.Pos[12:]) > math.MaxInt64 || e.Pos.Epoch() > kv.EpochMax:
		return errors.New("a record at a position that no store gives")
	case e.Kind == kv.EntryLog:
		return l.row(e.Name, e.Pos[:4], e.Pos[4:12], e.Pos[12:], e.Value)
	}
	return l.row(e.Name, e.Pos[:4], e.Pos[4:12], e.Pos[12:])
}

func (l *loading) begin(ctx context.Context, kind byte) {
	r, w := io.Pipe()
	l.kind, l.pipe, l.out, l.done = kind, w, bufio.NewWriterSize(w, 64<<10), make(chan error, 1)
	go func() {
		_, err := l.pg.CopyFrom(ctx, r, l.s.in(copies[kind]))
		r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // so that nobody writes on
		l.done <- err
	}()
	_, _ = l.out.WriteString(copyHead) // its error comes with the first row's
}

// row writes one row. An error of the COPY itself is better than that of the pipe to it.
func (l *loading) row(columns ...[]byte) error {
	var head [4]byte
	binary.BigEndian.PutUint16(head[:], uint16(len(columns)))
	_, err := l.out.Write(head[:2])
	for _, c := range columns {
		binary.BigEndian.PutUint32(head[:], uint32(len(c)))
		if err == nil {
			_, err = l.out.Write(head[:])
		}
		if err == nil {
			_, err = l.out.Write(c)
		}
	}
	return err
}

// end ends the COPY that runs, if one does; with a reason, so that nothing of it stays.
func (l *loading) end(reason error) error {
	if l.pipe == nil {
		return nil
	}
	_, err := l.out.WriteString(copyTail)
	if err == nil {
		err = l.out.Flush()
	}
	l.pipe.CloseWithError(reason) // nil: the end
	if cerr := <-l.done; reason == nil && cerr != nil {
		err = cerr
	}
	l.pipe = nil
	if reason != nil {
		return nil
	}
	return err
}
