package main

import (
	"os"
	"os/exec"
	"syscall"
)

// inNamespaces makes a command start in namespaces of its own, as many as a sandbox has: without root the user's as well.
func inNamespaces(cmd *exec.Cmd) {
	flags := syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWCGROUP
	if os.Getuid() != 0 {
		flags |= syscall.CLONE_NEWUSER
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: uintptr(flags)}
}
