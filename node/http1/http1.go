// Package http1 serves HTTP/1.1 on plain connections: an http.Server for http.Handlers, at about half of what net/http costs
// for a small request. A node answers every invocation, every call of an SDK and every call from inside a sandbox with it.
//
//	listener ─ accept ─▶ conn ──▶ head ──▶ handler ──▶ rest of the body ──┐
//	                      ▲  new / idle      │ response                    │
//	                      └──────────────────┴─────────────────────────────┘
//
// Three ideas:
//
// A connection is one goroutine, and a request in good order costs one read and one write, no timer and no second goroutine.
// What net/http does for each request with timers and a reader in the background is done by one sweep over all connections,
// four times a second: it closes who is idle, sends no head or takes no answer, and has those watched whose handler takes longer than that, so
// that a client that leaves cancels the request's context.
//
// The reader is strict where a proxy in front could read differently (RFC 9112 §11.2): a length beside chunks, two lengths,
// a bare CR or LF, a folded line, space before a colon, a transfer coding other than chunked, two hosts or none are refused,
// and the connection with them. All that it takes net/http takes too, and means the same by it: a fuzz target holds that.
//
// The values of a request's headers share one string, its head. Who keeps one for long should clone it.
//
// Left to others: TLS and HTTP/2, which listeners for them serve by net/http; hijacking and upgrades, trailers (read and
// dropped), full duplex.
package http1
