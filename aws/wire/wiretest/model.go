package wiretest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/rouse-dev/rouse/aws/wire"
)

// model is what matters here of an AWS service model, in the format of botocore's service-2.json.
type model struct {
	Operations map[string]struct {
		Input struct {
			Shape string `json:"shape"`
		} `json:"input"`
	} `json:"operations"`
	Shapes map[string]modelShape `json:"shapes"`
}

type modelShape struct {
	Members map[string]modelRef `json:"members"`
	Member  *modelRef           `json:"member"` // of lists
	Value   *modelRef           `json:"value"`  // of maps
}

type modelRef struct {
	Shape    string `json:"shape"`
	Name     string `json:"locationName"`
	Location string `json:"location"`
}

// Ignored compares the table of s with AWS's own model of the service, botocore's service-2.json, and lists what would be
// ignored in silence: input members of implemented operations, as Operation.Member.Member, that Rouse neither implements
// nor refuses; and operations that are neither there nor in NotImplemented. A service is whole when the list is empty. What
// a model does not know is not listed: an older one knows less, and of a misspelt name the right one is ignored.
func Ignored(s wire.Service, serviceModel []byte) ([]string, error) {
	var m model
	if err := json.Unmarshal(serviceModel, &m); err != nil {
		return nil, fmt.Errorf("service model of %s: %w", s.Name, err)
	}
	table, err := wire.Compile(s)
	if err != nil {
		return nil, err
	}
	c := comparison{model: m}
	for name, op := range m.Operations {
		e, err := table.Operation(name)
		if err != nil {
			if !slices.ContainsFunc(s.NotImplemented, func(l string) bool { return strings.Fields(l)[0] == name }) {
				c.ignored = append(c.ignored, name)
			}
			continue
		}
		c.entry = e
		if err := c.walk(op.Input.Shape, nil, nil); err != nil {
			return nil, err
		}
	}
	sort.Strings(c.ignored)
	return c.ignored, nil
}

type comparison struct {
	model   model
	entry   *wire.Entry
	ignored []string
}

// walk visits the members of shape, each structure once per path.
func (c *comparison) walk(shape string, path, above []string) error {
	s := c.model.Shapes[shape]
	for _, inner := range []*modelRef{s.Member, s.Value} {
		if inner != nil {
			return c.walk(inner.Shape, path, above)
		}
	}
	if slices.Contains(above, shape) {
		return nil
	}
	above = append(slices.Clone(above), shape)
	for name, ref := range s.Members {
		if ref.Location == "uri" {
			continue // no route matches without it, whatever it is called
		}
		if ref.Name != "" {
			name = ref.Name
		}
		below := append(slices.Clone(path), name)
		ok, err := c.entry.Accounts(below...)
		if err != nil {
			return err
		}
		if !ok {
			c.ignored = append(c.ignored, c.entry.Name+"."+strings.Join(below, "."))
			continue
		}
		if err := c.walk(ref.Shape, below, above); err != nil {
			return err
		}
	}
	return nil
}
