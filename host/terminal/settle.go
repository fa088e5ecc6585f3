package terminal

import (
	"context"
	"fmt"
	"strings"
)

// Settlement is how a terminal settles its batch.
type Settlement struct {
	// Form of the totals; TotalsLong when empty.
	Form TotalsForm
	// Totals replaces the terminal's own: F63 as it is sent, 15, 30 or 90 digits;
	// F48 of unionpay, 31 or 62 digits.
	Totals string
	// Overstate adds so many minor units to what the terminal says it sold, so that
	// its totals are wrong; the end of the upload states them right.
	Overstate int64
	// NoUpload stops where the host finds the totals out of balance.
	NoUpload bool
	// Repeat sends the last settlement again, byte for byte.
	Repeat bool
}

func (s *Settlement) check() error {
	switch {
	case s.Overstate != 0 && (s.Totals != "" || s.Repeat):
		return errorf(KindUsage, "--overstate is of the terminal's own totals: leave --totals and --repeat away")
	case s.Overstate < 0:
		return errorf(KindUsage, "--overstate is more than nothing")
	case s.Totals == "":
		return nil
	case s.Repeat:
		return errorf(KindUsage, "--repeat sends what was sent: leave --totals away")
	case !digits(s.Totals) || len(s.Totals) != 15 && len(s.Totals) != 30 && len(s.Totals) != 90:
		return errorf(KindUsage, "--totals is 15, 30 or 90 digits: groups of a count of 3 and an amount of 12")
	}
	return nil
}

// Settle states the terminal's totals (0500). Where the host has others, it
// uploads every transaction (0320) and ends the batch with a trailer (0500). A
// unionpay batch ends with a message of its own (0320) in either case.
// Reports and errors are those of [Terminal.Run]; it returns nil once the batch
// is closed.
func (t *Terminal) Settle(ctx context.Context, s Settlement, show func(*Report) error) error {
	check, first := s.check, func(st *state) (*draft, error) {
		if s.Repeat {
			return t.again(&Request{Operation: Settle, Repeat: true}, st)
		}
		return t.settlement(Settle, &s, st)
	}
	if t.dialect == dialectUnionPay {
		check, first = s.checkSides, func(st *state) (*draft, error) { return t.stating(&s, st) }
	}
	if err := check(); err != nil {
		return err
	}
	st, err := t.store.read()
	if err != nil {
		return err
	}
	if _, err := first(st); err != nil { // before a connection is made
		return err
	}
	l, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	say := func(build func(*state) (*draft, error)) (*Report, error) {
		report, err := t.converse(ctx, l, build)
		if report != nil {
			if showErr := show(report); showErr != nil {
				return nil, showErr
			}
		}
		return report, err
	}
	report, err := say(first)
	if err == nil && t.dialect == dialectUnionPay {
		return t.settleInSteps(&s, report, say)
	}
	if err != nil || report.Outcome == Approved {
		return err
	}
	if report.Code != outOfBalance || s.NoUpload {
		return errorf(KindDeclined, "the host declined: %s, %s", report.Code, report.Meaning)
	}
	if st, err = t.store.read(); err != nil {
		return err
	}
	for i := range st.Batch.Entries {
		report, err := say(func(st *state) (*draft, error) { return t.uploading(&st.Batch, i, st) })
		switch {
		case err != nil:
			return err
		case report.Outcome != Approved:
			return errorf(KindDeclined, "the host declined an upload: %s, %s", report.Code, report.Meaning)
		}
	}
	report, err = say(func(st *state) (*draft, error) { return t.settlement(Trailer, &s, st) })
	if err == nil && report.Outcome != Approved {
		err = errorf(KindDeclined, "the host declined the end of the upload: %s, %s", report.Code, report.Meaning)
	}
	return err
}

// outOfBalance is F39 of totals that are not the host's.
const outOfBalance = "95"

// settlement is a 0500: totals, or the end of an upload.
func (t *Terminal) settlement(operation Operation, s *Settlement, st *state) (*draft, error) {
	totals := s.Totals
	if totals == "" {
		var err error
		stated := st.Batch
		if operation == Settle {
			stated = stated.overstated(s.Overstate)
		}
		if totals, err = stated.totals(s.Form); err != nil {
			return nil, err
		}
	}
	d := t.aboutBatch(operation, st)
	d.fields[60], d.fields[63] = fmt.Sprintf("%06d", t.batchNumber(st)), totals
	return d, nil
}

// uploading is a 0320 that shows entry i of the batch.
func (t *Terminal) uploading(b *ownBatch, i int, st *state) (*draft, error) {
	if i >= len(b.Entries) {
		return nil, errorf(KindFailure, "the batch became smaller while it was uploaded")
	}
	e := &b.Entries[i]
	d := t.aboutBatch(Upload, st)
	for field, value := range e.Fields {
		if field != 11 && value != "" {
			d.fields[field] = value
		}
	}
	d.amount = e.AmountMinor
	d.fields[4], d.fields[39] = fmt.Sprintf("%0*d", amountDigits, e.AmountMinor), approvedCode
	rrn := e.Fields[37]
	if len(rrn) != 12 {
		rrn = strings.Repeat(" ", 12)
	}
	d.fields[60] = e.MTI + e.Fields[11] + rrn
	return d, nil
}

// aboutBatch begins a message about the batch: who sends it, and its STAN.
func (t *Terminal) aboutBatch(operation Operation, st *state) *draft {
	form, _ := operation.form()
	d := &draft{operation: operation, mti: form.mti, fields: map[int]string{41: t.tid, 42: t.mid}}
	if form.processing != "" {
		d.fields[3] = form.processing
	}
	if t.dialect == dialectNAC {
		d.fields[24] = t.nii()
	} else {
		d.fields[7] = t.transmitted()
	}
	t.number(d, &Request{}, st)
	return d
}
