package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/switch"
)

// Whatever page a card number is typed into, none shows it, and no address that the
// console leads to has it: not the one to sign in at either.
func TestTypedCardsAreHidden(t *testing.T) {
	pan := cardNumber(0).Reveal()
	grouped := pan[:4] + "-" + pan[4:8] + "-" + pan[8:12] + "-" + pan[12:]
	wants := func(path string, a answer) {
		t.Helper()
		to, err := url.QueryUnescape(a.header.Get("Location"))
		if a.status != http.StatusSeeOther || err != nil || strings.Contains(strings.NewReplacer("-", "", " ", "").Replace(a.body+to), pan[6:]) || !strings.Contains(to, "…"+pan[len(pan)-4:]) {
			t.Errorf("%s: %d leads to %s", path, a.status, to)
		}
	}
	paths := []string{
		"/transactions?q=" + pan, "/transactions?rrn=" + pan, "/transactions?stan=" + pan, "/transactions?kind=sale&from=" + pan, "/transactions/" + pan,
		"/audit?text=card+" + pan + "+lost", "/terminals?tid=" + grouped, "/terminals/" + pan, "/nowhere?x=" + url.QueryEscape(strings.ReplaceAll(grouped, "-", " ")),
		"/sign-in?back=" + url.QueryEscape("/transactions?q="+pan), "/audit?text=a&text=" + pan,
	}
	w, locked := newWorld(t), newWorld(t, closed)
	for _, path := range paths {
		wants(path, w.get(path))
		wants(path, locked.get(path))
	}
	// Not under another site's name.
	if to := w.get("//pages.example/" + pan).header.Get("Location"); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") {
		t.Errorf("led to %s", to)
	}
	w.post("/terminals/"+pan+"/unlock", url.Values{"reason": {"x"}}).want(t, 400, "a card number in it")
	// What is no card's stays: an RRN that passes for one, a merchant's number, a place among transactions.
	for _, path := range []string{
		"/transactions?rrn=606900000018", "/transactions?merchant=" + shop,
		"/transactions?after=2026-03-10.41111111-1111-1111-8111-111111111111", "/transactions?amount=1234567890123.45",
	} {
		w.get(path).want(t, 200)
	}
	// What stands in an address beside its parameters leads nowhere.
	if page := w.get("/transactions?q=" + pan + ";x"); strings.Contains(page.body, pan) {
		t.Error("a card number is on a page that leads back to it")
	}
}

// Reasons are kept, and a person may have typed a card number into one: on a page or
// on the command line.
func TestReasonsHaveNoCards(t *testing.T) {
	w := newWorld(t)
	pan := cardNumber(0).Reveal()
	grouped := pan[:4] + " " + pan[4:8] + " " + pan[8:12] + " " + pan[12:]
	first, second := w.ask(switching.KindSale, 4_500_00), w.ask(switching.KindSale, 4_600_00)
	w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
	one, other := w.ask(switching.KindCancel, 0, of(first)), w.ask(switching.KindCancel, 0, of(second))
	w.post("/reviews/"+rrnOf(one), url.Values{"decision": {"approve"}, "reason": {"card " + grouped + " seen"}}).want(t, 303)
	w.must(switching.DecideReview(t.Context(), w.pool, w.Now(), switching.ReviewDecision{RRN: other.RRN, Who: "ann", Why: "card " + pan + " seen"}))
	rows, err := w.connect().Query(t.Context(), `SELECT decided_why FROM reviews UNION ALL SELECT detail FROM audit_log WHERE kind = 'review_decided'`)
	w.must(err)
	kept, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.must(err)
	if len(kept) != 4 {
		t.Fatalf("kept %q", kept)
	}
	for _, text := range kept {
		if strings.Contains(strings.ReplaceAll(text, " ", ""), pan[6:14]) || !strings.Contains(text, "card "+pan[:6]+"…"+pan[len(pan)-4:]+" seen") {
			t.Errorf("kept as a reason: %s", text)
		}
	}
}
