package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSDKv2: a function that loads the AWS SDK v2 for JavaScript is told what to do where there is none, and reaches a table by
// it, without configuration, where it was added: nothing of AWS's is asked, and its own endpoint wins.
func TestSDKv2(t *testing.T) {
	t.Parallel()
	r := launch(t)
	r.call(t, "dynamodb", "CreateTable", m{"TableName": "old", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": []m{{"AttributeName": "id", "AttributeType": "S"}}, "KeySchema": []m{{"AttributeName": "id", "KeyType": "HASH"}}}, nil)
	esm, err := os.ReadFile(filepath.Join("testdata", "functions", "v2.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	role := r.role(t, "old", "dynamodb:PutItem", "dynamodb:GetItem")
	settings := m{"Environment": m{"Variables": m{"TABLE": "old"}}}
	r.make(t, fn{Name: "cjs", File: "v2.js", Role: role, Timeout: 60, Memory: 256, More: settings})
	r.make(t, fn{Name: "esm", Code: " ", Role: role, Timeout: 60, Memory: 256,
		More: m{"Environment": settings["Environment"], "Code": m{"ZipFile": archive(t, "index.mjs", string(esm))}}})
	for _, name := range []string{"cjs", "esm"} {
		if a := r.invoke(t, name, "{}"); !strings.Contains(a.Body, "rouse runtime add sdk-js-v2") {
			t.Errorf("%s without the SDK: got %s, want an error that says what to do", name, a)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := r.command(ctx, "runtime", "add", "sdk-js-v2"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs the SDK: %v\n%s", err, out)
		}
		t.Skipf("the SDK cannot be had: %s", out)
	}
	for name, want := range map[string]string{
		"cjs": `{"price":1.5,"denied":"AccessDeniedException","caller":"arn:aws:sts::000000000000:assumed-role/old/cjs","own":"UnknownEndpoint"}`,
		"esm": `{"price":2.5}`,
	} {
		if a := r.invoke(t, name, "{}"); a.Body != want {
			t.Errorf("%s: got %s, want %s", name, a, want)
		}
	}
	if out, err := r.command(ctx, "runtime", "list"); err != nil || !strings.Contains(string(out), "AWS SDK for JavaScript 2.") {
		t.Errorf("runtime list: got %s (%v), want the SDK named", out, err)
	}
}
