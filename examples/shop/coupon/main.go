// Coupon makes a code that takes some percent off a basket. The code carries its own signature.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

type order struct {
	Percent int `json:"percent"`
}

func handle(_ context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	var o order
	if err := json.Unmarshal(body(req), &o); err != nil {
		return answer(400, map[string]any{"message": "want a body such as {\"percent\": 10}"})
	}
	if o.Percent < 1 || o.Percent > 50 {
		return answer(400, map[string]any{"message": fmt.Sprintf("%d percent: a coupon takes 1 to 50 percent off", o.Percent)})
	}
	return answer(201, map[string]any{"coupon": sign(o.Percent), "percent": o.Percent})
}

// body is what the client sent. API Gateway encodes what is not declared as text, such as a form: curl -d without a type.
func body(req events.APIGatewayV2HTTPRequest) []byte {
	if !req.IsBase64Encoded {
		return []byte(req.Body)
	}
	b, _ := base64.StdEncoding.DecodeString(req.Body) // what is none is no order either
	return b
}

func sign(percent int) string {
	text := strconv.Itoa(percent)
	mac := hmac.New(sha256.New, []byte(os.Getenv("COUPON_SECRET")))
	mac.Write([]byte(text))
	return text + "-" + hex.EncodeToString(mac.Sum(nil))[:16]
}

func answer(status int, body any) (events.APIGatewayV2HTTPResponse, error) {
	b, err := json.Marshal(body)
	return events.APIGatewayV2HTTPResponse{StatusCode: status, Headers: map[string]string{"content-type": "application/json"}, Body: string(b)}, err
}

func main() { lambda.Start(handle) }
