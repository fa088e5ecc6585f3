package switching

import (
	"meridian/ledger"
)

// Decide says what becomes of a request over the facts. It is pure: the same
// facts, request and identity give the same verdict, and nothing is changed.
func Decide(f *Facts, r *Request, id Identity) Verdict {
	v := decide(f, r, id)
	v.paysBack(r)
	return v
}

func decide(f *Facts, r *Request, id Identity) Verdict {
	key := f.keyOf(r)
	// A stored key comes before every check: a repeat gets its answer even
	// when what it asks for would be refused by now.
	if stored := f.repeated(r); stored != nil {
		return repeat(stored, r)
	}
	if f.isRetired(key) {
		// What was stored under it is not known any more, so no answer could be the same.
		return Verdict{Response: Response{Reason: RepeatDiffers, Became: r.Kind, Rule: ruleOf(r.Kind, ruleRepeat)}}
	}
	if f.replayed(r) {
		// Nothing is stored: the key that it would take is its terminal's.
		return Verdict{Response: Response{Reason: MACWrong, Became: r.Kind, Rule: ruleOf(r.Kind, RuleAdmission)}}
	}
	if at, paid := f.paidBefore(r); paid {
		if stored := f.records[at.id]; stored != nil && r.repeats(stored) {
			return repeat(stored, r)
		}
		return Verdict{Response: Response{Reason: PaidBefore, Became: r.Kind, Rule: ruleOf(r.Kind, ruleRepeat)}}
	}
	var d decision
	d.begin(f, r, id, key)
	if f.keys[key] != nil || f.reversedBefore(r, key.Class) {
		d.verdict.Record.Rule = ruleOf(r.Kind, ruleRepeat)
		return d.decline(ReversedBefore)
	}
	if reason := d.batchRefuses(); reason != Approved {
		if reason == NotCurrentBatch {
			return d.anotherBatch()
		}
		d.verdict.Record.Rule = ruleOf(r.Kind, ruleBatch)
		return d.decline(reason)
	}
	if r.Kind.Cancels() || r.Kind == KindCompletion {
		if reason := d.pin(f.cards[r.Token]); reason != Approved {
			d.verdict.Record.Rule = ruleOf(r.Kind, RuleAdmission)
			return d.decline(reason)
		}
	}
	if r.Scenario != nil && r.Scenario.Decline && r.Kind.decidedByScenario() {
		return d.byScenario()
	}
	switch {
	case r.Kind == KindSettlement, r.Kind == KindTrailer:
		return d.settle()
	case r.Kind == KindUpload:
		return d.upload()
	case r.Kind == KindReversal:
		return d.reversal()
	case r.Kind.Cancels():
		c := d // its rules are called out of a table, which takes what they are given to the heap
		return c.cancel()
	case r.Kind == KindCompletion:
		return d.completion()
	case r.Kind == KindAdjustment:
		return d.adjustment()
	case r.Kind == KindScript:
		return d.script()
	default:
		return d.purchase()
	}
}

// repeated is the stored record that a request repeats; nil for a new one.
func (f *Facts) repeated(r *Request) *Record {
	key := f.keyOf(r)
	if entry := f.keys[key]; entry != nil && !entry.tombstone {
		return entry.record
	}
	if before := f.repeatedAcrossRollover(r, key.Class); before != nil {
		return before.record
	}
	return nil
}

// repeatedAcrossRollover is the stored key of what a request repeats from a batch that has
// ended since; nil for none.
func (f *Facts) repeatedAcrossRollover(r *Request, class Class) *keyEntry {
	return f.acrossRollover(r, class, rolloverRepeat, func(entry *keyEntry) bool {
		return !entry.tombstone && entry.record.Digest == r.digest()
	})
}

// reversedBefore tells whether the request's reversal was here before it, in a batch that
// has ended since.
func (f *Facts) reversedBefore(r *Request, class Class) bool {
	return f.acrossRollover(r, class, rolloverRepeat, func(entry *keyEntry) bool {
		return entry.tombstone && entry.record.AmountMinor == r.AmountMinor
	}) != nil
}

// repeat answers a key that is stored.
func repeat(stored *Record, r *Request) Verdict {
	if stored.Digest != r.digest() {
		return Verdict{Response: Response{Reason: RepeatDiffers, Became: r.Kind, Rule: ruleOf(r.Kind, ruleRepeat), Stored: true}}
	}
	response := stored.response()
	response.Stored = true
	return Verdict{Response: response, Repeated: stored}
}

// decision is one Decide under way: the facts it may look at and the verdict
// it is making.
type decision struct {
	facts   *Facts
	request *Request
	policy  *Policy
	window  ledger.Window
	verdict Verdict
	// hypothetical: asked only to be told, not to be done.
	hypothetical bool
	// byHost: the host makes a reversal of its own.
	byHost bool
}

func (d *decision) begin(f *Facts, r *Request, id Identity, key Key) {
	w := f.window(r.merchant)
	currency := r.currencyOf()
	record := &Record{
		BusinessDate: w.Date, ID: id.ID, AcceptedAt: f.Now, RRN: id.RRN,
		AmountMinor: r.AmountMinor, CashbackMinor: r.CashbackMinor,
		MerchantID: r.merchant.ID, TerminalID: r.terminal.ID, BatchNo: key.BatchNo, STAN: r.STAN,
		CalendarID: r.merchant.CalendarID, Currency: currency, Asked: r.Kind, Kind: r.Kind,
		State: StateDeclined, Digest: r.digest(), AuthCode: id.AuthCode,
		Token: r.Token, Masked: r.PAN.Masked(), Invoice: r.Invoice, Echo: r.Echo, Remark: r.Remark,
	}
	if r.PAN.IsZero() {
		record.Masked = ""
	}
	if r.Kind == KindReversal {
		// A reversal may have the key of an ended batch; what it does, it does in this one.
		record.BatchNo = f.currentBatch(r.terminal.ID)
	}
	_, hasBatch := f.batches[r.terminal.ID]
	*d = decision{facts: f, request: r, policy: r.merchant.Policy, window: w}
	d.verdict = Verdict{
		Record: record, Keys: []Key{key}, NewBatch: !hasBatch && record.BatchNo == f.currentBatch(r.terminal.ID),
		WindowDate: w.Date,
		Journal:    ledger.Journal{ID: id.ID, Date: w.Date, Currency: currency},
	}
}

// decline ends the decision: whatever was gathered so far is dropped.
func (d *decision) decline(reason Reason) Verdict {
	rec := d.verdict.Record
	rec.State, rec.Reason, rec.AuthCode = StateDeclined, reason, ""
	rec.CapturedMinor = 0
	d.verdict.Journal.Transfers = nil
	d.verdict.Holds, d.verdict.Originals, d.verdict.Card, d.verdict.Withdrawn = nil, nil, CardChange{}, nil
	d.verdict.Response = d.respond()
	return d.verdict
}

// approve ends the decision with what it gathered.
func (d *decision) approve() Verdict {
	rec := d.verdict.Record
	rec.State, rec.Reason = StateApproved, Approved
	if s := d.request.Scenario; s != nil {
		d.withScenario(s)
	}
	d.verdict.Response = d.respond()
	return d.verdict
}

func (d *decision) respond() Response { return d.verdict.Record.response() }

// speaksOf links the record to its original.
func (d *decision) speaksOf(o *Record) {
	rec := d.verdict.Record
	rec.OriginalDate, rec.OriginalID = o.BusinessDate, o.ID
	rec.CardID = o.CardID
	if rec.Masked == "" {
		rec.Token, rec.Masked = o.Token, o.Masked
	}
}

// change copies an original so that the verdict can say what it becomes.
func (d *decision) change(o *Record) *Record {
	changed := *o
	d.verdict.Originals = append(d.verdict.Originals, &changed)
	return &changed
}

// changeHold copies a hold so that the verdict can say what it becomes.
func (d *decision) changeHold(h *ledger.Hold) *ledger.Hold {
	changed := *h
	d.verdict.Holds = append(d.verdict.Holds, &changed)
	return &changed
}

// moveCard changes the card's balance and held amount.
func (d *decision) moveCard(cardID, balanceMinor, heldMinor int64) {
	d.verdict.Card.ID = cardID
	d.verdict.Card.BalanceMinor += balanceMinor
	d.verdict.Card.HeldMinor += heldMinor
}

// exceptionOutOfBalance is a batch that was ended with other totals than the host's.
const exceptionOutOfBalance = "batch_out_of_balance"

// except tells people. Kinds are a small set, and what metrics count by.
func (d *decision) except(kind, detail string) {
	d.verdict.Exceptions = append(d.verdict.Exceptions,
		Exception{ID: d.verdict.Record.ID, Kind: kind, Record: d.verdict.Record, Detail: detail})
}

// pending and payable are the merchant's accounts.
func (d *decision) pending() ledger.AccountID {
	return ledger.Account(ledger.RoleMerchantPending, int64(d.request.merchant.ID))
}

func (d *decision) payable() ledger.AccountID {
	return ledger.Account(ledger.RoleMerchantPayable, int64(d.request.merchant.ID))
}

func cardAccount(id int64) ledger.AccountID { return ledger.Account(ledger.RoleCard, id) }

// settled tells whether the window that o was posted in has ended, or, where
// the policy says so, its batch.
func (d *decision) settled(o *Record) bool {
	return o.BusinessDate < d.window.Date || d.policy.SettledByBatch && d.facts.batchClosed(o)
}
