package switching

// A refund pays, and under keys that stay its bytes are good for ever: whoever recorded
// them can send them again when their batch is over, and anybody can end batches in a
// terminal's name. So what a refund is, and its STAN, are looked for in every batch
// that the terminal has had with transactions: some 3 µs for each, a millisecond for a
// year of daily ones.
//
// A terminal that begins its STANs anew may ask for the very same refund again: it is
// told that there was one, and the next STAN pays.

// paidBefore tells whether the request is a refund that its terminal was given before, in a
// batch that has ended.
func (f *Facts) paidBefore(r *Request, own Key) bool {
	if !r.paysAgain() {
		return false
	}
	for key, entry := range f.keys {
		if key.BatchNo == own.BatchNo {
			continue
		}
		if key.BatchNo = own.BatchNo; key == own && entry.pays(r) {
			return true
		}
	}
	return false
}

// paysAgain tells whether the request would pay each time that its bytes are sent: it does
// not name its batch, and has no counter that is used up.
func (r *Request) paysAgain() bool {
	return (r.Kind == KindRefund || r.Kind == KindCancel) && r.BatchNo == 0 && !r.Credentials.Counts
}

// pays tells whether the stored transaction is the refund that is asked for. One that a
// reversal undid counts: it was over then.
func (e *keyEntry) pays(r *Request) bool {
	o := e.record
	return !e.tombstone && o.Kind == KindRefund && o.State != StateDeclined && o.Digest == r.digest()
}
