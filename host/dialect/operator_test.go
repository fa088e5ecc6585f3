package dialect_test

import (
	"strings"
	"testing"

	"meridian/switch"
)

func TestLogonOfAnOperator(t *testing.T) {
	for _, d := range both(t) {
		t.Run(d.Name(), func(t *testing.T) {
			for _, logon := range []fields{{3: "920000", 41: "10000001"}, {70: "001", 41: "10000001"}} {
				for _, test := range []struct{ f63, number, password string }{
					{"", "", ""},
					{"      ", "", ""}, // a field that is filled is not there
					{"01/0000", "01", "0000"},
					{"01/0000  ", "01", "0000"},
					{"999/a/b c", "999", "a/b c"},
					{"01/" + strings.Repeat("9", 32), "01", strings.Repeat("9", 32)},
				} {
					r, refusal := d.Request(received(t, d, "0800", logon.but(fields{63: test.f63})))
					if refusal != nil {
						t.Fatalf("%q: %s", test.f63, refusal.Problem)
					}
					if r.Kind != switching.KindLogon || r.OperatorNo != test.number || r.OperatorPassword != test.password {
						t.Errorf("%q became %s of operator %q with %q", test.f63, r.Kind, r.OperatorNo, r.OperatorPassword)
					}
				}
				for _, f63 := range []string{
					"01", "01/", "/0000", "0000", "1/0000", "0001/0000", "ab/0000", "+1/0000", " 1/0000", "01 /0000",
					"01/000", "01/" + strings.Repeat("9", 33),
				} {
					refused(t, d, "0800", logon.but(fields{63: f63}), switching.FormatError, 63)
				}
			}
			// An echo test carries what it likes.
			r, refusal := d.Request(received(t, d, "0800", fields{70: "301", 41: "10000001", 63: "LINE TEST"}))
			if refusal != nil || r.OperatorNo != "" {
				t.Errorf("echo: %v, operator %q", refusal, r.OperatorNo)
			}
		})
	}
}
