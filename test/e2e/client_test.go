package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-dev/rouse/aws/sigv4"
)

// client signs requests to a node as any AWS tool does.
type client struct {
	url   string
	key   sigv4.Signer
	agent *http.Client
}

// answer is a response that was read to its end.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.Status, a.Body) }

// try makes one signed request. The error is the network's.
func (c *client) try(service, method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	key := c.key
	key.Service = service
	key.Sign(req, sigv4.HashPayload([]byte(body)), time.Now())
	resp, err := c.agent.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

func (c *client) send(t testing.TB, service, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := c.try(service, method, path, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// ask runs an operation of a service by its JSON shape, whatever the answer.
func (c *client) ask(t testing.TB, service, operation string, in any) answer {
	t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return c.send(t, "rouse", "POST", "/_rouse/api/call/"+service+"/"+operation, string(b))
}

type m = map[string]any

// call is ask for what must work; out may be nil.
func (c *client) call(t testing.TB, service, operation string, in, out any) {
	t.Helper()
	a := c.ask(t, service, operation, in)
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s: got %s, want 200", service, operation, a)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.Body), out); err != nil {
		t.Fatalf("%s %s answered %q: %v", service, operation, a.Body, err)
	}
}

func (c *client) invoke(t testing.TB, function, event string) answer {
	t.Helper()
	return c.send(t, "lambda", "POST", "/2015-03-31/functions/"+function+"/invocations", event)
}

// tail is what LogType=Tail adds.
func (a answer) tail() string {
	b, _ := base64.StdEncoding.DecodeString(a.Header.Get("X-Amz-Log-Result"))
	return string(b)
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// role makes a role that may do some actions, and returns its ARN.
func (c *client) role(t testing.TB, name string, actions ...string) string {
	t.Helper()
	c.call(t, "iam", "CreateRole", m{"RoleName": name, "AssumeRolePolicyDocument": trust}, nil)
	if len(actions) > 0 {
		p, _ := json.Marshal(m{"Version": "2012-10-17", "Statement": []m{{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
		c.call(t, "iam", "PutRolePolicy", m{"RoleName": name, "PolicyName": "may", "PolicyDocument": string(p)}, nil)
	}
	return "arn:aws:iam::000000000000:role/" + name
}

// fn describes a function of testdata/functions, or of code in line.
type fn struct {
	Name    string
	File    string // below testdata/functions: NAME.js or NAME.py
	Code    string // instead of File: a Node handler
	Role    string // default: one that may do nothing
	Timeout int    // seconds, default 10
	Memory  int    // MiB, default 128
	More    m      // other members of CreateFunction
}

// make makes a function and waits until it can be called.
func (c *client) make(t testing.TB, f fn) {
	t.Helper()
	runtime, file, code := "nodejs22.x", "index.js", f.Code
	if f.File != "" {
		b, err := os.ReadFile(filepath.Join("testdata", "functions", f.File))
		if err != nil {
			t.Fatal(err)
		}
		code = string(b)
	}
	if strings.HasSuffix(f.File, ".py") {
		runtime, file = "python3.13", "index.py"
	}
	aws, err := os.ReadFile(filepath.Join("testdata", "functions", "aws.js"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Role == "" {
		f.Role = c.role(t, f.Name+"-role")
	}
	in := m{"FunctionName": f.Name, "Runtime": runtime, "Handler": "index.handler", "Role": f.Role, "Timeout": max(f.Timeout, 1),
		"MemorySize": max(f.Memory, 128), "Code": m{"ZipFile": archive(t, file, code, "aws.js", string(aws))}}
	if f.Timeout == 0 {
		in["Timeout"] = 10
	}
	for k, v := range f.More {
		in[k] = v
	}
	c.call(t, "lambda", "CreateFunction", in, nil)
	until(t, f.Name+" becomes active", func() bool {
		var out struct{ State string }
		c.call(t, "lambda", "GetFunctionConfiguration", m{"FunctionName": f.Name}, &out)
		return out.State == "Active"
	})
}

// archive makes a zip of names and contents.
func archive(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
