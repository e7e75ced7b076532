package node

import (
	"fmt"
	"sync"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/catalog"
	"github.com/rouse-dev/rouse/pool"
	"github.com/rouse-dev/rouse/sandbox"
	"github.com/rouse-dev/rouse/sandbox/driver"
	"github.com/rouse-dev/rouse/sandbox/egress"
)

// What functions reach of the public internet is what the node's setting and the function's own tag (pool.EgressTag) both
// allow: the setting is the operator's, the tag the deployer's.

// setEgress reads the setting.
func setEgress(c *Config, text string) (err error) {
	c.Egress, err = egress.Parse(text)
	return err
}

// checkTags refuses tags that mean something to Rouse and say it wrong.
func checkTags(tags map[string]string) error {
	text, ok := tags[pool.EgressTag]
	if !ok {
		return nil
	}
	if _, err := egress.Parse(text); err != nil {
		return rouse.Errorf(rouse.Invalid, "The tag %s is not valid: %s", pool.EgressTag, err).WithCode("InvalidParameterValueException")
	}
	return nil
}

// egressOf is the policy of a version's tag.
func egressOf(v *catalog.Version) (egress.Policy, error) {
	text, ok := v.Tags[pool.EgressTag]
	if !ok {
		return egress.Everything(), nil
	}
	p, err := egress.Parse(text)
	if err != nil {
		return egress.Policy{}, rouse.Errorf(rouse.Invalid, "tag %s: %s", pool.EgressTag, err)
	}
	return p, nil
}

// reach is what sandboxes get of the internet at most, and what narrows it for a version. A driver that cannot keep processes
// from the network serves in production only where weak isolation is allowed, and says each time what it does not do.
func (n *Node) reach(report sandbox.Report) (egress.Policy, func(*catalog.Version) (egress.Policy, error), error) {
	switch {
	case report.Driver == driver.Process:
		if !n.cfg.Egress.All() {
			if !n.cfg.Dev && !n.cfg.AllowWeak {
				return egress.Policy{}, nil, fmt.Errorf("the isolation in force (%s) cannot keep functions from the network, and egress is %s; "+
					"--allow-weak-isolation serves all the same", report.Driver, n.cfg.Egress)
			}
			n.log.Warn("functions reach all that this machine reaches: the isolation in force cannot limit it", "isolation", report.Driver,
				"egress", n.cfg.Egress.String())
		}
		var told sync.Map // functions by name: once each
		return egress.Everything(), func(v *catalog.Version) (egress.Policy, error) {
			p, err := egressOf(v)
			if err == nil && !p.All() {
				if _, before := told.LoadOrStore(v.Name, true); !before {
					n.log.Warn("a function reaches all that this machine reaches: the isolation in force cannot limit it",
						"fn", v.Name, "isolation", report.Driver, "egress", p.String())
				}
			}
			return egress.Everything(), err
		}, nil
	case !report.Egress():
		return egress.Policy{}, egressOf, nil
	}
	return n.cfg.Egress, egressOf, nil
}
