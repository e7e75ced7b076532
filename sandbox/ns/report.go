//go:build linux

package ns

import "github.com/rouse-dev/rouse/sandbox"

// Report says what is in force.
func (d *Driver) Report() sandbox.Report {
	return sandbox.Report{Driver: "ns"}
}
