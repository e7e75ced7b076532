// Command interpreter says the version that its folder is named after, as Node.js and Python do.
package main

import (
	"fmt"
	"os"
)

// version is set by the linker.
var version = "v0.0.0"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(version)
	}
}
