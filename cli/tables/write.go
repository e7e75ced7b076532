package tables

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// lineMax bounds an item's text: one of 400 KB whose every byte is escaped fits.
const lineMax = 4 << 20

func (sh *Shell) put() *cobra.Command {
	var fresh bool
	c := sh.own(&cobra.Command{
		Use:   "put TABLE [ITEM | @FILE | -]",
		Short: "Write an item, over the one of the same key",
		Long: "Write an item, over the one of the same key if there is one: given as it is, read from a file (@item.json) or from " +
			"standard input (-), which may hold several, a line each. Sets are {\"$set\":[…]}, bytes {\"$binary\":\"base 64\"}; " +
			"with --json the item is in DynamoDB's own form.",
		Example: "  rouse table put Accounts '{\"id\":\"ada\",\"visits\":1,\"roles\":{\"$set\":[\"admin\"]}}'\n" +
			"  rouse table put Accounts @ada.json --new\n  rouse table get Accounts ada | jq '.visits += 1' | rouse table put Accounts",
		Args: sh.args(1, 2, "a table and an item"),
		RunE: func(c *cobra.Command, args []string) error {
			from, source, err := sh.source(args[1:])
			if err != nil {
				return err
			}
			items, err := sh.items(from, source)
			if err != nil {
				return err
			}
			t, err := sh.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			for _, it := range items {
				in := map[string]any{"Item": it}
				if fresh {
					in["ConditionExpression"] = "attribute_not_exists(#key)"
					in["ExpressionAttributeNames"] = map[string]string{"#key": t.keyNames()[0]}
				}
				err := t.do(c.Context(), "PutItem", in, nil)
				if sh.Code(err) == "ConditionalCheckFailedException" {
					return fmt.Errorf("%s has an item of that key already: %s", sh.Nick(t.TableName), it.key(t.keyNames()))
				}
				if err != nil {
					return err
				}
			}
			if sh.Terminal {
				fmt.Fprintf(sh.Err, "%s put.\n", plural(len(items), "item"))
			}
			return nil
		},
	})
	c.Flags().BoolVar(&fresh, "new", false, "only if there is none of that key yet")
	return c
}

// key is an item's key for people.
func (it item) key(names []string) string {
	var parts []string
	for _, n := range names {
		parts = append(parts, it[n].cell())
	}
	return strings.Join(parts, " ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// source reads what the arguments name: an item, a file or standard input. name says what it is, for errors.
func (sh *Shell) source(args []string) (name string, text []byte, err error) {
	arg := "-"
	if len(args) > 0 {
		arg = args[0]
	}
	file, isFile := strings.CutPrefix(arg, "@")
	switch {
	case arg == "-":
		name = "standard input"
		text, err = io.ReadAll(sh.In)
	case isFile:
		name = file
		text, err = os.ReadFile(sh.Path(file))
	default:
		name, text = "the item", []byte(arg)
	}
	if err != nil {
		return name, nil, sh.Usage("rouse table put: %w", err)
	}
	return name, text, nil
}

// items reads one item, or several, a line each.
func (sh *Shell) items(name string, text []byte) ([]item, error) {
	own := sh.JSON()
	it, err := readItem(text, own)
	if err == nil {
		return []item{it}, nil
	}
	if !bytes.Contains(bytes.TrimSpace(text), []byte("\n")) {
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, sh.Usage("%s is empty; %w", name, errNoItem)
		}
		return nil, sh.Usage("%s: %w", name, err)
	}
	var out []item
	lines := newLines(bytes.NewReader(text))
	for {
		line, ok, err := lines.next()
		if err != nil || !ok {
			return out, err
		}
		it, err := readItem(line, own)
		if err != nil {
			return nil, sh.Usage("%s:%d: %w", name, lines.number, err)
		}
		out = append(out, it)
	}
}

// lines reads lines that are not empty, and knows how far it has come.
type lines struct {
	r      *bufio.Reader
	number int
	offset int64 // after the line read last
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 1<<20)} }

func (l *lines) next() (line []byte, ok bool, err error) {
	for {
		line, err = l.line()
		if err != nil || line == nil {
			return nil, false, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, true, nil
		}
	}
}

// line reads one line; nil at the end.
func (l *lines) line() (line []byte, err error) {
	l.number++
	for {
		part, err := l.r.ReadSlice('\n')
		line = append(line, part...)
		l.offset += int64(len(part))
		switch {
		case len(line) > lineMax:
			return nil, fmt.Errorf("line %d is longer than %s", l.number, size(lineMax))
		case err == nil, errors.Is(err, io.EOF):
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (sh *Shell) remove() *cobra.Command {
	return &cobra.Command{
		Use:     "delete TABLE KEY [SORT]",
		Short:   "Delete an item",
		Long:    "Delete the item with that key. There is none: exit code 1.",
		Example: "  rouse table delete Accounts ada\n  rouse table delete Orders ada 2026-01-07",
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
			var out struct{ Attributes item }
			if err := t.do(c.Context(), "DeleteItem", map[string]any{"Key": key, "ReturnValues": "ALL_OLD"}, &out); err != nil {
				return err
			}
			if out.Attributes == nil {
				return fmt.Errorf("%s has no item %s", sh.Nick(t.TableName), strings.Join(args[1:], " "))
			}
			if sh.Terminal {
				fmt.Fprintln(sh.Err, "1 item deleted.")
			}
			return nil
		},
	}
}
