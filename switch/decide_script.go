package switching

// script keeps what an issuer's script did to a card. The card has done it or has
// not: nothing is decided, and what it belongs to is named where it is found.
func (d *decision) script() Verdict {
	if found := d.facts.originals(d.request); len(found) == 1 && found[0].MerchantID == d.request.merchant.ID {
		d.speaksOf(found[0])
	}
	d.verdict.Record.AuthCode = ""
	return d.approve()
}
