package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// stopWithin is how long a node may take to stop in order before it is stopped at once.
const stopWithin = 10 * time.Second

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a node for production",
		Long: "Run a node for production. At its first start it makes a root access key and prints it, once; the development key " +
			"test/test is refused. Every setting is also read from ROUSE_NAME in the environment and from rouse.toml.",
		Example: "  rouse serve\n  rouse serve --listen 0.0.0.0:4566 --data /var/lib/rouse --public-url https://rouse.example.org",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.serve(cmd)
		},
	}
	a.settingFlags(cmd, func(name string) bool { return name != "plain" })
	return cmd
}

// settingFlag marks flags that are settings of a node.
const settingFlag = "rouse.setting"

// placeholders are what the values of settings are called in help.
var placeholders = map[string]string{"listen": "HOST:PORT", "plain": "HOST:PORT", "metrics": "HOST:PORT", "region": "REGION",
	"account": "ID", "isolation": "NAME",
	"egress": "on|off|allow:…", "allow-host": "PORTS", "memory": "MIB", "spares": "MIB", "cache-tables": "MIB", "concurrency": "N", "store": "URL", "keep-alive": "TIME", "log-max": "MIB", "public-url": "URL"}

// switches are settings that are on when their flag is given without a value.
var switches = []string{"dev-key", "allow-weak-isolation"}

// settingFlags gives a command a flag per setting of a node; --data is everywhere already.
func (a *app) settingFlags(cmd *cobra.Command, wanted func(string) bool) {
	for _, s := range a.Settings {
		if s.Name == "data" || !wanted(s.Name) {
			continue
		}
		called := placeholders[s.Name]
		if called == "" {
			called = "VALUE"
		}
		cmd.Flags().String(s.Name, "", s.Help)
		f := cmd.Flags().Lookup(s.Name)
		if slices.Contains(switches, s.Name) {
			f.NoOptDefVal, called = "on", ""
		}
		f.Annotations = map[string][]string{settingFlag: {called}}
	}
	cmd.Flags().String("config", "", "`FILE` of settings (default rouse.toml beside the application)")
}

// startNode starts a node with the settings given as flags.
func (a *app) startNode(ctx context.Context, cmd *cobra.Command, dev bool, dir string) (Node, error) {
	return a.Start(ctx, a.nodeOptions(cmd, dev, dir))
}

// nodeOptions are the settings of a node as they were given.
func (a *app) nodeOptions(cmd *cobra.Command, dev bool, dir string) NodeOptions {
	o := NodeOptions{Dev: dev, Flags: map[string]string{}, Getenv: a.setenv, Log: a.Err, File: filepath.Join(dir, "rouse.toml")}
	known := map[string]bool{}
	for _, s := range a.Settings {
		known[s.Name] = true
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if known[f.Name] {
			o.Flags[f.Name] = f.Value.String()
		}
	})
	if file, _ := cmd.Flags().GetString("config"); file != "" {
		o.File, o.Must = file, true
	}
	if _, given := o.Flags["data"]; !given {
		if _, inEnv := a.setenv("ROUSE_DATA"); !inEnv && dev {
			o.Flags["data"] = filepath.Join(dir, ".rouse")
		}
	}
	return o
}

// setenv reads a variable of a node; an empty one is as none.
func (a *app) setenv(name string) (string, bool) {
	v, ok := a.getenv(name)
	return v, ok && v != ""
}

// signals is a context that ends with the first interrupt; a second one ends the process as if nobody listened.
func signals(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

func (a *app) serve(cmd *cobra.Command) error {
	ctx, stop := signals(cmd.Context())
	defer stop()
	node, err := a.startNode(context.WithoutCancel(ctx), cmd, false, a.dir())
	if err != nil {
		return err
	}
	a.title(modes["serve"], node)
	if id, secret := node.FirstKey(); id != "" {
		fmt.Fprintf(a.Out, "\n%s This is the first start. The root access key is shown once:\n\n  %s\n  %s\n\n", a.style.warn("Keep this."),
			"AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	}
	fmt.Fprintln(a.Out, "Ready.")
	select {
	case err := <-node.Done():
		return err
	case <-ctx.Done():
	}
	stop() // from here on an interrupt ends the process
	return a.stopNode(node)
}

// title prints the first line of a node's screen.
func (a *app) title(mode string, node Node) {
	fmt.Fprintf(a.Out, "%s %s %s\n", a.style.strong("rouse"), a.Version, a.style.dim(mode+" at ")+a.style.code(node.URL()))
}

func (a *app) stopNode(node Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := node.Stop(ctx); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	fmt.Fprintln(a.Out, "Stopped.")
	return nil
}
