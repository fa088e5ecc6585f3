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
	// ApproveUnknown answers a reversal of an unknown original as done.
	ApproveUnknown bool
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
	reversal                        bool
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
	r.Expiry, r.ApproveUnknown, r.Batch = "", false, 0
	return r
}

func (w *World) keyOf(r Request) key {
	return key{r.Merchant, r.Terminal, max(r.Batch, 1), r.STAN, r.Kind == Reversal}
}

// Ask takes a request, changes the world and answers.
func (w *World) Ask(r Request) Answer {
	if reason := w.admit(r); reason != Approved {
		answer := Answer{Reason: reason, Became: r.Kind, Transaction: -1}
		if r.Kind.cancels() {
			answer.Rule = rAdmission
		}
		return answer
	}
	if r.Kind == Echo || r.Kind == Logon {
		return Answer{Reason: Approved, Became: r.Kind, Transaction: -1}
	}
	k := w.keyOf(r)
	have, seen := w.keys[k]
	if seen && !have.tombstone {
		if have.content != r.content() {
			answer := Answer{Reason: RepeatDiffers, Became: r.Kind, Transaction: -1, Stored: true}
			if r.Kind.cancels() {
				answer.Rule = rRepeat
			}
			return answer
		}
		answer := w.Transactions[have.transaction].Answer
		answer.Stored = true
		return answer
	}
	if seen {
		// Its reversal was here before it.
		rule := 0
		if r.Kind.cancels() {
			rule = rRepeat
		}
		return w.decline(r, ReversedBefore, rule)
	}
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
	default:
		return w.decline(r, FormatError, 0)
	}
}

func (w *World) admit(r Request) Reason {
	switch {
	case r.Terminal == Nobody:
		return UnknownTerminal
	case r.Merchant == Nobody:
		return UnknownMerchant
	case w.Terminals[r.Terminal].Merchant != r.Merchant:
		return TerminalNotOfMerchant
	default:
		return Approved
	}
}

// take stores a transaction under the request's key.
func (w *World) take(r Request, t Transaction) int {
	t.Asked, t.Merchant, t.Terminal, t.STAN, t.Batch = r.Kind, r.Merchant, r.Terminal, r.STAN, max(r.Batch, 1)
	t.Invoice, t.Request = r.Invoice, r
	if t.Kind == Reversal && t.Card == NoCard && t.Original >= 0 {
		t.Card = w.Transactions[t.Original].Card
	}
	id := len(w.Transactions)
	t.Answer.Reason, t.Answer.Rule, t.Answer.Became = t.Reason, t.Rule, t.Kind
	t.Answer.Transaction, t.Answer.Date, t.Answer.HasDate = id, t.Date, true
	t.Answer.HasAuthCode = t.Reason == Approved
	w.Transactions = append(w.Transactions, t)
	w.occupy(w.keyOf(r), taken{transaction: id, content: r.content()})
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

// find returns the transactions that a reference means. An RRN reaches every
// merchant of the bucket, the rest the terminal's own. A reversal is meant by
// its RRN alone: to be told that it cannot be cancelled or completed.
func (w *World) find(r Request, ref Reference) []int {
	var found []int
	for id := range w.Transactions {
		t := &w.Transactions[id]
		own := t.Merchant == r.Merchant && t.Terminal == r.Terminal && (ref.Batch == 0 || ref.Batch == t.Batch)
		var meant bool
		switch ref.By {
		case ByRRN:
			meant = id == ref.Transaction && w.Merchants[t.Merchant].Bucket == w.Merchants[r.Merchant].Bucket
		case BySTAN:
			meant = own && t.STAN == ref.STAN
		case ByInvoice:
			// A number comes again: after a decline, and after a reversal.
			meant = own && ref.Invoice != "" && t.Invoice == ref.Invoice && !t.Kind.refers() &&
				t.State != StateDeclined && t.State != StateReversed
		case ByNothing:
		}
		// A reversal carries its original's STAN, and another one may carry its RRN.
		if meant && (t.Kind != Reversal || ref.By == ByRRN && r.Kind != Reversal) {
			found = append(found, id)
		}
	}
	return found
}

// refers tells whether the kind speaks of an earlier transaction.
func (k Kind) refers() bool { return k.cancels() || k == Completion || k == Reversal }
