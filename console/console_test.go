package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"meridian/switch"
)

func TestOverviewAndTransactions(t *testing.T) {
	w := newWorld(t)
	w.get("/").want(t, 200, "Nothing needs anybody", "There is no transaction yet", "china", "berlin", "Tue 23:00:00 +08:00 Asia/Shanghai")
	sale := w.ask(switching.KindSale, 12_34)
	other := w.ask(switching.KindSale, 20_00)
	void := w.ask(switching.KindCancel, 0, of(sale))
	declined := w.ask(switching.KindSale, opened+1)
	w.get("/").want(t, 200, rrnOf(sale), rrnOf(void), "12.34 CNY", "River <Books> & Co")

	t.Run("search", func(t *testing.T) {
		all := w.get("/transactions").want(t, 200, rrnOf(sale), rrnOf(other), rrnOf(void), rrnOf(declined), "621712…")
		if strings.Contains(all.body, "<Books>") {
			t.Error("a merchant's name is not escaped")
		}
		for query, c := range map[string]struct {
			rows int
			text string
		}{
			"merchant=" + shop: {4, ""}, "terminal=" + till: {4, ""}, "terminal=nobody": {0, "No transaction fits"},
			"q=" + till: {4, "Looked up as a terminal"}, "q=" + shop: {4, "as a merchant"}, "q=12.34": {2, "as an amount"},
			"q=2": {1, "as a STAN"}, "q=621712..." + cardNumber(0).Last4(): {4, "as a card"}, "card=" + cardNumber(1).Last4(): {0, ""},
			"amount=12.34&kind=void": {1, ""}, "state=declined": {1, "exceeds amount limit"}, "from=2026-03-10&to=2026-03-10": {4, ""}, "to=2026-03-09": {0, ""},
			"stan=000001": {1, ""}, "batch=1": {4, ""},
		} {
			page := w.get("/transactions?"+query).want(t, 200, c.text)
			if rows := strings.Count(page.body, `<th scope="row">`); rows != c.rows {
				t.Errorf("%s: %d rows, want %d", query, rows, c.rows)
			}
		}
		for query, text := range map[string]string{
			"q=what": "“what” is no RRN", "stan=x": "no STAN", "from=then": "no date", "amount=1.2.3": "no amount", "card=12": "first six",
			"kind=x": "no kind", "state=x": "no state", "after=x": "damaged", "q=" + strings.Repeat("1", 65): "longer", "batch=9999999": "no batch",
		} {
			w.get("/transactions?"+query).want(t, 400, "That cannot be looked up", text)
		}
		to := w.get("/transactions?q="+rrnOf(sale)).want(t, 303).header.Get("Location")
		if to != "/transactions/"+rrnOf(sale) {
			t.Errorf("an RRN leads to %s", to)
		}
		w.get("/transactions?q=000000000001").want(t, 200, "No transaction fits")
	})
	t.Run("full card numbers", func(t *testing.T) {
		pan := cardNumber(0)
		for _, query := range []string{"q=" + pan.Reveal(), "card=" + pan.Reveal(), "card=" + pan.Reveal()[:6] + "+" + pan.Reveal()[6:], "q=4111111111111112"} {
			a := w.get("/transactions?"+query).want(t, 303)
			to, err := url.QueryUnescape(a.header.Get("Location"))
			if err != nil || strings.Contains(a.body+to, pan.Reveal()) || !strings.Contains(to, "…") {
				t.Errorf("%s leads to %s", query, to)
			}
		}
	})
	t.Run("detail", func(t *testing.T) {
		w.get("/transactions/"+rrnOf(other)).want(t, 200,
			"sale 20.00 CNY", "A void of 20.00 CNY, by rule R16", "It can be voided until 2026-03-10 15:00:00 UTC (2026-03-10 23:00:00 +08:00 Asia/Shanghai): 3 h from now",
			"From the cutoff at 2026-03-10 15:00:00 UTC on it had been a refund by rule R29", "card:1 merchant:1:pending 20.00 CNY",
			"Cutoff: business date 2026-03-10 ends", "(ahead)")
		w.get("/transactions/"+rrnOf(void)).want(t, 200,
			"Why it was decided so", "It became a void by rule R16: the money never leaves.", "The terminal asked for a cancel of 12.34 CNY.",
			"The original is the sale with RRN "+rrnOf(sale), "came 3 h before that, and the original was not settled",
			"12 rules were tried before and let it pass", "R7 The original was found", "Cancel, became void of 12.34 CNY: approved")
		w.get("/transactions/"+rrnOf(sale)).want(t, 200, "It would be declined: invalid transaction, by rule R13", "Referred to by "+rrnOf(void))
		w.get("/transactions/"+rrnOf(declined)).want(t, 200, "It moved nothing", "exceeds amount limit")
		w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
		w.get("/transactions/"+rrnOf(other)).want(t, 200, "A refund of 20.00 CNY, by rule R29", "Cutoff: business date 2026-03-10 ended", "Settled and sealed")
		refund := w.ask(switching.KindCancel, 0, of(other))
		w.get("/transactions/"+rrnOf(refund)).want(t, 200, "It became a refund by rule R29: the money goes back.",
			"came 30 min after that, and the original was settled", "Before the cutoff at 2026-03-10 15:00:00 UTC it had been a void by rule R16.")
		// Who has the sale's RRN alone sees that it was refunded, and why.
		w.get("/transactions/"+rrnOf(other)).want(t, 200, "sale 20.00 CNY approved refunded",
			"Cancel, became refund of 20.00 CNY: approved · "+rrnOf(refund)+" By rule R29: the original is settled and everything passed: refund.")
	})
	for _, path := range []string{"/transactions/000000000001", "/transactions/1", "/transactions/x", "/nowhere", "/transactions/" + strings.Repeat("9", 200)} {
		w.get(path).want(t, 404)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/nowhere", "/assets/x/console.css", w.console.assets.path("console.css"), "/transactions?stan=x"} {
		a := w.get(path)
		if got := a.header.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", path, got)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", path, a.header)
		}
		for _, forbidden := range []string{"http://", "https://", "<script>", "style=", "onclick"} {
			if strings.Contains(a.body, forbidden) && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
				t.Errorf("%s has %s in it", path, forbidden)
			}
		}
	}
	css := w.get(w.console.assets.path("console.css")).want(t, 200)
	if css.header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(css.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", css.header)
	}
	w.get("/assets/"+w.console.assets.version+"/layout.html").want(t, 404)
	if to := w.get("/favicon.ico").want(t, 302).header.Get("Location"); to != w.console.assets.path("icon.svg") {
		t.Errorf("the icon is at %s", to)
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, status := range map[string]int{
		"localhost": 200, "localhost:8580": 200, "127.0.0.1:8580": 200, "[::1]:8580": 200, "192.0.2.1": 200,
		"rebound.example": 403, "rebound.example:8580": 403, "127.0.0.1.example": 403,
	} {
		w.send(http.MethodGet, "/", nil, host(name)).want(t, status)
	}
	foreign := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	w.send(http.MethodPost, "/appearance", url.Values{"appearance": {"dark"}}, foreign).want(t, 403, "Not from another site")
	w.send(http.MethodDelete, "/", nil).want(t, 405)
}

func TestAppearance(t *testing.T) {
	w := newWorld(t)
	for choice, want := range map[string]string{"dark": "meridian-appearance=dark", "light": "meridian-appearance=light", "system": "Max-Age=0", "x": "Max-Age=0"} {
		a := w.post("/appearance", url.Values{"appearance": {choice}, "back": {"/transactions?stan=1"}}).want(t, 303)
		if got := a.header.Get("Set-Cookie"); !strings.Contains(got, want) || !strings.Contains(got, "HttpOnly") {
			t.Errorf("%s: %s", choice, got)
		}
		if a.header.Get("Location") != "/transactions?stan=1" {
			t.Errorf("back to %s", a.header.Get("Location"))
		}
	}
	for _, elsewhere := range []string{"", "//evil.example", `/\evil.example`, "https://evil.example", "/a\r\nb"} {
		if to := w.post("/appearance", url.Values{"back": {elsewhere}}).header.Get("Location"); to != "/" {
			t.Errorf("%q leads to %s", elsewhere, to)
		}
	}
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: themeCookie, Value: "dark"}) }
	if !strings.Contains(w.send(http.MethodGet, "/", nil, cookie).body, `<html lang="en" data-appearance="dark">`) {
		t.Error("the choice is not on the page")
	}
}

func TestDatabaseAway(t *testing.T) {
	w := newWorld(t)
	w.pool.Close()
	w.get("/transactions").want(t, 500, "That did not work")
}
