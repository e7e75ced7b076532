// Package guest is what is said to the code inside an instance. It brings a runtime up in a sandbox, makes it a function,
// hands it one invocation after another and carries back its answer, its errors and its log lines.
//
// # Four kinds, one behaviour
//
// Node and Python speak a framed protocol with the bootstraps of this package (node/, python/), on a socket that the
// child inherits. Everything else (provided.al2023, AWS's own runtime clients) speaks Lambda's Runtime API over HTTP on
// a listener inside the sandbox. Web is a program that listens on $PORT and is spoken to as a web server. What a caller
// sees is the same for all of them, and guesttest holds one table of cases over all.
//
//	Boot(host, config) ── the generic runtime: nothing of the function yet (Provided, Web: nothing at all)
//	  └─ Load(function) ── INIT: environment, import of the handler; *InitError when the function fails there
//	       └─ Invoke(call, sink) ── one at a time; Reply.Error when the function failed, Reply.State when it is lost
//	            └─ Close() ── after the sandbox was killed, or to end a guest that nobody needs
//
// Boot knows nothing of the function, so that runtimes can be booted ahead. What a runtime reads only when it starts
// (NODE_OPTIONS, TZ, LD_*, PYTHON*) is the exception: BootSettings picks it from a function's environment, and a
// function that has any needs a Boot of its own.
//
// # The framed protocol
//
// The child's files: 0 /dev/null, 1 stdout, 2 stderr, 3 the socket (unix stream), 4 the log pipe. A frame is
//
//	length uint32 LE | kind byte | length bytes
//
//	platform            guest
//	                    'U' up            {"version":…,"reads":[…]}    once, after Boot
//	'C' code       ──►                                                 compiled files, before 'I' if at all
//	'I' {"env":…}  ──►
//	                    'R' ready | 'F' failed {"errorType":…}         once, after Load
//	'E' meta+event ──►
//	                    'O' result                                     a whole answer, or
//	                    'H' content type, 'D' chunk …, 'Z' end         a streamed one; or
//	                    'X' {"errorType":…}                            the handler failed (after 'H': a trailer), or
//	                    'Q' {"errorType":…}                            the same, and the process is going to exit
//
//	'K' {"handler":…} ──►                                              in place of 'C' and 'I': compile, run nothing
//	                    'K' file, code … 'R' ready                     and be closed
//
// 'E' carries a uint32 LE length, that many bytes of JSON about the invocation, and the event's own bytes, untouched. On
// the log pipe each message is one frame in the form that AWS's runtimes use (type, length, microseconds, bytes; big
// endian), so that a message of many lines stays one event. stdout and stderr are cut at newlines.
//
// The socket and the pipes are hostile input: lengths are bounded, unknown frames end the instance, and a log pipe that
// carries something else is read as plain text from there on.
//
// # What is done ahead
//
// A runtime may load the AWS SDK before it has a function (Config.Preload; Wants guesses who will ask for it). What that
// read of the environment comes with 'U', and Suits says whether a function could tell. Compile makes bytecode of a
// function's files in a guest that runs nothing of them; Function.Code hands it to one that becomes the function. In V8's
// stack traces functions of files from 32 KiB on then have no names but their own.
//
// # Web handlers
//
// A handler named FILE#EXPORT (Node: "index.mjs#fetch", an object with a fetch method, or a function), MODULE:NAME
// (Python: "app:app", WSGI or ASGI, told apart by its shape) or web:PROGRAM (a program that listens on $PORT, run by the
// interpreter when the runtime has one) receives payload 2.0 events of an HTTP API or function URL as plain HTTP. Its
// answer is a streamed one with a Head when Call.Stream is set, and the JSON of payload 2.0 otherwise.
//
// # Promises
//
// A Guest serves one Invoke at a time; Load and Invoke are not safe for concurrent use, Refresh and Close are. The
// timeout is the pool's: when ctx ends, Load and Invoke return at once with ctx's error, and the instance is fit for
// nothing but to be killed. All log lines that the function wrote before it answered were given to Log when Invoke
// returns. Nothing here survives a crash of the node, and nothing has to: an instance dies with it.
//
// Left to others: making and killing the sandbox (sandbox), START, END and REPORT lines, timeouts, memory and
// replacement (pool), and where log lines go (logs).
package guest
