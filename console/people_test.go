package console

import "testing"

func TestSubjectsLeadToTheirPages(t *testing.T) {
	for subject, want := range map[string]string{
		"terminal 10000001":           "/terminals/10000001",
		"terminal 10000001: MAC x919": "/terminals/10000001",
		"terminal 10000001 of merchant 104110000000001: nac, active": "/terminals/10000001",
		"terminal 10000001 batch 000007":                             "/terminals/10000001",
		"mac key of terminal 10000001":                               "/terminals/10000001",
		"suspend void of terminal 10000001":                          "/terminals/10000001",
		"merchant 104110000000001: name = A, was B":                  "/merchants/104110000000001",
		"merchant 104110000000001 from 2026-03-11 on: removed":       "/merchants/104110000000001",
		"operator 01 of merchant 104110000000001: disabled":          "/merchants/104110000000001",
		"merchant a::":                               "/merchants/a::",
		"merchant a::: name = A":                     "/merchants/a::",
		"merchant SHOP/1: name = A":                  "/merchants/SHOP%2F1",
		"RRN 600000000001":                           "/transactions/600000000001",
		"every merchant from 2026-03-11 on: removed": "",
		"catalogue of chip applications: 2 entries":  "",
		"console":  "",
		"terminal": "",
		"":         "",
	} {
		if got := subjectPath(subject); got != want {
			t.Errorf("%q leads to %q, want %q", subject, got, want)
		}
	}
}
