package main

import (
	"strings"
	"testing"

	"meridian/switch"
)

// What a terminal told besides is shown, and what was there before an adjustment.
func TestShownRemarks(t *testing.T) {
	for name, c := range map[string]struct {
		transaction switching.Inspection
		want        []string
	}{
		"reversal":   {switching.Inspection{Kind: switching.KindReversal, Remark: "98: no answer within time"}, []string{"remark        98: no answer within time"}},
		"adjustment": {switching.Inspection{Kind: switching.KindAdjustment, AmountMinor: 110_00, PreviousMinor: 100_00, Currency: 156}, []string{"before it     100.00 CNY"}},
		"refused":    {switching.Inspection{Kind: switching.KindAdjustment, AmountMinor: 110_00, Currency: 156}, nil},
		"sale":       {switching.Inspection{Kind: switching.KindSale}, nil},
	} {
		var b strings.Builder
		newShownTransaction(&c.transaction).write(&b)
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no line %q in\n%s", name, want, b.String())
			}
		}
		if c.want == nil && (strings.Contains(b.String(), "remark") || strings.Contains(b.String(), "before it")) {
			t.Errorf("%s:\n%s", name, b.String())
		}
	}
}
