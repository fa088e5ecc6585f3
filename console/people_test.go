package console

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"meridian/switch"
)

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

// TestLinksLeadToWhateverIsCalledSo: MIDs and TIDs are of all the characters that
// terminals send.
func TestLinksLeadToWhateverIsCalledSo(t *testing.T) {
	w := newWorld(t)
	w.sql(`UPDATE merchants SET mid = '../x' WHERE merchant_id = 1`)
	w.sql(`UPDATE merchants SET mid = 'a?b%2F' WHERE merchant_id = 2`)
	w.sql(`UPDATE terminals SET tid = 'T/1#' WHERE terminal_id = 1`)
	w.sql(`UPDATE terminals SET tid = '../?2' WHERE terminal_id = 3`)
	w.sql(`UPDATE installation SET directory_version = directory_version + 1`)
	w.must(w.sw.Refresh(t.Context()))
	sale := w.ask(switching.KindSale, 12_34, func(r *switching.Request) { r.MID, r.TID = "../x", "T/1#" })
	if sale.Reason != switching.Approved {
		t.Fatal(sale.Reason)
	}
	link := regexp.MustCompile(`href="(/(?:merchants|terminals|batches)/[^"]+)"`)
	followed := map[string]bool{}
	for _, path := range []string{"/merchants", "/terminals", "/batches", "/merchants/..%2Fx", "/terminals/T%2F1%23", "/batches/T%2F1%23/1", "/transactions/" + rrnOf(sale)} {
		page := w.get(path).want(t, http.StatusOK)
		found := link.FindAllStringSubmatch(page.body, -1)
		if len(found) == 0 {
			t.Errorf("%s leads nowhere", path)
		}
		for _, one := range found {
			to := strings.ReplaceAll(one[1], "&amp;", "&")
			if !followed[to] {
				followed[to] = true
				if status := w.get(to).status; status != http.StatusOK {
					t.Errorf("%s leads to %s: %d", path, to, status)
				}
			}
		}
	}
	if len(followed) < 6 {
		t.Errorf("followed %v", followed)
	}
}
