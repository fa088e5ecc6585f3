package switching

// This file is what is particular to terminals that settle in two steps: see the
// states of a batch. They name their batch in every request, and one that is not
// the current one is refused, save the end of the batch before: its answer may
// have been lost.

// settleInSteps decides a settlement and a trailer of such a terminal.
func (d *decision) settleInSteps(b *batch) Verdict {
	r := d.request
	switch {
	case r.BatchNo != b.number && r.Kind == KindTrailer && batchAfter(r.BatchNo) == b.number:
		return d.endAgain(d.facts.ended[batchKey{r.terminal.ID, r.BatchNo}])
	case r.BatchNo != b.number:
		return d.anotherBatch()
	case r.Kind == KindTrailer:
		return d.end(b)
	default:
		return d.compare(b)
	}
}

// compare tells whether the terminal's totals are the host's, and keeps them.
func (d *decision) compare(b *batch) Verdict {
	stated := d.request.Stated
	if stated.agree(b.totals) {
		v := d.approve()
		v.Batch = &batchChange{to: BatchBalanced, number: b.number, stated: stated}
		return v
	}
	v := d.decline(BatchOutOfBalance)
	v.Batch = &batchChange{to: BatchSettling, number: b.number, stated: stated}
	return v
}

// end closes the batch with the host's totals. What was stated last is compared
// once more: transactions may have come since.
func (d *decision) end(b *batch) Verdict {
	r := d.request
	change := batchChange{to: BatchClosed, by: ClosedBySettlement, number: b.number, stated: b.stated, upload: r.AfterUpload}
	name := batchKey{r.terminal.ID, b.number}.String()
	switch {
	case b.stated.agree(b.totals):
	case b.stated == nil && b.totals.empty():
		// Nothing was stated of nothing.
	case b.stated == nil:
		change.by = ClosedByTrailer
		d.except("batch_without_totals", "the terminal ended batch "+name+" without having stated totals: the host's stand")
	default:
		change.by = ClosedByTrailer
		d.except(exceptionOutOfBalance, "the terminal ended batch "+name+" with totals other than the host's, which stand: see its differences")
	}
	v := d.approve()
	v.Batch = &change
	return v
}

// endAgain answers the end of the batch before the current one: it is over,
// whoever ended it.
func (d *decision) endAgain(ended *batch) Verdict {
	switch {
	case ended == nil:
		return d.anotherBatch()
	case ended.settlement != nil:
		return answeredBefore(ended)
	}
	// The host closed it before its terminal did.
	v := d.approve()
	v.Batch = &batchChange{to: BatchClosed, by: ended.closedBy, number: ended.number, stated: ended.stated}
	return v
}

// uploadSeveral compares what a terminal shows of any number of transactions of
// its current batch with the host's records, which stand whatever the outcome.
func (d *decision) uploadSeveral(b *batch) Verdict {
	r := d.request
	if r.BatchNo != b.number {
		return d.anotherBatch()
	}
	for i := range r.Shown {
		shown := &r.Shown[i]
		entry := d.facts.keys[Key{r.merchant.ID, r.terminal.ID, b.number, shown.STAN, ClassFinancial}]
		var o *Record
		if entry != nil && !entry.tombstone {
			o = entry.record
			d.verdict.Shown = append(d.verdict.Shown, o)
		}
		d.verdict.Differences = append(d.verdict.Differences, differences(shown, o)...)
	}
	return d.approve()
}
