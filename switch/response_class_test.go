package switching

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A new reason is put into a class by somebody, not by what is left over.
func TestEveryReasonHasItsClass(t *testing.T) {
	failing := []Reason{SystemMalfunction, StoreUnavailable, CutoffInProgress}
	seen := map[ResponseClass]int{}
	for _, r := range Reasons() {
		seen[r.Class()]++
		if got, want := r.Class() == ResponseFailed, slices.Contains(failing, r); got != want {
			t.Errorf("%s is of class %s, failed is %t: give it a class where Class has its cases", r, r.Class(), want)
		}
	}
	if got, want := slices.Sorted(maps.Keys(seen)), ResponseClasses(); !slices.Equal(got, want) {
		t.Errorf("reasons are of classes %v, want all of %v", got, want)
	}
	if seen[ResponseApproved] != 1 {
		t.Errorf("%d reasons are approvals, want one", seen[ResponseApproved])
	}
	if got := Reason(0).Class(); got != ResponseFailed {
		t.Errorf("an unknown outcome is of class %s, want failed", got)
	}
	for _, c := range ResponseClasses() {
		if c.String() == "unknown" || strings.ToLower(c.String()) != c.String() {
			t.Errorf("class %d is called %q", c, c)
		}
	}
}
