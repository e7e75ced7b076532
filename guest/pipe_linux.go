package guest

import "syscall"

// The descriptors are born close-on-exec: a sandbox that is cloned at the same moment must not inherit them.

func newPipe() (r, w int, err error) {
	var p [2]int
	err = syscall.Pipe2(p[:], syscall.O_CLOEXEC)
	return p[0], p[1], err
}

func newSocketPair() (ours, theirs int, err error) {
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	return p[0], p[1], err
}
