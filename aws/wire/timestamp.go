package wire

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// isoLayout writes milliseconds only where there are some, as AWS does.
const isoLayout = "2006-01-02T15:04:05.999Z"

// appendTime writes t as f says, without quotes.
func appendTime(b []byte, t time.Time, f timeFormat) []byte {
	switch f {
	case formatISO:
		return t.UTC().AppendFormat(b, isoLayout)
	case formatHTTP:
		return t.UTC().AppendFormat(b, http.TimeFormat)
	}
	ms := t.UnixMilli()
	sec, frac := ms/1000, ms%1000
	if frac < 0 {
		sec, frac = sec-1, frac+1000
	}
	if sec < 0 {
		return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
	}
	b = strconv.AppendInt(b, sec, 10)
	if frac != 0 {
		b = append(b, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	return b
}

// parseTime reads s in any of the three formats: clients are not consistent, and the formats cannot be confused.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return epochTime(f)
	}
	if t, err := http.ParseTime(s); err == nil {
		return t.UTC(), nil
	}
	const zone, local, day, basic = "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04:05", "2006-01-02", "20060102T150405Z"
	for _, layout := range []string{zone, local, day, basic} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%.64q is not a timestamp", s)
}

// epochTime is the time sec seconds after the epoch, to the millisecond. It must be a year that RFC 3339 can write.
func epochTime(sec float64) (time.Time, error) {
	if math.IsNaN(sec) || sec < -62135596800 || sec > 253402300799 {
		return time.Time{}, fmt.Errorf("%v is not a timestamp", sec)
	}
	return time.UnixMilli(int64(math.Round(sec * 1000))).UTC(), nil
}
