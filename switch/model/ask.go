package model

// Request is what a terminal asks.
type Request struct {
	Kind     Kind
	Merchant int // Nobody for one that does not exist
	Terminal int // Nobody for one that does not exist

	STAN             int
	Batch            int // 0 means the current one
	AmountMinor      int64
	HasAmount        bool
	CashbackMinor    int64
	ReplacementMinor int64
	HasReplacement   bool
	Currency         int // 0 means the merchant's
	Card             int // an index, or one of the cards below
	Expiry           string
	Original         Reference
	Invoice          string
	// Repeat is the sender's own mark.
	Repeat bool
	// ApproveUnknown answers a reversal of an unknown original as done.
	ApproveUnknown bool

	// Operator and Password of a logon.
	Operator, Password string
	// Stated totals of a settlement or trailer.
	Stated Stated
	// Shown is what an upload shows besides the STAN of its Original, its amount
	// and card.
	Shown Shown
}

// Shown by an upload.
type Shown struct {
	Kind        Kind // empty if it does not say
	HasRRN      bool
	Transaction int // whose RRN it is; -1 for an RRN that nothing has
}

// Nobody is a merchant or terminal that does not exist.
const Nobody = -1

// What a request may have in place of a card of ours.
const (
	NoCard       = -1
	StrangeCard  = -2 // in our range, and no account for it
	ForeignCard  = -3 // in nobody's range
	MistypedCard = -4 // its check digit is wrong
)

// By is what a reference names.
type By string

// What a reference may name.
const (
	ByNothing By = ""
	ByRRN     By = "rrn"
	BySTAN    By = "stan"
	ByInvoice By = "invoice"
)

// Reference names an earlier transaction.
type Reference struct {
	By          By
	Transaction int // whose RRN it is; -1 for an RRN that nothing has
	STAN        int
	Batch       int // 0 means any
	Invoice     string
}

// Answer is what the terminal is told.
type Answer struct {
	Reason Reason
	Became Kind
	Rule   int // 0 for none
	// Transaction that has the answer's RRN and authorization code; -1 for none.
	Transaction  int
	HasAuthCode  bool
	Date         Date
	HasDate      bool
	BalanceMinor int64
	HasBalance   bool
	Stored       bool // to a key that is taken
}

// key makes a repeat a repeat.
type key struct {
	merchant, terminal, batch, stan int
	class                           class
}

// taken is what holds a key: a transaction with the content of its request, or
// the reversal that came before its original.
type taken struct {
	transaction int
	tombstone   bool
	content     Request
}

// content is what two requests with one key must share to be one request.
// Expiry, and what belongs to a transmission, may differ.
func (r Request) content() Request {
	r.Expiry, r.ApproveUnknown, r.Batch, r.Repeat = "", false, 0, false
	return r
}

// batchOf a request: the one it states, or its terminal's current one.
func (w *World) batchOf(r Request) int {
	if r.Batch != 0 {
		return r.Batch
	}
	return w.Terminals[r.Terminal].Batch.Number
}

func (w *World) keyOf(r Request) key {
	return key{r.Merchant, r.Terminal, w.batchOf(r), r.STAN, r.Kind.class()}
}

// Ask takes a request, changes the world and answers.
func (w *World) Ask(r Request) Answer {
	if reason := w.admit(r); reason != Approved {
		return Answer{Reason: reason, Became: r.Kind, Rule: ruleOf(r, rAdmission), Transaction: -1}
	}
	switch {
	case r.Kind == Logon && r.Operator != "":
		return w.signOn(r)
	case r.Kind == Echo, r.Kind == Logon:
		return Answer{Reason: Approved, Became: r.Kind, Transaction: -1}
	}
	w.rollOver(r.Terminal)
	have, seen := w.keys[w.keyOf(r)]
	if seen && !have.tombstone {
		return w.again(r, have)
	}
	if before, missed := w.acrossBatches(r, r.Kind.class(), repeatPatience, func(before taken) bool {
		return !before.tombstone && before.content == r.content()
	}); missed {
		return w.again(r, before)
	}
	if id, paid := w.paidBefore(r); paid {
		if r.Repeat {
			return w.storedAnswer(id)
		}
		return Answer{Reason: PaidBefore, Became: r.Kind, Rule: ruleOf(r, rRepeat), Transaction: -1}
	}
	_, reversed := w.acrossBatches(r, r.Kind.class(), repeatPatience, func(before taken) bool {
		return before.tombstone && w.Transactions[before.transaction].AmountMinor == r.AmountMinor
	})
	if seen || reversed {
		// Its reversal was here before it.
		return w.decline(r, ReversedBefore, ruleOf(r, rRepeat))
	}
	switch reason := w.batchRefuses(r); reason {
	case Approved:
		return w.decide(r)
	case NotCurrentBatch:
		// Not in the documents: nothing is kept of it, for its STAN will stand for
		// something in the batch that it names, or has.
		return Answer{Reason: reason, Became: r.Kind, Rule: ruleOf(r, rBatch), Transaction: -1}
	default:
		return w.decline(r, reason, ruleOf(r, rBatch))
	}
}

func (w *World) decide(r Request) Answer {
	switch r.Kind {
	case Authorization, Sale, Advice:
		return w.purchase(r)
	case Completion:
		return w.complete(r)
	case Balance:
		return w.inquire(r)
	case Void, Refund, Cancel:
		return w.cancel(r)
	case Reversal:
		return w.reverse(r)
	case Settlement, Trailer:
		return w.settle(r)
	case Upload:
		return w.upload(r)
	default:
		return w.decline(r, FormatError, 0)
	}
}

// ruleOf is the rule for requests that the table is about, 0 for others.
func ruleOf(r Request, rule int) int {
	if !r.Kind.cancels() {
		return 0
	}
	return rule
}

// again answers a request whose key is taken.
func (w *World) again(r Request, have taken) Answer {
	if have.content != r.content() {
		return Answer{Reason: RepeatDiffers, Became: r.Kind, Rule: ruleOf(r, rRepeat), Transaction: -1, Stored: true}
	}
	return w.storedAnswer(have.transaction)
}

func (w *World) storedAnswer(id int) Answer {
	answer := w.Transactions[id].Answer
	answer.Stored = true
	return answer
}

func (w *World) admit(r Request) Reason {
	switch {
	case r.Terminal == Nobody:
		return UnknownTerminal
	case r.Merchant == Nobody:
		return UnknownMerchant
	case w.Terminals[r.Terminal].Merchant != r.Merchant:
		return TerminalNotOfMerchant
	case !w.Terminals[r.Terminal].Active:
		return TerminalInactive
	case !w.Merchants[r.Merchant].Active:
		return UnknownMerchant
	default:
		return Approved
	}
}

// take stores a transaction under the request's key.
func (w *World) take(r Request, t Transaction) int {
	at := &w.Terminals[r.Terminal]
	t.Asked, t.Merchant, t.Terminal, t.STAN, t.Batch = r.Kind, r.Merchant, r.Terminal, r.STAN, w.batchOf(r)
	if r.Kind == Reversal {
		// It may name its original's batch; what it does, it does in this one.
		t.Batch = at.Batch.Number
	}
	t.Invoice, t.Request, t.AcceptedAt = r.Invoice, r, kept(w.Now)
	if t.Kind == Reversal && t.Card == NoCard && t.Original >= 0 {
		t.Card = w.Transactions[t.Original].Card
	}
	id := len(w.Transactions)
	t.Answer.Reason, t.Answer.Rule, t.Answer.Became = t.Reason, t.Rule, t.Kind
	t.Answer.Transaction, t.Answer.Date, t.Answer.HasDate = id, t.Date, true
	t.Answer.HasAuthCode = t.Reason == Approved && r.Kind.class() != settling && r.Kind.class() != uploading
	w.Transactions = append(w.Transactions, t)
	w.occupy(w.keyOf(r), taken{transaction: id, content: r.content()})
	w.pays(r, id)
	if !at.Batch.Begun && t.Batch == at.Batch.Number {
		at.Batch.Begun, at.Batch.OpenedAt, at.Batch.OpenedOn = true, kept(w.Now), w.today(r.Merchant)
	}
	return id
}

func (w *World) occupy(k key, t taken) {
	if w.keys == nil {
		w.keys = map[key]taken{}
	}
	w.keys[k] = t
}

// decline stores a transaction that moved nothing.
func (w *World) decline(r Request, reason Reason, rule int) Answer {
	return w.declineOf(r, -1, reason, rule)
}

// declineOf leaves a trace to the original, unless it is another merchant's.
func (w *World) declineOf(r Request, original int, reason Reason, rule int) Answer {
	if original >= 0 && w.Transactions[original].Merchant != r.Merchant {
		original = -1
	}
	card := r.Card
	if card == NoCard && original >= 0 {
		card = w.Transactions[original].Card
	}
	id := w.take(r, Transaction{
		Kind: r.Kind, State: StateDeclined, Reason: reason, Rule: rule, Card: card, Original: original,
		Date: w.today(r.Merchant), AmountMinor: r.AmountMinor, Currency: w.currency(r),
	})
	return w.Transactions[id].Answer
}

func (w *World) currency(r Request) int {
	if r.Currency != 0 {
		return r.Currency
	}
	return w.Merchants[r.Merchant].Currency
}

// find returns the transactions that a cancel or completion means. An RRN
// reaches every merchant of the bucket, the rest the terminal's own; what a
// settlement or reversal did is meant by its RRN alone: to be told that it
// cannot be cancelled or completed.
func (w *World) find(r Request) []int {
	ref := r.Original
	var found []int
	for id := range w.Transactions {
		t := &w.Transactions[id]
		own := t.Merchant == r.Merchant && t.Terminal == r.Terminal && (ref.Batch == 0 || ref.Batch == t.Batch)
		var meant bool
		switch ref.By {
		case ByRRN:
			meant = id == ref.Transaction && w.Merchants[t.Merchant].Bucket == w.Merchants[r.Merchant].Bucket
		case BySTAN:
			meant = own && t.STAN == ref.STAN && t.Asked.class() == financial
		case ByInvoice:
			// A number comes again: after a decline, and after a reversal.
			meant = own && ref.Invoice != "" && t.Invoice == ref.Invoice && t.State != StateDeclined && t.State != StateReversed
		case ByNothing:
		}
		if meant {
			found = append(found, id)
		}
	}
	if ref.By == ByInvoice && len(found) > 1 {
		return w.inCurrentBatch(r.Terminal, found)
	}
	return found
}

// inCurrentBatch is the one that is meant where a terminal has used an invoice
// number more than once: the one in its current batch. It may be none, or not
// be the only one.
func (w *World) inCurrentBatch(terminal int, found []int) []int {
	var current []int
	for _, id := range found {
		if w.Transactions[id].Batch == w.Terminals[terminal].Batch.Number {
			current = append(current, id)
		}
	}
	if len(current) == 1 {
		return current
	}
	return found
}
