package switching_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/switch"
	"meridian/switch/model"
)

// Numbers that are no card of ours.
func (tw *twins) pan(i int) card.PAN {
	switch i {
	case model.StrangeCard:
		return cardNumber(len(twinCards) + 100)
	case model.ForeignCard:
		pan, err := card.WithCheckDigit("411111111111111")
		tw.must(err)
		return pan
	case model.MistypedCard:
		digits := cardNumber(0).Reveal()
		last := (digits[len(digits)-1]-'0'+1)%10 + '0'
		pan, err := card.ParsePAN(digits[:len(digits)-1] + string(rune(last)))
		tw.must(err)
		return pan
	case 1: // of another network
		pan, err := card.WithCheckDigit("625094000000001")
		tw.must(err)
		return pan
	default:
		return cardNumber(i)
	}
}

// request is what a host is asked for what the model is asked.
func (tw *twins) request(r model.Request) *switching.Request {
	q := &switching.Request{
		Kind: kindNamed(r.Kind), Dialect: "nac", MID: "999", TID: "99999999",
		STAN: int32(r.STAN), BatchNo: int32(r.Batch), AmountMinor: r.AmountMinor, HasAmount: r.HasAmount,
		CashbackMinor: r.CashbackMinor, ReplacementMinor: r.ReplacementMinor, HasReplacement: r.HasReplacement,
		Currency: money.Currency(r.Currency), Invoice: r.Invoice, Expiry: r.Expiry, ApproveUnknownOriginal: r.ApproveUnknown,
		Repeat: r.Repeat, OperatorNo: r.Operator, OperatorPassword: r.Password, UploadedKind: kindNamed(r.Shown.Kind),
	}
	if s := r.Stated; s.Given {
		q.Stated = &switching.StatedTotals{
			Form: switching.TotalsSplit, SaleCount: int32(s.SaleCount), SaleMinor: s.SaleMinor, RefundCount: int32(s.RefundCount), RefundMinor: s.RefundMinor,
		}
		if s.Form == model.NetForm {
			q.Stated.Form = switching.TotalsNet
		}
	}
	if r.Merchant != model.Nobody {
		q.MID = twinMID(r.Merchant)
	}
	if r.Terminal != model.Nobody {
		q.TID = twinTID(r.Terminal)
	}
	if r.Card != model.NoCard {
		q.PAN = tw.pan(r.Card)
		q.Token = token(q.PAN)
	}
	switch ref := r.Original; ref.By {
	case model.ByRRN:
		q.Original.HasRRN, q.Original.RRN = true, tw.rrnTold(ref.Transaction)
	case model.BySTAN:
		q.Original.HasSTAN, q.Original.STAN, q.Original.BatchNo = true, int32(ref.STAN), int32(ref.Batch)
	case model.ByInvoice:
		q.Original.Invoice = ref.Invoice
	case model.ByNothing:
	}
	if r.Shown.HasRRN {
		q.Original.HasRRN, q.Original.RRN = true, tw.rrnTold(r.Shown.Transaction)
	}
	return q
}

// rrnTold of a transaction of the model; -1 for none.
func (tw *twins) rrnTold(transaction int) int64 {
	if transaction < 0 {
		return -1
	}
	return tw.told[transaction].rrn
}

func kindNamed(name model.Kind) switching.Kind {
	if name == "" {
		return 0
	}
	for k := switching.Kind(1); k < 255; k++ {
		if k.String() == string(name) {
			return k
		}
	}
	panic("no kind " + name)
}

// ask asks a host and the model, and wants one answer and one world.
func (tw *twins) ask(t rapid.TB, host int, r model.Request) model.Answer {
	t.Helper()
	answered := make(chan switching.Response, 1)
	tw.hosts[host].sw.Submit(tw.request(r), func(resp switching.Response) { answered <- resp })
	got := <-answered
	want := tw.m.Ask(r)
	if diff := tw.answersDiffer(got, want); diff != "" {
		t.Fatalf("host %d, %s: %s", host, describe(r), diff)
	}
	t.Logf("%s  host %d: %s → %s", tw.m.Now.Format(time.RFC3339Nano), host, describe(r), describeAnswer(want))
	return want
}

// answersDiffer says what is different between a host's answer and the
// model's. A transaction that is answered for the first time gets its RRN here.
func (tw *twins) answersDiffer(got switching.Response, want model.Answer) string {
	var diff differences
	diff.compare("reason", got.Reason.String(), string(want.Reason))
	diff.compare("became", got.Became.String(), string(want.Became))
	diff.compare("rule", int(got.Rule), want.Rule)
	diff.compare("the rule's reasons have it", explained(got), true)
	diff.compare("has an RRN", got.RRN != 0, want.Transaction >= 0)
	if want.HasDate || got.HasBusinessDate && want.Transaction >= 0 {
		diff.compare("business date", got.BusinessDate.String(), want.Date.String())
	}
	diff.compare("has an authorization code", got.AuthCode != "", want.HasAuthCode)
	diff.compare("balance", got.BalanceMinor, want.BalanceMinor)
	diff.compare("has a balance", got.HasBalance, want.HasBalance)
	diff.compare("stored", got.Stored, want.Stored)
	if want.Transaction < 0 || diff != "" {
		return string(diff)
	}
	for want.Transaction >= len(tw.told) {
		tw.told = append(tw.told, told{})
	}
	at := &tw.told[want.Transaction]
	if at.rrn == 0 {
		*at = told{got.RRN, got.AuthCode}
	}
	if at.authCode == "" {
		at.authCode = got.AuthCode // of a refund that a person has approved since
	}
	diff.compare("RRN", got.RRN, at.rrn)
	if want.HasAuthCode {
		diff.compare("authorization code", got.AuthCode, at.authCode)
	}
	return string(diff)
}

// differences between what a host has and what the model has, in words.
type differences string

func (d *differences) compare(what string, got, want any) {
	if got != want {
		*d += differences(fmt.Sprintf("\n\t%s: host %v, model %v", what, got, want))
	}
}

func describe(r model.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at merchant %d terminal %d stan %d", r.Kind, r.Merchant, r.Terminal, r.STAN)
	if r.Batch != 0 {
		fmt.Fprintf(&b, " batch %d", r.Batch)
	}
	if r.Repeat {
		b.WriteString(" repeated")
	}
	if r.Operator != "" {
		fmt.Fprintf(&b, " operator %s %q", r.Operator, r.Password)
	}
	if r.Stated.Given {
		fmt.Fprintf(&b, " %s totals %d %d, %d %d", r.Stated.Form, r.Stated.SaleCount, r.Stated.SaleMinor, r.Stated.RefundCount, r.Stated.RefundMinor)
	}
	if r.Shown != (model.Shown{}) {
		fmt.Fprintf(&b, " shown as %q of #%d", r.Shown.Kind, r.Shown.Transaction)
	}
	if r.HasAmount {
		fmt.Fprintf(&b, " amount %d", r.AmountMinor)
	}
	if r.CashbackMinor != 0 {
		fmt.Fprintf(&b, " cashback %d", r.CashbackMinor)
	}
	if r.HasReplacement {
		fmt.Fprintf(&b, " replacement %d", r.ReplacementMinor)
	}
	if r.Card != model.NoCard {
		fmt.Fprintf(&b, " card %d", r.Card)
	}
	if r.Currency != 0 || r.Expiry != "" || r.Invoice != "" {
		fmt.Fprintf(&b, " currency %d expiry %q invoice %q", r.Currency, r.Expiry, r.Invoice)
	}
	switch r.Original.By {
	case model.ByRRN:
		fmt.Fprintf(&b, " of #%d", r.Original.Transaction)
	case model.BySTAN:
		fmt.Fprintf(&b, " of stan %d batch %d", r.Original.STAN, r.Original.Batch)
	case model.ByInvoice:
		fmt.Fprintf(&b, " of invoice %s", r.Original.Invoice)
	case model.ByNothing:
	}
	return b.String()
}

func describeAnswer(a model.Answer) string {
	s := fmt.Sprintf("#%d %s %s", a.Transaction, a.Reason, a.Became)
	if a.Stored {
		s += " again"
	}
	if a.Rule != 0 {
		s += fmt.Sprintf(" R%d", a.Rule)
	}
	if a.HasDate {
		s += " on " + a.Date.String()
	}
	return s
}
