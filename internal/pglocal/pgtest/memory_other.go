//go:build unix && !linux

package pgtest

// memoryDir is nowhere: not every system has a file system in memory.
func memoryDir() string { return "" }
