package table

import (
	"context"
	"maps"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/kv"
	"github.com/rouse-dev/rouse/table/schema"
)

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
		if err := schema.CheckTags(tags); err != nil {
			return err
		}
		d.Tags = tags
		return t.write(tx, account, d)
	})
	if err == nil {
		t.handles.forget(account, name)
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
