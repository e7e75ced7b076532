// Package apps deploys small applications of the kinds that people bring from AWS, with the program as they would: a node
// of development, rouse deploy, and an HTTP client. Each folder beside this file is one application, and says at the head
// of its template what it is about.
//
// The binary is built for the run, or named by ROUSE_BIN. The node and all it makes live in a folder of the test, on
// ports that were free; it is stopped at the end. An application whose language is not on the machine is skipped.
package apps
