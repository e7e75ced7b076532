package schema

import (
	"strconv"
	"strings"
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

// ReadCacheTag takes the bound of a cache table from its tag.
func (def *Definition) ReadCacheTag() error {
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

// CheckTags checks the tags of a table.
func CheckTags(tags map[string]string) error {
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
