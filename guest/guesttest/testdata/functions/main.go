// Command functions is the Runtime API's side of the conformance cases, on AWS's own client: the handler's name says which.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	handlers := map[string]any{
		"echo": func(_ context.Context, event json.RawMessage) (json.RawMessage, error) { return event, nil },
	}
	lambda.Start(handlers[os.Getenv("_HANDLER")])
}
