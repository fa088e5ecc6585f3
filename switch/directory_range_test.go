package switching

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/card"
)

func TestNetworkOfACard(t *testing.T) {
	fill := func(low, high string) binRange {
		return binRange{
			low: low + strings.Repeat("0", 19-len(low)), high: high + strings.Repeat("9", 19-len(high)),
			network: fmt.Sprintf("%s to %s", low, high),
		}
	}
	d := &Directory{ranges: []binRange{fill("4", "4"), fill("51", "55"), fill("620000", "620099"), fill("6217120000000000013", "6217120000000000013")}}
	for digits, want := range map[string]string{
		"4000000000000002":    "4 to 4",
		"4999999999999999":    "4 to 4",
		"5000000000000009":    "",
		"5100000000000008":    "51 to 55",
		"5599999999999995":    "51 to 55",
		"5600000000000003":    "",
		"6200000000000005":    "620000 to 620099",
		"6200990000000007":    "620000 to 620099",
		"6201000000000004":    "",
		"6217120000000000013": "6217120000000000013 to 6217120000000000013",
		"621712000000000001":  "",
		"3000000000000004":    "",
	} {
		pan, err := card.ParsePAN(digits)
		if err != nil {
			t.Fatalf("%s: %v", digits, err)
		}
		if got := d.network(pan); got != want {
			t.Errorf("%s is of network %q, want %q", digits, got, want)
		}
		if n := testing.AllocsPerRun(10, func() { d.network(pan) }); n != 0 {
			t.Errorf("looking up %s makes %v allocations, want none", digits, n)
		}
	}
}
