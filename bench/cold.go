package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
)

// missing says that this machine has not what a row needs: the row is left out.
type missing string

func (m missing) Error() string { return string(m) }

// recipe is a kind of function: what it is made of.
type recipe struct {
	name, runtime, handler string
	files                  map[string]string // or:
	binary                 string            // becomes bootstrap
	archive                []byte            // made of these
}

const (
	nodeCode   = "exports.handler = async (event) => ({ path: event.rawPath, sum: [1, 2, 3].reduce((a, b) => a + b) });\n"
	pythonCode = "def handler(event, context):\n    return {\"path\": event[\"rawPath\"], \"sum\": sum([1, 2, 3])}\n"
	sdkCode    = "const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');\nconst client = new DynamoDBClient({});\n" +
		"exports.handler = async (event) => ({ path: event.rawPath, region: await client.config.region() });\n"
	botoCode = "import boto3\nclient = boto3.client('dynamodb')\n" +
		"def handler(event, context):\n    return {\"path\": event[\"rawPath\"], \"region\": client.meta.region_name}\n"
	coldEvent = `{"rawPath":"/"}`
)

func nodeRecipe(name, code string) recipe {
	return recipe{name: name, runtime: "nodejs20.x", handler: "index.handler", files: map[string]string{"index.js": code}}
}

func pythonRecipe(name, code string) recipe {
	return recipe{name: name, runtime: "python3.11", handler: "app.handler", files: map[string]string{"app.py": code}}
}

// pack makes the archive.
func (r *recipe) pack() error {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range r.files {
		f, err := w.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, text); err != nil {
			return err
		}
	}
	if r.binary != "" {
		program, err := os.ReadFile(r.binary)
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
		h.SetMode(0o755)
		f, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(program); err != nil {
			return err
		}
	}
	err := w.Close()
	r.archive = b.Bytes()
	return err
}

// publish makes n functions that never ran, named from the recipe's name on, and waits a moment for what is done ahead.
func (b *bench) publish(ctx context.Context, r recipe, n int) ([]string, error) {
	if err := r.pack(); err != nil {
		return nil, err
	}
	role, err := b.role(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range n {
		name := fmt.Sprintf("%s-%d", r.name, i)
		in, err := json.Marshal(map[string]any{"FunctionName": name, "Runtime": r.runtime, "Handler": r.handler, "MemorySize": 128, "Timeout": 20,
			"Role": role, "Code": map[string]any{"ZipFile": r.archive}})
		if err != nil {
			return nil, err
		}
		if _, err := b.lambda(ctx, "POST", "/2015-03-31/functions", in); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, pause(ctx, settleTime)
}

// role is one that the application was deployed with.
func (b *bench) role(ctx context.Context) (string, error) {
	out, err := b.lambda(ctx, "GET", "/2015-03-31/functions/?MaxItems=1", nil)
	if err != nil {
		return "", err
	}
	var list struct{ Functions []struct{ Role string } }
	if err := json.Unmarshal(out, &list); err != nil || len(list.Functions) == 0 {
		return "", fmt.Errorf("no function has a role: %s", out)
	}
	return list.Functions[0].Role, nil
}

const (
	settleTime = 5 * time.Second        // after functions were made
	coldGap    = 500 * time.Millisecond // between first requests: the spare is made again
	tailGap    = 100 * time.Millisecond // the same where there need not be one
)

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lambda makes one signed call of Lambda's API.
func (b *bench) lambda(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+b.api+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	signer := sigv4.Signer{AccessKeyID: "test", SecretAccessKey: "test", Region: "us-east-1", Service: "lambda"}
	signer.Sign(req, sigv4.HashPayload(body), time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode > 299 || resp.Header.Get("X-Amz-Function-Error") != "") {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, out)
	}
	return out, err
}

// first is the time of a function's first invocation.
func (b *bench) first(ctx context.Context, name string) (float64, error) {
	began := time.Now()
	_, err := b.lambda(ctx, "POST", "/2015-03-31/functions/"+name+"/invocations", []byte(coldEvent))
	return millis(time.Since(began)), err
}

// worker is a limit program that waits on a unix socket.
type worker struct {
	cmd    *exec.Cmd
	socket string
}

// startWorker starts one and waits until it is up.
func startWorker(dir string, number int, argv ...string) (*worker, error) {
	w := &worker{socket: filepath.Join(dir, fmt.Sprintf("w%d", number))}
	_ = os.Remove(w.socket) // of an earlier row
	w.cmd = exec.Command(argv[0], append(argv[1:], w.socket)...)
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, missing(err.Error())
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.stop()
		return nil, fmt.Errorf("start %v: %w", argv, err)
	}
	return w, nil
}

func (w *worker) stop() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait() // it was killed
}

// become hands a worker its code and an event, and waits for the answer. The connection stays until the caller closes it.
func (w *worker) become(code string) (time.Duration, net.Conn, error) {
	began := time.Now()
	conn, err := net.Dial("unix", w.socket)
	if err != nil {
		return 0, nil, err
	}
	line, _ := json.Marshal(map[string]any{"code": code, "event": json.RawMessage(coldEvent)}) // texts
	if _, err = conn.Write(append(line, '\n')); err == nil {
		_, err = bufio.NewReader(conn).ReadString('\n')
	}
	if err != nil {
		return 0, nil, fmt.Errorf("worker: %w", err)
	}
	return time.Since(began), conn, nil
}

var (
	nodeWorker   = []string{"node", "limit/node/worker.cjs"}
	pythonZygote = []string{"python3", "limit/python/zygote.py"}
)

// node22 gets a Node.js whose V8 takes compiled code of all files: before it, those with import() are left out.
func (b *bench) node22(ctx context.Context) error {
	if err := tool(ctx, b.dir, b.bin, "runtime", "add", "node@22", "--endpoint", "http://"+b.api); err != nil {
		return missing("no Node.js 22: " + lastLine(err))
	}
	return nil
}

// sdk gets the AWS SDK for JavaScript for the node, as an operator would.
func (b *bench) sdk(ctx context.Context) error {
	if err := tool(ctx, b.dir, b.bin, "runtime", "add", "sdk-js", "--endpoint", "http://"+b.api); err != nil {
		return missing("no AWS SDK for JavaScript: " + lastLine(err))
	}
	return nil
}

// bundle is sdkCode with the SDK in it, as esbuild makes it.
func (b *bench) bundle(ctx context.Context) (string, error) {
	dir := filepath.Join(b.dir, "bundle")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "in.js"), []byte(sdkCode), 0o644); err != nil {
		return "", err
	}
	for _, argv := range [][]string{{"npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "esbuild@0.25", "@aws-sdk/client-dynamodb@3"},
		{filepath.Join(dir, "node_modules/.bin/esbuild"), "in.js", "--bundle", "--platform=node", "--target=node20", "--minify", "--outfile=out.js"}} {
		if err := tool(ctx, dir, argv[0], argv[1:]...); err != nil {
			return "", missing("no bundle: " + lastLine(err))
		}
	}
	out, err := os.ReadFile(filepath.Join(dir, "out.js"))
	return string(out), err
}

func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return lines[len(lines)-1]
}
