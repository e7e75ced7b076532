package catalog

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// NewFunction is what Create is asked for.
type NewFunction struct {
	Settings
	Code          Code
	Architectures []string // empty: x86_64
	Tags          map[string]string
	Publish       bool // version 1 at once
}

// Create makes the function that r names. The answer is $LATEST, or version 1 when it is published.
func (c *Catalog) Create(ctx context.Context, r Ref, in NewFunction) (*Version, error) {
	if err := onlyFunctions(r); err != nil {
		return nil, err
	}
	v := defaultVersion(r.Name)
	if v.Architectures = in.Architectures; len(v.Architectures) == 0 {
		v.Architectures = []string{"x86_64"}
	}
	if err := in.Settings.apply(&v); err != nil {
		return nil, err
	}
	if err := c.checkArchitecture(&v); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	if c.cfg.Role != nil {
		if err := c.cfg.Role(ctx, v.Role); err != nil {
			return nil, err
		}
	}
	if _, taken := c.functions.get(r.name()); taken { // before megabytes are stored for nothing; decided below
		return nil, alreadyExists(r)
	}
	if !in.Code.given() {
		return nil, invalid("Please provide a source for function code.")
	}
	code, err := c.keep(ctx, in.Code)
	if err != nil {
		return nil, err
	}
	v.setCode(code)
	v.RevisionID = uuid.NewString()
	c.start(&v, true)
	if err := c.insert(ctx, r, v, in); err != nil {
		return nil, err
	}
	c.enqueue(r.name(), &v)
	if in.Publish {
		r.Qualifier = "" // the first version may not be number 1
		f, err := c.function(r)
		if err != nil || len(f.versions) == 0 {
			return nil, notFound(c.ARN(r))
		}
		return f.versions[len(f.versions)-1], nil
	}
	return c.Version(r)
}

// insert writes the new function.
func (c *Catalog) insert(ctx context.Context, r Ref, v Version, in NewFunction) error {
	n, versionID := r.name(), uuid.NewString()
	return c.update(ctx, change{kindFunction, n.account, n.name}, func(tx kv.Tx) error {
		old, err := c.readHead(tx, n)
		if err != nil {
			return err
		}
		if old != nil {
			return alreadyExists(r)
		}
		h := &head{Latest: v, Tags: in.Tags}
		if h.Next, err = c.next(tx, kindFunction, n); err != nil {
			return err
		}
		if err := c.setLayers(tx, &h.Latest, in.Layers); err != nil {
			return err
		}
		h.Latest.LastModified = tx.Now()
		if err := c.hold(tx, h.Latest.holdings(), 1); err != nil {
			return err
		}
		if err := c.addCode(tx, n.account, v.CodeSize); err != nil {
			return err
		}
		if err := c.total(tx, n.account, func(t *totals) error { t.Functions++; return nil }); err != nil {
			return err
		}
		if in.Publish {
			if _, err := c.publish(tx, n, h, nil, versionID); err != nil {
				return err
			}
		}
		return write(tx, c.functionKey(n, partHead), h)
	})
}

func alreadyExists(r Ref) error {
	return rouse.Errorf(rouse.Exists, "Function already exist: %s", r.Name).WithCode("ResourceConflictException")
}

func (v *Version) setCode(s stored) {
	v.CodeSHA256, v.CodeKey, v.CodeSize, v.CodeUnzipped = s.sha, s.key, s.size, s.unzipped
}

// setLayers resolves the layers' ARNs. nil leaves what was.
func (c *Catalog) setLayers(tx kv.Tx, v *Version, arns []string) error {
	if arns == nil {
		return combined(v.CodeUnzipped, v.Layers)
	}
	if len(arns) > LayersMax {
		return invalid("Cannot reference more than 5 layers.")
	}
	layers := make([]LayerRef, 0, len(arns))
	seen := map[string]string{}
	for _, s := range arns {
		ref, region, ok := splitLayerARN(s)
		if !ok || ref.Number == "" {
			return constraint("layers", "["+s+"]", "Member must satisfy constraint: [Member must have length less than or equal "+
				"to 2048, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: "+
				LayerVersionPattern+", Member must not be null]")
		}
		if region != c.cfg.Region {
			return invalid("Layers are not in the same region as the function. Layers are expected to be in region %s.", c.cfg.Region)
		}
		base := s[:strings.LastIndexByte(s, ':')]
		if other, twice := seen[base]; twice {
			return invalid("Two different versions of the same layer are not allowed to be referenced in the same function. "+
				"%s and %s are versions of the same layer.", other, s)
		}
		seen[base] = s
		var lv LayerVersion
		number, _ := parseNumber(ref.Number)
		ok, err := read(tx, c.layerKey(name{ref.Account, ref.Name}, partVersion, number), &lv)
		if err != nil {
			return err
		}
		if !ok {
			return invalid("Layer version %s does not exist.", s)
		}
		layers = append(layers, LayerRef{s, lv.CodeSHA256, lv.CodeKey, lv.CodeSize, lv.CodeUnzipped})
	}
	v.Layers = layers
	return combined(v.CodeUnzipped, layers)
}

// publish makes a version of $LATEST, unless the last one is the same, and answers its number.
func (c *Catalog) publish(tx kv.Tx, n name, h *head, description *string, revisionID string) (uint64, error) {
	if k := len(h.Versions); k > 0 {
		var last Version
		if _, err := read(tx, c.functionKey(n, partVersion, h.Versions[k-1]), &last); err != nil {
			return 0, err
		}
		if h.Latest.same(&last) {
			return h.Versions[k-1], nil
		}
	}
	if err := h.room(); err != nil {
		return 0, err
	}
	v := h.Latest
	number := h.Next
	v.Number, v.RevisionID = formatNumber(number), revisionID
	set(&v.Description, description)
	if v.LastUpdateStatus == InProgress { // a version is not updated, it is made
		v.State, v.StateReason, v.StateReasonCode = Pending, v.UpdateReason, v.UpdateReasonCode
		v.LastUpdateStatus, v.UpdateReason, v.UpdateReasonCode = "", "", ""
	}
	if v.State == Pending {
		h.Publishing = number
	}
	h.Next++
	h.Versions = append(h.Versions, number)
	h.Held += len(v.holdings())
	if err := c.hold(tx, v.holdings(), 1); err != nil {
		return 0, err
	}
	if err := c.addCode(tx, n.account, v.CodeSize); err != nil {
		return 0, err
	}
	return number, write(tx, c.functionKey(n, partVersion, number), &v)
}

// Publish makes a version of $LATEST as it is now. When nothing changed since the last version, that one is the answer.
// sha256 and revisionID, unless "", must be those of $LATEST.
func (c *Catalog) Publish(ctx context.Context, r Ref, description *string, sha256, revisionID string) (*Version, error) {
	if err := onlyFunctions(r); err != nil {
		return nil, err
	}
	if description != nil && len(*description) > descriptionMax {
		return nil, constraint("description", *description, "Member must have length less than or equal to 256")
	}
	var number uint64
	versionID := uuid.NewString()
	err := c.updateFunction(ctx, r, func(tx kv.Tx, h *head) error {
		if err := sameRevision(revisionID, h.Latest.RevisionID, "GetFunction/GetAlias"); err != nil {
			return err
		}
		if sha256 != "" && sha256 != h.Latest.CodeSHA256 {
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the "+
				"CodeSHA256 in $LATEST.", sha256, h.Latest.CodeSHA256)
		}
		if err := c.busy(r, h); err != nil {
			return err
		}
		before := h.Next
		var err error
		if number, err = c.publish(tx, r.name(), h, description, versionID); err == nil && h.Next == before {
			return errUnchanged
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Qualifier = formatNumber(number)
	return c.Version(r)
}

// Delete removes a function with everything of it, or with a version as qualifier that version.
func (c *Catalog) Delete(ctx context.Context, r Ref) error {
	switch q := r.Qualifier; {
	case q == "":
		return c.deleteFunction(ctx, r)
	case q == Latest:
		return invalid("$LATEST version cannot be deleted without deleting the function.")
	case !digits(q):
		return invalid("Deletion of aliases is not currently supported.")
	}
	number, _ := parseNumber(r.Qualifier)
	n := r.name()
	return c.updateFunction(ctx, r.unqualified(), func(tx kv.Tx, h *head) error {
		if !slices.Contains(h.Versions, number) {
			return errUnchanged
		}
		var users []string
		for _, alias := range h.Aliases {
			var a Alias
			if _, err := read(tx, c.functionKey(n, partAlias, alias), &a); err != nil {
				return err
			}
			if _, weighted := a.Weights[r.Qualifier]; weighted || a.Version == r.Qualifier {
				users = append(users, alias)
			}
		}
		if len(users) > 0 {
			return conflict("Unable to delete version because the following aliases reference it: [%s]", strings.Join(users, ", "))
		}
		if h.Publishing == number {
			return conflict("The operation cannot be performed at this time. An update is in progress for resource: %s", c.ARN(r))
		}
		h.Versions = slices.DeleteFunc(h.Versions, func(v uint64) bool { return v == number })
		c.dropQualifier(tx, n, h, r.Qualifier)
		return c.dropVersion(tx, n, h, number)
	})
}

// dropVersion removes a version's record and lets go of its code.
func (c *Catalog) dropVersion(tx kv.Tx, n name, h *head, number uint64) error {
	key := c.functionKey(n, partVersion, number)
	var v Version
	if _, err := read(tx, key, &v); err != nil {
		return err
	}
	tx.Delete(key)
	h.Held -= len(v.holdings())
	if err := c.hold(tx, v.holdings(), -1); err != nil {
		return err
	}
	return c.addCode(tx, n.account, -v.CodeSize)
}

func (c *Catalog) deleteFunction(ctx context.Context, r Ref) error {
	n := r.name()
	return c.update(ctx, change{kindFunction, n.account, n.name}, func(tx kv.Tx) error {
		h, err := c.readHead(tx, n)
		if err != nil {
			return err
		}
		if h == nil {
			return notFound(c.ARN(r))
		}
		held, size, err := c.deleteParts(tx, n, h)
		if err != nil {
			return err
		}
		tx.Delete(c.functionKey(n, partHead))
		if err := c.retire(tx, kindFunction, n, h.Next); err != nil {
			return err
		}
		if err := c.hold(tx, held, -1); err != nil {
			return err
		}
		return c.total(tx, n.account, func(t *totals) error {
			t.Functions--
			t.CodeBytes -= size
			if h.Reserved != nil {
				t.Reserved -= *h.Reserved
			}
			return nil
		})
	})
}

// deleteParts deletes what the head names, and answers the code that was held by it and by the head itself.
func (c *Catalog) deleteParts(tx kv.Tx, n name, h *head) (held map[string]int64, size int64, err error) {
	held = map[string]int64{}
	let := func(v *Version) {
		for sha, k := range v.holdings() {
			held[sha] += k
		}
	}
	let(&h.Latest)
	size = h.Latest.CodeSize
	if h.Running != nil {
		let(h.Running)
	}
	for _, number := range h.Versions {
		var v Version
		key := c.functionKey(n, partVersion, number)
		if _, err := read(tx, key, &v); err != nil {
			return nil, 0, err
		}
		let(&v)
		size += v.CodeSize
		tx.Delete(key)
	}
	for kind, list := range map[string][]string{
		partAlias: h.Aliases, partPolicy: h.Policies, partURL: h.URLs, partEvent: h.Events,
	} {
		for _, s := range list {
			tx.Delete(tuple.Append(c.functionKey(n, kind), s))
		}
	}
	return held, size, nil
}

// Tag adds tags to the function, or replaces their values.
func (c *Catalog) Tag(ctx context.Context, r Ref, tags map[string]string) error {
	if err := c.checkTags(tags); err != nil {
		return err
	}
	return c.updateFunction(ctx, r, func(_ kv.Tx, h *head) error {
		all := maps.Clone(h.Tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		h.Tags = all
		return checkTags(all)
	})
}

// Untag removes tags; those that are not there are no error.
func (c *Catalog) Untag(ctx context.Context, r Ref, keys []string) error {
	return c.updateFunction(ctx, r, func(_ kv.Tx, h *head) error {
		for _, k := range keys {
			delete(h.Tags, k)
		}
		return nil
	})
}
