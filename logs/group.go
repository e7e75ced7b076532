package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// Group is a log group.
type Group struct {
	Account   string
	Name      string
	Created   time.Time
	Retention int   // days; 0: for ever
	Bytes     int64 // messages and EventCost, of all events that are kept
	Tags      map[string]string
}

// ARN of a group, as IAM names it: the part after the last colon stands for its streams.
func (l *Logs) ARN(account, group string) string {
	return "arn:aws:logs:" + l.cfg.Region + ":" + account + ":log-group:" + group + ":*"
}

// StreamARN names a stream.
func (l *Logs) StreamARN(account, group, stream string) string {
	return "arn:aws:logs:" + l.cfg.Region + ":" + account + ":log-group:" + group + ":log-stream:" + stream
}

type groupRecord struct {
	ID        uint64
	Created   time.Time
	Retention int               `json:",omitempty"`
	Tags      map[string]string `json:",omitempty"`
}

// counters change with every batch, so they have a key of their own.
type counters struct {
	Bytes   int64 // messages and EventCost
	Disk    int64 // values of blocks
	Trimmed int64 // Unix milliseconds: no block begins before; reading starts here
}

func (l *Logs) groupKey(account, name string) []byte {
	return tuple.Key(account, l.cfg.Region, "logs", "g", name)
}
func (l *Logs) countersKey(account string, g uint64) []byte {
	return tuple.Key(account, l.cfg.Region, "logs", "n", g)
}
func (l *Logs) streamKey(account string, g uint64, name string) []byte {
	return tuple.Key(account, l.cfg.Region, "logs", "s", g, name)
}
func (l *Logs) blockKey(account string, g uint64, first int64, seq uint64) []byte {
	return tuple.Key(account, l.cfg.Region, "logs", "b", g, first, seq)
}
func (l *Logs) indexKey(account string, g, stream uint64, first int64, seq uint64) []byte {
	return tuple.Key(account, l.cfg.Region, "logs", "i", g, stream, first, seq)
}
func (l *Logs) everyKey(account, name string) []byte {
	return tuple.Key("", l.cfg.Region, "logs", "all", account, name)
}

// deadKey notes a deleted group, or a deleted stream of a group, whose blocks have to be removed.
func (l *Logs) deadKey(account string, g uint64, stream ...uint64) []byte {
	k := tuple.Key("", l.cfg.Region, "logs", "dead", account, g)
	if len(stream) > 0 {
		k = tuple.Append(k, stream[0])
	}
	return k
}

// put stores v as JSON. These types always marshal.
func put(tx kv.Tx, key []byte, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("logs: %T does not marshal: %v", v, err))
	}
	tx.Set(key, b)
}

type getter interface {
	Get(key []byte) (value []byte, ok bool, err error)
}

func get(from getter, key []byte, v any) (ok bool, err error) {
	b, ok, err := from.Get(key)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("read %q: %w", key, err)
	}
	return true, nil
}

var (
	groupPattern  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]+$`)
	streamPattern = regexp.MustCompile(`^[^:*]+$`)
)

// checkGroup is for names that make a group.
func checkGroup(name string) error {
	if len(name) > NameMax || !groupPattern.MatchString(name) {
		return invalid("1 validation error detected: Value '%.*s' at 'logGroupName' failed to satisfy constraint: Member "+
			"must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+ and have length less than or equal to %d",
			NameMax, name, NameMax)
	}
	return nil
}

func checkStream(name string) error {
	if len(name) > NameMax || !streamPattern.MatchString(name) {
		return invalid("1 validation error detected: Value '%.*s' at 'logStreamName' failed to satisfy constraint: Member "+
			"must satisfy regular expression pattern: [^:*]* and have length less than or equal to %d",
			NameMax, name, NameMax)
	}
	return nil
}

func invalid(text string, args ...any) error {
	return rouse.Errorf(rouse.Invalid, text, args...).WithCode("InvalidParameterException")
}

func noGroup() error {
	return rouse.Errorf(rouse.NotFound, "The specified log group does not exist.").WithCode("ResourceNotFoundException")
}

func noStream() error {
	return rouse.Errorf(rouse.NotFound, "The specified log stream does not exist.").WithCode("ResourceNotFoundException")
}

func checkTags(tags map[string]string) error {
	for k, v := range tags {
		if k == "" || len(k) > 128 || len(v) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return invalid("The tag key or value is invalid: %q", k)
		}
	}
	if len(tags) > TagsMax {
		return rouse.Errorf(rouse.Limit, "A resource can have no more than %d tags.", TagsMax).WithCode("TooManyTagsException")
	}
	return nil
}

// CreateGroup makes a log group.
func (l *Logs) CreateGroup(ctx context.Context, account, name string, tags map[string]string) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	id := randomID()
	return failed(l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		if _, ok, err := tx.Get(l.groupKey(account, name)); err != nil {
			return err
		} else if ok {
			return rouse.Errorf(rouse.Exists, "The specified log group already exists").WithCode("ResourceAlreadyExistsException")
		}
		l.createGroup(tx, account, name, groupRecord{ID: id, Created: tx.Now(), Tags: tags})
		return nil
	}))
}

func (l *Logs) createGroup(tx kv.Tx, account, name string, g groupRecord) {
	put(tx, l.groupKey(account, name), g)
	tx.Set(l.everyKey(account, name), nil)
}

// DeleteGroup deletes a log group at once; Run removes its blocks.
func (l *Logs) DeleteGroup(ctx context.Context, account, name string) error {
	return failed(l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var g groupRecord
		ok, err := get(tx, l.groupKey(account, name), &g)
		if err != nil {
			return err
		}
		if !ok {
			return noGroup()
		}
		tx.Delete(l.groupKey(account, name))
		tx.Delete(l.everyKey(account, name))
		tx.Delete(l.countersKey(account, g.ID))
		tx.Set(l.deadKey(account, g.ID), nil)
		return nil
	}))
}

// Group returns one group.
func (l *Logs) Group(ctx context.Context, account, name string) (g Group, err error) {
	err = l.cfg.Store.View(ctx, func(v kv.View) error {
		r, c, err := l.group(v, account, name)
		g = newGroup(account, name, r, c)
		return err
	})
	return g, failed(err)
}

func newGroup(account, name string, r groupRecord, c counters) Group {
	return Group{Account: account, Name: name, Created: r.Created, Retention: r.Retention, Bytes: c.Bytes, Tags: r.Tags}
}

// group reads a group that must exist.
func (l *Logs) group(from getter, account, name string) (r groupRecord, c counters, err error) {
	ok, err := get(from, l.groupKey(account, name), &r)
	if err != nil {
		return r, c, err
	}
	if !ok {
		return r, c, noGroup()
	}
	_, err = get(from, l.countersKey(account, r.ID), &c)
	return r, c, err
}

// Groups lists groups by name whose name starts with prefix, contains pattern in any case, and comes after after. more
// reports whether others follow.
func (l *Logs) Groups(ctx context.Context, account, prefix, pattern, after string, limit int) (list []Group, more bool, err error) {
	r := tuple.Starting(prefix, account, l.cfg.Region, "logs", "g")
	if after != "" && after >= prefix {
		r.From = tuple.After(l.groupKey(account, after))
	}
	pattern = strings.ToLower(pattern)
	err = l.cfg.Store.View(ctx, func(v kv.View) error {
		list, more = nil, false
		for pair, err := range v.Scan(r, math.MaxInt) {
			if err != nil {
				return err
			}
			name, err := lastString(pair.Key)
			if err != nil {
				return err
			}
			if !strings.Contains(strings.ToLower(name), pattern) {
				continue
			}
			if len(list) == limit {
				more = true
				return nil
			}
			rec, c, err := l.group(v, account, name)
			if err != nil {
				return err
			}
			list = append(list, newGroup(account, name, rec, c))
		}
		return nil
	})
	return list, more, failed(err)
}

func lastString(key []byte) (string, error) {
	parts, err := tuple.Parse(key)
	if err != nil {
		return "", err
	}
	s, ok := parts[len(parts)-1].(string)
	if !ok {
		return "", fmt.Errorf("key %q does not end with a name", key)
	}
	return s, nil
}

// retentions are the days that AWS allows.
func retentionAllowed(days int) bool {
	return slices.Contains([]int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
		2922, 3288, 3653}, days)
}

// SetRetention keeps events of a group for days; 0 keeps them for ever.
func (l *Logs) SetRetention(ctx context.Context, account, name string, days int) error {
	if days != 0 && !retentionAllowed(days) {
		return invalid("1 validation error detected: Value '%s' at 'retentionInDays' failed to satisfy constraint: Member "+
			"must satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, "+
			"2192, 2557, 2922, 3288, 3653]", strconv.Itoa(days))
	}
	return l.changeGroup(ctx, account, name, func(g *groupRecord) error { g.Retention = days; return nil })
}

// Tag sets tags of a group.
func (l *Logs) Tag(ctx context.Context, account, name string, tags map[string]string) error {
	return l.changeGroup(ctx, account, name, func(g *groupRecord) error {
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, tags)
		return checkTags(g.Tags)
	})
}

// Untag removes tags of a group; those that are not there do not matter.
func (l *Logs) Untag(ctx context.Context, account, name string, keys []string) error {
	return l.changeGroup(ctx, account, name, func(g *groupRecord) error {
		for _, k := range keys {
			delete(g.Tags, k)
		}
		return nil
	})
}

func (l *Logs) changeGroup(ctx context.Context, account, name string, set func(*groupRecord) error) error {
	return failed(l.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		var g groupRecord
		ok, err := get(tx, l.groupKey(account, name), &g)
		if err != nil {
			return err
		}
		if !ok {
			return noGroup()
		}
		if err := set(&g); err != nil {
			return err
		}
		put(tx, l.groupKey(account, name), g)
		return nil
	}))
}
