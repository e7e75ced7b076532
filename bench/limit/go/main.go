// A bare HTTP server that does the function's work, or answers as many bytes as it is asked for; or, told to exit, a bare start of a Go program.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func main() {
	if os.Args[1] == "exit" {
		return
	}
	err := http.ListenAndServe("127.0.0.1:"+os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, ok := strings.CutPrefix(r.URL.Path, "/answer/"); ok {
			answer(w, r, n)
			return
		}
		b, _ := json.Marshal(map[string]any{"path": r.URL.Path, "sum": 1 + 2 + 3})
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b)
	}))
	panic(err)
}

// answer reads the request and answers n bytes.
func answer(w http.ResponseWriter, r *http.Request, n string) {
	size, err := strconv.Atoi(n)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", n)
	_, _ = w.Write(make([]byte, size))
}
