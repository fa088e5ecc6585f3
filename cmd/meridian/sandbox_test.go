package main

import "testing"

// What the sandbox tells to try has to run where it was started.
func TestCalledAs(t *testing.T) {
	for argument, want := range map[string]string{
		"./bin/meridian": "bin/meridian", "/opt/meridian/meridian": "/opt/meridian/meridian", "meridian": "meridian", "": "meridian",
	} {
		if got := calledAs(argument); got != want {
			t.Errorf("%q is called as %q, want %q", argument, got, want)
		}
	}
}
