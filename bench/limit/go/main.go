// A bare HTTP server that does the function's work; or, told to exit, a bare start of a Go program.
package main

import (
	"encoding/json"
	"net/http"
	"os"
)

func main() {
	if os.Args[1] == "exit" {
		return
	}
	err := http.ListenAndServe("127.0.0.1:"+os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := json.Marshal(map[string]any{"path": r.URL.Path, "sum": 1 + 2 + 3})
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b)
	}))
	panic(err)
}
