package switching

import "slices"

// batchRefuses tells why the terminal's batch does not take the request:
// nothing financial while it is uploading, and nothing that names another
// batch. Reversals repair, and are taken whatever the batch.
func (d *decision) batchRefuses() Reason {
	r := d.request
	class := r.Kind.Class()
	if class != ClassFinancial && class != ClassScript {
		return Approved
	}
	b := d.facts.batch(r.terminal.ID)
	switch {
	case r.BatchNo != 0 && r.BatchNo != b.number:
		return NotCurrentBatch
	case b.state == BatchUploading && class == ClassFinancial:
		return BatchInUpload
	default:
		return Approved
	}
}

// anotherBatch refuses a request that names another batch than the current one.
// Nothing is kept of it: its key is of a batch that is over, or of one that the
// terminal will come to, where its STAN will stand for something.
func (d *decision) anotherBatch() Verdict {
	r := d.request
	return Verdict{Response: Response{
		Reason: NotCurrentBatch, Became: r.Kind, Rule: ruleOf(r.Kind, ruleBatch), Demand: DemandSignIn,
		AcceptedAt: d.facts.Now, Currency: r.currencyOf(),
	}}
}

// settle decides a settlement (the terminal's totals against the host's) and
// the trailer that ends an upload.
func (d *decision) settle() Verdict {
	r, b := d.request, d.facts.batch(d.request.terminal.ID)
	d.verdict.Record.AuthCode = ""
	if r.TwoStep {
		return d.settleInSteps(b)
	}
	switch {
	case r.BatchNo != 0 && r.BatchNo != b.number:
		return d.settleEnded(d.facts.ended[batchKey{r.terminal.ID, r.BatchNo}])
	case r.BatchNo == 0 && b.totals.empty():
		// Without a number, totals that were answered before are a repeat of
		// that, when nothing has happened since.
		if before := d.facts.ended[batchKey{r.terminal.ID, b.previous()}]; r.Stated != nil && r.Stated.counts() > 0 && before.settledWith(r.Stated) {
			return answeredBefore(before)
		}
	}
	agrees := r.Stated.agree(b.totals)
	if r.Kind == KindSettlement && !agrees {
		v := d.decline(BatchOutOfBalance)
		v.Batch = &batchChange{to: BatchUploading, number: b.number, stated: r.Stated}
		return v
	}
	change := batchChange{to: BatchClosed, by: ClosedBySettlement, number: b.number, stated: r.Stated}
	if r.Kind == KindTrailer {
		change.by = ClosedByTrailer
		change.upload = b.state == BatchUploading || !agrees
		if !agrees {
			d.except(exceptionOutOfBalance, "the terminal ended batch "+batchKey{r.terminal.ID, b.number}.String()+
				" with totals other than the host's, which stand: see its differences")
		}
	}
	v := d.approve()
	v.Batch = &change
	return v
}

// settleEnded decides a settlement or trailer of a batch that is not the
// current one.
func (d *decision) settleEnded(b *batch) Verdict {
	r := d.request
	switch {
	case b == nil:
		return d.decline(UnknownBatch)
	case b.settledWith(r.Stated):
		return answeredBefore(b)
	}
	agrees := r.Stated.agree(b.totals)
	switch {
	case agrees && b.closedBy.byHost() && b.settlement == nil:
		// The host closed it before its terminal settled, and they agree.
	case r.Kind == KindSettlement:
		return d.decline(BatchOutOfBalance)
	case !agrees:
		// There is nothing left to close, and the terminal has to go on.
		d.except(exceptionOutOfBalance, "the terminal ended batch "+batchKey{r.terminal.ID, b.number}.String()+
			", which was closed already, with totals other than the host's, which stand")
	}
	v := d.approve()
	v.Batch = &batchChange{to: BatchClosed, by: b.closedBy, number: b.number, stated: r.Stated}
	return v
}

// settledWith tells whether the batch was settled with these totals already. A
// trailer without any says nothing else.
func (b *batch) settledWith(stated *StatedTotals) bool {
	return b != nil && b.settlement != nil && (stated == nil || b.stated != nil && *b.stated == *stated)
}

// answeredBefore gives the answer again that settled the batch.
func answeredBefore(b *batch) Verdict {
	response := b.settlement.response()
	response.Stored = true
	return Verdict{Response: response}
}

// upload compares what a terminal shows of one transaction with the host's
// record. The host's stands whatever the outcome; the answer is always yes.
func (d *decision) upload() Verdict {
	r, rec := d.request, d.verdict.Record
	rec.AuthCode = ""
	b := d.facts.batch(r.terminal.ID)
	if r.TwoStep {
		return d.uploadSeveral(b)
	}
	o := d.uploaded(b)
	if o != nil {
		d.speaksOf(o)
	}
	d.verdict.Differences = differences(r.shown(), o)
	return d.approve()
}

// uploaded is the host's record of the transaction: in the current batch, or in
// one that was closed before its terminal had settled it.
func (d *decision) uploaded(b *batch) *Record {
	r := d.request
	key := Key{r.merchant.ID, r.terminal.ID, b.number, r.Original.STAN, ClassFinancial}
	if entry := d.facts.keys[key]; entry != nil && !entry.tombstone {
		return entry.record
	}
	for _, key.BatchNo = range b.recent {
		if entry := d.facts.keys[key]; entry != nil && !entry.tombstone && entry.unconfirmed {
			return entry.record
		}
	}
	return nil
}

// ShownTransaction is what an upload shows of one transaction.
type ShownTransaction struct {
	STAN        int32
	AmountMinor int64
	HasAmount   bool
	// Tokens of the card number; more than one where it may be read in several
	// ways, none where it is not told.
	Tokens [][16]byte
	RRN    int64
	HasRRN bool
	// Kind it is said to be, 0 where it is not told.
	Kind Kind
}

// shown is what an upload of one shows.
func (r *Request) shown() *ShownTransaction {
	one := &ShownTransaction{
		STAN: r.Original.STAN, AmountMinor: r.AmountMinor, HasAmount: r.HasAmount,
		RRN: r.Original.RRN, HasRRN: r.Original.HasRRN, Kind: r.UploadedKind,
	}
	if !r.PAN.IsZero() {
		one.Tokens = [][16]byte{r.Token}
	}
	return one
}

// differences between what a terminal shows and the host's record of it.
func differences(s *ShownTransaction, o *Record) []BatchDifference {
	one := func(kind string, hostMinor *int64) BatchDifference {
		return BatchDifference{
			Kind: kind, STAN: s.STAN, TerminalMinor: optional(s.HasAmount, s.AmountMinor), HostMinor: hostMinor, Record: o,
		}
	}
	if o == nil {
		return []BatchDifference{one(unknownToHost, nil)}
	}
	standing := o.AmountMinor
	if o.captures() && o.State == StateApproved {
		standing = o.CapturedMinor
	}
	var list []BatchDifference
	if o.State != StateApproved && o.State != StateVoided && o.State != StateCompleted {
		standing = 0
		list = append(list, one(notStanding, &standing))
	} else if s.HasAmount && s.AmountMinor != standing {
		list = append(list, one(amountDiffers, &standing))
	}
	for _, check := range []struct {
		differs bool
		kind    string
	}{
		{len(s.Tokens) > 0 && o.Token != [16]byte{} && !slices.Contains(s.Tokens, o.Token), cardDiffers},
		{s.HasRRN && s.RRN != o.RRN, rrnDiffers},
		{s.Kind != 0 && !alike(s.Kind, o), kindDiffers},
	} {
		if check.differs {
			list = append(list, one(check.kind, &standing))
		}
	}
	return list
}

// alike tells whether a terminal may call the host's transaction so: what
// captures is one kind, and what it asked for counts as well as what it became.
func alike(uploaded Kind, o *Record) bool {
	captures := uploaded == KindSale || uploaded == KindCompletion || uploaded == KindAdvice
	return uploaded == o.Kind || uploaded == o.Asked || captures && o.captures()
}
