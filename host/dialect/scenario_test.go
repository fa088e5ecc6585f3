package dialect_test

import (
	"slices"
	"testing"

	"meridian/host/dialect"
	"meridian/host/wire"
)

// Every dialect's table has the codes that all hosts answer, and UnionPay's those
// that it alone knows.
func TestResponseCodes(t *testing.T) {
	for name, want := range map[string][]string{
		wire.NameNAC: {"00", "05", "51", "96", "97"}, wire.NameASCII87: {"00", "05", "51", "96", "97"},
		wire.NameUnionPay: {"00", "05", "07", "11", "51", "68", "96", "97", "98", "A0", "A7"},
	} {
		codes := dialect.ResponseCodes(name)
		if !slices.IsSorted(codes) {
			t.Errorf("%s: %v are in no order", name, codes)
		}
		for _, code := range want {
			if !slices.Contains(codes, code) {
				t.Errorf("%s has no %s among %v", name, code, codes)
			}
		}
	}
	if slices.Contains(dialect.ResponseCodes(wire.NameNAC), "A0") {
		t.Error("NAC has UnionPay's A0")
	}
}
