package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

// original reads what a request refers to: F37, then F90, then F60 (original
// batch and STAN) and F62 (invoice) where the dialect has them. All that is
// given is handed on; the switch takes the first.
func (d *iso87) original(m *wire.Message, r *switching.Request) *Refusal {
	if d.invoices {
		if refusal := d.invoice(m, r); refusal != nil {
			return refusal
		}
	}
	if !r.Kind.Refers() && r.Kind != switching.KindAdvice {
		return nil
	}
	byRRN(m, &r.Original)
	if refusal := byOriginalData(m, &r.Original); refusal != nil {
		return refusal
	}
	if d.invoices && !r.Original.HasSTAN {
		byBatchAndSTAN(m, &r.Original)
	}
	return nil
}

// invoice is F62: the original's in a cancel, the transaction's own otherwise. A
// reversal carries its original's message again and is known by its STAN.
func (d *iso87) invoice(m *wire.Message, r *switching.Request) *Refusal {
	invoice := strings.TrimSpace(m.Get(62))
	// The field may carry any byte; a number that is looked up and kept may not.
	if strings.ContainsFunc(invoice, func(c rune) bool { return c < ' ' || c > '~' }) {
		return malformed(62, "not an invoice number: characters that cannot be printed")
	}
	if !isInvoice(invoice) {
		return nil // terminals put whatever they like there, cards' data, too: none of it is kept
	}
	switch {
	case r.Kind.Cancels():
		r.Original.Invoice = invoice
	case r.Kind != switching.KindReversal:
		r.Invoice = invoice
	}
	return nil
}

// maxInvoice is one character fewer than the shortest card number has.
const maxInvoice = 11

// isInvoice tells what may be a number that a terminal counts its receipts by.
func isInvoice(s string) bool {
	return len(s) <= maxInvoice && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '/'
	})
}

// byRRN is F37. Spaces or zeros are none; what the host never gave out is -1.
func byRRN(m *wire.Message, ref *switching.Reference) {
	rrn := strings.TrimSpace(m.Get(37))
	if strings.Trim(rrn, "0") == "" {
		return
	}
	ref.HasRRN, ref.RRN = true, -1
	if v, ok := digits(rrn); ok && len(rrn) == 12 {
		ref.RRN = v
	}
}

// byOriginalData is F90: message type 4, STAN 6, transmission date and time 10,
// acquirer 11, forwarder 11. A STAN of zero is none.
func byOriginalData(m *wire.Message, ref *switching.Reference) *Refusal {
	f90 := m.Get(90)
	if f90 == "" {
		return nil
	}
	if len(f90) < 10 {
		return malformed(90, "too short for an original STAN")
	}
	stan, ok := digits(f90[4:10])
	if !ok {
		return malformed(90, "original STAN is not a number")
	}
	ref.STAN, ref.HasSTAN = int32(stan), stan != 0
	return nil
}

// byBatchAndSTAN is an F60 of twelve digits: batch 6, STAN 6. Other terminals put
// the original amount there, which begins with zeros: batch 0 is no batch.
func byBatchAndSTAN(m *wire.Message, ref *switching.Reference) {
	f60 := strings.TrimSpace(m.Get(60))
	if len(f60) != 12 {
		return
	}
	batch, ok1 := digits(f60[:6])
	stan, ok2 := digits(f60[6:])
	if ok1 && ok2 && batch != 0 && stan != 0 {
		ref.BatchNo, ref.STAN, ref.HasSTAN = int32(batch), int32(stan), true
	}
}
