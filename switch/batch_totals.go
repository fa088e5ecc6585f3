package switching

// Totals are the host's sums over a batch, gross: a voided sale stays counted
// as a sale, and its void counts as a void. Reversed transactions count
// nowhere, and so do holds, balances and refunds that went through a review,
// whose approval is a person's and not the terminal's.
//
// As debit and credit (UnionPay) they are sales, and voids plus refunds.
type Totals struct {
	// SaleCount of sales, completions and offline advices; SaleMinor what they captured.
	SaleCount int32 `json:"sale_count"`
	SaleMinor int64 `json:"sale_minor"`
	// VoidCount of voids of those.
	VoidCount   int32 `json:"void_count"`
	VoidMinor   int64 `json:"void_minor"`
	RefundCount int32 `json:"refund_count"`
	RefundMinor int64 `json:"refund_minor"`
}

func (t Totals) empty() bool { return t == Totals{} }

// TotalsForm is how much a terminal tells of its totals.
type TotalsForm uint8

const (
	// TotalsNet is one count and amount: sales less voids. Refunds are not in it.
	TotalsNet TotalsForm = 1
	// TotalsSplit is sales and refunds apart. Terminals differ in where voids
	// are: taken off the sales, or counted with the refunds as credits. Both are
	// right, because both come to the same money.
	TotalsSplit TotalsForm = 2
	// TotalsGross is debits and credits as UnionPay has them: sales apart from
	// voids and refunds together, and a voided sale counts in both.
	TotalsGross TotalsForm = 3
)

// MarshalText names the form.
func (f TotalsForm) MarshalText() ([]byte, error) {
	switch f {
	case TotalsNet:
		return []byte("net"), nil
	case TotalsGross:
		return []byte("gross"), nil
	default:
		return []byte("split"), nil
	}
}

// StatedTotals are a terminal's own.
type StatedTotals struct {
	Form        TotalsForm `json:"form"`
	SaleCount   int32      `json:"sale_count"`
	SaleMinor   int64      `json:"sale_minor"`
	RefundCount int32      `json:"refund_count"`
	RefundMinor int64      `json:"refund_minor"`
}

// counts is how many transactions they speak of.
func (s *StatedTotals) counts() int32 { return s.SaleCount + s.RefundCount }

// agree tells whether the terminal's totals say the same as the host's.
func (s *StatedTotals) agree(t Totals) bool {
	if s == nil {
		return false
	}
	net := s.SaleCount == t.SaleCount-t.VoidCount && s.SaleMinor == t.SaleMinor-t.VoidMinor
	if s.Form == TotalsNet {
		return net
	}
	gross := s.SaleCount == t.SaleCount && s.SaleMinor == t.SaleMinor &&
		s.RefundCount == t.RefundCount+t.VoidCount && s.RefundMinor == t.RefundMinor+t.VoidMinor
	return gross || net && s.Form == TotalsSplit && s.RefundCount == t.RefundCount && s.RefundMinor == t.RefundMinor
}

// countNew adds a new record to the totals of the batch it is in.
func (f *Facts) countNew(r *Record) {
	if t := f.totalsOf(r); t != nil && r.State == StateApproved {
		f.count(t, r, 1, r.CapturedMinor)
	}
}

// countChange follows what becomes of a record that stood. A void changes no
// sale's place in the totals, and neither does a reinstatement.
func (f *Facts) countChange(before *Record, after *Record) {
	t := f.totalsOf(before)
	if t == nil || before.State != StateApproved {
		return
	}
	switch after.State {
	case StateReversed, StateAbandoned:
		f.count(t, before, -1, -before.CapturedMinor)
	case StateApproved: // reversed in part
		if before.captures() {
			t.SaleMinor += after.CapturedMinor - before.CapturedMinor
		}
	default:
	}
}

// totalsOf the current batch, if the record is in it.
func (f *Facts) totalsOf(r *Record) *Totals {
	if b := f.batches[r.TerminalID]; b != nil && b.number == r.BatchNo {
		return &b.totals
	}
	return nil
}

func (f *Facts) count(t *Totals, r *Record, n int32, capturedMinor int64) {
	switch {
	case r.captures():
		t.SaleCount += n
		t.SaleMinor += capturedMinor
	case r.Kind == KindVoid:
		if o := f.records[r.OriginalID]; o != nil && o.captures() {
			t.VoidCount += n
			t.VoidMinor += int64(n) * r.AmountMinor
		}
	case r.Kind == KindRefund && r.PostedDate == 0:
		t.RefundCount += n
		t.RefundMinor += int64(n) * r.AmountMinor
	default:
	}
}
