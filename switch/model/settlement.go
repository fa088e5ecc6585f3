package model

// ExceptionOutOfBalance: a batch was ended by its terminal with totals other
// than the host's.
const ExceptionOutOfBalance = "batch_out_of_balance"

// settle compares a terminal's totals with the host's: where they agree the
// batch is closed, where they do not it waits for the upload, which the trailer
// ends. The host's totals stand in any case.
func (w *World) settle(r Request) Answer {
	b := w.Terminals[r.Terminal].Batch
	if r.Batch != 0 && r.Batch != b.Number {
		return w.settleEnded(r)
	}
	totals := w.Totals(r.Terminal)
	if before := w.justEnded(r.Terminal); before != nil && r.Batch == 0 && totals == (Totals{}) && r.Stated.SaleCount+r.Stated.RefundCount > 0 &&
		before.settledWith(r.Stated) {
		// Without a number, these totals are not of a batch without any.
		return w.storedAnswer(before.Settlement)
	}
	agrees := r.Stated.agree(totals)
	if r.Kind == Settlement && !agrees {
		answer := w.decline(r, BatchOutOfBalance, 0)
		now := &w.Terminals[r.Terminal].Batch
		now.State, now.Stated = BatchUploading, r.Stated
		return answer
	}
	id := w.settlement(r)
	by := BySettlement
	if r.Kind == Trailer {
		by = ByTrailer
		if !agrees {
			w.except(id, ExceptionOutOfBalance)
		}
		if !agrees || b.State == BatchUploading {
			w.missing(r.Terminal)
		}
	}
	w.endBatch(r.Terminal, by, r.Stated, id)
	return w.Transactions[id].Answer
}

// settleEnded is of a batch that is not the current one.
func (w *World) settleEnded(r Request) Answer {
	b := w.Terminals[r.Terminal].ended(r.Batch)
	if b == nil {
		return w.decline(r, UnknownBatch, 0)
	}
	if b.settledWith(r.Stated) {
		return w.storedAnswer(b.Settlement)
	}
	agrees := r.Stated.agree(b.Totals)
	byHost := b.ClosedBy == ByCutoff || b.ClosedBy == ByPerson
	if r.Kind == Settlement && !(agrees && byHost && b.Settlement < 0) {
		return w.decline(r, BatchOutOfBalance, 0)
	}
	id := w.settlement(r)
	if !agrees {
		w.except(id, ExceptionOutOfBalance)
	}
	b.Stated, b.Settlement = r.Stated, id
	return w.Transactions[id].Answer
}

// settledWith tells whether the terminal has settled the batch with these totals
// already. A trailer without any says nothing else.
func (b *Batch) settledWith(s Stated) bool { return b.Settlement >= 0 && (!s.Given || s == b.Stated) }

func (w *World) settlement(r Request) int {
	return w.take(r, Transaction{
		Kind: r.Kind, State: StateApproved, Reason: Approved, Card: r.Card, Original: -1,
		Date: w.today(r.Merchant), AmountMinor: r.AmountMinor, Currency: w.currency(r),
	})
}
