package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// EventConfig says how asynchronous invocations of a function, version or alias are retried and where they end. Immutable.
type EventConfig struct {
	Function   rouse.ARN `json:"-"` // qualified
	Qualifier  string    // "" for $LATEST
	Retries    *int      `json:",omitempty"` // 0–2 after the first attempt; nil: two
	AgeSeconds *int      `json:",omitempty"` // 60–21600; nil: six hours
	OnSuccess  string    `json:",omitempty"` // ARN of a function
	OnFailure  string    `json:",omitempty"`
	Modified   time.Time
}

// EventChange says what an event configuration is to be; nil leaves what was, or the default.
type EventChange struct {
	Retries    *int
	AgeSeconds *int
	OnSuccess  *string // "": none
	OnFailure  *string
}

// PutEventConfig replaces the configuration of what r names; with keep it changes one that is there.
func (c *Catalog) PutEventConfig(ctx context.Context, r Ref, ch EventChange, keep bool) (*EventConfig, error) {
	if ch == (EventChange{}) {
		return nil, invalid("You must specify at least one of error handling or destination setting.")
	}
	r = eventRef(r)
	if err := c.checkEvent(r, ch); err != nil {
		return nil, err
	}
	if _, err := c.Version(r); err != nil {
		return nil, rouse.Errorf(rouse.NotFound, "The function doesn't exist.").WithCode("ResourceNotFoundException")
	}
	err := c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if err := h.qualified(c, r.name(), r.Qualifier); err != nil {
			return err
		}
		key := c.functionKey(r.name(), partEvent, r.Qualifier)
		e := EventConfig{}
		had, err := read(tx, key, &e)
		if err != nil {
			return err
		}
		if !had && keep {
			return c.noEventConfig(r)
		}
		if !had {
			if err := h.room(); err != nil {
				return err
			}
			h.Events = with(h.Events, r.Qualifier)
		}
		if !keep {
			e = EventConfig{}
		}
		e.take(ch)
		e.Qualifier, e.Modified = r.Qualifier, tx.Now()
		return write(tx, key, &e)
	})
	if err != nil {
		return nil, err
	}
	return c.EventConfig(r)
}

func (e *EventConfig) take(ch EventChange) {
	if ch.Retries != nil {
		e.Retries = ch.Retries
	}
	if ch.AgeSeconds != nil {
		e.AgeSeconds = ch.AgeSeconds
	}
	if ch.OnSuccess != nil {
		e.OnSuccess = *ch.OnSuccess
	}
	if ch.OnFailure != nil {
		e.OnFailure = *ch.OnFailure
	}
}

func (c *Catalog) checkEvent(r Ref, ch EventChange) error {
	if n := ch.Retries; n != nil && (*n < 0 || *n > 2) {
		return invalid("MaximumRetryAttempts must be between 0 and 2")
	}
	if n := ch.AgeSeconds; n != nil && (*n < 60 || *n > 21600) {
		return invalid("MaximumEventAgeInSeconds must be between 60 and 21600")
	}
	for _, d := range []*string{ch.OnSuccess, ch.OnFailure} {
		if d == nil || *d == "" {
			continue
		}
		if err := c.checkDestination(r, *d); err != nil {
			return err
		}
	}
	return nil
}

// checkDestination takes functions of this region that exist.
func (c *Catalog) checkDestination(r Ref, destination string) error {
	arn, err := rouse.ParseARN(destination)
	if err != nil {
		return invalid("The destination ARN %s is invalid.", destination)
	}
	switch arn.Service {
	case "lambda":
	case "sqs", "sns", "events", "s3":
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement destinations of %s", arn.Service)
	default:
		return invalid("The destination ARN %s is invalid.", destination)
	}
	if fn, _, ok := arn.FunctionName(); ok && fn == r.Name && arn.Account == r.Account {
		return invalid("You can't specify the function as a destination for itself.")
	}
	if _, err := c.Resolve(arn); err != nil {
		return invalid("The destination ARN %s is invalid.", destination)
	}
	return nil
}

// DeleteEventConfig takes the configuration away, so that the defaults hold.
func (c *Catalog) DeleteEventConfig(ctx context.Context, r Ref) error {
	r = eventRef(r)
	if _, err := c.EventConfig(r); err != nil {
		return err
	}
	return c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if !slices.Contains(h.Events, r.Qualifier) {
			return c.noEventConfig(r)
		}
		h.Events = without(h.Events, r.Qualifier)
		tx.Delete(c.functionKey(r.name(), partEvent, r.Qualifier))
		return nil
	})
}

// EventConfig answers the configuration of what r names; NotFound when the defaults hold. It reads memory only.
func (c *Catalog) EventConfig(r Ref) (*EventConfig, error) {
	r = eventRef(r)
	if f, ok := c.functions.get(r.name()); ok {
		if e := f.event(r.Qualifier); e != nil {
			return e, nil
		}
	}
	return nil, c.noEventConfig(r)
}

// EventConfigs lists the configurations of a function, its versions and aliases, after the qualifier after.
func (c *Catalog) EventConfigs(r Ref, after *string, limit int) (configs []*EventConfig, more bool, err error) {
	f, ok := c.functions.get(r.name())
	if !ok {
		return nil, false, rouse.Errorf(rouse.NotFound, "The function doesn't exist.").WithCode("ResourceNotFoundException")
	}
	for _, e := range slices.SortedFunc(slices.Values(f.events), func(a, b *EventConfig) int {
		return compareQualifiers(a.Qualifier, b.Qualifier)
	}) {
		if after != nil && e.Qualifier <= *after {
			continue
		}
		if len(configs) == limit {
			return configs, true, nil
		}
		configs = append(configs, e)
	}
	return configs, false, nil
}

// eventRef: to event configurations the function itself and $LATEST are one.
func eventRef(r Ref) Ref {
	if r.Qualifier == Latest {
		r.Qualifier = ""
	}
	return r
}

func (c *Catalog) noEventConfig(r Ref) error {
	if r.Qualifier == "" {
		r.Qualifier = Latest
	}
	return rouse.Errorf(rouse.NotFound, "The function %s doesn't have an EventInvokeConfig", c.ARN(r)).
		WithCode("ResourceNotFoundException")
}
