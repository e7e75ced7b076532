// Command rouse is the whole of Rouse in one binary: the node, and the command line that starts it and talks to it.
// It joins the two and does nothing else.
package main

import (
	"context"
	"os"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/node"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.World{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Version:  node.Version(),
		Settings: node.Settings(),
		Start:    node.Start,
		Doctor:   node.Doctor,
		State:    cli.State{Copy: node.CopyStore, Restore: node.Restore, Verify: node.VerifyBackup},
	}))
}
