package tables

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (sh *Shell) list() *cobra.Command {
	return sh.JSONFlag(&cobra.Command{
		Use:     "list",
		Short:   "List tables",
		Example: "  rouse table list\n  rouse table list --json | jq -r '.[].TableName'",
		Args:    sh.args(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			call, err := sh.Connect()
			if err != nil {
				return err
			}
			all, err := names(c.Context(), call)
			if err != nil {
				return err
			}
			if sh.JSON() {
				return sh.listJSON(c.Context(), call, all)
			}
			var rows [][]string
			for _, name := range all {
				t, err := sh.describe(c.Context(), call, name)
				if sh.Code(err) == "ResourceNotFoundException" { // deleted meanwhile
					continue
				}
				if err != nil {
					return err
				}
				rows = append(rows, t.row())
			}
			if len(rows) == 0 {
				fmt.Fprintln(sh.Out, "No tables. A template makes them: AWS::DynamoDB::Table or AWS::Serverless::SimpleTable.")
				return nil
			}
			sh.Table(sh.Out, []string{"TABLE", "KEY", "SORT", "ITEMS", "SIZE", "INDEXES", "STREAM"}, rows, 5, 0)
			return nil
		},
	})
}

// listJSON prints what each table says of itself, whole.
func (sh *Shell) listJSON(ctx context.Context, call Call, all []string) error {
	list := []any{}
	for _, name := range all {
		var out struct{ Table map[string]any }
		err := call(ctx, "dynamodb", "DescribeTable", map[string]any{"TableName": name}, &out)
		if sh.Code(err) == "ResourceNotFoundException" {
			continue
		}
		if err != nil {
			return err
		}
		list = append(list, out.Table)
	}
	return sh.Print(list)
}

func (t *table) row() []string {
	hash, sort, _ := t.keys("")
	typed := func(k key) string {
		if k.name == "" {
			return t.sh.Paint.Dim("–")
		}
		return t.sh.Safe(k.name) + " " + t.sh.Paint.Dim(string(k.kind))
	}
	var indexes []string
	for _, i := range append(t.GlobalSecondaryIndexes, t.LocalSecondaryIndexes...) {
		indexes = append(indexes, i.IndexName)
	}
	stream := t.sh.Paint.Dim("–")
	if t.StreamSpecification.StreamEnabled {
		stream = strings.ToLower(strings.ReplaceAll(t.StreamSpecification.StreamViewType, "_", " "))
	}
	name := t.TableName
	if t.TableStatus != "ACTIVE" {
		name += " " + t.sh.Paint.Warn(strings.ToLower(t.TableStatus))
	}
	return []string{name, typed(hash), typed(sort), fmt.Sprint(t.ItemCount), size(t.TableSizeBytes), strings.Join(indexes, ", "), stream}
}

// size is a number of bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f := float64(n)
	for f >= 1024 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

func (sh *Shell) get() *cobra.Command {
	return sh.own(&cobra.Command{
		Use:   "get TABLE KEY [SORT]",
		Short: "Show an item",
		Long: "Show the item with that key. On a terminal each attribute is a line; in a pipe the item is one line of JSON, " +
			"with --json in DynamoDB's own form. There is none: exit code 1.",
		Example: "  rouse table get Accounts ada\n  rouse table get Orders ada 2026-01-07 | jq .total",
		Args:    sh.args(2, 3, "a table and the item's key"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			key, err := t.key(args[1:])
			if err != nil {
				return err
			}
			var out struct{ Item item }
			if err := t.do(c.Context(), "GetItem", map[string]any{"Key": key, "ConsistentRead": true}, &out); err != nil {
				return err
			}
			if out.Item == nil {
				return fmt.Errorf("%s has no item %s", sh.Nick(t.TableName), strings.Join(args[1:], " "))
			}
			return t.show(out.Item)
		},
	})
}

// reading is what query and scan have in common.
type reading struct {
	index, filter string
	limit         int
}

// terminalLimit is how many items a terminal is shown when nobody said how many.
const terminalLimit = 100

func (r *reading) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.index, "index", "", "read an index of the table, by its `NAME`")
	c.Flags().StringVar(&r.filter, "filter", "", "only items of which a `CONDITION` holds: \"price > 10 AND contains(name, 'tea')\"")
	c.Flags().IntVar(&r.limit, "limit", 0, "at most `N` items; default 100 on a terminal and all in a pipe")
}

func (sh *Shell) query() *cobra.Command {
	var r reading
	var sorting, begins string
	var reverse bool
	c := sh.own(&cobra.Command{
		Use:   "query TABLE KEY",
		Short: "Show the items of one partition key, in the order of their sort key",
		Long: "Show the items that have that partition key, in the order of their sort key: all, or those that --sort or " +
			"--begins-with name. --sort takes =, <, <=, > or >= and a value, or between A and B.",
		Example: "  rouse table query Orders ada\n  rouse table query Orders ada --sort '>= 2026-01' --limit 5\n" +
			"  rouse table query Orders ada --sort 'between 2026-01 and 2026-03' --reverse\n" +
			"  rouse table query Orders open --index byState --filter 'total > 100'",
		Args: sh.args(2, 2, "a table and a partition key"),
		RunE: func(c *cobra.Command, args []string) error {
			if sorting != "" && begins != "" {
				return sh.Usage("rouse table query: --sort and --begins-with exclude one another")
			}
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			condition, err := t.keyCondition(r.index, args[1], sorting, begins)
			if err != nil {
				return err
			}
			in := map[string]any{"ScanIndexForward": !reverse}
			condition.into(in, "KeyConditionExpression")
			return t.read(c.Context(), "Query", in, r)
		},
	})
	r.flags(c)
	c.Flags().StringVar(&sorting, "sort", "", "a `CONDITION` on the sort key: '>= x', 'between x and y'")
	c.Flags().StringVar(&begins, "begins-with", "", "the `TEXT` that the sort key begins with")
	c.Flags().BoolVar(&reverse, "reverse", false, "from the end of the order")
	return c
}

func (sh *Shell) scan() *cobra.Command {
	var r reading
	c := sh.own(&cobra.Command{
		Use:   "scan TABLE",
		Short: "Show the items of a table, in no order",
		Long: "Show all items, or those of which a condition holds. All of the table is read for it. In a condition texts stand in " +
			"quotes and unusual names in backquotes; there are =, <>, <, <=, >, >=, BETWEEN, IN, AND, OR, NOT, " +
			"attribute_exists, attribute_not_exists, attribute_type, begins_with, contains and size.",
		Example: "  rouse table scan Products\n  rouse table scan Products --filter \"price < 10 AND NOT contains(tags, 'old')\"\n" +
			"  rouse table scan Products | jq -r .name",
		Args: sh.args(1, 1, "a table"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			return t.read(c.Context(), "Scan", map[string]any{}, r)
		},
	})
	r.flags(c)
	return c
}

// read runs a Query or a Scan page after page and prints what comes.
func (t *table) read(ctx context.Context, operation string, in map[string]any, r reading) error {
	if r.limit < 0 {
		return t.sh.Usage("--limit %d: want a number of items", r.limit)
	}
	if _, _, err := t.keys(r.index); err != nil {
		return err
	}
	if r.index != "" {
		in["IndexName"] = r.index
	}
	if r.filter != "" {
		filter, err := parseFilter(r.filter)
		if err != nil {
			return t.sh.Usage("%w", err)
		}
		filter.into(in, "FilterExpression")
	}
	limit, aligned := r.limit, t.sh.Terminal && !t.sh.JSON()
	if limit == 0 && t.sh.Terminal {
		limit = terminalLimit
	}
	var collected []item
	shown := 0
	more, err := t.pages(ctx, operation, in, limit, func(it item) error {
		shown++
		if aligned {
			collected = append(collected, it)
			return nil
		}
		return t.line(it)
	})
	if err != nil {
		return err
	}
	switch {
	case aligned && shown > 0:
		t.columns(collected, r.index)
	case shown == 0:
		fmt.Fprintln(t.sh.Err, "No items.")
	}
	if more && r.limit == 0 {
		fmt.Fprintf(t.sh.Err, "%s\n", t.sh.Paint.Dim("These are the first "+strconv.Itoa(shown)+"; --limit shows more."))
	}
	return nil
}

// sayEvery is how often something that takes long says how far it is.
const sayEvery = time.Second

// pages gives each item of a Query or a Scan to fn, at most limit; 0: all. more says that there may be others.
func (t *table) pages(ctx context.Context, operation string, in map[string]any, limit int, fn func(item) error) (more bool, err error) {
	step, end := t.sh.Progress()
	defer end()
	read, passed, said := 0, 0, time.Now()
	for {
		var page struct {
			Items            []item
			ScannedCount     int
			LastEvaluatedKey item
		}
		if _, filtered := in["FilterExpression"]; limit > 0 && !filtered {
			in["Limit"] = limit - passed
		}
		if err := t.do(ctx, operation, in, &page); err != nil {
			return false, err
		}
		for i, it := range page.Items {
			if err := fn(it); err != nil {
				return false, err
			}
			if passed++; passed == limit {
				return i+1 < len(page.Items) || page.LastEvaluatedKey != nil, nil
			}
		}
		if page.LastEvaluatedKey == nil {
			return false, nil
		}
		if read += page.ScannedCount; time.Since(said) >= sayEvery {
			said = time.Now()
			step(fmt.Sprintf("%d items read", read))
		}
		in["ExclusiveStartKey"] = page.LastEvaluatedKey
	}
}
