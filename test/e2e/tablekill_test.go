package e2e

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/kv/postgres/pgtest"
)

// TestTablesSurviveKills: clients work on a table while its node is killed again and again. What was acknowledged is there, what
// was in doubt is there wholly or not at all, the indexes are those of the items, and the stream tells each change once, in
// order, and nothing else. A table in memory is empty after each kill, and works.
func TestTablesSurviveKills(t *testing.T) {
	t.Parallel()
	s := newSiege(t, true)
	kills := soak(30, 300)
	if testing.Short() {
		kills = 5
	}
	for i := range kills {
		s.round(t, s.killNode, i%5 == 4)
	}
	s.conclude(t)
}

// TestTablesOnPostgreSQLSurviveKills: the same with the store on a server; and the server is killed as well, under a node that
// goes on living.
func TestTablesOnPostgreSQLSurviveKills(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Getenv: os.Getenv, Sync: true})
	s := newSiege(t, false, "--store", server.URL())
	kills := soak(6, 50)
	if testing.Short() {
		kills = 2
	}
	for i := range kills {
		s.round(t, s.killNode, i%3 == 2)
		s.round(t, func(t *testing.T) {
			if i%2 == 0 {
				server.Immediate()
			} else {
				server.Kill()
			}
			wait(between(s.random, 0, 100*time.Millisecond))
			server.Run()
			s.restarts++
		}, false)
	}
	s.conclude(t)
}

// siege is a node whose tables are worked on while it is killed.
type siege struct {
	*rouse
	*crew
	random   *rand.Rand
	kills    int
	restarts int // of the server that keeps the store
	began    time.Time
}

// acksMax is how many requests are acknowledged before the next kill, at most; actMax is how long that may take.
const (
	acksMax = 500
	actMax  = 4 * time.Second
)

func newSiege(t *testing.T, definite bool, args ...string) *siege {
	t.Helper()
	r := newRouse(t, args...)
	r.start(t)
	t.Cleanup(func() { r.stop(t) })
	s := &siege{rouse: r, random: seeded(t), began: time.Now()}
	l := newLedger()
	s.crew = newCrew(r.client, s.random, l, newStory(r.client, l, definite))
	stream := s.createTables(t)
	if err := s.story.open(stream); err != nil {
		t.Fatal(err)
	}
	for i := range accounts {
		s.found(t, "account", i, balance)
	}
	for i := range counters {
		s.found(t, "counter", i, 0)
	}
	s.verify(t)
	return s
}

func attribute(name, kind string) m { return m{"AttributeName": name, "AttributeType": kind} }
func keys(hash, sort string) []m {
	return []m{{"AttributeName": hash, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}}
}

// createTables makes the table, and one in memory beside it.
func (s *siege) createTables(t *testing.T) (stream string) {
	t.Helper()
	s.call(t, "dynamodb", "CreateTable", m{"TableName": kept, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys("pk", "sk"),
		"AttributeDefinitions": []m{attribute("pk", "S"), attribute("sk", "N"), attribute("mood", "S"), attribute("n", "N")},
		"LocalSecondaryIndexes": []m{{"IndexName": "by-n", "KeySchema": keys("pk", "n"),
			"Projection": m{"ProjectionType": "KEYS_ONLY"}}},
		"GlobalSecondaryIndexes": []m{{"IndexName": "by-mood", "KeySchema": keys("mood", "n"),
			"Projection": m{"ProjectionType": "INCLUDE", "NonKeyAttributes": []string{"op"}}}},
		"StreamSpecification": m{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}, nil)
	s.call(t, "dynamodb", "CreateTable", m{"TableName": cached, "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys("pk", "sk"),
		"AttributeDefinitions": []m{attribute("pk", "S"), attribute("sk", "N")},
		"Tags":                 []m{{"Key": "rouse:cache", "Value": "4MiB"}}}, nil)
	for _, name := range []string{kept, cached} {
		until(t, name+" is active", func() bool {
			var out struct {
				Table struct{ TableStatus, LatestStreamArn string }
			}
			s.call(t, "dynamodb", "DescribeTable", m{"TableName": name}, &out)
			if name == kept {
				stream = out.Table.LatestStreamArn
			}
			return out.Table.TableStatus == "ACTIVE"
		})
	}
	s.call(t, "dynamodb", "UpdateTimeToLive", m{"TableName": kept,
		"TimeToLiveSpecification": m{"Enabled": true, "AttributeName": "ttl"}}, nil)
	return stream
}

// found puts a shared item.
func (s *siege) found(t *testing.T, kind string, i int, n int64) {
	t.Helper()
	c := &change{key: itemKey(kind, i), op: s.name(hands)}
	c.put = m{"pk": c.key["pk"], "sk": c.key["sk"], "op": str(c.op), "mood": str(kind), "n": num(n)}
	if s.reader.single(c, "ALL_OLD"); c.deed.fate != done {
		t.Fatalf("put %s: got %s, want that it works", at(c.key), c.deed.fate)
	}
}

// round lets everybody work until a random moment, strikes, and holds what is then there to what was said.
func (s *siege) round(t *testing.T, strike func(*testing.T), twice bool) {
	t.Helper()
	s.cache(t)
	lives := s.kills
	before := s.acks.Load()
	stop := s.crew.start(!s.story.definite)
	goal := before + 1 + s.random.Int64N(acksMax)
	tick := time.NewTicker(time.Millisecond)
	for late := time.After(actMax); s.acks.Load() < goal; {
		select {
		case <-tick.C:
			continue
		case <-late:
		}
		break
	}
	tick.Stop()
	s.moment()
	strike(t)
	stop()
	if s.kills > lives {
		if twice { // a second time while the next one comes up
			s.begin(t)
			wait(between(s.random, 0, 300*time.Millisecond))
			s.killNode(t)
		}
		s.rouse.start(t)
		s.forgotten(t)
	}
	s.verify(t)
	if s.kills > lives {
		s.story.forgo()
	}
	t.Logf("%s: %d kills, %d restarts of the server, %d acknowledged, %d records", time.Since(s.began).Round(time.Millisecond), s.kills,
		s.restarts, s.acks.Load(), len(s.story.spots))
}

// moment waits until any moment, or until one at which the stream has told of something new: all it told has to stay.
func (s *siege) moment() {
	if s.random.IntN(2) == 0 {
		wait(between(s.random, 0, 10*time.Millisecond))
		return
	}
	select {
	case <-s.story.told:
	default:
	}
	select {
	case <-s.story.told:
	case <-time.After(actMax):
	}
}

func (s *siege) killNode(t *testing.T) {
	t.Helper()
	s.kill(t)
	s.kills++
}

const cachedItems = 10

// cache fills the table in memory.
func (s *siege) cache(t *testing.T) {
	t.Helper()
	for i := range cachedItems {
		a, err := s.dynamo("PutItem", m{"TableName": cached, "Item": itemKey("session", i)})
		if err != nil || a.Status != 200 {
			t.Fatalf("put into the table in memory: got %v, %v, want 200", a, err)
		}
	}
	if n := s.cacheSize(t); n != cachedItems {
		t.Errorf("the table in memory: got %d items, want the %d that were put", n, cachedItems)
	}
}

func (s *siege) cacheSize(t *testing.T) (n int) {
	t.Helper()
	var out struct{ Count int }
	if err := s.read("Scan", m{"TableName": cached}, &out); err != nil {
		t.Fatal(err)
	}
	return out.Count
}

// forgotten wants the table in memory empty: its node is another one.
func (s *siege) forgotten(t *testing.T) {
	t.Helper()
	if n := s.cacheSize(t); n != 0 {
		t.Errorf("the table in memory: got %d items after a kill, want none", n)
	}
}

// verify compares everything, as soon as the node has done what it does by itself.
func (s *siege) verify(t *testing.T) {
	t.Helper()
	differs := ""
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(waitMax); ; {
		var err error
		if differs, err = s.story.agree(); err != nil {
			differs = err.Error()
		}
		if s.report(t); differs == "" {
			return
		}
		select {
		case <-late:
			t.Fatalf("after %d kills and %d restarts of the server: %s; rouse said:\n%s", s.kills, s.restarts, differs, s.out)
		case <-tick.C:
		}
	}
}

// report fails with what the clients and the story have found.
func (s *siege) report(t *testing.T) {
	t.Helper()
	for _, f := range s.faults {
		t.Error(f)
	}
	if len(s.faults) > 0 {
		t.Fatalf("after %d kills and %d restarts of the server", s.kills, s.restarts)
	}
}

// conclude waits until what expires has expired, and reads everything again.
func (s *siege) conclude(t *testing.T) {
	t.Helper()
	for _, h := range s.hands {
		if h.repeat() {
			t.Error("a transaction that was in doubt got no answer when it was sent again")
		}
	}
	wait(time.Until(time.Unix(time.Now().Unix()+expiresWithin+1, 0)))
	s.killNode(t) // the next one removes what expired at once
	s.rouse.start(t)
	until(t, "what expires is removed", func() bool {
		s.verify(t)
		for _, it := range s.story.state {
			if it["ttl"] != nil {
				return false
			}
		}
		return true
	})
	for _, from := range []int{0, 1 + s.random.IntN(len(s.story.spots)-1)} {
		if err := s.story.again(from); err != nil {
			t.Errorf("the stream read again: %v", err)
		}
	}
	s.story.order()
	s.report(t)
	s.totals(t)
}

// totals holds the counters and accounts to the requests.
func (s *siege) totals(t *testing.T) {
	t.Helper()
	least, most := map[string]int64{}, map[string]int64{}
	n, happened, forgone := map[fate]int{}, 0, 0
	for _, d := range s.deeds {
		if n[d.fate]++; d.fate == doubted && slices.ContainsFunc(d.changes, func(c *change) bool { return c.seen }) {
			happened++
		}
		if d.forgone {
			forgone++
		}
		for _, c := range d.changes {
			if key := at(c.key); text(c.key, "pk") == "counter" && d.fate != refused {
				most[key] += c.add
				if d.fate == done {
					least[key] += c.add
				}
			}
		}
	}
	sum := int64(0)
	for key, it := range s.story.state {
		got, _ := number(it, "n")
		switch text(it, "pk") {
		case "counter":
			if got < least[key] || got > most[key] {
				t.Errorf("%s: got %d, want %d to %d", key, got, least[key], most[key])
			}
		case "account":
			sum += got
		}
	}
	if sum != accounts*balance {
		t.Errorf("the accounts: got %d in all, want %d", sum, accounts*balance)
	}
	t.Logf("%s: %d kills, %d restarts of the server; requests: %d acknowledged, %d refused, "+
		"%d in doubt of which %d happened; %d reads; %d records, %d items expired",
		time.Since(s.began).Round(time.Second), s.kills, s.restarts, n[done], n[refused]-forgone, n[doubted]+forgone, happened, len(s.sights), len(s.story.spots), s.story.expired)
}
