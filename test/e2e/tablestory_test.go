package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A story is the stream of a table as it was read, page by page, across all kills, and what follows from it: each record is
// applied to the items that the records before it have made, and has to be what one of the ledger's changes does to them.
type story struct {
	*client
	ledger *ledger
	// definite: a request that was in doubt when its node was killed, and has left nothing, never will. On PostgreSQL the
	// server may still have it.
	definite bool

	stream, shard string
	next          string        // iterator
	told          chan struct{} // buffer 1: a page was read that is not empty
	heard         []streamRecord
	taken         int // records of heard that were applied

	prints  [][32]byte // of all records
	spots   []string   // their sequence numbers
	ids     map[string]bool
	state   map[string]m
	past    map[string][]version
	removed []removal // that wait for the change that explains them
	expired int
}

// version is what an item was: op is "" when it was not there.
type version struct {
	op           string
	began, ended int64
}

type removal struct{ key, op, commit string }

type streamRecord struct {
	EventID, EventName string
	UserIdentity       *struct{ PrincipalId, Type string } //nolint:revive // as AWS spells it
	Dynamodb           struct {
		ApproximateCreationDateTime float64
		Keys, NewImage, OldImage    m
		SequenceNumber              string
		SizeBytes                   int
		StreamViewType              string
	}
}

func (r *streamRecord) print() [32]byte {
	b, _ := json.Marshal(r)
	return sha256.Sum256(b)
}

// commitDigits are those of a sequence number that all records of a transaction share.
const commitDigits = 31

func newStory(c *client, l *ledger, definite bool) *story {
	return &story{client: c, ledger: l, definite: definite, told: make(chan struct{}, 1), ids: map[string]bool{}, state: map[string]m{}, past: map[string][]version{}}
}

// open takes an iterator at the beginning.
func (s *story) open(stream string) (err error) {
	s.stream = stream
	var out struct {
		StreamDescription struct{ Shards []struct{ ShardId string } } //nolint:revive // as AWS spells it
	}
	if err := s.read("DescribeStream", m{"StreamArn": stream}, &out); err != nil {
		return err
	}
	if n := len(out.StreamDescription.Shards); n != 1 {
		return fmt.Errorf("got %d shards, want 1", n)
	}
	s.shard = out.StreamDescription.Shards[0].ShardId
	s.next, err = s.iterator("TRIM_HORIZON", "")
	return err
}

func (s *story) iterator(kind, sequence string) (string, error) {
	in := m{"StreamArn": s.stream, "ShardId": s.shard, "ShardIteratorType": kind}
	if sequence != "" {
		in["SequenceNumber"] = sequence
	}
	var out struct{ ShardIterator string }
	err := s.read("GetShardIterator", in, &out)
	return out.ShardIterator, err
}

// page reads on from an iterator.
func (s *story) page(iterator string, limit int) (records []streamRecord, next string, err error) {
	var out struct {
		Records           []streamRecord
		NextShardIterator string
	}
	err = s.read("GetRecords", m{"ShardIterator": iterator, "Limit": limit}, &out)
	if err == nil && out.NextShardIterator == "" {
		err = fmt.Errorf("GetRecords: got no iterator that goes on, want one: the stream is on")
	}
	return out.Records, out.NextShardIterator, err
}

// hear reads a page and keeps the place behind it.
func (s *story) hear(limit int) (n int, err error) {
	records, next, err := s.page(s.next, limit)
	if err == nil {
		s.heard, s.next = append(s.heard, records...), next
	}
	return len(records), err
}

// follow reads the stream while the clients work. What it is told counts even if the node is killed the moment after.
func (s *story) follow(stop <-chan struct{}) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if got, err := s.hear(1 + n*37%100); err == nil && got > 0 { // else from the same place again
			select {
			case s.told <- struct{}{}:
			default:
			}
		}
	}
}

// catchUp reads to the end and applies everything.
func (s *story) catchUp() (n int, err error) {
	for {
		page, err := s.hear(1000)
		if err != nil {
			return n, err
		}
		for ; s.taken < len(s.heard); s.taken++ {
			s.take(&s.heard[s.taken])
			s.heard[s.taken] = streamRecord{}
			n++
		}
		if page == 0 {
			return n, nil
		}
	}
}

// take applies a record.
func (s *story) take(r *streamRecord) {
	d := &r.Dynamodb
	key := at(d.Keys)
	what := fmt.Sprintf("record %d, %s of %s at %s", len(s.spots), r.EventName, key, d.SequenceNumber)
	if n := len(s.spots); n > 0 && s.spots[n-1] >= d.SequenceNumber {
		s.ledger.fault("%s: it comes after %s", what, s.spots[n-1])
	}
	if s.ids[r.EventID] {
		s.ledger.fault("%s: its ID %s was another's", what, r.EventID)
	}
	s.ids[r.EventID] = true
	s.spots, s.prints = append(s.spots, d.SequenceNumber), append(s.prints, r.print())
	old := s.state[key]
	if got, want := canonical(d.OldImage), canonical(old); got != want {
		s.ledger.fault("%s: got the old image %s, want %s", what, brief(got), brief(want))
	}
	event := "MODIFY"
	switch {
	case d.NewImage == nil:
		event = "REMOVE"
	case d.OldImage == nil:
		event = "INSERT"
	}
	if r.EventName != event {
		s.ledger.fault("%s: got this event, want %s", what, event)
	}
	if d.NewImage == nil {
		s.remove(r, key, old, what)
		return
	}
	s.state[key] = d.NewImage
	s.change(r, key, old, what)
}

// change looks for what made a new image.
func (s *story) change(r *streamRecord, key string, old m, what string) {
	is, op := r.Dynamodb.NewImage, text(r.Dynamodb.NewImage, "op")
	c := s.ledger.byOp[op]
	if c == nil || at(c.key) != key || r.UserIdentity != nil {
		s.ledger.fault("%s: nobody asked for %s (by %v)", what, brief(canonical(is)), r.UserIdentity)
		return
	}
	if c.seen {
		s.ledger.fault("%s: %s happened twice", what, op)
	}
	c.seen = true
	s.past[key] = append(s.past[key], version{op, c.deed.began, c.deed.end()})
	if c.holds != nil && !c.holds(old) {
		s.ledger.fault("%s: the condition %s %v of %s does not hold for %s", what, c.condition, c.values, op, brief(canonical(old)))
	}
	if got, want := canonical(is), canonical(c.apply(old)); got != want {
		s.ledger.fault("%s: got %s, want what %s makes of %s: %s", what, brief(got), op, brief(canonical(old)), brief(want))
	}
	if shown := c.answer; shown != nil {
		was := is
		if c.put != nil {
			was = old // ALL_OLD
		}
		if got, want := canonical(shown), canonical(was); got != want {
			s.ledger.fault("%s: its answer was %s, want %s", what, brief(got), brief(want))
		}
	} else if c.empty && old != nil {
		s.ledger.fault("%s: its answer was that nothing was there, want %s", what, brief(canonical(old)))
	}
	s.together(c.deed, r.Dynamodb.SequenceNumber[:commitDigits], what)
}

// together holds the records of a transaction to one commit.
func (s *story) together(d *deed, commit, what string) {
	if d.commit != "" && d.commit != commit {
		s.ledger.fault("%s: another part of the transaction is in commit %s", what, d.commit)
	}
	d.commit = commit
}

// remove notes that an item went. Who did it is looked for when all records of the transaction are there.
func (s *story) remove(r *streamRecord, key string, old m, what string) {
	delete(s.state, key)
	s.past[key] = append(s.past[key], version{"", 0, forever})
	if r.UserIdentity == nil {
		s.removed = append(s.removed, removal{key, text(old, "op"), r.Dynamodb.SequenceNumber[:commitDigits]})
		return
	}
	s.expired++
	due, ok := number(old, "ttl")
	if !ok || float64(due) > r.Dynamodb.ApproximateCreationDateTime {
		s.ledger.fault("%s: the service removed %s at %.0f, want that it waits", what, brief(canonical(old)), r.Dynamodb.ApproximateCreationDateTime)
	}
	if id := *r.UserIdentity; id.PrincipalId != "dynamodb.amazonaws.com" || id.Type != "Service" {
		s.ledger.fault("%s: got the identity %v, want the service's", what, id)
	}
}

// explain finds the request behind each removal: the transaction of that commit, the one that was told so, or one that was told
// nothing.
func (s *story) explain() {
	for _, r := range s.removed {
		var by *change
		for _, c := range s.ledger.drops[r.key] {
			if c.seen || c.empty || c.deed.fate == refused {
				continue
			}
			switch {
			case c.was != "":
				if c.was == r.op && c.deed.commit == r.commit {
					by = c
				}
			case c.answer != nil:
				if text(c.answer, "op") == r.op {
					by = c
				}
			case by == nil && c.deed.end() > s.began(r.op):
				by = c
			}
		}
		if by == nil {
			s.ledger.fault("nobody asked for the removal of %s with %s at %s", r.key, r.op, r.commit)
			continue
		}
		by.seen = true
	}
	s.removed = nil
}

// began is when a change was asked for.
func (s *story) began(op string) int64 {
	if c := s.ledger.byOp[op]; c != nil {
		return c.deed.began
	}
	return 0
}

// settled explains the removals and reports whether all that was acknowledged is there. What cannot happen any more is refused.
func (s *story) settled() (missing string) {
	s.explain()
	deeds := s.ledger.deeds
	for _, d := range deeds {
		n, effective := 0, 0
		for _, c := range d.changes {
			if c.op != "" || c.was != "" || c.answer != nil {
				effective++
			}
			if c.seen {
				n++
			}
		}
		switch {
		case d.fate == done && n < effective:
			missing = fmt.Sprintf("of %s, acknowledged, %d of %d changes are in the stream", d.name(), n, effective)
		case d.fate == doubted && len(d.changes) > 1 && n > 0 && n < effective:
			missing = fmt.Sprintf("of the transaction %s, in doubt, %d of %d changes are in the stream", d.name(), n, effective)
		case d.fate == refused && n > 0:
			s.ledger.fault("%s was refused and is in the stream", d.name())
		}
	}
	return missing
}

// forgo refuses what was in doubt and cannot happen any more: its node is dead, and had the store for itself.
func (s *story) forgo() {
	for _, d := range s.ledger.deeds {
		if s.definite && d.fate == doubted && d.token == "" && !slices.ContainsFunc(d.changes, func(c *change) bool { return c.seen }) {
			d.fate, d.forgone = refused, true
		}
	}
}

func (d *deed) name() string {
	var names []string
	for _, c := range d.changes {
		names = append(names, strings.TrimSpace(at(c.key)+" "+c.op))
	}
	return strings.Join(names, " + ")
}

// agree compares the table and its indexes with the story until they are of one moment: "" or what is different.
func (s *story) agree() (differs string, err error) {
	if _, err := s.catchUp(); err != nil {
		return "", err
	}
	views := []struct {
		index string
		of    func(it m) m // nil: no entry
	}{
		{"", func(it m) m { return it }},
		{"by-mood", func(it m) m { return project(it, "mood", "op") }},
		{"by-n", func(it m) m { return project(it) }},
	}
	for _, v := range views {
		got, err := s.scan(v.index)
		if err != nil {
			return "", err
		}
		want := map[string]string{}
		for key, it := range s.state {
			if p := v.of(it); p != nil {
				want[key] = canonical(p)
			}
		}
		if differs == "" && !maps.Equal(got, want) {
			differs = difference("table "+v.index, got, want)
		}
	}
	n, err := s.catchUp()
	if err == nil && n > 0 {
		return "the table goes on changing", nil
	}
	if err == nil && differs == "" {
		differs = s.settled()
	}
	return differs, err
}

// project is an item's entry in an index whose key attributes are n and those of more that are not op.
func project(it m, more ...string) m {
	out := m{}
	for _, name := range append([]string{"pk", "sk", "n"}, more...) {
		if it[name] == nil {
			return nil
		}
		out[name] = it[name]
	}
	return out
}

func difference(where string, got, want map[string]string) string {
	for key, w := range want {
		if got[key] != w {
			return fmt.Sprintf("%s, %s: got %s, want %s", where, key, brief(got[key]), brief(w))
		}
	}
	for key, g := range got {
		if want[key] == "" {
			return fmt.Sprintf("%s, %s: got %s, want nothing", where, key, brief(g))
		}
	}
	return ""
}

// scan reads all of the table or of an index, each item once.
func (s *story) scan(index string) (map[string]string, error) {
	all := map[string]string{}
	in := m{"TableName": kept}
	if index != "" {
		in["IndexName"] = index
	} else {
		in["ConsistentRead"] = true
	}
	for {
		var page struct {
			Items            []m
			LastEvaluatedKey m
		}
		if err := s.read("Scan", in, &page); err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			if key := at(it); all[key] != "" {
				return nil, fmt.Errorf("table %s: two entries of %s: %s and %s", index, key, brief(all[key]), brief(canonical(it)))
			}
			all[at(it)] = canonical(it)
		}
		if page.LastEvaluatedKey == nil {
			return all, nil
		}
		in["ExclusiveStartKey"] = page.LastEvaluatedKey
	}
}

// brief cuts long texts.
func brief(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("%s… (%d bytes)", s[:300], len(s))
	}
	return s
}

// again reads the stream once more, from after a record or from the beginning, and holds it to what was read before.
func (s *story) again(from int) error {
	kind, sequence := "TRIM_HORIZON", ""
	if from > 0 {
		kind, sequence = "AFTER_SEQUENCE_NUMBER", s.spots[from-1]
	}
	it, err := s.iterator(kind, sequence)
	for i := from; err == nil && i < len(s.spots); {
		var page []streamRecord
		if page, it, err = s.page(it, 1000); err == nil && len(page) == 0 {
			return fmt.Errorf("%s: got %d records, want %d", kind, i-from, len(s.spots)-from)
		}
		for j := range page {
			if i+j >= len(s.spots) || page[j].print() != s.prints[i+j] {
				return fmt.Errorf("%s: record %d is now %s at %s, want what was read before", kind, i+j, page[j].EventName, page[j].Dynamodb.SequenceNumber)
			}
		}
		i += len(page)
	}
	return err
}

// order holds the versions of each item to the time of the requests, and everything that was read to the versions.
func (s *story) order() {
	for key, all := range s.past {
		latest := int64(0)
		for i, v := range all {
			if v.ended < latest {
				s.ledger.fault("%s: version %d (%s) was acknowledged before one began that precedes it in the stream", key, i, v.op)
			}
			latest = max(latest, v.began)
		}
	}
	for _, r := range s.ledger.sights {
		all := append([]version{{}}, s.past[r.key]...)
		fits := false
		for i, v := range all {
			fits = fits || v.op == r.op && v.began <= r.ended && (i+1 == len(all) || all[i+1].ended >= r.began)
		}
		if !fits {
			s.ledger.fault("%s: %q was read between %d and %d; the stream has %v", r.key, r.op, r.began, r.ended, all[max(0, len(all)-5):])
		}
	}
}
