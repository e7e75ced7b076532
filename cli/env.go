package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
)

// leadElsewhere are variables that could make a tool talk to AWS, or to another account, in spite of the endpoint.
var leadElsewhere = []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN",
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	"AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_CLOUDFORMATION",
	"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS",
	"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}

// variables are what points AWS tools at the node, in the order in which they are printed.
func (c *client) variables() [][2]string {
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
	return v
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the variables that point AWS tools at the node",
		Long: "Print the variables that point the AWS CLI and SDKs at the node, for the shell to evaluate.\n" +
			"Variables that could lead elsewhere, such as AWS_PROFILE, are unset.",
		Example: "  eval \"$(rouse env)\"\n  aws lambda list-functions",
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			set := map[string]bool{}
			for _, v := range c.variables() {
				fmt.Fprintf(a.Out, "export %s=%s\n", v[0], shellQuote(v[1]))
				set[v[0]] = true
			}
			for _, name := range leadElsewhere {
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
	return &cobra.Command{
		Use:     "exec -- COMMAND [ARG ...]",
		Short:   "Run a tool with those variables",
		Long:    "Run a tool with the variables of `rouse env`. Its exit code becomes that of rouse.",
		Example: "  rouse exec -- aws lambda list-functions\n  rouse exec -- npm test",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError("exec: name a command to run, such as: rouse exec -- aws lambda list-functions")
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
}

func (a *app) exec(ctx context.Context, c *client, args []string) error {
	tool := exec.CommandContext(ctx, args[0], args[1:]...)
	tool.Stdin, tool.Stdout, tool.Stderr, tool.Dir = a.In, a.Out, a.Err, a.Dir
	drop := map[string]bool{}
	for _, n := range leadElsewhere {
		drop[n] = true
	}
	for _, kv := range a.Environ {
		if name, _, _ := strings.Cut(kv, "="); !drop[name] {
			tool.Env = append(tool.Env, kv)
		}
	}
	for _, v := range c.variables() {
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
		return &exitError{max(1, exit.ExitCode()), nil}
	case err != nil:
		return fmt.Errorf("run %s: %w", args[0], err)
	}
	return nil
}
