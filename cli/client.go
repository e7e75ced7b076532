package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/aws/sigv4"
)

// defaultURL is where a node is when nothing says otherwise.
const defaultURL = "http://127.0.0.1:4566"

// DevKey is the access key id and secret of development nodes.
const DevKey = "test"

// NodeFile is the file in a node's folder that says how it is reached. The node writes it when it is ready and removes it
// at the end.
const NodeFile = "node.json"

// NodeInfo is the content of NodeFile.
type NodeInfo struct {
	URL     string `json:"url"`
	Plain   string `json:"plain,omitempty"` // where the first API is served at /
	PID     int    `json:"pid"`
	Mode    string `json:"mode"` // "dev" or "serve"
	Region  string `json:"region"`
	Account string `json:"account"`
	Version string `json:"version"`
}

// client talks to one node.
type client struct {
	url    string
	info   NodeInfo // of the folder's node; zero when the node was named by its URL
	signer sigv4.Signer
	http   *http.Client
}

// client finds the node that this command is meant for. It does not talk to it yet.
func (a *app) client() (*client, error) {
	c := &client{http: &http.Client{}}
	switch env, ok := a.getenv("ROUSE_ENDPOINT"); {
	case a.endpoint != "":
		c.url = a.endpoint
	case ok && env != "":
		c.url = env
	default:
		info, found, err := a.nodeInfo()
		if err != nil {
			return nil, err
		}
		c.url = defaultURL
		if found {
			c.url, c.info = info.URL, info
		}
	}
	c.url = strings.TrimSuffix(c.url, "/")
	if u, err := url.Parse(c.url); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usageError("endpoint %q is not a URL such as %s", c.url, defaultURL)
	}
	if c.info.Mode == "" {
		c.ask()
	}
	id, secret, token := a.keys(c)
	region := c.info.Region
	if region == "" {
		region = rouse.DefaultRegion
	}
	c.signer = sigv4.Signer{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Region: region}
	return c, nil
}

// ask learns from a node that was named by its URL what its file would have said. A node that does not answer is told of
// when it is called.
func (c *client) ask() {
	quick := http.Client{Timeout: 2 * time.Second}
	resp, err := quick.Get(c.url + "/_rouse/health")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	var h struct{ Mode, Region string }
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&h) == nil {
		c.info.Mode, c.info.Region = h.Mode, h.Region
	}
}

// keys chooses who signs; see the package page.
func (a *app) keys(c *client) (id, secret, token string) {
	get := func(name string) string { v, _ := a.getenv(name); return v }
	if id = get("ROUSE_ACCESS_KEY_ID"); id != "" {
		return id, get("ROUSE_SECRET_ACCESS_KEY"), get("ROUSE_SESSION_TOKEN")
	}
	if c.info.Mode != "serve" && isLoopback(c.url) {
		return DevKey, DevKey, ""
	}
	if id = get("AWS_ACCESS_KEY_ID"); id != "" {
		return id, get("AWS_SECRET_ACCESS_KEY"), get("AWS_SESSION_TOKEN")
	}
	return DevKey, DevKey, ""
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") || ip != nil && ip.IsLoopback()
}

// nodeInfo reads the file of the node whose folder is here or in a parent folder.
func (a *app) nodeInfo() (NodeInfo, bool, error) {
	folder, err := a.dataFolder()
	if err != nil {
		return NodeInfo{}, false, err
	}
	b, err := os.ReadFile(filepath.Join(folder, NodeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return NodeInfo{}, false, nil
	}
	if err != nil {
		return NodeInfo{}, false, err
	}
	var info NodeInfo
	if err := json.Unmarshal(b, &info); err != nil {
		return NodeInfo{}, false, fmt.Errorf("%s: %w", filepath.Join(folder, NodeFile), err)
	}
	return info, true, nil
}

// dataFolder is --data, ROUSE_DATA, or the nearest .rouse at or above the working folder; .rouse here when there is none.
func (a *app) dataFolder() (string, error) {
	named := a.data
	if named == "" {
		named, _ = a.getenv("ROUSE_DATA")
	}
	if named != "" {
		if !filepath.IsAbs(named) {
			named = filepath.Join(a.dir(), named)
		}
		return named, nil
	}
	start, err := filepath.Abs(a.dir())
	if err != nil {
		return "", err
	}
	for d := start; ; d = filepath.Dir(d) {
		if st, err := os.Stat(filepath.Join(d, ".rouse")); err == nil && st.IsDir() {
			return filepath.Join(d, ".rouse"), nil
		}
		if d == filepath.Dir(d) {
			return filepath.Join(start, ".rouse"), nil
		}
	}
}

// apiError is an error that the node answered.
type apiError struct {
	Status  int
	Code    string
	Message string
}

func (e *apiError) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Message
}

// call runs one operation of one service: input and output are the operation's JSON shapes.
func (c *client) call(ctx context.Context, service, operation string, input, output any) error {
	if input == nil {
		input = struct{}{}
	}
	b, err := json.Marshal(input)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, "/_rouse/api/call/"+service+"/"+operation, "rouse", b, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decode(resp.Body, output)
}

// get reads one of the node's own answers.
func (c *client) get(ctx context.Context, path string, output any) error {
	resp, err := c.do(ctx, http.MethodGet, path, "rouse", nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decode(resp.Body, output)
}

func decode(r io.Reader, output any) error {
	if output == nil {
		return nil
	}
	if err := json.NewDecoder(r).Decode(output); err != nil {
		return fmt.Errorf("the node's answer is not what was expected: %w", err)
	}
	return nil
}

// do sends one signed request. Answers of 400 and above become an *apiError. The caller closes the body.
func (c *client) do(ctx context.Context, method, path, service string, body []byte, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	signer := c.signer
	signer.Service = service
	signer.Sign(req, sigv4.HashPayload(body), time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &exitError{ExitNoNode, fmt.Errorf("no node answers at %s: %w\nStart one with `rouse dev`, or name one with --endpoint",
			c.url, rootCause(err))}
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

func readError(resp *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	e := &apiError{Status: resp.StatusCode, Code: resp.Header.Get("X-Amzn-Errortype")}
	var m struct {
		Type, Code       string
		LowerMessage     string `json:"message"`
		UpperMessage     string `json:"Message"`
		UnderscoredTyped string `json:"__type"`
	}
	if json.Unmarshal(b, &m) == nil {
		e.Message = m.LowerMessage + m.UpperMessage
		if m.LowerMessage != "" && m.UpperMessage != "" {
			e.Message = m.LowerMessage
		}
		if e.Code == "" {
			e.Code = m.UnderscoredTyped + m.Code
		}
	}
	switch {
	case e.Code != "" || e.Message != "":
	case resp.StatusCode == http.StatusServiceUnavailable && bytes.Contains(b, []byte(`"starting"`)):
		e.Message = "the node is starting; try again in a moment"
	default:
		e.Message = fmt.Sprintf("%s does not answer as Rouse does, but: %s %s", resp.Request.URL.Host, resp.Status, firstLine(b))
	}
	return e
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return cut(line, 200)
}

// hint is what may help after an error, "" when nothing comes to mind.
func hint(err error) string {
	switch code(err) {
	case "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "InvalidAccessKeyId":
		return "Name a key that this node knows: ROUSE_ACCESS_KEY_ID and ROUSE_SECRET_ACCESS_KEY."
	}
	return ""
}

// rootCause drops what the HTTP client says around a network error.
func rootCause(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) {
		return call.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// code is the AWS error code in err's chain, "" when there is none.
func code(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
