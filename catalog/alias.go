package catalog

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

const (
	aliasNameMax   = 128
	descriptionMax = 256
)

// Alias is a name for a version, and perhaps a second version that takes a share of the invocations. Immutable.
type Alias struct {
	Account     string `json:"-"`
	Function    string `json:"-"`
	Name        string
	Version     string
	Description string             `json:",omitempty"`
	Weights     map[string]float64 `json:",omitempty"` // of other versions, each 0 to 1; the rest is Version's
	RevisionID  string
}

// draw answers the version that the next invocation runs.
func (a *Alias) draw() string {
	if len(a.Weights) == 0 {
		return a.Version
	}
	x := rand.Float64()
	for v, w := range a.Weights {
		if x -= w; x < 0 {
			return v
		}
	}
	return a.Version
}

// AliasChange says what an alias is to be. In an update nil leaves what was.
type AliasChange struct {
	Version     *string
	Description *string
	Weights     map[string]float64 // empty, not nil: none
	RevisionID  string             // "" or what the alias must have now
}

// CreateAlias names a version.
func (c *Catalog) CreateAlias(ctx context.Context, r Ref, alias string, ch AliasChange) (*Alias, error) {
	if !word(alias, "-_") || digits(alias) || len(alias) > aliasNameMax {
		return nil, constraint("name", alias, `Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)`)
	}
	if ch.Version == nil {
		return nil, rouse.Errorf(rouse.Invalid, "1 validation error detected: Value null at 'functionVersion' failed to "+
			"satisfy constraint: Member must not be null").WithCode("ValidationException")
	}
	a := &Alias{Name: alias, RevisionID: uuid.NewString()}
	missing := r
	missing.Qualifier = *ch.Version // what Lambda names when even the function is missing
	err := c.updateFunction(ctx, missing, func(tx kv.Tx, h *head) error {
		if err := a.take(c, r, h, ch); err != nil {
			return err
		}
		if slices.Contains(h.Aliases, alias) {
			return rouse.Errorf(rouse.Exists, "Alias already exists: %s", c.arn(r.name(), alias)).
				WithCode("ResourceConflictException")
		}
		if err := h.room(); err != nil {
			return err
		}
		h.Aliases = append(h.Aliases, alias)
		return write(tx, c.functionKey(r.name(), partAlias, alias), a)
	})
	if err != nil {
		return nil, err
	}
	return c.Alias(r, alias)
}

// UpdateAlias points an alias elsewhere.
func (c *Catalog) UpdateAlias(ctx context.Context, r Ref, alias string, ch AliasChange) (*Alias, error) {
	err := c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		key := c.functionKey(r.name(), partAlias, alias)
		var a Alias
		ok, err := read(tx, key, &a)
		if err != nil {
			return err
		}
		if !ok {
			return rouse.Errorf(rouse.NotFound, "Alias not found: %s", c.arn(r.name(), alias)).
				WithCode("ResourceNotFoundException")
		}
		if err := sameRevision(ch.RevisionID, a.RevisionID, "GetFunction/GetAlias"); err != nil {
			return err
		}
		if err := a.take(c, r, h, ch); err != nil {
			return err
		}
		a.RevisionID = uuid.NewString()
		return write(tx, key, a)
	})
	if err != nil {
		return nil, err
	}
	return c.Alias(r, alias)
}

// take applies ch and checks what comes out.
func (a *Alias) take(c *Catalog, r Ref, h *head, ch AliasChange) error {
	if ch.Version != nil {
		a.Version = *ch.Version
	}
	if ch.Description != nil {
		if len(*ch.Description) > descriptionMax {
			return constraint("description", *ch.Description, "Member must have length less than or equal to 256")
		}
		a.Description = *ch.Description
	}
	if ch.Weights != nil {
		a.Weights = maps.Clone(ch.Weights)
	}
	if !h.has(a.Version) {
		return notFound(c.arn(r.name(), a.Version))
	}
	if len(a.Weights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for v, w := range a.Weights {
		if err := checkWeight(v, w); err != nil {
			return err
		}
		switch {
		case v == a.Version:
			return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", v, v)
		case a.Version == Latest:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		case !h.has(v):
			return notFound(c.arn(r.name(), v))
		}
	}
	return nil
}

func checkWeight(version string, weight float64) error {
	show := "{" + version + "=" + strconv.FormatFloat(weight, 'f', -1, 64) + "}"
	if weight == math.Trunc(weight) {
		show = show[:len(show)-1] + ".0}"
	}
	const field = "routingConfig.additionalVersionWeights"
	if !digits(version) {
		return constraint(field, show, "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, "+
			"Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+]")
	}
	if !(weight >= 0 && weight <= 1) { // so that what is no number fails too
		return constraint(field, show, "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "+
			"Member must have value greater than or equal to 0.0, Member must not be null]")
	}
	return nil
}

// DeleteAlias removes an alias, and the policy, URL and event configuration that hang on it. One that is not there is no
// error, unless the function is not there either.
func (c *Catalog) DeleteAlias(ctx context.Context, r Ref, alias string) error {
	err := c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if !slices.Contains(h.Aliases, alias) {
			return errUnchanged
		}
		h.Aliases = without(h.Aliases, alias)
		tx.Delete(c.functionKey(r.name(), partAlias, alias))
		c.dropQualifier(tx, r.name(), h, alias)
		return nil
	})
	if rouse.KindOf(err) == rouse.NotFound {
		return nil
	}
	return err
}

// dropQualifier removes what was attached to a version or alias.
func (c *Catalog) dropQualifier(tx kv.Tx, n name, h *head, qualifier string) {
	for _, p := range []struct {
		kind string
		list *[]string
	}{{partPolicy, &h.Policies}, {partURL, &h.URLs}, {partEvent, &h.Events}} {
		if slices.Contains(*p.list, qualifier) {
			*p.list = without(*p.list, qualifier)
			tx.Delete(c.functionKey(n, p.kind, qualifier))
		}
	}
}

// Alias answers one alias.
func (c *Catalog) Alias(r Ref, alias string) (*Alias, error) {
	f, ok := c.functions.get(r.name())
	if ok {
		if a := f.alias(alias); a != nil {
			return a, nil
		}
	}
	return nil, rouse.Errorf(rouse.NotFound, "Cannot find alias arn: %s", c.arn(r.name(), alias)).
		WithCode("ResourceNotFoundException")
}

// Aliases lists the function's aliases by name after the alias after; version, unless "", keeps those that point to it.
func (c *Catalog) Aliases(r Ref, version, after string, limit int) (aliases []*Alias, next string, err error) {
	f, err := c.function(r.unqualified())
	if err != nil {
		return nil, "", err
	}
	for _, a := range f.aliases {
		if a.Name <= after || version != "" && a.Version != version && a.Weights[version] == 0 {
			continue
		}
		if len(aliases) == limit {
			return aliases, aliases[limit-1].Name, nil
		}
		aliases = append(aliases, a)
	}
	return aliases, "", nil
}

// has reports whether the function has the version.
func (h *head) has(number string) bool {
	if number == Latest {
		return true
	}
	n, ok := parseNumber(number)
	return ok && slices.Contains(h.Versions, n)
}

// qualified reports whether qualifier names something of the function, with Lambda's text when it does not.
func (h *head) qualified(c *Catalog, n name, qualifier string) error {
	switch {
	case qualifier == "" || h.has(qualifier) || slices.Contains(h.Aliases, qualifier):
		return nil
	case digits(qualifier) || strings.Contains(qualifier, "$"):
		return notFound(c.arn(n, qualifier))
	}
	return rouse.Errorf(rouse.NotFound, "Cannot find alias arn: %s", c.arn(n, qualifier)).
		WithCode("ResourceNotFoundException")
}

// sameRevision refuses a change of something that changed meanwhile. api is where the client finds the right revision.
func sameRevision(want, is, api string) error {
	if want == "" || want == is {
		return nil
	}
	return rouse.Errorf(rouse.Conflict, "The Revision Id provided does not match the latest Revision Id. Call the %s API to "+
		"retrieve the latest Revision Id", api).WithCode("PreconditionFailedException")
}
