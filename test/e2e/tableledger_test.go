package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A ledger is what clients know of a table: of each request when it began and when its answer came, and what it would do to
// which items. A request without an answer is in doubt: it may have happened, once, at any time since it began.

// fate is what is known of a request.
type fate int

const (
	doubted fate = iota // sent, and no answer came
	done
	refused // it was answered so, or never sent: nothing happened
)

func (f fate) String() string { return [...]string{"in doubt", "acknowledged", "refused"}[f] }

// deed is one request that changes items: all of them or none.
type deed struct {
	began, ended int64 // moments of the ledger; ended is 0 until an answer comes
	fate         fate
	forgone      bool   // it was in doubt, and is refused because it cannot happen any more
	token        string // of a transaction that is sent again until it has an answer
	changes      []*change
	commit       string // where its records stand, once one was seen
}

// end is when the deed was done at the latest.
func (d *deed) end() int64 {
	if d.fate == doubted || d.ended == 0 {
		return forever
	}
	return d.ended
}

const forever = int64(1) << 62

// change is what a deed does to one item.
type change struct {
	deed *deed
	key  m
	op   string // what it leaves in the item: no other change leaves the same; "" where it removes the item
	put  m      // the item that is put, or nil
	set  m      // what an update sets
	drop []string
	add  int64 // to n

	condition string // as it is sent
	values    m      // of the condition
	holds     func(old m) bool

	was    string // the item that a removal removes, where its condition says so
	answer m      // what the answer said: of a removal the item that was there, else the one that is; nil: it said nothing
	empty  bool   // the answer said that nothing was there
	seen   bool   // in the stream
}

// apply is the item after the change.
func (c *change) apply(old m) m {
	if c.op == "" {
		return nil
	}
	if c.put != nil {
		return c.put
	}
	out := maps.Clone(old)
	if out == nil {
		out = maps.Clone(c.key)
	}
	maps.Copy(out, c.set)
	for _, name := range c.drop {
		delete(out, name)
	}
	if c.add != 0 {
		n, _ := number(old, "n")
		out["n"] = num(n + c.add)
	}
	return out
}

var placeholder = regexp.MustCompile(`#\w+`)

// request is the change as its operation takes it.
func (c *change) request(tableName string) (kind string, in m) {
	in = m{"TableName": tableName}
	text, values := c.condition, m{}
	maps.Copy(values, c.values)
	switch {
	case c.put != nil:
		kind, in["Item"] = "Put", c.put
	case c.op == "":
		kind, in["Key"] = "Delete", c.key
	default:
		var sets []string
		for _, name := range slices.Sorted(maps.Keys(c.set)) {
			sets = append(sets, "#"+name+" = :"+name)
			values[":"+name] = c.set[name]
		}
		update := "SET " + strings.Join(sets, ", ")
		if len(c.drop) > 0 {
			update += " REMOVE #" + strings.Join(c.drop, ", #")
		}
		if c.add != 0 {
			update, values[":add"] = update+" ADD #n :add", num(c.add)
		}
		kind, in["Key"], in["UpdateExpression"] = "Update", c.key, update
		text += update
	}
	if c.condition != "" {
		in["ConditionExpression"] = c.condition
	}
	if names := placeholder.FindAllString(text, -1); len(names) > 0 {
		aliases := m{}
		for _, name := range names {
			aliases[name] = name[1:]
		}
		in["ExpressionAttributeNames"] = aliases
	}
	if len(values) > 0 {
		in["ExpressionAttributeValues"] = values
	}
	return kind, in
}

func str(s string) m { return m{"S": s} }
func num(n int64) m  { return m{"N": strconv.FormatInt(n, 10)} }

// text is an attribute of type S, or "".
func text(it m, name string) string {
	v, _ := it[name].(m)
	s, _ := v["S"].(string)
	return s
}

// number is an attribute of type N.
func number(it m, name string) (int64, bool) {
	v, _ := it[name].(m)
	s, _ := v["N"].(string)
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func itemKey(pk string, sk int) m { return m{"pk": str(pk), "sk": num(int64(sk))} }

// at names an item of the table.
func at(it m) string {
	sk, _ := number(it, "sk")
	return fmt.Sprintf("%s/%d", text(it, "pk"), sk)
}

// canonical writes what is the same in the same way.
func canonical(it m) string {
	b, err := json.Marshal(it)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// sight is an item that was read: op is what it said, "" where there was none.
type sight struct {
	key, op      string
	began, ended int64
}

// ledger is written by the clients while they work, and read while they rest.
type ledger struct {
	clock atomic.Int64
	acks  atomic.Int64
	names atomic.Int64

	mu     sync.Mutex
	deeds  []*deed            // guarded by mu
	byOp   map[string]*change // guarded by mu
	drops  map[string][]*change
	sights []sight  // guarded by mu
	faults []string // guarded by mu
}

const faultsMax = 20

func newLedger() *ledger { return &ledger{byOp: map[string]*change{}, drops: map[string][]*change{}} }

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < faultsMax {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// name makes up what a change leaves in its item.
func (l *ledger) name(client int) string { return fmt.Sprintf("op%d-%d", client, l.names.Add(1)) }

// enter notes what is about to be sent.
func (l *ledger) enter(changes ...*change) *deed {
	d := &deed{began: l.clock.Add(1), changes: changes}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deeds = append(l.deeds, d)
	for _, c := range changes {
		c.deed = d
		if c.op != "" {
			l.byOp[c.op] = c
		} else {
			l.drops[at(c.key)] = append(l.drops[at(c.key)], c)
		}
	}
	return d
}

// settle notes what became of a deed.
func (l *ledger) settle(d *deed, f fate) {
	d.fate = f
	if f == doubted {
		return
	}
	d.ended = l.clock.Add(1)
	if f == done {
		l.acks.Add(1)
	}
}

// saw notes what a read that began at a moment has found.
func (l *ledger) saw(key m, it m, began int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sights = append(l.sights, sight{at(key), text(it, "op"), began, l.clock.Add(1)})
}

// dynamo runs an operation on the wire of DynamoDB.
func (c *client) dynamo(operation string, in m) (answer, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	target := "DynamoDB_20120810."
	if operation == "GetRecords" || operation == "GetShardIterator" || operation == "DescribeStream" {
		target = "DynamoDBStreams_20120810."
	}
	return c.try("dynamodb", http.MethodPost, "/", string(b), "Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", target+operation)
}

// read is dynamo for what does not change anything: nil, or why there is no answer to go by.
func (c *client) read(operation string, in m, out any) error {
	a, err := c.dynamo(operation, in)
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("%s: %s", operation, a)
	}
	return json.Unmarshal([]byte(a.Body), out)
}

// judge says what an answer means for what was asked. away: the node or its store did not answer. ok: it is an answer that a
// client of such a table has to expect.
func judge(a answer, err error) (f fate, away, ok bool) {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return refused, true, true
	case err != nil:
		return doubted, true, true
	case a.Status == http.StatusOK:
		return done, false, true
	case a.Status >= 500:
		return doubted, true, true
	}
	for _, code := range []string{"ConditionalCheckFailedException", "TransactionCanceledException", "TransactionConflictException"} {
		if a.Status == http.StatusBadRequest && strings.Contains(a.Body, code) {
			return refused, false, true
		}
	}
	return refused, false, false
}
