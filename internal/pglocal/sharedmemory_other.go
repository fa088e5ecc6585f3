//go:build unix && !linux && !darwin

package pglocal

// releaseSharedMemory has no counterpart here.
func releaseSharedMemory(string) {}
