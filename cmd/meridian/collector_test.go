package main

import (
	"runtime/debug"
	"testing"
)

func TestCollectorIsTheOperatorsIfHeSaysSo(t *testing.T) {
	const before = 117 // no default of anybody's
	for name, c := range map[string]struct {
		gogc, limit string
		want        int
	}{
		"nothing said":         {"", "", serveGCPercent},
		"GOGC":                 {"117", "", before},
		"GOMEMLIMIT":           {"", "512MiB", before},
		"GOGC and GOMEMLIMIT":  {"117", "512MiB", before},
		"GOGC off is said too": {"off", "", before},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", c.gogc)
			t.Setenv("GOMEMLIMIT", c.limit)
			original := debug.SetGCPercent(before)
			tuneCollector()
			if got := debug.SetGCPercent(original); got != c.want {
				t.Errorf("GC percent %d, want %d", got, c.want)
			}
		})
	}
}
