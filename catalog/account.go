package catalog

import (
	"context"

	"github.com/rouse-dev/rouse/kv"
)

// Account is what an account may use and uses.
type Account struct {
	CodeTotalMax          int64
	UnzippedMax           int64
	ZippedMax             int64
	Concurrency           int // executions at once
	UnreservedConcurrency int // of these, not reserved by a function
	CodeBytes             int64
	Functions             int64
}

// Account answers the limits and totals of an account.
func (c *Catalog) Account(account string) Account {
	t, _ := c.accounts.get(account)
	return Account{
		CodeTotalMax: CodeTotalMax, UnzippedMax: UnzippedMax, ZippedMax: ZippedMax, Concurrency: c.cfg.Concurrency,
		UnreservedConcurrency: c.cfg.Concurrency - t.Reserved, CodeBytes: t.CodeBytes, Functions: t.Functions,
	}
}

// Reserve keeps executions free for the function, and limits it to them; nil ends that.
func (c *Catalog) Reserve(ctx context.Context, r Ref, executions *int) error {
	if err := onlyFunctions(r); err != nil {
		return err
	}
	if executions != nil && *executions < 0 {
		return constraint("reservedConcurrentExecutions", "-1", "Member must have value greater than or equal to 0")
	}
	return c.updateFunction(ctx, r, func(tx kv.Tx, h *head) error {
		return c.total(tx, r.Account, func(t *totals) error {
			if h.Reserved != nil {
				t.Reserved -= *h.Reserved
			}
			if h.Reserved = executions; executions == nil {
				return nil
			}
			// Compared without adding first: the number is the client's, and may be near the end of int.
			if *executions > c.cfg.Concurrency-UnreservedMin-t.Reserved {
				return invalid("Specified ReservedConcurrentExecutions for function decreases account's "+
					"UnreservedConcurrentExecution below its minimum value of [%d].", UnreservedMin)
			}
			t.Reserved += *executions
			return nil
		})
	})
}

// Reserved answers what the function has reserved; nil: nothing.
func (c *Catalog) Reserved(r Ref) (*int, error) {
	if err := onlyFunctions(r); err != nil {
		return nil, err
	}
	f, err := c.function(r)
	if err != nil {
		return nil, err
	}
	return f.reserved, nil
}
