package main

// foreign tries amd64's other numberings of the system calls: getpid of x32.
func foreign(add func(string, func() error)) { add("x32 calls", call(0x40000000|39)) }
