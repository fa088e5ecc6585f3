package main

import (
	"os"
	"runtime/debug"
)

// serveGCPercent is how far a host's heap grows between two collections, in per
// cent of what lives: what lives is small (tens of megabytes: reference data, keys,
// one stack for each connection) and most of what a message allocates is dead with
// its answer. With Go's own 100 a fifth of a busy host's processor time is
// collection, with 400 a twentieth (docs/explanation/performance.md).
const serveGCPercent = 400

// tuneCollector sets Go's collector for a host, unless whoever runs it has said
// something about it: GOGC, or GOMEMLIMIT, which is set where memory is short.
func tuneCollector() {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return
		}
	}
	debug.SetGCPercent(serveGCPercent)
}
