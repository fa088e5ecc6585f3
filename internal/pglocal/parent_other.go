//go:build unix && !linux

package pglocal

import "syscall"

// dieWithParent has no counterpart here: what outlives us is stopped by the next
// start on the same data directory.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// lendName has no counterpart here.
func lendName(*syscall.SysProcAttr, account) {}
