package guest_test

// The conformance table builds programs on AWS's own runtime client. They lie in testdata, where go mod tidy does not look.
import (
	_ "github.com/aws/aws-lambda-go/events"
	_ "github.com/aws/aws-lambda-go/lambda"
	_ "github.com/aws/aws-lambda-go/lambdacontext"
)
