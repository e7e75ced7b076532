package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// stack describes one stack.
func (c *client) stack(ctx context.Context, name string) (stack, error) {
	var page struct{ Stacks []stack }
	if err := c.call(ctx, "cloudformation", "DescribeStacks", map[string]any{"StackName": name}, &page); err != nil {
		return stack{}, err
	}
	if len(page.Stacks) == 0 {
		return stack{}, &apiError{Code: "ValidationError", Message: "Stack with id " + name + " does not exist"}
	}
	return page.Stacks[0], nil
}

func isNoStack(err error) bool {
	return err != nil && code(err) == "ValidationError" && strings.Contains(err.Error(), "does not exist")
}

// event is a line of a stack's history.
type event struct {
	EventId, LogicalResourceId, ResourceType, ResourceStatus, ResourceStatusReason string
}

// events lists a stack's events, oldest first, after the one with id after.
func (c *client) events(ctx context.Context, name, after string) ([]event, error) {
	var all []event
	in := map[string]any{"StackName": name}
	for {
		var page struct {
			StackEvents []event
			NextToken   string
		}
		if err := c.call(ctx, "cloudformation", "DescribeStackEvents", in, &page); err != nil {
			return nil, err
		}
		for _, e := range page.StackEvents { // newest first
			if e.EventId == after {
				return reversed(all), nil
			}
			all = append(all, e)
		}
		if page.NextToken == "" {
			return reversed(all), nil
		}
		in["NextToken"] = page.NextToken
	}
}

func reversed(list []event) []event {
	out := make([]event, len(list))
	for i, e := range list {
		out[len(list)-1-i] = e
	}
	return out
}

// execute makes the changes and waits for the end.
func (d *deployment) execute(ctx context.Context, s set) error {
	last := ""
	if before, err := d.c.events(ctx, d.project.Name, ""); err == nil && len(before) > 0 {
		last = before[len(before)-1].EventId
	}
	if err := d.c.call(ctx, "cloudformation", "ExecuteChangeSet", map[string]any{"ChangeSetName": s.id}, nil); err != nil {
		return d.located(err)
	}
	p := d.progress()
	defer p.end()
	return d.c.follow(ctx, d.project.Name, last, p)
}

// follow waits until a stack is at rest and returns why it failed, if it did. A stack that is gone has been deleted.
func (c *client) follow(ctx context.Context, name, last string, p *progress) error {
	var reasons []string
	wait := 5 * time.Millisecond
	for {
		s, err := c.stack(ctx, name)
		if isNoStack(err) {
			return nil
		}
		if err != nil {
			return err
		}
		events, err := c.events(ctx, name, last)
		if isNoStack(err) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			last = e.EventId
			p.step(e.LogicalResourceId + " " + strings.ToLower(strings.ReplaceAll(e.ResourceStatus, "_", " ")))
			if strings.HasSuffix(e.ResourceStatus, "_FAILED") && !strings.Contains(e.ResourceStatusReason, "cancelled") {
				reasons = append(reasons, fmt.Sprintf("%s (%s): %s", e.LogicalResourceId, e.ResourceType, e.ResourceStatusReason))
			}
		}
		if !strings.HasSuffix(s.StackStatus, "_IN_PROGRESS") {
			return ended(s.StackStatus, reasons)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 200*time.Millisecond)
	}
}

// ended is nil for a stack that is as it should be.
func ended(status string, reasons []string) error {
	switch status {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE":
		return nil
	}
	text := "nothing was changed: "
	if strings.Contains(status, "FAILED") {
		text = "the stack is left as " + status + ": "
	}
	if len(reasons) == 0 {
		reasons = []string{status}
	}
	return errors.New(text + strings.Join(reasons, "\n  "))
}

// deleteStack deletes a stack and waits until it is gone.
func (c *client) deleteStack(ctx context.Context, name string, p *progress) error {
	last := ""
	if before, err := c.events(ctx, name, ""); err == nil && len(before) > 0 {
		last = before[len(before)-1].EventId
	}
	if err := c.call(ctx, "cloudformation", "DeleteStack", map[string]any{"StackName": name}, nil); err != nil {
		return err
	}
	return c.follow(ctx, name, last, p)
}

func (a *app) deleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete STACK",
		Short:   "Remove an application and everything that its template made",
		Long:    "Remove an application and everything that its template made. `rouse list` shows the stacks that there are.",
		Example: "  rouse delete shop",
		Args:    exactly(1, "a stack; `rouse list` shows them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if _, err := c.stack(cmd.Context(), args[0]); isNoStack(err) {
				return fmt.Errorf("there is no stack %q\n%s", args[0], c.knownStacks(cmd.Context()))
			} else if err != nil {
				return err
			}
			p := a.progress()
			defer p.end()
			if err := c.deleteStack(cmd.Context(), args[0], p); err != nil {
				return err
			}
			p.end()
			fmt.Fprintf(a.Out, "%s is deleted.\n", a.style.strong(args[0]))
			return nil
		},
	}
}

// knownStacks names the stacks that there are, for whoever mistyped one.
func (c *client) knownStacks(ctx context.Context) string {
	list, err := c.stacks(ctx)
	if err != nil || len(list) == 0 {
		return "There are no stacks."
	}
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.StackName
	}
	return "Stacks: " + strings.Join(names, ", ")
}
