package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// leadElsewhere are variables that could make a tool talk to AWS, or to another account, in spite of the endpoint. Those
// that name the endpoint of one service are found by their beginning.
var leadElsewhere = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
	"AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	"AWS_S3_USE_ARN_REGION", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}

const serviceEndpoint = "AWS_ENDPOINT_URL_"

// elsewhere lists the variables to unset, in order.
func (a *app) elsewhere() []string {
	names := slices.Clone(leadElsewhere)
	for _, kv := range a.Environ {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, serviceEndpoint) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[len(leadElsewhere):])
	return names
}

// variables are what points AWS tools at the node, in the order in which they are printed. Where a proxy is set, tools are
// told to leave it aside for this machine: some would send it even what is for 127.0.0.1.
func (a *app) variables(c *client) [][2]string {
	v := [][2]string{
		{"AWS_ENDPOINT_URL", c.url},
		{"AWS_ACCESS_KEY_ID", c.signer.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", c.signer.SecretAccessKey},
		{"AWS_REGION", c.signer.Region},
		{"AWS_DEFAULT_REGION", c.signer.Region},
		{"AWS_EC2_METADATA_DISABLED", "true"},
	}
	if c.signer.SessionToken != "" {
		v = append(v, [2]string{"AWS_SESSION_TOKEN", c.signer.SessionToken})
	}
	if !isLoopback(c.url) {
		return v
	}
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if p, _ := a.getenv(name); p != "" {
			return append(v, [2]string{"NO_PROXY", a.noProxy("NO_PROXY")}, [2]string{"no_proxy", a.noProxy("no_proxy")})
		}
	}
	return v
}

// noProxy is what a variable lists already, and this machine.
func (a *app) noProxy(name string) string {
	list, _ := a.getenv(name)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if !slices.Contains(strings.Split(list, ","), host) {
			list = strings.TrimPrefix(list+","+host, ",")
		}
	}
	return list
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the variables that point AWS tools at the node",
		Long: "Print the variables that point the AWS CLI and SDKs at the node, for the shell to evaluate. " +
			"Variables that could lead elsewhere, such as AWS_PROFILE, are unset. The AWS CLI reads AWS_ENDPOINT_URL from 2.13 and " +
			"1.29 on, boto3 from 1.28; for older ones there is rouse exec.",
		Example: "  eval \"$(rouse env)\"\n  aws lambda list-functions",
		Args:    atMost(0),
		RunE: func(*cobra.Command, []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			set := map[string]bool{}
			for _, v := range a.variables(c) {
				fmt.Fprintf(a.Out, "export %s=%s\n", v[0], shellQuote(v[1]))
				set[v[0]] = true
			}
			for _, name := range a.elsewhere() {
				if !set[name] {
					fmt.Fprintf(a.Out, "unset %s\n", name)
				}
			}
			return nil
		},
	}
}

// shellQuote makes s one word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "exec -- COMMAND [ARG ...]",
		Short:   "Run a tool with those variables",
		Long:    "Run a tool with the variables of `rouse env`. Its exit code becomes that of rouse; 127 when there is no such tool.",
		Example: "  rouse exec -- aws lambda list-functions\n  rouse exec -- npm test",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("rouse exec: name a command to run, such as: rouse exec -- aws lambda list-functions")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.exec(cmd.Context(), c, args)
		},
	}
	cmd.Flags().SetInterspersed(false) // flags after the tool's name are the tool's
	return cmd
}

// told adds the endpoint to the arguments of the AWS CLI: versions before 2.13 and 1.29 do not read AWS_ENDPOINT_URL, and
// would send the key to AWS.
func told(args []string, url string) []string {
	if filepath.Base(args[0]) != "aws" || slices.ContainsFunc(args, func(s string) bool { return strings.HasPrefix(s, "--endpoint-url") }) {
		return args
	}
	return slices.Concat(args[:1], []string{"--endpoint-url", url}, args[1:])
}

func (a *app) exec(ctx context.Context, c *client, args []string) error {
	args = told(args, c.url)
	tool := exec.CommandContext(ctx, args[0], args[1:]...)
	tool.Stdin, tool.Stdout, tool.Stderr, tool.Dir = a.In, a.Out, a.Err, a.Dir
	drop := a.elsewhere()
	for _, kv := range a.Environ {
		if name, _, _ := strings.Cut(kv, "="); !slices.Contains(drop, name) {
			tool.Env = append(tool.Env, kv)
		}
	}
	for _, v := range a.variables(c) {
		tool.Env = append(tool.Env, v[0]+"="+v[1])
	}
	// An interrupt at the terminal reaches the tool by itself; it decides how to end.
	ignore := make(chan os.Signal, 1)
	signal.Notify(ignore, os.Interrupt)
	defer signal.Stop(ignore)
	err := tool.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
			return &exitError{128 + int(st.Signal()), nil}
		}
		return &exitError{exit.ExitCode(), nil}
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return &exitError{exitNoTool, fmt.Errorf("there is no command %s", args[0])}
	case err != nil:
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}

// exitNoTool is a shell's exit code for a command that is not there.
const exitNoTool = 127
