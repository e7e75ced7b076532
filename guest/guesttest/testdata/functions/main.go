// Command functions is the Runtime API's side of the conformance cases, on AWS's own client: the handler's name says
// which. With PORT set it is a web program instead.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type Sold struct{ what string }

func (s *Sold) Error() string { return s.what }

var count int

func main() {
	if port := os.Getenv("PORT"); port != "" {
		serve(port)
	}
	h := os.Getenv("_HANDLER")
	switch h {
	case "exitInInit":
		os.Exit(1)
	case "killInInit":
		kill()
	}
	lambda.Start(handlers()[h])
}

func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func one(f func()) any {
	return func() (int, error) { f(); return 1, nil }
}

func handlers() map[string]any {
	return map[string]any{
		"echo": func(_ context.Context, event json.RawMessage) (json.RawMessage, error) { return event, nil },
		"context": func(ctx context.Context) (map[string]any, error) {
			c, _ := lambdacontext.FromContext(ctx)
			deadline, _ := ctx.Deadline()
			left := time.Until(deadline)
			return map[string]any{"id": c.AwsRequestID, "name": lambdacontext.FunctionName,
				"version": lambdacontext.FunctionVersion, "arn": c.InvokedFunctionArn,
				"memory": fmt.Sprint(lambdacontext.MemoryLimitInMB), "group": lambdacontext.LogGroupName,
				"stream": lambdacontext.LogStreamName, "time": left > time.Second && left <= 3*time.Second,
				"custom": c.ClientContext.Custom}, nil
		},
		"environment": func(keys []string) ([]*string, error) {
			var list []*string
			for _, k := range keys {
				if v, ok := os.LookupEnv(k); ok {
					list = append(list, &v)
				} else {
					list = append(list, nil)
				}
			}
			return list, nil
		},
		"count":     func() (int, error) { count++; return count, nil },
		"error":     func() (int, error) { return 0, &Sold{"out of it"} },
		"exit":      one(func() { fmt.Print("bye"); os.Exit(1) }),
		"exitWell":  one(func() { os.Exit(0) }),
		"kill":      one(kill),
		"repeat":    func(n int) (string, error) { return strings.Repeat("x", n), nil },
		"hang":      one(func() { select {} }),
		"print":     one(func() { fmt.Print("one\ntwo\n\nthree") }),
		"printErr":  one(func() { fmt.Fprintln(os.Stderr, "oops") }),
		"printLong": one(func() { fmt.Println(strings.Repeat("x", 300<<10)) }),
		"child": one(func() {
			c := exec.Command("echo", "child")
			c.Stdout = os.Stdout
			_ = c.Run()
		}),
		"streamHTTP": func() (*events.LambdaFunctionURLStreamingResponse, error) {
			return &events.LambdaFunctionURLStreamingResponse{StatusCode: 201, Cookies: []string{"a=1"},
				Headers: map[string]string{"content-type": "text/html", "X-Count": "3"}, Body: strings.NewReader("<p>hi")}, nil
		},
		"streamError": func() (*events.LambdaFunctionURLStreamingResponse, error) {
			return &events.LambdaFunctionURLStreamingResponse{Body: io.MultiReader(strings.NewReader("half"), failing{})}, nil
		},
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("late") }

func serve(port string) {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("X-Method", r.Method)
		w.Header().Add("Set-Cookie", "s=1; Expires=Wed, 21 Oct 2065 07:28:00 GMT")
		w.Header().Add("Set-Cookie", "t=2")
		switch r.URL.Path {
		case "/binary":
			w.Write([]byte{0xff, 0x00, 'a'})
			return
		case "/exit":
			os.Exit(1)
		}
		w.WriteHeader(201)
		fmt.Fprintf(w, "%s|%s|%s|%s|%s", r.URL.RequestURI(), r.Host, r.Header.Get("X-A"), r.Header.Get("Cookie"), body)
	})
	panic(http.ListenAndServe("127.0.0.1:"+port, nil))
}
