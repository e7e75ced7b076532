// The function that the bench runs in Go.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func handle(_ context.Context, e events.APIGatewayV2HTTPRequest) (map[string]any, error) {
	return map[string]any{"path": e.RawPath, "sum": 1 + 2 + 3}, nil
}

func main() { lambda.Start(handle) }
