package node_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/aws/wire"
	"github.com/rouse-dev/rouse/node"
	"github.com/rouse-dev/rouse/stack"
)

var rewrite = flag.Bool("rewrite", false, "write docs/COMPATIBILITY.md anew")

const page = "../docs/COMPATIBILITY.md"

// TestCompatibilityPageIsTrue makes the page from the tables that requests and templates are checked by.
func TestCompatibilityPageIsTrue(t *testing.T) {
	want := compatibility(t, open(t, t.TempDir()).Services())
	if *rewrite {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say; write it anew: go test ./node -run Compatibility -rewrite", page)
	}
}

// open starts a node for a test, on free ports and without namespaces.
func open(t *testing.T, data string) *node.Node {
	t.Helper()
	cfg, err := node.Load(true, map[string]string{"data": data, "listen": "127.0.0.1:0", "plain": "127.0.0.1:0", "isolation": "process"},
		func(string) (string, bool) { return "", false }, "", false)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(context.Background(), cfg, os.LookupEnv, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return n
}

const intro = `# Compatibility

What works as on AWS, what differs and how, and what is not implemented. The page is made from the tables by which requests
and templates are checked, and a test keeps it true. Whatever is not here is refused by its name, with AWS's error where AWS
has one and 501 NotImplemented otherwise; nothing is accepted and ignored. Members and properties that simply work are not
listed.

`

func compatibility(t *testing.T, services []wire.Service) string {
	var b strings.Builder
	b.WriteString(intro)
	for _, s := range services {
		rows, err := s.Compatibility()
		if err != nil {
			t.Fatal(err)
		}
		if s.Name == "rouse" {
			continue // our own
		}
		fmt.Fprintf(&b, "## %s\n\n| operation | | |\n|---|---|---|\n", s.Title)
		var missing []string
		for _, r := range rows {
			if r.Support == wire.NotImplemented {
				missing = append(missing, r.Operation)
				continue
			}
			note := r.How
			if len(r.Refused) > 0 {
				if note != "" {
					note += "; "
				}
				note += "refused: " + strings.Join(r.Refused, ", ")
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Operation, r.Support, cell(note))
		}
		if len(missing) > 0 {
			fmt.Fprintf(&b, "\nNot implemented: %s.\n", strings.Join(missing, ", "))
		}
		b.WriteString("\n")
	}
	templates(&b)
	return b.String()
}

func templates(b *strings.Builder) {
	b.WriteString("## Templates\n\n| | | |\n|---|---|---|\n")
	for _, s := range stack.Compatibility() {
		if s.Name != "" && s.Status == "works" {
			continue
		}
		what := s.Subject
		if s.Name != "" {
			what += ": " + s.Name
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", cell(what), s.Status, cell(s.Note))
	}
}

// cell makes text fit for a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}
