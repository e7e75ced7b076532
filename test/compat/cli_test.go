package compat

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// commandMax is the most that one command of the AWS CLI may take: some of its waits look only every 30 seconds.
const commandMax = 100 * time.Second

// command is one run of the AWS CLI. $NAME in args, out, has and fails stands for what an earlier command of its list saved,
// $DIR for a folder of the list's own; ^ is a space within one argument.
type command struct {
	args  string // split at spaces; never seen by a shell
	out   string // what it prints, trimmed; "" does not care
	has   string // what it prints among other things
	fails string // what it says as it fails; "" wants success
	save  string // the name that its output gets
}

// Each list runs in order; lists run side by side.
var commandLists = map[string][]command{
	"functions": {
		{args: "sts get-caller-identity --query [Account,Arn]", out: "000000000000\tarn:aws:iam::000000000000:root"},
		{args: "iam create-role --role-name cli-function --assume-role-policy-document file://$DIR/trust.json --query Role.Arn",
			out: "arn:aws:iam::000000000000:role/cli-function", save: "ROLE"},
		{args: "lambda create-function --function-name cli-function --runtime python3.13 --handler index.handler --role $ROLE " +
			"--zip-file fileb://$DIR/code.zip --environment Variables={STAGE=first} --tags team=shop --timeout 10 --query FunctionArn",
			out: "arn:aws:lambda:us-east-1:000000000000:function:cli-function", save: "ARN"},
		{args: "lambda wait function-active-v2 --function-name cli-function"},
		{args: "lambda invoke --function-name cli-function --payload fileb://$DIR/event.json --log-type Tail " +
			"--query [StatusCode,ExecutedVersion] $DIR/answer.json", out: "200\t$LATEST"},
		{args: "lambda update-function-configuration --function-name $ARN --memory-size 256 --query MemorySize",
			out: "256"},
		{args: "lambda wait function-updated --function-name cli-function"},
		{args: "lambda publish-version --function-name cli-function --query Version", out: "1"},
		{args: "lambda create-alias --function-name cli-function --name live --function-version 1 --query AliasArn",
			out: "$ARN:live"},
		{args: "lambda list-versions-by-function --function-name cli-function --page-size 1 --query Versions[].Version",
			out: "$LATEST\n1"},
		{args: "lambda get-function --function-name cli-function:live --query Configuration.[Version,State,LastUpdateStatus]",
			out: "1\tActive\tSuccessful"},
		{args: "lambda create-function --function-name cli-function --runtime python3.13 --handler index.handler --role $ROLE " +
			"--zip-file fileb://$DIR/code.zip",
			fails: "(ResourceConflictException) when calling the CreateFunction operation: Function already exist: cli-function"},
		{args: "lambda get-function --function-name cli-nobody",
			fails: "(ResourceNotFoundException) when calling the GetFunction operation: " +
				"Function not found: arn:aws:lambda:us-east-1:000000000000:function:cli-nobody"},
		{args: "logs filter-log-events --log-group-name /aws/lambda/cli-function --filter-pattern order --query events[].message", has: "saw {\"order\": 7}"},
		{args: "lambda delete-function --function-name cli-function"},
		{args: "iam delete-role --role-name cli-function"},
	},
	"stack": {
		{args: "cloudformation deploy --stack-name cli-stack --template-file testdata/stack.yaml --capabilities CAPABILITY_IAM " +
			"--no-fail-on-empty-changeset", has: "Successfully created/updated stack - cli-stack"},
		{args: "cloudformation describe-stacks --stack-name cli-stack --query Stacks[0].Outputs[?OutputKey=='Name'].OutputValue", save: "NAME"},
		{args: "lambda invoke --function-name $NAME --query StatusCode $DIR/answer.json", out: "200"},
		{args: "cloudformation deploy --stack-name cli-stack --template-file testdata/stack.yaml --capabilities CAPABILITY_IAM " +
			"--no-fail-on-empty-changeset", has: "No changes to deploy. Stack cli-stack is up to date"},
		{args: "cloudformation list-stack-resources --stack-name cli-stack --query StackResourceSummaries[?ResourceType=='AWS::Lambda::Function'].PhysicalResourceId",
			out: "$NAME"},
		{args: "cloudformation delete-stack --stack-name cli-stack"},
	},
	"table": {
		{args: "dynamodb create-table --table-name cli-table --attribute-definitions AttributeName=a,AttributeType=S " +
			"--key-schema AttributeName=a,KeyType=HASH --billing-mode PAY_PER_REQUEST --query TableDescription.TableArn",
			out: "arn:aws:dynamodb:us-east-1:000000000000:table/cli-table"},
		{args: "dynamodb wait table-exists --table-name cli-table"},
		{args: `dynamodb put-item --table-name cli-table --item {"a":{"S":"1"},"n":{"N":"1.50"}}`},
		{args: `dynamodb update-item --table-name cli-table --key {"a":{"S":"1"}} --update-expression ADD^n^:n ` +
			`--expression-attribute-values {":n":{"N":"1"}} --return-values UPDATED_NEW --query Attributes.n.N`, out: "2.5"},
		{args: "dynamodb scan --table-name cli-table --query Count", out: "1"},
		{args: `dynamodb query --table-name cli-table --key-condition-expression a=:a --expression-attribute-values {":a":{"S":"1"}} --query Items[].n.N`,
			out: "2.5"},
		{args: "dynamodb describe-time-to-live --table-name cli-table --query TimeToLiveDescription.TimeToLiveStatus", out: "DISABLED"},
		{args: "dynamodb describe-continuous-backups --table-name cli-table --query ContinuousBackupsDescription.ContinuousBackupsStatus",
			out: "DISABLED"},
		{args: `dynamodb put-item --table-name cli-table --item {"a":{"S":"1"}} --condition-expression attribute_not_exists(a)`,
			fails: "(ConditionalCheckFailedException) when calling the PutItem operation: The conditional request failed"},
		{args: "dynamodb delete-table --table-name cli-table --query TableDescription.TableStatus", out: "DELETING"},
		{args: "dynamodb wait table-not-exists --table-name cli-table"},
	},
	"the rest": {
		{args: "logs create-log-group --log-group-name cli/logs"},
		{args: "logs create-log-stream --log-group-name cli/logs --log-stream-name one"},
		{args: "logs put-log-events --log-group-name cli/logs --log-stream-name one --log-events timestamp=$NOW,message=hello"},
		{args: "logs filter-log-events --log-group-name cli/logs --filter-pattern hello --query events[].message",
			out: "hello"},
		{args: "logs delete-log-group --log-group-name cli/logs"},
		{args: "apigatewayv2 create-api --name cli-api --protocol-type HTTP --query ApiId", save: "API"},
		{args: "apigatewayv2 get-apis --query Items[?Name=='cli-api'].ApiId", out: "$API"},
		{args: "apigatewayv2 delete-api --api-id $API"},
		{args: "apigateway create-rest-api --name cli-rest --query id", save: "REST"},
		{args: "apigateway get-resources --rest-api-id $REST --query items[].path", out: "/"},
		{args: "apigateway delete-rest-api --rest-api-id $REST"},
		{args: "events put-rule --name cli-rule --schedule-expression rate(1^hour) --query RuleArn",
			out: "arn:aws:events:us-east-1:000000000000:rule/cli-rule"},
		{args: "events list-rules --name-prefix cli-rule --query Rules[].ScheduleExpression", out: "rate(1 hour)"},
		{args: "events delete-rule --name cli-rule"},
		{args: "iam get-role --role-name cli-nobody",
			fails: "(NoSuchEntity) when calling the GetRole operation: The role with name cli-nobody cannot be found."},
		{args: "kinesis list-streams", fails: "Rouse does not implement"},
	},
}

// awsCLI is the installed AWS CLI, set up for one node.
type awsCLI struct {
	path string
	env  []string
	args []string // that precede those of each command
}

// findCLI finds the AWS CLI, or unpacks Debian's. Before 2.13, and 1.29 of the first, it did not know AWS_ENDPOINT_URL, so its
// users say it with every command.
func findCLI(t *testing.T, n *node, d *debian) awsCLI {
	t.Helper()
	env := append(environment(t, n), "AWS_DEFAULT_OUTPUT=text", "AWS_CLI_AUTO_PROMPT=off")
	p, err := exec.LookPath("aws")
	if err != nil {
		root, why := d.tools(t)
		if root == "" {
			missing(t, "no aws (Debian: awscli), and "+why)
		}
		p, env = filepath.Join(root, "usr", "bin", "aws"), append(env, d.environment()...)
	}
	cli := awsCLI{path: p, env: env}
	cmd := exec.Command(p, "--version")
	cmd.Env = cli.env
	out, err := cmd.CombinedOutput()
	check(t, err, "ask for the version of aws")
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "aws-cli/%d.%d", &major, &minor); err != nil {
		t.Fatalf("aws --version: got %q, want aws-cli/VERSION", out)
	}
	if major == 1 && minor < 29 || major == 2 && minor < 13 {
		cli.args = []string{"--endpoint-url", n.url}
	}
	return cli
}

func cliSuite(t *testing.T, n *node, d *debian) {
	cli := findCLI(t, n, d)
	for name, list := range commandLists {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			saved := map[string]string{"DIR": commandFolder(t), "NOW": strconv.FormatInt(time.Now().UnixMilli(), 10)}
			for _, c := range list {
				if !t.Run(commandName(c.args), func(t *testing.T) { c.run(t, cli, saved) }) {
					return // what follows needs it
				}
			}
			if name == "functions" {
				b, err := os.ReadFile(filepath.Join(saved["DIR"], "answer.json"))
				check(t, err, "read the answer")
				contains(t, string(b), `"stage": "first"`, "answer of the function")
			}
		})
	}
}

// commandFolder holds the files that the commands name.
func commandFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"trust.json": []byte(trustLambda), "code.zip": archive(t, "index.py", pythonEcho),
		"event.json": []byte(`{"order":7}`),
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), content, 0o600), "write "+name)
	}
	return dir
}

// commandName is the service and operation, and who it is about where that fits.
func commandName(args string) string {
	words := strings.Fields(args)
	return strings.Join(words[:min(2, len(words))], " ")
}

func (c command) run(t *testing.T, cli awsCLI, saved map[string]string) {
	t.Helper()
	put := func(s string) string {
		for name, value := range saved {
			s = strings.ReplaceAll(s, "$"+name, value)
		}
		return strings.ReplaceAll(s, "^", " ")
	}
	args := slices.Clone(cli.args)
	for _, word := range strings.Fields(c.args) {
		args = append(args, put(word))
	}
	ctx, cancel := context.WithTimeout(t.Context(), commandMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, cli.path, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = cli.env, &out, &errs, time.Second
	err := cmd.Run()
	said := strings.TrimSpace(out.String())
	if c.fails != "" {
		if err == nil {
			t.Fatalf("got success with %s, want it to fail with %q", said, c.fails)
		}
		text := strings.ReplaceAll(errs.String(), " (reached max retries: 0)", "")
		contains(t, text, put(c.fails), "what it says as it fails")
		return
	}
	if err != nil {
		t.Fatalf("got %v, want success\n%s%s", err, out.String(), errs.String())
	}
	if c.out != "" {
		want(t, said, put(c.out), "what it prints")
	}
	contains(t, out.String()+errs.String(), put(c.has), "what it prints")
	if c.save != "" {
		saved[c.save] = said
	}
}
