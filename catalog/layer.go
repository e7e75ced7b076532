package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/kv/tuple"
)

// LayerVersionPattern is what Lambda says the ARN of a layer version must look like.
const LayerVersionPattern = `(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:` +
	`[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)`

const layerNameMax = 140

// LayerVersion is code that functions share. Immutable.
type LayerVersion struct {
	Account       string `json:"-"`
	Name          string `json:"-"`
	Number        uint64
	Description   string   `json:",omitempty"`
	License       string   `json:",omitempty"`
	Runtimes      []string `json:",omitempty"` // it says it goes with; empty: any
	Architectures []string `json:",omitempty"`
	Created       time.Time
	CodeSHA256    string
	CodeKey       string
	CodeSize      int64
	CodeUnzipped  int64
}

// layer is a layer on the shelf. Immutable.
type layer struct {
	versions []*LayerVersion // ascending
}

// layerHead is the record that every change of a layer reads and writes.
type layerHead struct {
	Next     uint64
	Versions []uint64
}

// LayerName names a layer, and perhaps a version of it.
type LayerName struct {
	Account string
	Name    string
	Number  string // "" without a version
}

func (l LayerName) name() name { return name{l.Account, l.Name} }

// LayerARN names a layer, with a version unless number is 0.
func (c *Catalog) LayerARN(account, layer string, number uint64) rouse.ARN {
	r := "layer:" + layer
	if number != 0 {
		r += ":" + formatNumber(number)
	}
	return rouse.ARN{Service: "lambda", Region: c.cfg.Region, Account: account, Resource: r}
}

// splitLayerARN reads arn:aws:lambda:REGION:ACCOUNT:layer:NAME[:NUMBER].
func splitLayerARN(s string) (l LayerName, region string, ok bool) {
	p := strings.Split(s, ":")
	if len(p) < 7 || len(p) > 8 || p[0] != "arn" || p[2] != "lambda" || !isRegion(p[3]) || !isAccount(p[4]) || p[5] != "layer" ||
		!word(p[6], "-_") || len(p[6]) > layerNameMax {
		return LayerName{}, "", false
	}
	l = LayerName{Account: p[4], Name: p[6]}
	if len(p) == 8 {
		if !digits(p[7]) {
			return LayerName{}, "", false
		}
		l.Number = p[7]
	}
	return l, p[3], true
}

// ParseLayer reads a layer's name or ARN, without a version; account is the caller's.
func (c *Catalog) ParseLayer(account, s string) (LayerName, error) {
	if word(s, "-_") && len(s) <= layerNameMax {
		return LayerName{Account: account, Name: s}, nil
	}
	l, region, ok := splitLayerARN(s)
	if !ok || l.Number != "" {
		return LayerName{}, constraint("layerName", s, "Member must satisfy regular expression pattern: "+
			`(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+`)
	}
	if region != c.cfg.Region {
		return LayerName{}, noSuchResource()
	}
	return l, nil
}

// ParseLayerVersion reads the ARN of a layer version.
func (c *Catalog) ParseLayerVersion(s string) (LayerName, uint64, error) {
	l, region, ok := splitLayerARN(s)
	number, numbered := parseNumber(l.Number)
	if !ok || !numbered {
		return LayerName{}, 0, constraint("arn", s, "Member must satisfy regular expression pattern: "+LayerVersionPattern)
	}
	if region != c.cfg.Region {
		return LayerName{}, 0, noSuchResource()
	}
	return l, number, nil
}

// NewLayerVersion is what PublishLayer is asked for.
type NewLayerVersion struct {
	Code          Code
	Description   string
	License       string
	Runtimes      []string
	Architectures []string
}

// PublishLayer makes the next version of a layer, and the layer with its first one.
func (c *Catalog) PublishLayer(ctx context.Context, l LayerName, in NewLayerVersion) (*LayerVersion, error) {
	if len(in.Description) > descriptionMax {
		return nil, constraint("description", in.Description, "Member must have length less than or equal to 256")
	}
	if !in.Code.given() {
		return nil, invalid("Please provide a source for layer content.")
	}
	for _, a := range in.Architectures {
		if a != "x86_64" && a != "arm64" {
			return nil, constraint("compatibleArchitectures", "["+a+"]", "Member must satisfy constraint: [Member must satisfy "+
				"enum value set: [x86_64, arm64], Member must not be null]")
		}
	}
	code, err := c.keep(ctx, in.Code)
	if err != nil {
		return nil, err
	}
	n := l.name()
	var number uint64
	err = c.update(ctx, change{kindLayer, n.account, n.name}, func(tx kv.Tx) error {
		h := layerHead{}
		ok, err := read(tx, c.layerKey(n, partHead), &h)
		if err != nil {
			return err
		}
		if !ok {
			if h.Next, err = c.next(tx, kindLayer, n); err != nil {
				return err
			}
		}
		if len(h.Versions) >= PartsMax {
			return rouse.Errorf(rouse.Limit, "Rouse keeps at most %d versions of one layer", PartsMax).
				WithCode("InvalidParameterValueException")
		}
		number = h.Next
		h.Next++
		h.Versions = append(h.Versions, number)
		v := LayerVersion{
			Number: number, Description: in.Description, License: in.License, Runtimes: in.Runtimes,
			Architectures: in.Architectures, Created: tx.Now(),
			CodeSHA256: code.sha, CodeKey: code.key, CodeSize: code.size, CodeUnzipped: code.unzipped,
		}
		if err := c.hold(tx, map[string]int64{code.sha: 1}, 1); err != nil {
			return err
		}
		if err := c.addCode(tx, n.account, code.size); err != nil {
			return err
		}
		if err := write(tx, c.layerKey(n, partVersion, number), v); err != nil {
			return err
		}
		return write(tx, c.layerKey(n, partHead), h)
	})
	if err != nil {
		return nil, err
	}
	return c.LayerVersion(l, number)
}

// LayerVersion answers one version.
func (c *Catalog) LayerVersion(l LayerName, number uint64) (*LayerVersion, error) {
	if found, ok := c.layers.get(l.name()); ok {
		for _, v := range found.versions {
			if v.Number == number {
				return v, nil
			}
		}
	}
	return nil, noSuchResource()
}

// DeleteLayer removes a version; functions that use it keep it. One that is not there is no error.
func (c *Catalog) DeleteLayer(ctx context.Context, l LayerName, number uint64) error {
	n := l.name()
	return c.update(ctx, change{kindLayer, n.account, n.name}, func(tx kv.Tx) error {
		var h layerHead
		if _, err := read(tx, c.layerKey(n, partHead), &h); err != nil {
			return err
		}
		if !slices.Contains(h.Versions, number) {
			return errUnchanged
		}
		var v LayerVersion
		key := c.layerKey(n, partVersion, number)
		if _, err := read(tx, key, &v); err != nil {
			return err
		}
		tx.Delete(key)
		if err := c.hold(tx, map[string]int64{v.CodeSHA256: 1}, -1); err != nil {
			return err
		}
		if err := c.addCode(tx, n.account, -v.CodeSize); err != nil {
			return err
		}
		h.Versions = slices.DeleteFunc(h.Versions, func(k uint64) bool { return k == number })
		if len(h.Versions) == 0 {
			tx.Delete(c.layerKey(n, partHead))
			return c.retire(tx, kindLayer, n, h.Next)
		}
		return write(tx, c.layerKey(n, partHead), h)
	})
}

// LayerFilter keeps versions that say they go with a runtime and an architecture; "" keeps all.
type LayerFilter struct{ Runtime, Architecture string }

func (f LayerFilter) match(v *LayerVersion) bool {
	return (f.Runtime == "" || slices.Contains(v.Runtimes, f.Runtime)) &&
		(f.Architecture == "" || slices.Contains(v.Architectures, f.Architecture))
}

// LayerVersions lists the versions of a layer, newest first, below the number before (0: from the newest).
func (c *Catalog) LayerVersions(l LayerName, f LayerFilter, before uint64, limit int) (versions []*LayerVersion, next uint64) {
	found, ok := c.layers.get(l.name())
	if !ok {
		return nil, 0
	}
	for _, v := range slices.Backward(found.versions) {
		if before != 0 && v.Number >= before || !f.match(v) {
			continue
		}
		if len(versions) == limit {
			return versions, versions[limit-1].Number
		}
		versions = append(versions, v)
	}
	return versions, 0
}

// Layers lists the newest matching version of each layer, by name after the name after.
func (c *Catalog) Layers(account string, f LayerFilter, after string, limit int) (versions []*LayerVersion, next string) {
	for n, l := range c.layers.all {
		if n.account != account || n.name <= after {
			continue
		}
		for _, v := range slices.Backward(l.versions) {
			if f.match(v) {
				versions = append(versions, v)
				break
			}
		}
	}
	slices.SortFunc(versions, func(a, b *LayerVersion) int { return strings.Compare(a.Name, b.Name) })
	if len(versions) > limit {
		return versions[:limit], versions[limit-1].Name
	}
	return versions, ""
}

// buildLayer makes the shelf's entry of all records of a layer; nil when there are none.
func (c *Catalog) buildLayer(n name, pairs []kv.Pair) (*layer, error) {
	l := &layer{}
	for _, p := range pairs {
		parts, err := tuple.Parse(p.Key)
		if err != nil || len(parts) < 6 {
			return nil, fmt.Errorf("catalog: decode key: %w", err)
		}
		if parts[5] != partVersion {
			continue
		}
		v := &LayerVersion{}
		if err := json.Unmarshal(p.Value, v); err != nil {
			return nil, fmt.Errorf("catalog: decode layer %s: %w", n.name, err)
		}
		v.Account, v.Name = n.account, n.name
		l.versions = append(l.versions, v)
	}
	if len(l.versions) == 0 {
		return nil, nil
	}
	slices.SortFunc(l.versions, func(a, b *LayerVersion) int { return int(int64(a.Number) - int64(b.Number)) })
	return l, nil
}
