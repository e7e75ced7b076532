package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rouse-dev/rouse/cli/tables"
)

// tableCommand gives the commands of `rouse table` what they have around them.
func (a *app) tableCommand() *cobra.Command {
	st := a.style
	return tables.Command(&tables.Shell{
		In: a.In, Out: a.Out, Err: a.Err, Terminal: st.terminal,
		Connect: func() (tables.Call, error) {
			c, err := a.client()
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, service, operation string, in, out any) error {
				return c.call(ctx, service, operation, in, out)
			}, nil
		},
		Path:    a.path,
		Table:   st.table,
		Columns: func() int { columns, _ := st.size(); return columns },
		Paint:   tables.Paint{Strong: st.strong, Good: st.good, Warn: st.warn, Bad: st.bad, Dim: st.dim, Key: st.code},
		Safe:    printable,
		Progress: func() (func(string), func()) {
			p := a.progress()
			return p.step, p.end
		},
		Nick:     nick,
		Usage:    usageError,
		Code:     code,
		JSONFlag: a.jsonFlag,
		JSON:     func() bool { return a.json },
		Print:    a.printJSON,
	})
}
