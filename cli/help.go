package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groups are the headings of the list of commands, and what stands below each, in the order in which people need it.
var groups = []struct{ id, title, commands string }{
	{"run", "Run", "dev serve status stop reset backup restore store"},
	{"app", "Applications", "init deploy delete list invoke"},
	{"see", "See what happens", "logs usage table"},
	{"more", "More", "env exec runtime doctor version help"},
}

// help prints what a command does and takes.
func (a *app) help(c *cobra.Command, _ []string) {
	st := a.style
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	for _, paragraph := range strings.Split(about, "\n") {
		fmt.Fprintln(a.Out, st.wrap(paragraph, 0))
	}
	heading := func(title string) { fmt.Fprintf(a.Out, "\n%s\n", st.strong(title)) }
	heading("Usage")
	use := strings.TrimSuffix(c.UseLine(), " [flags]")
	if c.HasAvailableSubCommands() {
		use = c.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(a.Out, "  %s\n", use)
	if len(c.Aliases) > 0 {
		fmt.Fprintf(a.Out, "  %s\n", st.dim("also: "+strings.Join(c.Aliases, ", ")))
	}
	if c.Example != "" {
		heading("Examples")
		fmt.Fprintln(a.Out, st.code(c.Example))
	}
	a.helpCommands(c, heading)
	a.helpFlags(c, heading)
	if c == c.Root() {
		heading("Exit codes")
		fmt.Fprintln(a.Out, "  0 done, 1 refused or failed, 2 the command line is wrong, 3 no node answered, 4 the function failed (invoke)")
		fmt.Fprintf(a.Out, "\n%s shows a command, %s every setting of a node.\n", st.code("rouse help COMMAND"), st.code("rouse help configuration"))
	}
}

func (a *app) helpCommands(c *cobra.Command, heading func(string)) {
	list := func(wanted func(string) bool) {
		for _, sub := range c.Commands() {
			if wanted(sub.Name()) {
				fmt.Fprintf(a.Out, "  %-9s %s\n", sub.Name(), sub.Short)
			}
		}
	}
	switch {
	case c == c.Root():
		for _, g := range groups {
			heading(g.title)
			for _, name := range strings.Fields(g.commands) {
				list(func(n string) bool { return n == name })
			}
		}
	case c.HasAvailableSubCommands():
		heading("Commands")
		list(func(string) bool { return true })
	}
}

// helpFlags prints the command's own flags, the settings of a node apart, and those that every command has.
func (a *app) helpFlags(c *cobra.Command, heading func(string)) {
	own, settings := pflag.NewFlagSet("", 0), pflag.NewFlagSet("", 0)
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == "help":
		case f.Annotations[settingFlag] != nil:
			settings.AddFlag(f)
		default:
			own.AddFlag(f)
		}
	})
	global := pflag.NewFlagSet("", 0)
	c.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "data" || settings.Lookup("listen") == nil { // who starts a node talks to that one
			global.AddFlag(f)
		}
	})
	for _, part := range []struct {
		title string
		flags *pflag.FlagSet
	}{{"Flags", own}, {"Settings of the node, also as ROUSE_NAME and in rouse.toml", settings}, {"Everywhere", global}} {
		if part.flags.HasAvailableFlags() {
			heading(part.title)
			a.printFlags(part.flags)
		}
	}
}

// printFlags prints one flag a line, its help aligned.
func (a *app) printFlags(flags *pflag.FlagSet) {
	var rows [][2]string
	width := 0
	flags.VisitAll(func(f *pflag.Flag) {
		value, about := pflag.UnquoteUsage(f)
		if setting := f.Annotations[settingFlag]; setting != nil {
			value, about = setting[0], f.Usage
		}
		left := "    --" + f.Name
		if f.Shorthand != "" {
			left = "-" + f.Shorthand + ", --" + f.Name
		}
		left = strings.TrimRight("  "+left+" "+value, " ")
		width = max(width, len(left))
		rows = append(rows, [2]string{left, about})
	})
	for _, r := range rows {
		fmt.Fprintf(a.Out, "%s  %s\n", pad(r[0], width), a.style.wrap(r[1], width+2))
	}
}

// helpCommand is `rouse help`.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does, or every setting of a node",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "configuration" {
				a.helpConfiguration()
				return nil
			}
			c, rest, err := root.Find(args)
			if err != nil || c == nil || len(rest) > 0 {
				return a.knownCommand(root, args)
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// helpConfiguration lists the settings of a node.
func (a *app) helpConfiguration() {
	fmt.Fprintln(a.Out, a.style.wrap("A node's settings. Each is a flag (--log-max), a variable (ROUSE_LOG_MAX) or a line in rouse.toml, "+
		"beside the application or where --config says; the first of the three that names it counts.", 0))
	fmt.Fprintln(a.Out)
	width := 0
	for _, s := range a.Settings {
		width = max(width, len(s.Name))
	}
	for _, s := range a.Settings {
		fmt.Fprintf(a.Out, "  %s  %s\n", a.style.code(pad(s.Name, width)), a.style.wrap(s.Help, width+4))
	}
	fmt.Fprintf(a.Out, "\n%s\n  listen = \"127.0.0.1:4566\"\n  region = \"eu-central-1\"\n  egress = false\n\n  [price]\n  gb-second = 0.0000133334\n",
		a.style.strong("A rouse.toml"))
}
