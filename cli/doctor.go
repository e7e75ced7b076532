package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// Check is one thing that the doctor looked at.
type Check struct {
	Group  string `json:"group"` // "Isolation", "Runtimes", "Tools", "Node"
	Name   string `json:"name"`
	State  string `json:"state"` // "ok", "weak" or "missing"
	Detail string `json:"detail,omitempty"`
	Lift   string `json:"lift,omitempty"` // what would mend it
}

func (a *app) doctorCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do, and what would help",
		Long: "Look at what this machine offers: isolation, proved by making one sandbox, interpreters, and the tools that build " +
			"functions. What is missing comes with what would mend it. The exit code is 1 when functions cannot run.",
		Example: "  rouse doctor\n  rouse doctor --json | jq '.[] | select(.state != \"ok\")'",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			folder, err := a.dataFolder()
			if err != nil {
				return err
			}
			checks, runs := a.Doctor(cmd.Context(), folder)
			if a.json {
				err = a.printJSON(orEmpty(checks))
			} else {
				a.printChecks(checks)
			}
			if err == nil && !runs {
				err = &exitError{ExitFailed, fmt.Errorf("functions cannot run on this machine")}
			}
			return err
		},
	})
}

// Doctor looks at the machine. runs is whether functions can run at all.
type Doctor func(ctx context.Context, data string) (checks []Check, runs bool)

func (a *app) printChecks(checks []Check) {
	group := ""
	for _, c := range checks {
		if c.Group != group {
			if group != "" {
				fmt.Fprintln(a.Out)
			}
			group = c.Group
			fmt.Fprintln(a.Out, a.style.strong(group))
		}
		mark := a.style.good("✓")
		switch c.State {
		case "weak":
			mark = a.style.warn("~")
		case "missing":
			mark = a.style.bad("✗")
		}
		fmt.Fprintf(a.Out, "  %s %-*s %s\n", mark, checkWidth, c.Name, a.style.wrap(c.Detail, checkWidth+5))
		if c.Lift != "" && c.State != "ok" {
			fmt.Fprintf(a.Out, "    %-*s %s\n", checkWidth, "", a.style.dim(a.style.wrap("→ "+c.Lift, checkWidth+5)))
		}
	}
}

// checkWidth is the width of the column of names.
const checkWidth = 20
