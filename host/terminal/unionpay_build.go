package terminal

import (
	"fmt"
	"strings"
)

// unionPayDraft builds a request as UnionPay's terminals send it. What a message
// is about is in its type, F3, F25 and F60, and what it refers to in F37, F38 and
// F61.
func (t *Terminal) unionPayDraft(r *Request, st *state) (*draft, error) {
	if r.Operation.network() {
		return t.unionPayNetwork(r, st)
	}
	form, _ := r.Operation.form()
	form = form.only(r.Of)
	d := &draft{operation: r.Operation, fields: map[int]string{25: ordinary, 41: t.tid, 42: t.mid}}
	if err := t.findOriginal(d, r, st, form); err != nil {
		return nil, err
	}
	if r.Operation == Reversal {
		return d, t.unionPayReversal(d, r, st)
	}
	if err := t.price(d, r, form); err != nil {
		return nil, err
	}
	if err := t.present(d, r, form); err != nil {
		return nil, err
	}
	row := r.unionPayRow(d.kindOfOriginal(r))
	if row.mti == "" {
		return nil, errorf(KindUsage, "a %s of a %s is not one of unionpay's messages", r.Operation, d.kindOfOriginal(r))
	}
	d.mti, d.fields[3], d.fields[25] = row.mti, row.processing, row.condition
	if _, ok := d.fields[22]; !ok {
		d.fields[22] = entryKeyed
	}
	if t.currency.Valid() {
		d.fields[49] = t.currency.Numeric()
	}
	d.fields[60] = t.field60(row.kind, st) + readCapability
	t.number(d, r, st)
	if err := t.secure(d, r, st); err != nil {
		return nil, err
	}
	t.unionPayReference(d, r, st, row)
	return d, t.unionPayExtras(d, r)
}

// field60 is the message type, the batch, and no network management.
func (t *Terminal) field60(kind string, st *state) string {
	return fmt.Sprintf("%s%06d000", kind, t.batchNumber(st))
}

// readCapability is the end of F60 of a transaction: the terminal reads chips and
// stripes, and the card's chip was not passed over.
const readCapability = "50"

// kindOfOriginal is what the request speaks of: a sale where nobody knows.
func (d *draft) kindOfOriginal(r *Request) Operation {
	switch {
	case d.original != nil:
		return d.original.Operation
	case r.Of != "":
		return r.Of
	default:
		return Sale
	}
}

// unionPayReference names the original: F37 is its RRN, F38 its authorization
// code, F61 its batch, trace number and date, zeros where they are not known.
func (t *Terminal) unionPayReference(d *draft, r *Request, st *state, row unionPayRow) {
	form, _ := r.Operation.form()
	if len(form.originals) == 0 || r.Unreferenced {
		return
	}
	batch, stan, date, rrn, code := "000000", "000000", "", r.RRN, r.AuthCode
	if o := d.original; o != nil {
		batch, stan, date = originalBatch(o), o.Fields[11], o.Date
		rrn, code = firstOf(rrn, o.RRN), firstOf(code, o.AuthCode)
	}
	if r.OriginalSTAN != "" {
		stan = sixDigits(r.OriginalSTAN)
		if d.original == nil {
			batch = fmt.Sprintf("%06d", t.batchNumber(st))
		}
		if r.RRN == "" {
			rrn = "" // to name it without its RRN
		}
	}
	if rrn != "" && (!row.byAuthCode() || code == "") {
		d.fields[37] = rrn
	}
	if code != "" && r.Operation != Refund {
		d.fields[38] = code
	}
	d.fields[61] = batch + stan + date
}

// originalBatch is the batch that a remembered message named.
func originalBatch(o *record) string {
	if f60 := o.Fields[60]; o.Dialect == dialectUnionPay && len(f60) >= 8 {
		return f60[2:8]
	}
	return "000000"
}

// scriptWentWell is F55 of a script result unless the user has another: nothing
// wrong seen by the terminal, the card's first transaction, and one script that
// was done.
const scriptWentWell = "\x95\x05\x00\x00\x00\x00\x00\x9F\x36\x02\x00\x01\xDF\x31\x05\x20\x00\x00\x00\x00"

// unionPayExtras puts in what single operations have besides.
func (t *Terminal) unionPayExtras(d *draft, r *Request) error {
	switch r.Operation {
	case Refund:
		d.fields[63] = scheme
	case Script:
		t.script(d, r)
	case Adjust:
		d.remaining = d.amount
		if r.Tip == "" {
			return nil
		}
		tip, err := t.minor("--tip", r.Tip)
		if err != nil {
			return err
		}
		d.fields[48] = fmt.Sprintf("%0*d", amountDigits, tip)
	default:
	}
	return nil
}

// scheme is F63.1 of a refund: the card's.
const scheme = "CUP"

// script makes a script result look like its original.
func (t *Terminal) script(d *draft, r *Request) {
	delete(d.fields, 25)
	d.fields[3] = "000000"
	if o := d.original; o != nil {
		for _, field := range []int{3, 4, 22, 25} {
			if v, ok := o.Fields[field]; ok {
				d.fields[field] = v
			}
		}
	}
	d.scriptResult(r)
	d.fields[60] = strings.TrimSuffix(d.fields[60], "000"+readCapability) + codeScript
}

// scriptResult puts in F55.
func (d *draft) scriptResult(r *Request) {
	d.fields[55], d.chipGiven = scriptWentWell, len(r.ChipData) > 0
	if d.chipGiven {
		d.fields[55] = string(r.ChipData)
	}
}

// unionPayReversal makes a reversal of its original's fields: processing code,
// amount, trace number, entry mode, condition, batch and what it referred to. The
// card goes by its number, PIN and track do not go at all.
func (t *Terminal) unionPayReversal(d *draft, r *Request, st *state) error {
	d.mti = "0400"
	o := d.original
	if o == nil {
		if r.OriginalSTAN == "" {
			return errorf(KindUsage, "a reversal carries its original's trace number: terminal %s does not remember it, give --original-stan", t.tid)
		}
		row := (&Request{Operation: firstOperation(r.Of, Sale)}).unionPayRow(Sale)
		o = &record{Fields: map[int]string{
			3: row.processing, 11: sixDigits(r.OriginalSTAN), 22: entryKeyed, 25: row.condition,
			60: t.field60(row.kind, st) + readCapability,
		}}
		if t.currency.Valid() {
			o.Fields[49] = t.currency.Numeric()
		}
	}
	if row := o.Fields[60]; d.original != nil && !explicit(r) && !reversible(row) {
		return errorf(KindUsage, "the last transaction was a %s, which unionpay's terminals repeat until it is answered and never reverse: '%s --repeat'",
			o.Operation, o.Operation)
	}
	for _, field := range []int{3, 4, 11, 22, 25, 38, 49, 60, 61} {
		if v, ok := o.Fields[field]; ok {
			d.fields[field] = v
		}
	}
	if err := t.price(d, r, form{amount: true}); err != nil {
		return err
	}
	if r.STAN != "" {
		d.fields[11] = sixDigits(r.STAN)
	}
	d.fields[39] = string(r.Reason)
	if r.Reason == "" {
		d.fields[39] = string(ReasonNoAnswer)
	}
	return t.presentReversed(d, r)
}

// explicit tells whether the user names the original.
func explicit(r *Request) bool { return r.RRN != "" || r.OriginalSTAN != "" || r.AuthCode != "" }

// reversible tells by F60 of a message whether terminals reverse it.
func reversible(f60 string) bool {
	if len(f60) < 2 {
		return false
	}
	switch f60[:2] {
	case "10", "11", "20", "21", "22", "23":
		return true
	default:
		return false
	}
}

// presentReversed puts in the card of what is reversed by its number.
func (t *Terminal) presentReversed(d *draft, r *Request) error {
	var note *cardNote
	if d.original != nil {
		note = d.original.Card
	}
	var err error
	if d.card, err = t.remembered(r, note); err != nil || d.card == nil {
		return err
	}
	mode := d.fields[22]
	d.card.keyed = true
	d.card.put(d.fields)
	d.fields[22] = firstOf(mode, d.fields[22])
	return nil
}

func firstOperation(given, otherwise Operation) Operation {
	if given != "" {
		return given
	}
	return otherwise
}

// serial is F62 of a sign-in, after a word that every terminal puts there: the
// terminal's serial number and its length.
const serialMark = "Sequence No"

// unionPayNetwork builds what is about the terminal itself.
func (t *Terminal) unionPayNetwork(r *Request, st *state) (*draft, error) {
	d := &draft{operation: r.Operation, fields: map[int]string{41: t.tid, 42: t.mid}}
	var code string
	switch r.Operation {
	case Logon:
		if _, err := t.master(); err != nil {
			return nil, err // nobody could use what the host would give
		}
		d.mti = "0800"
		code, _ = r.Keys.code()
		serial := "MERIDIAN" + t.tid
		d.fields[62] = fmt.Sprintf("%s%02d%s", serialMark, len(serial), serial)
		d.fields[63] = operatorOne
		t.number(d, r, st)
	case SignOff:
		d.mti, code = "0820", codeSignOff
		t.number(d, r, st)
	case Status:
		codes, _ := r.List.codes()
		d.mti, code = "0820", codes.status
		d.fields[62] = heardOf(0)
	default:
		d.mti, code = "0820", codeEcho
	}
	d.fields[60] = fmt.Sprintf("00%06d%s", t.batchNumber(st), code)
	return d, nil
}

// operatorOne is F63.1: who stands at the terminal.
const operatorOne = "01 "
