package table

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
)

// CacheTag is the tag that makes a table live in memory, within the bound that it gives: "64MiB", "1GiB", "500000".
const CacheTag = "rouse:cache"

// Bounds of a cache table.
const (
	CacheMin = 1 << 20
	CacheMax = 64 << 30
)

// Limits of tags.
const (
	tagKeyMax   = 128
	tagValueMax = 256
)

// readCacheTag takes the bound of a cache table from its tag.
func (t *Tables) readCacheTag(def *Definition) error {
	text, ok := def.Tags[CacheTag]
	if !ok || def.CacheBytes > 0 {
		return nil
	}
	n, ok := parseBytes(text)
	if !ok || n < CacheMin || n > CacheMax {
		return invalid("The Tag Value provided is invalid, Value: %s: %s is a number of bytes from 1MiB to 64GiB, like 64MiB", text, CacheTag)
	}
	def.CacheBytes = n
	return nil
}

// parseBytes reads a number of bytes: plain, or with KiB, MiB or GiB.
func parseBytes(s string) (int64, bool) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, shift = rest, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 40)
	if err != nil || n > 1<<(62-shift) {
		return 0, false
	}
	return int64(n << shift), true
}

// checkTags checks the tags of a table.
func checkTags(tags map[string]string) error {
	for k, v := range tags {
		switch {
		case k == "" || len([]rune(k)) > tagKeyMax:
			return invalid("The Tag Key provided is invalid, Key: %s", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag Key cannot be prefixed with aws:, Key: %s", k)
		case len([]rune(v)) > tagValueMax:
			return invalid("The Tag Value provided is invalid, Value: %s", v)
		}
	}
	if len(tags) > TagsMax {
		return invalid("Number of Tags exceed the current limit for the provided ResourceArn")
	}
	return nil
}

// Tag adds tags to a table or replaces those with the same keys.
func (t *Tables) Tag(ctx context.Context, account, name string, tags map[string]string) error {
	if len(tags) == 0 {
		return invalid("Atleast one Tag needs to be provided as Input.")
	}
	return t.retag(ctx, account, name, func(all map[string]string) { maps.Copy(all, tags) })
}

// Untag removes tags; keys that are not there are no error.
func (t *Tables) Untag(ctx context.Context, account, name string, keys []string) error {
	if len(keys) == 0 {
		return invalid("Atleast one Tag Key needs to be provided as Input.")
	}
	return t.retag(ctx, account, name, func(all map[string]string) {
		for _, k := range keys {
			delete(all, k)
		}
	})
}

func (t *Tables) retag(ctx context.Context, account, name string, change func(map[string]string)) error {
	err := t.cfg.Store.Update(ctx, func(tx kv.Tx) error {
		d, err := t.read(tx, account, name)
		if err != nil {
			return err
		}
		if d == nil {
			return t.errNoResource(account, name)
		}
		was, had := d.Tags[CacheTag]
		tags := maps.Clone(d.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		change(tags)
		if is, has := tags[CacheTag]; has != had || is != was {
			return rouse.Errorf(rouse.Unsupported, "Rouse does not implement a change of the tag %s of a table that exists", CacheTag)
		}
		if err := checkTags(tags); err != nil {
			return err
		}
		d.Tags = tags
		return t.write(tx, account, d)
	})
	if err == nil {
		t.schemas.forget(account, name)
	}
	return err
}

// errNoResource is what calls about tags say of a table that is not there, its typing error included.
func (t *Tables) errNoResource(account, name string) error {
	return notFound("Requested resource not found: ResourcArn: %s not found", t.ARN(account, name))
}

// Tags are the tags of a table. They are not to be changed.
func (t *Tables) Tags(ctx context.Context, account, name string) (map[string]string, error) {
	s, err := t.fresh(ctx, account, name)
	if rouse.KindOf(err) == rouse.NotFound {
		return nil, t.errNoResource(account, name)
	}
	if err != nil {
		return nil, err
	}
	return s.Tags, nil
}
