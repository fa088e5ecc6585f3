package model

// Amount that may be missing.
type Amount struct {
	Given bool
	Minor int64
}

// How a terminal's upload and the host's records may differ.
const (
	AmountDiffers       = "amount_differs"
	CardDiffers         = "card_differs"
	KindDiffers         = "kind_differs"
	RRNDiffers          = "rrn_differs"
	NotStanding         = "not_standing"
	UnknownToHost       = "unknown_to_host"
	MissingFromTerminal = "missing_from_terminal"
)

// DifferenceKey: a STAN of a batch differs in one way once.
type DifferenceKey struct {
	Terminal, Batch int
	Kind            string
	STAN            int
}

// Difference is what either has.
type Difference struct {
	Terminal, Host Amount
	Transaction    int // the host's; -1 for none
}

func (w *World) differ(k DifferenceKey, d Difference) {
	if w.Differences == nil {
		w.Differences = map[DifferenceKey]Difference{}
	}
	if _, known := w.Differences[k]; !known {
		w.Differences[k] = d
	}
}

// upload compares what a terminal shows of a transaction with the host's record,
// which stands.
func (w *World) upload(r Request) Answer {
	number, o := w.Terminals[r.Terminal].Batch.Number, w.uploaded(r)
	if o >= 0 {
		number = w.Transactions[o].Batch
	}
	differs := func(kind string, host Amount) {
		w.differ(DifferenceKey{r.Terminal, number, kind, r.Original.STAN}, Difference{Amount{r.HasAmount, r.AmountMinor}, host, o})
	}
	t := Transaction{
		Kind: Upload, State: StateApproved, Reason: Approved, Card: r.Card, Original: o,
		Date: w.today(r.Merchant), AmountMinor: r.AmountMinor, Currency: w.currency(r),
	}
	if o < 0 {
		differs(UnknownToHost, Amount{})
		return w.Transactions[w.take(r, t)].Answer
	}
	have := &w.Transactions[o]
	if t.Card == NoCard {
		t.Card = have.Card
	}
	stands := have.AmountMinor // of a voided sale, too: its void is shown beside it
	if have.Kind.captures() && have.State == StateApproved {
		stands = have.CapturedMinor
	}
	switch have.State {
	case StateApproved, StateVoided, StateCompleted:
		if r.HasAmount && r.AmountMinor != stands {
			differs(AmountDiffers, Amount{true, stands})
		}
	default:
		stands = 0
		differs(NotStanding, Amount{true, stands})
	}
	if r.Card != NoCard && have.Card != NoCard && r.Card != have.Card {
		differs(CardDiffers, Amount{true, stands})
	}
	if r.Shown.HasRRN && r.Shown.Transaction != o {
		differs(RRNDiffers, Amount{true, stands})
	}
	// What captures is one kind to a terminal, and a cancel may be told by what
	// was asked for.
	if k := r.Shown.Kind; k != "" && k != have.Kind && k != have.Asked && !(k.captures() && have.Kind.captures()) {
		differs(KindDiffers, Amount{true, stands})
	}
	return w.Transactions[w.take(r, t)].Answer
}

// uploaded is the host's record: in the current batch, or in the one that ended
// without its terminal's word. -1 for none.
func (w *World) uploaded(r Request) int {
	at := &w.Terminals[r.Terminal]
	k := key{r.Merchant, r.Terminal, at.Batch.Number, r.Original.STAN, financial}
	if have, seen := w.keys[k]; seen && !have.tombstone {
		return have.transaction
	}
	for _, before := range w.lately(r.Terminal) {
		k.batch = before.Number
		if have, seen := w.keys[k]; seen && !have.tombstone && w.unconfirmed(r.Terminal, before, r.Original.STAN) {
			return have.transaction
		}
	}
	return -1
}

// missing lists, at the end of an upload, what stands in the batch and was not
// shown. Neither a voided sale nor its void is missing where a terminal shows
// none of the two.
func (w *World) missing(terminal int) {
	number := w.Terminals[terminal].Batch.Number
	shown := map[int]bool{}
	for id := range w.Transactions {
		if t := &w.Transactions[id]; t.Kind == Upload && t.Terminal == terminal && t.Batch == number && t.Original >= 0 {
			shown[t.Original] = true
		}
	}
	for id := range w.Transactions {
		t := &w.Transactions[id]
		if t.Terminal != terminal || t.Batch != number || t.State != StateApproved || shown[id] {
			continue
		}
		minor := t.AmountMinor
		switch {
		case t.Kind.captures():
			minor = t.CapturedMinor
		case t.Kind == Refund && t.Review == "":
		case t.Kind == Void:
			o := &w.Transactions[t.Original]
			if !o.Kind.captures() || o.Terminal == terminal && o.Batch == number && !shown[t.Original] {
				continue
			}
		default:
			continue
		}
		w.differ(DifferenceKey{terminal, number, MissingFromTerminal, t.STAN}, Difference{Host: Amount{true, minor}, Transaction: id})
	}
}
