package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeApp writes an application of many functions: each cold start is of one that never ran.
func (b *bench) writeApp(ctx context.Context, dir string) error {
	if err := os.CopyFS(dir, os.DirFS("app")); err != nil {
		return err
	}
	if err := tool(ctx, filepath.Join(dir, "go"), "go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", "../gobin/bootstrap", "."); err != nil {
		return err
	}
	var t strings.Builder
	t.WriteString("Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function: { MemorySize: 128, Timeout: 10 }\nResources:\n")
	for _, f := range []struct{ name, uri, handler, runtime string }{
		{"node", "node", "index.handler", "nodejs20.x"}, {"python", "python", "app.handler", "python3.11"},
		{"go", "gobin", "bootstrap", "provided.al2023"},
	} {
		for i := range b.samples + 1 {
			fmt.Fprintf(&t, "  %s%d:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: %s/\n      Handler: %s\n      Runtime: %s\n"+
				"      Events:\n        Get: { Type: HttpApi, Properties: { Method: GET, Path: /%s%d } }\n", f.name, i, f.uri, f.handler, f.runtime, f.name, i)
		}
	}
	fmt.Fprintf(&t, "  Abuse:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: abuse/\n      Handler: index.handler\n"+
		"      Runtime: nodejs20.x\n      MemorySize: 512\n      Timeout: %d\n"+
		"      Events:\n        Get: { Type: HttpApi, Properties: { Method: GET, Path: /abuse } }\n", int(abuseMax.Seconds()))
	return os.WriteFile(filepath.Join(dir, "template.yaml"), []byte(t.String()), 0o644)
}
