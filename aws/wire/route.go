package wire

import (
	"strconv"
	"strings"
)

// parseRoute splits "METHOD /path STATUS". What is wrong with it, Compile says.
func parseRoute(route string) (method, path string, status int) {
	f := strings.Fields(route)
	status = 200
	if len(f) > 0 {
		method = f[0]
	}
	if len(f) > 1 {
		path = f[1]
	}
	if len(f) > 2 {
		status, _ = strconv.Atoi(f[2])
	}
	return method, path, status
}
