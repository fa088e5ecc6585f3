package switching_test

import (
	"slices"
	"testing"

	"meridian/switch"
)

func TestPassedBefore(t *testing.T) {
	for name, c := range map[string]struct{ trace, want []switching.Rule }{
		"nothing":        {nil, nil},
		"not found":      {[]switching.Rule{7}, []switching.Rule{4, 5, 32}},
		"void":           {[]switching.Rule{16}, []switching.Rule{4, 5, 32, 7, 8, 9, 10, 12, 13, 14, 15, 31}},
		"void forbidden": {[]switching.Rule{16, 5}, []switching.Rule{4, 32, 7, 8, 9, 10, 12, 13, 14, 15, 31}},
		"refund":         {[]switching.Rule{18, 29}, []switching.Rule{4, 5, 32, 7, 8, 9, 10, 12, 13, 14, 15, 31, 16, 17, 19, 21, 22, 23, 24, 25, 26, 27, 28}},
		"of completion":  {[]switching.Rule{16, 30}, []switching.Rule{4, 5, 32, 7, 8, 9, 10, 12, 13, 14, 15, 31}},
	} {
		got := switching.PassedBefore(c.trace)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		for _, rule := range got {
			if rule.Passed() == "" {
				t.Errorf("%s has no words for having passed", rule)
			}
		}
	}
}
