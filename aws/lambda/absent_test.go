package lambda_test

import (
	"strings"
	"testing"
)

// Tools ask for these when they read or delete a function.
func TestEmptyLists(t *testing.T) {
	h := open(t)
	h.create("f")
	const provisioned = "/provisioned-concurrency?List=ALL"
	h.want(h.call("GET", "/2015-03-31/event-source-mappings?FunctionName=f", ""), 200, `{"EventSourceMappings":[]}`)
	if n := h.lastNeeds(); len(n) != 1 || n[0].Action != "lambda:ListEventSourceMappings" || n[0].Resource != "*" {
		t.Errorf("got needs %v, want lambda:ListEventSourceMappings on *", n)
	}
	h.want(h.call("GET", "/2019-09-30/functions/f"+provisioned, ""), 200, `{"ProvisionedConcurrencyConfigs":[]}`)
	if n := h.lastNeeds(); len(n) != 1 || n[0].Action != "lambda:ListProvisionedConcurrencyConfigs" ||
		!strings.HasSuffix(n[0].Resource, ":function:f") {
		t.Errorf("got needs %v, want lambda:ListProvisionedConcurrencyConfigs on f", n)
	}
	h.want(h.call("GET", "/2019-09-30/functions/none"+provisioned, ""), 404, "Function not found")
	h.want(h.call("POST", "/2015-03-31/event-source-mappings", "{}"), 501, "CreateEventSourceMapping")
}
