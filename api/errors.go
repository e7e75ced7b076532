package api

import "github.com/rouse-dev/rouse"

// The room's errors. Codes are the doors' to give, by kind.

func bad(format string, args ...any) error { return rouse.Errorf(rouse.Invalid, format, args...) }

func conflict(format string, args ...any) error { return rouse.Errorf(rouse.Conflict, format, args...) }

func notFound(format string, args ...any) error { return rouse.Errorf(rouse.NotFound, format, args...) }

func overLimit(format string, args ...any) error { return rouse.Errorf(rouse.Limit, format, args...) }

func unsupported(what string, args ...any) error {
	return rouse.Errorf(rouse.Unsupported, "Rouse does not implement "+what, args...)
}

// atRoute says at which route of a document an error arose; the kind stays.
func atRoute(key string, err error) error {
	return rouse.Errorf(rouse.KindOf(err), "%s: %w", key, err)
}
