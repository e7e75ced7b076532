package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Beside the calls run two loops, each with a connection of its own: listen hears what other nodes notify; beside sends this
// node's notifications, samples the clock, watches the server and clears away old tokens.

// How often.
const (
	notifyEvery = 5 * time.Millisecond // hints of one node are merged this long: NOTIFY takes a lock that all commits of the server need
	sampleEvery = time.Second
	reapEvery   = 10 * time.Minute
)

// topicBytes is how much of a topic's hash names it in a notification. Two that share it wake each other in vain.
const topicBytes = 12

// notifyTopics is how many go into one notification, whose payload ends at 8,000 bytes.
const notifyTopics = 400

func newNode() string { return rand.Text()[:12] }

// topicName is how a topic is called on the way.
func topicName(topic []byte) string {
	h := sha256.Sum256(topic)
	return base64.RawURLEncoding.EncodeToString(h[:topicBytes])
}

// channel is the store's channel of notifications: names of schemas are too long to be part of its name.
func (s *Store) channel() string { return "rouse_" + topicName([]byte(s.cfg.Schema)) }

// ear makes a connection that hears other nodes.
func (s *Store) ear(ctx context.Context) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	cfg := s.plain.Copy()
	cfg.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { s.heard(n.Payload) }
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, plainly(err)
	}
	if _, err := pg.Exec(ctx, "listen "+quote(s.channel())).ReadAll(); err != nil {
		return nil, errors.Join(err, pg.Close(ctx))
	}
	return pg, nil
}

// listen hears other nodes until ctx is done, through as many connections as it takes.
func (s *Store) listen(ctx context.Context, pg *pgconn.PgConn) {
	for wait := retryFirst; ; wait = min(wait*2, retryMost) {
		if pg != nil {
			wait = retryFirst
			for pg.WaitForNotification(ctx) == nil {
			}
			pg.Close(context.WithoutCancel(ctx))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if pg, _ = s.ear(ctx); pg != nil {
			s.wakes.hintAll() // for what was told while nobody listened
		}
	}
}

// heard hands on a notification: the sender and the names of topics.
func (s *Store) heard(payload string) {
	from, names, _ := strings.Cut(payload, " ")
	if from == s.node {
		return // they had their hint at once
	}
	s.wakes.mu.Lock()
	defer s.wakes.mu.Unlock()
	for name := range strings.SplitSeq(names, ",") {
		s.wakes.hint(name)
	}
}

// sideline makes the connection of beside, with a first sample of the clock.
func (s *Store) sideline(ctx context.Context) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	cfg := s.plain.Copy()
	cfg.RuntimeParams["synchronous_commit"] = "off" // what is written here may be lost
	pg, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, plainly(err)
	}
	if err := s.settle(ctx, pg); err != nil {
		return nil, errors.Join(err, pg.Close(ctx))
	}
	return pg, nil
}

// settle begins the clock: after a time that another node has told, should the server's clock have gone back since.
func (s *Store) settle(ctx context.Context, pg *pgconn.PgConn) error {
	for range 3 {
		if err := s.sample(ctx, pg); err != nil {
			return err
		}
	}
	behind, err := one(ctx, pg, s.in(`select (extract(epoch from clock) * 1e6)::bigint from {s}.meta where clock_timestamp() < server`))
	if err != nil || behind == "" {
		return err
	}
	t, err := micros(behind)
	s.clock.floor(t.Add(2 * sampleEvery))
	return err
}

// sample asks for the server's time.
func (s *Store) sample(ctx context.Context, pg *pgconn.PgConn) error {
	sent := time.Now()
	text, err := one(ctx, pg, `select (extract(epoch from clock_timestamp()) * 1e6)::bigint`)
	if err != nil {
		return err
	}
	received := time.Now()
	t, err := micros(text)
	if err == nil {
		s.clock.sample(t, sent, received)
	}
	return err
}

func micros(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the server's time: %w", err)
	}
	return time.UnixMicro(n).UTC(), nil
}

// beside runs until ctx is done, through as many connections as it takes.
func (s *Store) beside(ctx context.Context, pg *pgconn.PgConn) {
	watch := newWatch(s)
	for wait := retryFirst; ; wait = min(wait*2, retryMost) {
		if pg != nil {
			wait = retryFirst
			s.health.found()
			err := s.duties(ctx, pg, watch)
			pg.Close(context.WithoutCancel(ctx))
			if ctx.Err() == nil {
				s.health.lost(plainly(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		pg, _ = s.sideline(ctx)
	}
}

// duties does what is due as long as the connection lasts.
func (s *Store) duties(ctx context.Context, pg *pgconn.PgConn, watch *watch) error {
	due := map[string]time.Time{}
	every := func(name string, period time.Duration, do func(context.Context) error) error {
		if now := time.Now(); !now.Before(due[name]) {
			due[name] = now.Add(period)
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			return do(ctx)
		}
		return nil
	}
	tick := time.NewTicker(min(sampleEvery, s.cfg.Watch))
	defer tick.Stop()
	for {
		err := every("sample", sampleEvery-notifyEvery, func(ctx context.Context) error { return s.keepTime(ctx, pg) })
		if err == nil {
			err = every("watch", s.cfg.Watch, func(ctx context.Context) error { return watch.look(ctx, pg) })
		}
		if err == nil {
			err = every("reap", reapEvery, func(ctx context.Context) error {
				_, err := one(ctx, pg, s.in(`delete from {s}.token where at < now() - interval '1 hour'`))
				if err == nil {
					_, err = one(ctx, pg, s.in(`delete from {s}.mark where at < now() - interval '1 day'`))
				}
				return err
			})
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			continue
		case <-s.marks.more:
			if err := s.advance(ctx, pg); err != nil {
				return err
			}
			continue
		case <-s.wakes.more:
		}
		select { // others may come
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(notifyEvery):
		}
		if err := s.notify(ctx, pg); err != nil {
			return err
		}
	}
}

// keepTime samples the clock, and leaves what it shows to those who begin later.
func (s *Store) keepTime(ctx context.Context, pg *pgconn.PgConn) error {
	if err := s.sample(ctx, pg); err != nil {
		return err
	}
	_, err := one(ctx, pg, s.in(`update {s}.meta set clock = to_timestamp($1::bigint / 1e6), server = clock_timestamp() `+
		`where clock < to_timestamp($1::bigint / 1e6)`), strconv.FormatInt(s.Now().UnixMicro(), 10))
	return err
}

// notify tells other nodes.
func (s *Store) notify(ctx context.Context, pg *pgconn.PgConn) error {
	ctx, cancel := context.WithTimeout(ctx, connectMax)
	defer cancel()
	names := s.wakes.take()
	for len(names) > 0 {
		n := min(len(names), notifyTopics)
		if _, err := one(ctx, pg, `select pg_notify($1, $2)`, s.channel(), s.node+" "+strings.Join(names[:n], ",")); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}
