package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/ledger"
	"meridian/switch"
)

func TestMoneyPages(t *testing.T) {
	w := newWorld(t)
	sale := w.ask(switching.KindSale, 12_34)
	w.ask(switching.KindSale, 20_00)
	w.ask(switching.KindCancel, 0, of(sale))
	late := w.ask(switching.KindSale, 50_00)

	w.get("/batches").want(t, 200, "000001", till, "open", "3 82.34 CNY", "1 12.34 CNY")
	w.get("/batches?merchant="+bakery).want(t, 200, "No batch fits")
	w.get("/batches?differing=1").want(t, 200, "No batch fits")
	w.get("/batches?current=1&terminal="+till).want(t, 200, "000001")
	w.get("/batches/"+till+"/1").want(t, 200, "Batch 000001 of terminal "+till, "Sales 3 82.34 CNY", rrnOf(late))
	w.get("/batches/"+till+"/2").want(t, 404, "has no batch 2")
	w.get("/batches/"+till+"/x").want(t, 404)
	w.get("/batches/"+till+"/1?after=x").want(t, 400)

	t.Run("cutover", func(t *testing.T) {
		w.get("/cutover").want(t, 200, "china", "berlin", "2026-03-10 Tue 23:00:00 +08:00 2026-03-10 15:00:00 3 h 24 h", "4 buckets", "in time")
		w.get("/cutover?rrn="+rrnOf(late)).want(t, 200,
			"A cancel of 50.00 CNY from terminal "+till,
			"2026-03-10 12:00:00 2026-03-10 20:00:00 +08:00 a void R16", "2026-03-10 15:00:00 2026-03-10 23:00:00 +08:00 a refund R29")
		w.get("/cutover?rrn="+rrnOf(sale)).want(t, 200, "declined R13")
		w.get("/cutover?rrn=000000000001").want(t, 200, "No transaction has this RRN")
		w.get("/cutover?rrn=x").want(t, 200, "is no RRN")
		// Looking has changed nothing.
		if n := strings.Count(w.get("/transactions").body, `<th scope="row">`); n != 4 {
			t.Errorf("%d transactions", n)
		}
	})
	t.Run("short and long days", func(t *testing.T) {
		before := w.Now()
		defer w.set(before)
		w.set(time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC))
		for _, odd := range []string{"23 h", "25 h"} {
			if page := w.get("/cutover").want(t, 200); !strings.Contains(page.body, `<span class="state state-warn">`+odd+`</span>`) {
				t.Errorf("no day of %s is marked", odd)
			}
			w.set(time.Date(2026, 10, 23, 12, 0, 0, 0, time.UTC))
		}
	})
	t.Run("ledger", func(t *testing.T) {
		w.get("/ledger").want(t, 200, "CNY 400 094.68 CNY 400 094.68 CNY 0.00 CNY", "merchant:1:pending liability 70.00 CNY", "card:… liability 4", "4 card accounts are not listed")
		w.get("/ledger/accounts/merchant:1:pending").want(t, 200, rrnOf(late), "card:1 50.00 CNY")
		w.get("/ledger/accounts/bank:settlement").want(t, 200, "load")
		w.get("/ledger/accounts/merchant:7:pending").want(t, 200, "Nothing was moved")
		w.get("/ledger/accounts/what").want(t, 404)
		w.get("/ledger/accounts/card:99999999999999999999").want(t, 404)
		w.get("/ledger/accounts/card:1?after=x").want(t, 400)
	})
	t.Run("settlement", func(t *testing.T) {
		w.get("/settlement").want(t, 200, "No statement fits")
		w.get("/settlement/"+shop+"/2026-03-10").want(t, 404, "is not settled yet: it ends at 2026-03-10 15:00:00 UTC")
		w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
		w.get("/settlement").want(t, 200, "2026-03-10 River <Books> & Co", "70.00 CNY")
		ended := w.get("/cutover").want(t, 200, "What happened at the last cutoffs",
			"2026-03-10 china closed 2026-03-10 15:00:00 Tue 23:00:00 +08:00 2026-03-10 15:30:00 1 ")
		if !strings.Contains(ended.body, `<a href="/settlement?from=2026-03-10&amp;to=2026-03-10">1</a>`) || strings.Contains(ended.text(), "late by") {
			t.Error(ended.text())
		}
		w.set(time.Date(2026, 3, 11, 15, 0, 59, 0, time.UTC))
		w.get("/cutover").want(t, 200, "2026-03-11 china closing 2026-03-11 15:00:00 Wed 23:00:00 +08:00 0 of 4 buckets 0 0")
		w.set(time.Date(2026, 3, 11, 15, 2, 0, 0, time.UTC))
		w.get("/cutover").want(t, 200, "late by 2 min 2026-03-11 15:00:00")
		w.set(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
		w.get("/settlement?merchant="+shop+"&from=2026-03-10&to=2026-03-10").want(t, 200, "70.00 CNY")
		w.get("/settlement?from=2026-03-11").want(t, 200, "No statement fits")
		w.get("/settlement?from=x").want(t, 400)
		w.get("/settlement/"+shop+"/2026-03-10").want(t, 200, "Sales 3 82.34", "Voids 1 −12.34", "Gross 70.00", "Owed to the merchant 70.00")
		w.get("/settlement/"+bakery+"/2026-03-10").want(t, 404, "had nothing to settle")
		w.get("/settlement/nobody/2026-03-10").want(t, 404, "No merchant")
		w.get("/settlement/"+shop+"/2020-03-10").want(t, 404, "is not made")
		w.get("/settlement/"+shop+"/x").want(t, 404)
	})
}

func TestAccountPagesKeepJournalsWhole(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.ask(switching.KindSale, int64(100+i))
	}
	account := ledger.Account(ledger.RoleMerchantPending, 1)
	var rrns []string
	var after *switching.TransactionPlace
	for {
		page, err := switching.AccountTransfers(t.Context(), w.pool, account, after, 3)
		w.must(err)
		for _, f := range page.Transfers {
			rrns = append(rrns, f.RRN)
		}
		if after = page.Next; after == nil {
			break
		}
	}
	if len(rrns) != 7 || rrns[0] <= rrns[6] {
		t.Errorf("transfers of %v", rrns)
	}
}

func TestPeoplePages(t *testing.T) {
	w := newWorld(t)
	sale := w.ask(switching.KindSale, 4_500_00)
	other := w.ask(switching.KindSale, 4_600_00)
	w.get("/reviews").want(t, 200, "No refund waits for a person")
	w.get("/exceptions").want(t, 200, "There is none")
	w.settle(time.Date(2026, 3, 10, 15, 30, 0, 0, time.UTC))
	first := w.ask(switching.KindCancel, 0, of(sale))
	second := w.ask(switching.KindCancel, 0, of(other))
	if first.Reason != switching.UnderReview || second.Reason != switching.UnderReview {
		t.Fatalf("%s, %s: not reviewed", first.Reason, second.Reason)
	}
	w.get("/reviews").want(t, 200, "Refund of 4500.00 CNY", "Refund of 4600.00 CNY", "The refund is over the review threshold", "Approve")
	w.get("/transactions/"+rrnOf(first)).want(t, 200, "It waits for a person by rule R26")

	decide := func(rrn, decision, why string) answer {
		return w.post("/reviews/"+rrn, url.Values{"decision": {decision}, "reason": {why}})
	}
	decide(rrnOf(first), "approve", " ").want(t, 400, "Say why")
	decide(rrnOf(first), "approve", "a\nb").want(t, 400, "line end")
	decide(rrnOf(first), "approve", strings.Repeat("é", 501)).want(t, 400, "longer")
	decide(rrnOf(first), "maybe", "receipt seen").want(t, 400)
	decide("x", "approve", "receipt seen").want(t, 404)
	to := decide(rrnOf(first), "approve", "receipt <seen>").want(t, 303).header.Get("Location")
	w.get(to).want(t, 200, rrnOf(first)+" was approved", "Refund of 4600.00 CNY")
	decide(rrnOf(first), "reject", "too late").want(t, 409, "Decided already")
	w.get(decide(rrnOf(second), "reject", "no receipt").want(t, 303).header.Get("Location")).want(t, 200, "was rejected")
	w.get("/reviews?all=1").want(t, 200, "approved", "by tester: receipt <seen>", "rejected")
	w.sql(`UPDATE reviews SET business_date = '2020-01-01' WHERE state = 3`)
	w.get("/reviews?all=1").want(t, 200, "Refund of 4500.00 CNY", "its month was retired", "by tester: no receipt")
	w.sql(`UPDATE reviews SET business_date = (SELECT business_date FROM transactions WHERE transaction_id = review_id)`)
	w.get("/reviews?done=approved&rrn=visit+evil.example").want(t, 200, "RRN – was approved")
	approved := w.get("/transactions/"+rrnOf(first)).want(t, 200, "card:1", "cancel → became refund", "approved",
		"It waited for a person by rule R26. At 2026-03-10 15:30:00 UTC it was approved by tester, who said “receipt <seen>”: the money goes back.",
		"Cancel, became refund of 4500.00 CNY: waited for a person, approved", "Approved by tester: receipt <seen>")
	rejected := w.get("/transactions/"+rrnOf(second)).want(t, 200,
		"It waited for a person by rule R26. At 2026-03-10 15:30:00 UTC it was rejected by tester, who said “no receipt”: nothing is posted.",
		"Cancel of 4600.00 CNY: waited for a person, rejected", "Rejected by tester: no receipt")
	if strings.Contains(approved.text(), "It waits") || strings.Contains(rejected.text(), "became refund") {
		t.Errorf("%s\n%s", approved.text(), rejected.text())
	}

	log := w.get("/audit").want(t, 200, "review decided", "tester", "receipt <seen>")
	if strings.Contains(log.body, "<seen>") {
		t.Error("what somebody typed is not escaped")
	}
	w.get("/audit?kind=review_decided&text=receipt").want(t, 200, "receipt <seen>")
	if !strings.Contains(log.body, `<a href="/transactions/`+rrnOf(first)+`">RRN `+rrnOf(first)+`</a>`) || strings.Contains(log.text(), "On this page") {
		t.Errorf("subjects of %s", log.text())
	}
	w.get("/audit?kind=nothing").want(t, 200, "No row fits")
	w.get("/audit?before=x").want(t, 400)
	for i := range 60 {
		w.must(pgx.BeginFunc(context.Background(), w.pool, func(tx pgx.Tx) error {
			return switching.AppendAudit(context.Background(), tx, switching.AuditEntry{
				At: w.Now(), Kind: "mac_failure", Subject: "terminal " + till, Detail: fmt.Sprintf("number %d.", i),
			})
		}))
	}
	page := w.get("/audit?kind=mac_failure").want(t, 200, "number 59.", "number 10.", "Older ones", "On this page: terminal "+till+" (50)")
	if !strings.Contains(page.body, `<a href="/terminals/`+till+`">terminal `+till+`</a>`) {
		t.Error("a row does not lead to its terminal")
	}
	if strings.Contains(page.text(), "number 9.") {
		t.Error("more rows than a page has")
	}
	last, _, _ := strings.Cut(page.body, `rel="next"`)
	next := last[strings.LastIndex(last, `href="`)+len(`href="`):]
	next = strings.ReplaceAll(next[:strings.IndexByte(next, '"')], "&amp;", "&")
	w.get(next).want(t, 200, "number 9.", "number 0.", "First page")
}

func TestSetupPages(t *testing.T) {
	w := newWorld(t)
	w.ask(switching.KindSale, 12_34)
	w.get("/merchants").want(t, 200, shop, bakery, "River <Books> & Co", "Europe/Berlin", "strict")
	for query, finds := range map[string][2]bool{ // shop, bakery
		"search=river+%3C": {true, false}, "search=" + bakery: {false, true}, "search=0411": {true, true}, "suspended=1": {},
	} {
		page := w.get("/merchants?"+query).want(t, 200)
		if got := [2]bool{strings.Contains(page.text(), shop), strings.Contains(page.text(), bakery)}; got != finds {
			t.Errorf("%s finds %v, want %v", query, got, finds)
		}
	}
	w.get("/merchants?search=nobody").want(t, 200, "No merchant fits")
	w.get("/merchants/"+shop).want(t, 200, "23:00 Asia/Shanghai", till, till2, "max amount minor 5 000 000", "max cashback minor no limit")
	w.get("/merchants/nobody").want(t, 404)
	w.get("/terminals").want(t, 200, till, till2, oven)
	one := w.get("/terminals?tid=2&merchant="+bakery).want(t, 200, oven)
	if strings.Contains(one.text(), till) {
		t.Error("another terminal is listed")
	}
	w.get("/terminals?merchant=nobody").want(t, 200, "No terminal fits")
	w.get("/terminals?locked=1").want(t, 200, "No terminal fits")
	w.get("/terminals/nobody").want(t, 404)
	for _, bytes := range []string{"%00", "%ff"} {
		for _, path := range []string{"/terminals?tid=", "/terminals?merchant=", "/batches?merchant=", "/terminals/"} {
			w.get(path+bytes).want(t, 400, "That cannot be looked up")
		}
	}
	w.get("/terminals/"+till).want(t, 200, "River <Books> & Co", "000001 open", "12.34 CNY", "Keys held none")

	w.get("/terminals/"+till).want(t, 200, "Nothing is about it")
	person := []string{"Ann Lee", "a new till"}
	w.must(switching.SetRight(t.Context(), w.connect(), shop, till, switching.RightVoid, false, person[0], person[1]))
	w.must(switching.SetTerminal(t.Context(), w.connect(), till, func(p *switching.TerminalProfile) { p.PINFormat = "iso-3" }, person[0], person[1]))
	w.must(switching.RecordKeyExport(t.Context(), w.connect(), w.Now(), switching.KeyTarget{TID: till, Use: hsm.UseTerminalMaster}.String(), "kek", "123456", person[0], person[1]))
	_, err := switching.CloseBatch(t.Context(), w.connect(), w.Now(), switching.BatchClosing{TID: till, Who: person[0], Why: person[1]})
	w.must(err)
	w.must(switching.SetTerminalActive(t.Context(), w.connect(), oven, false, person[0], person[1]))
	about := w.get("/terminals/"+till).want(t, 200, "policy changed", "terminal changed", "key exported", "batch closed")
	if strings.Contains(about.text(), "terminal suspended") {
		t.Error("a row about another terminal")
	}

	w.must(switching.LockTerminal(t.Context(), w.pool, switching.TerminalLock{
		TerminalID: 1, TID: till, Failures: 10, At: w.Now(), Until: w.Now().Add(time.Hour), Detail: "10 wrong MACs in a row",
	}))
	w.get("/terminals?locked=1").want(t, 200, till, "locked")
	w.get("/terminals/"+till).want(t, 200, "10 wrong MACs in a row locked it", "Unlock")
	to := w.post("/terminals/"+till+"/unlock", url.Values{"reason": {"key loaded anew"}}).want(t, 303).header.Get("Location")
	w.get(to).want(t, 200, "was unlocked", "terminal unlocked", "by tester: key loaded anew")
	w.post("/terminals/"+till+"/unlock", url.Values{"reason": {"again"}}).want(t, 409)
	w.send(http.MethodGet, "/terminals/"+till+"/unlock", nil).want(t, 404)
}
