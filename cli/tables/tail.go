package tables

import (
	"context"
	"encoding/json"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// streams is the service of DynamoDB's streams.
const streams = "dynamodbstreams"

// tailPause is how long to wait when a stream had nothing.
const tailPause = 250 * time.Millisecond

func (sh *Shell) tail() *cobra.Command {
	return sh.own(&cobra.Command{
		Use:   "tail TABLE",
		Short: "Show changes of a table's items as they come",
		Long: "Show changes of a table's items as they come, from the table's stream: what was inserted, modified (and how) or " +
			"removed, also by its time to live. In a pipe each is a line of JSON; with --json as DynamoDB's streams write it.",
		Example: "  rouse table tail Orders\n  rouse table tail Orders | jq -c 'select(.event == \"INSERT\") | .new'",
		Args:    sh.args(1, 1, "a table"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			if !t.StreamSpecification.StreamEnabled && t.cache(c.Context()) != "" {
				return fmt.Errorf("%s is a cache table (%s), and those have no stream: its items live in memory and leave without a record",
					sh.Nick(t.TableName), cacheTag)
			}
			if !t.StreamSpecification.StreamEnabled {
				return fmt.Errorf("%s has no stream\nTurn it on in the template, under the table's Properties:\n"+
					"  StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }\nor, for a table of no template:\n"+
					"  rouse exec -- aws dynamodb update-table --table-name %s \\\n"+
					"    --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES", sh.Nick(t.TableName), t.TableName)
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			err = t.follow(ctx)
			switch {
			case ctx.Err() != nil: // how one stops looking
				return nil
			case err == nil:
				return fmt.Errorf("the stream of %s has ended", sh.Nick(t.TableName))
			}
			return err
		},
	})
}

// change is a stream's record.
type change struct {
	EventName    string `json:"eventName"`
	UserIdentity *struct{ Type, PrincipalID string }
	Dynamodb     struct {
		ApproximateCreationDateTime json.Number
		Keys, NewImage, OldImage    item
		SequenceNumber              string
	} `json:"dynamodb"`
}

// shard is one that is being read.
type shard struct {
	id, iterator string
	last         string // sequence number read last
}

// follow reads the stream until it ends.
func (t *table) follow(ctx context.Context) error {
	known := map[string]bool{}
	open, err := t.shards(ctx, known, "LATEST")
	if err != nil {
		return err
	}
	fmt.Fprintln(t.sh.Err, t.sh.Paint.Dim("Following "+t.sh.Nick(t.TableName)+"; Ctrl-C ends."))
	tick := time.NewTicker(tailPause)
	defer tick.Stop()
	for len(open) > 0 {
		var next []*shard
		came := 0
		for _, s := range open {
			n, err := t.records(ctx, s)
			if err != nil {
				return err
			}
			if came += n; s.iterator != "" {
				next = append(next, s)
			}
		}
		if len(next) < len(open) { // one is full: those that go on in its place are read from their beginning
			fresh, err := t.shards(ctx, known, "TRIM_HORIZON")
			if err != nil {
				return err
			}
			next = append(next, fresh...)
		}
		open = next
		if came > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// shards opens the shards that are not known yet. Those that were closed when the following began are past.
func (t *table) shards(ctx context.Context, known map[string]bool, where string) (out []*shard, err error) {
	in := map[string]any{"StreamArn": t.LatestStreamArn}
	for {
		var page struct {
			StreamDescription struct {
				Shards []struct {
					ShardID             string `json:"ShardId"`
					SequenceNumberRange struct{ EndingSequenceNumber string }
				}
				LastEvaluatedShardID string `json:"LastEvaluatedShardId"`
			}
		}
		if err := t.call(ctx, streams, "DescribeStream", in, &page); err != nil {
			return nil, err
		}
		for _, s := range page.StreamDescription.Shards {
			if known[s.ShardID] {
				continue
			}
			known[s.ShardID] = true
			if where == "LATEST" && s.SequenceNumberRange.EndingSequenceNumber != "" {
				continue
			}
			one := &shard{id: s.ShardID}
			if err := t.iterate(ctx, one, where); err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		last := page.StreamDescription.LastEvaluatedShardID
		if last == "" {
			return out, nil
		}
		in["ExclusiveStartShardId"] = last
	}
}

func (t *table) iterate(ctx context.Context, s *shard, where string) error {
	in := map[string]any{"StreamArn": t.LatestStreamArn, "ShardId": s.id, "ShardIteratorType": where}
	if s.last != "" {
		in["ShardIteratorType"], in["SequenceNumber"] = "AFTER_SEQUENCE_NUMBER", s.last
	}
	var out struct{ ShardIterator string }
	err := t.call(ctx, streams, "GetShardIterator", in, &out)
	s.iterator = out.ShardIterator
	return err
}

// records prints what came and moves the shard on.
func (t *table) records(ctx context.Context, s *shard) (int, error) {
	var out struct {
		Records           []json.RawMessage
		NextShardIterator string
	}
	err := t.call(ctx, streams, "GetRecords", map[string]any{"ShardIterator": s.iterator}, &out)
	if t.sh.Code(err) == "ExpiredIteratorException" { // the machine slept
		return 0, t.iterate(ctx, s, "LATEST")
	}
	if err != nil {
		return 0, err
	}
	for _, r := range out.Records {
		var c change
		if err := json.Unmarshal(r, &c); err != nil {
			return 0, err
		}
		s.last = c.Dynamodb.SequenceNumber
		if err := t.showChange(c, r); err != nil {
			return 0, err
		}
	}
	s.iterator = out.NextShardIterator
	return len(out.Records), nil
}

// expired reports whether the platform removed the item because its time had come.
func (c *change) expired() bool {
	return c.UserIdentity != nil && c.UserIdentity.Type == "Service" && c.EventName == "REMOVE"
}

func (c *change) at() time.Time {
	s, _ := c.Dynamodb.ApproximateCreationDateTime.Float64()
	return time.UnixMilli(int64(s * 1000))
}

func (t *table) showChange(c change, record json.RawMessage) error {
	var err error
	switch {
	case t.sh.JSON():
		_, err = fmt.Fprintf(t.sh.Out, "%s\n", record)
	case t.sh.Terminal:
		_, err = fmt.Fprintln(t.sh.Out, t.changeLine(c))
	default:
		b := fmt.Appendf(nil, `{"at":%q,"event":%q,"keys":`, c.at().UTC().Format(time.RFC3339), c.EventName)
		b = c.Dynamodb.Keys.appendPlain(b, t.keyNames()...)
		for _, image := range []struct {
			name string
			it   item
		}{{"new", c.Dynamodb.NewImage}, {"old", c.Dynamodb.OldImage}} {
			if image.it != nil {
				b = image.it.appendPlain(append(b, `,"`+image.name+`":`...), t.keyNames()...)
			}
		}
		if c.expired() {
			b = append(b, `,"expired":true`...)
		}
		_, err = fmt.Fprintf(t.sh.Out, "%s}\n", b)
	}
	return err
}

// changeLine is a change for people.
func (t *table) changeLine(c change) string {
	p, keys := t.sh.Paint, t.keyNames()
	event := map[string]func(string) string{"INSERT": p.Good, "MODIFY": p.Warn, "REMOVE": p.Bad}[c.EventName]
	if event == nil {
		event = p.Dim
	}
	parts := []string{p.Dim(c.at().Local().Format("15:04:05")), event(c.EventName), p.Strong(t.sh.Safe(c.Dynamodb.Keys.key(keys)))}
	was, is := c.Dynamodb.OldImage, c.Dynamodb.NewImage
	switch {
	case c.expired():
		parts = append(parts, p.Dim("expired"))
	case was != nil && is != nil:
		parts = append(parts, t.sh.Safe(difference(was, is)))
	case is != nil:
		parts = append(parts, t.sh.Safe(is.others(keys)))
	case was != nil:
		parts = append(parts, p.Dim(t.sh.Safe(was.others(keys))))
	}
	return strings.TrimRight(strings.Join(parts, " "), " ")
}

// difference is what an item's change changed.
func difference(was, is item) string {
	var parts []string
	for _, name := range is.names() {
		old, had := was[name]
		now := is[name].cell()
		switch {
		case !had:
			parts = append(parts, name+"="+now)
		case old.cell() != now:
			parts = append(parts, name+": "+old.cell()+" → "+now)
		}
	}
	for _, name := range was.names() {
		if _, has := is[name]; !has {
			parts = append(parts, "without "+name)
		}
	}
	if len(parts) == 0 {
		return "no change"
	}
	return strings.Join(parts, ", ")
}
