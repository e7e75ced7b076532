// Package tables is `rouse table`: the commands that show a table's items to people and programs, and change them.
//
// Items have two forms as JSON. The readable one is plain: texts, numbers (exact, whatever their length), true, false,
// null, lists and objects are what they look like. What JSON has no word for is an object with one marked member, and so
// survives the way out and back in:
//
//	{"$set": ["a","b"]}            a set of texts; of numbers with numbers in it, of binaries with binaries
//	{"$binary": "aGVsbG8="}        bytes, in base 64
//	{"$map": {"$set": …}}          a map whose only member happens to be called like a marker
//
// The other is DynamoDB's own, {"id": {"S": "1"}}, read and written with --json.
//
// On a terminal items stand in columns: keys first, then what most of them have, and the rest at the end of the line. In a
// pipe each is a line of JSON. Conditions are written as people write them, price > 10 AND begins_with(name, 'A'); names
// and values become placeholders (filter.go). Keys are typed by the table: what follows KEY is a text, a number or base 64
// as its schema says.
//
// An import is put in batches, several at once, and never reorders the lines of one key. What the table does not take yet is
// sent again, ever slower. How far all is written stands in a file beside the imported one, so that an import that was
// interrupted goes on there; to put a line twice changes nothing.
//
// The package talks to a node by the Call that it is given and prints to its Shell; it starts nothing that outlives a
// command.
package tables

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Call runs one operation of a service; in and out are its JSON shapes.
type Call func(ctx context.Context, service, operation string, in, out any) error

// Shell is what the commands have around them.
type Shell struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool                                                             // Out is one
	Connect  func() (Call, error)                                             // finds the node
	Path     func(named string) string                                        // a path as the user wrote it
	Table    func(w io.Writer, header []string, rows [][]string, flex ...int) // aligned columns; those of flex give way
	Columns  func() int                                                       // of the terminal; 0: no end
	Paint    Paint
	Safe     func(text string) string               // without what moves a terminal's cursor
	Progress func() (step func(string), end func()) // of what takes long
	Nick     func(name string) string               // what a made name is called by people
	Usage    func(format string, args ...any) error // a mistake in the command line
	Code     func(err error) string                 // AWS's code of an error
	JSONFlag func(*cobra.Command) *cobra.Command    // adds --json
	JSON     func() bool                            // --json was given
	Print    func(v any) error                      // as indented JSON
}

// Paint colours text where there is colour.
type Paint struct{ Strong, Good, Warn, Bad, Dim, Key func(string) string }

// Command is `rouse table`.
func Command(sh *Shell) *cobra.Command {
	c := &cobra.Command{
		Use:   "table COMMAND",
		Short: "Read and change the items of tables",
		Long: "Read and change the items of DynamoDB tables. TABLE is a table's own name, or the one that its template gives it. " +
			"Items are plain JSON; sets are {\"$set\":[…]} and bytes {\"$binary\":\"base 64\"}. " +
			"On a terminal they stand in columns, in a pipe a line each; --json reads and writes DynamoDB's own form.",
		Example: "  rouse table list\n  rouse table get Accounts ada\n  rouse table put Accounts '{\"id\":\"ada\",\"visits\":1}'\n" +
			"  rouse table query Orders ada --sort '>= 2026-01' --reverse --limit 5\n" +
			"  rouse table scan Products --filter \"price < 10 AND contains(name, 'tea')\"\n  rouse table tail Orders\n" +
			"  rouse table export Orders orders.jsonl",
		Args: cobra.ArbitraryArgs, // what is no command is answered below
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				text := fmt.Sprintf("there is no command %q", "table "+args[0])
				c.SuggestionsMinimumDistance = 2
				if near := c.SuggestionsFor(args[0]); len(near) > 0 {
					text += "; did you mean table " + near[0] + "?"
				}
				return sh.Usage("%s\nSee: rouse help table", text)
			}
			return c.Help()
		},
	}
	c.AddCommand(sh.list(), sh.get(), sh.put(), sh.remove(), sh.query(), sh.scan(), sh.tail(), sh.export(), sh.imports())
	return c
}

// own adds --json to a command whose items it makes read or write in DynamoDB's own form.
func (sh *Shell) own(c *cobra.Command) *cobra.Command {
	c = sh.JSONFlag(c)
	c.Flags().Lookup("json").Usage = "items in DynamoDB's own form: {\"id\":{\"S\":\"1\"}}"
	return c
}

// args checks how many arguments there are; what names those that are wanted.
func (sh *Shell) args(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		text := ""
		switch {
		case len(args) < least:
			text = "name " + what
		case len(args) > most:
			text = fmt.Sprintf("%q is one argument too many", args[most])
		default:
			return nil
		}
		return sh.Usage("%s: %s\nUsage: %s", c.CommandPath(), text, usageOf(c))
	}
}

func usageOf(c *cobra.Command) string { return c.Parent().CommandPath() + " " + c.Use }

// open finds the node and the table that the user means.
func (sh *Shell) open(ctx context.Context, named string) (*table, error) {
	call, err := sh.Connect()
	if err != nil {
		return nil, err
	}
	name, err := sh.named(ctx, call, named)
	if err != nil {
		return nil, err
	}
	return sh.describe(ctx, call, name)
}
