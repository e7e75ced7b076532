// Command rouse is the whole of Rouse: the node and the command line that talks to it.
package main

import (
	"context"
	"os"

	"github.com/rouse-dev/rouse/cli"
	"github.com/rouse-dev/rouse/node"
)

func main() {
	node.Enter() // does not return in a process that was started to be a part of a sandbox
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.World{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(),
		Version:  node.Version(),
		Start:    node.Start,
		Settings: node.Settings(),
	}))
}
