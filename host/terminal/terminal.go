package terminal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/host/wire"
	"meridian/internal/money"
)

// Run sends a request, as often as the repetition says over one connection, and
// hands each report to show as soon as it is complete.
//
// It returns nil when every answer was an approval, an *[Error] of KindDeclined
// when one was not, of KindUnreachable when the host is not there or an answer did
// not come (nothing is sent after that), and the context's cause when it ended.
func (t *Terminal) Run(ctx context.Context, r Request, n Repetition, show func(*Report) error) error {
	if err := errors.Join(r.check(), n.check()); err != nil {
		return first(err)
	}
	if err := t.permits(&r); err != nil {
		return err
	}
	if err := t.rehearse(&r); err != nil {
		return err
	}
	l, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	count := max(n.Count, 1)
	var declined error
	for i := range count {
		if i > 0 {
			if err := pause(ctx, n.Pause); err != nil {
				return err
			}
		}
		report, err := t.exchange(ctx, l, &r)
		if report != nil {
			if showErr := show(report); showErr != nil {
				return showErr
			}
		}
		if err != nil {
			return err
		}
		if report.Outcome == Declined {
			declined = errorf(KindDeclined, "the host declined: %s, %s", report.Code, report.Meaning)
		}
	}
	return declined
}

// first takes the first of joined errors: one complaint at a time, with its kind.
func first(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// rehearse builds the request without keeping anything: what the user got wrong is
// told before a connection is made and a STAN is used up.
func (t *Terminal) rehearse(r *Request) error {
	st, err := t.store.read()
	if err != nil {
		return err
	}
	d, err := t.draft(r, st)
	if err == nil {
		_, err = t.pack(d, st)
	}
	return err
}

// exchange sends one request and judges its answer. The report is nil when nothing
// was sent; beside an error it tells what is known.
func (t *Terminal) exchange(ctx context.Context, l *link, r *Request) (*Report, error) {
	return t.converse(ctx, l, func(st *state) (*draft, error) { return t.draft(r, st) })
}

// converse is exchange for a request that build makes.
func (t *Terminal) converse(ctx context.Context, l *link, build func(*state) (*draft, error)) (*Report, error) {
	var d *draft
	var p *packed
	var serial int64
	err := t.store.update(func(st *state) error {
		var err error
		if d, err = build(st); err != nil {
			return err
		}
		if p, err = t.pack(d, st); err != nil {
			return err
		}
		// Durable before the first byte leaves: whatever happens from here on, a
		// reversal knows what to undo.
		if d.repeats != nil {
			serial = d.repeats.Serial
		} else {
			serial = st.add(d.record(t))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	report, err := t.report(d, p)
	if err != nil {
		return nil, err
	}
	begun := time.Now() // not the terminal's clock, which may stand still
	answer, frame, err := l.through(ctx, d.lose, p)
	report.ElapsedMicroseconds = time.Since(begun).Microseconds()
	if err != nil {
		report.Outcome, report.Problem = Unknown, err.Error()
		report.summarize()
		return report, err
	}
	if err := t.judge(report, d, answer, frame); err != nil {
		return nil, err
	}
	report.summarize()
	if err := t.conclude(d, serial, report); err != nil {
		return report, err
	}
	if report.Outcome == Unknown {
		return report, errorf(KindFailure, "%s", report.Problem)
	}
	return report, nil
}

// report begins a report with what goes.
func (t *Terminal) report(d *draft, p *packed) (*Report, error) {
	mac := macNone
	if p.sealed {
		mac = macSent
	}
	shown, err := t.show(wire.Frame{TPDU: t.tpdu, Header: t.header, Payload: p.payload}, mac)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Operation: d.operation, Repeat: d.repeats != nil, Dialect: t.dialect, Address: t.address, TID: t.tid, MID: t.mid,
		Request: shown, STAN: d.fields[11],
	}
	if d.fields[4] != "" && d.operation != Script { // which tells its original's and moves nothing
		r.AmountMinor = d.amount
		if t.currency.Valid() {
			r.Amount, r.Currency = money.FormatMinor(d.amount, t.currency), t.currency.Alpha()
		}
	}
	if d.partial {
		r.Remaining = money.FormatMinor(d.remaining, t.currency)
	}
	if d.operation == Settle || d.operation == Trailer {
		r.Batch, r.Totals = fmt.Sprintf("%06d", t.statedBatch(d.fields)), d.fields[63]
		if t.dialect == dialectUnionPay {
			r.Totals, r.sides = "", t.sidesInWords(d.fields[48], d.fields[49])
			if r.sides != "" { // the end says how many were uploaded there
				r.Totals = d.fields[48]
			}
		}
	}
	r.OriginalRRN = d.fields[37]
	if d.original != nil {
		r.OriginalSTAN = d.original.Fields[11]
	}
	return r, nil
}

// conclude writes down what became of a request.
func (t *Terminal) conclude(d *draft, serial int64, r *Report) error {
	err := t.store.update(func(st *state) error {
		own := st.find(func(o *record) bool { return o.Serial == serial })
		if own == nil {
			return nil // pushed out by other processes of this terminal
		}
		// A repeat that is declined (94, say) does not undo an approval.
		if own.Outcome != Approved {
			if r.Outcome == Approved {
				st.Batch.follow(d, r)
			}
			own.Outcome = r.Outcome
			own.Code, own.RRN, own.AuthCode, own.BusinessDate = r.Code, r.RRN, r.AuthCode, r.BusinessDate
			own.Date = r.date
		}
		if r.Outcome == Approved {
			t.follow(st, d, r)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember the answer: %w", err)
	}
	return nil
}

// follow lets the state follow an approval, also one that was told again.
func (t *Terminal) follow(st *state, d *draft, r *Report) {
	switch d.operation {
	case Settle, Trailer:
		if t.dialect != dialectUnionPay || d.operation == Trailer { // a settlement closes nothing there
			st.Batch.settled(t.statedBatch(d.fields))
		}
	case Logon:
		if r.session != nil {
			st.signedIn(r.session, r.batch)
		}
	case SignOff:
		st.Session = nil
	default:
	}
	if (d.partial || d.operation == Adjust) && d.original != nil {
		if o := st.find(func(o *record) bool { return o.Serial == d.original.Serial }); o != nil {
			o.AmountMinor = d.remaining
		}
	}
}
