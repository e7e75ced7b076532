package tables

import (
	"context"
	"regexp"
	"slices"
)

// Fact is what a screen says of a table.
type Fact struct{ Name, Note string } // Note: "stream", "cache 16 MiB", "" for an ordinary table

// Facts says which tables there are and what is special about each, by name.
func Facts(ctx context.Context, call Call) ([]Fact, error) {
	all, err := names(ctx, call)
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	sh := &Shell{}
	var facts []Fact
	for _, name := range all {
		t, err := sh.describe(ctx, call, name)
		if err != nil {
			continue // deleted meanwhile
		}
		f := Fact{Name: name}
		if t.StreamSpecification.StreamEnabled {
			f.Note = "stream"
		} else if bound := t.cache(ctx); bound != "" {
			f.Note = "cache " + bound
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// cacheTag makes a table that lives in memory; its value is how large it may become.
const cacheTag = "rouse:cache"

var bytesForm = regexp.MustCompile(`^(\d+)([KMG]?i?)B?$`)

// cache is the bound of a table that lives in memory, "16 MiB"; "" for others, and to those who may not see tags.
func (t *table) cache(ctx context.Context) string {
	var out struct{ Tags []struct{ Key, Value string } }
	if err := t.call(ctx, "dynamodb", "ListTagsOfResource", map[string]any{"ResourceArn": t.TableArn}, &out); err != nil {
		return ""
	}
	for _, tag := range out.Tags {
		if tag.Key == cacheTag {
			return bytesForm.ReplaceAllString(tag.Value, "$1 ${2}B")
		}
	}
	return ""
}
