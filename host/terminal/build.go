package terminal

import (
	"fmt"
	"strconv"
	"strings"

	"meridian/host/wire"
)

// draft is a request before it is packed.
type draft struct {
	operation Operation
	mti       string
	fields    map[int]string // characters by field number
	card      *tender        // nil without one
	amount    int64          // F4, minor units
	remaining int64          // what stands of the original after a partial reversal
	partial   bool
	chipGiven bool              // F55 is the user's
	original  *record           // what it speaks of, where the terminal remembers it
	repeats   *record           // the record it repeats
	seal      wire.MACAlgorithm // of it and its answer; nil for none
	lose      Loss
	wrongMAC  bool
}

// record is the draft as the state file keeps it.
func (d *draft) record(t *Terminal) record {
	kept := map[int]string{}
	for _, field := range rememberedFields {
		if v, ok := d.fields[field]; ok {
			kept[field] = v
		}
	}
	if d.operation == Upload {
		delete(kept, 48) // card numbers
	}
	r := record{
		At: t.now().UTC(), Operation: d.operation, Dialect: t.dialect, MTI: d.mti, Fields: kept,
		AmountMinor: d.amount, Outcome: Unknown, ChipDataGiven: d.chipGiven,
	}
	if d.card != nil {
		r.Card = d.card.note()
	}
	return r
}

// draft builds a request. Its STAN comes from the state's counter, so what the
// user got wrong must be found before.
func (t *Terminal) draft(r *Request, st *state) (*draft, error) {
	d, err := t.asked(r, st)
	if d != nil {
		d.lose, d.wrongMAC = r.Lose, r.WrongMAC
	}
	return d, err
}

// asked builds what a request says, whatever becomes of it on the line.
func (t *Terminal) asked(r *Request, st *state) (*draft, error) {
	switch {
	case r.Repeat:
		return t.again(r, st)
	case t.dialect == dialectUnionPay:
		return t.unionPayDraft(r, st)
	}
	form, _ := r.Operation.form()
	form = form.only(r.Of)
	d := &draft{operation: r.Operation, mti: form.mti, fields: map[int]string{3: form.processing}}
	if r.Operation.network() {
		t.networkFields(d)
		t.number(d, r, st)
		return d, nil
	}
	if err := t.findOriginal(d, r, st, form); err != nil {
		return nil, err
	}
	if err := t.price(d, r, form); err != nil {
		return nil, err
	}
	if err := t.present(d, r, form); err != nil {
		return nil, err
	}
	if err := t.secure(d, r, st); err != nil {
		return nil, err
	}
	t.place(d)
	if r.Operation == Reversal {
		return d, t.reverse(d, r)
	}
	t.number(d, r, st)
	t.reference(d, r, st, form)
	t.invoice(d, r)
	return d, nil
}

// networkFields are those of an echo or a logon: F3 says which one it is to an
// NAC host, F70 to an ASCII one.
func (t *Terminal) networkFields(d *draft) {
	if t.dialect == dialectNAC {
		d.fields[24] = t.nii()
		d.fields[41] = t.tid
		return
	}
	d.fields = map[int]string{7: t.transmitted(), 41: t.tid, 42: t.mid, 70: d.operation.function()}
}

// transmitted is F7: the date and time of the transmission, in UTC.
func (t *Terminal) transmitted() string { return t.now().UTC().Format("0102150405") }

// place puts in where and when: the terminal's clock shows its merchant's time.
func (t *Terminal) place(d *draft) {
	local := t.now().In(t.zone)
	d.fields[12], d.fields[13] = local.Format("150405"), local.Format("0102")
	d.fields[25] = "00" // a normal presentment
	d.fields[41], d.fields[42] = t.tid, t.mid
	if t.currency.Valid() {
		d.fields[49] = t.currency.Numeric()
	}
	if t.dialect == dialectNAC {
		d.fields[24] = t.nii()
	} else {
		d.fields[7] = t.transmitted()
	}
	if _, ok := d.fields[22]; !ok {
		d.fields[22] = entryKeyed
	}
}

// number puts in the STAN.
func (t *Terminal) number(d *draft, r *Request, st *state) {
	if r.STAN != "" {
		d.fields[11] = sixDigits(r.STAN)
		return
	}
	d.fields[11] = sixDigits(strconv.Itoa(st.nextSTAN()))
}

// findOriginal looks up what the request speaks of. A user who names an original
// that the terminal does not remember gets a request with just that name: the host
// may know it.
func (t *Terminal) findOriginal(d *draft, r *Request, st *state, form form) error {
	switch {
	case len(form.originals) == 0 || r.Unreferenced:
		return nil
	case r.RRN != "":
		d.original = st.find(func(o *record) bool { return o.RRN == r.RRN && form.refersTo(o.Operation) })
		return nil
	case r.AuthCode != "":
		d.original = st.find(func(o *record) bool { return o.AuthCode == r.AuthCode && form.refersTo(o.Operation) })
		return nil
	case r.OriginalSTAN != "":
		stan := sixDigits(r.OriginalSTAN)
		d.original = st.find(func(o *record) bool { return o.Fields[11] == stan && form.refersTo(o.Operation) })
		return nil
	}
	d.original = st.find(func(o *record) bool {
		// A reversal repairs what has no answer as well as what was approved.
		return form.refersTo(o.Operation) && (o.Outcome == Approved || r.Operation == Reversal && o.Outcome == Unknown)
	})
	if d.original == nil {
		return errorf(KindUsage, "terminal %s remembers no approved %s: name one with --rrn or --original-stan",
			t.tid, joined(form.originals))
	}
	return nil
}

func joined(operations []Operation) string {
	names := make([]string, len(operations))
	for i, o := range operations {
		names[i] = string(o)
	}
	return strings.Join(names, " or ")
}

// price puts in F4, and F54 with a cashback.
func (t *Terminal) price(d *draft, r *Request, form form) error {
	amount, given, err := t.amount(r)
	if err != nil {
		return err
	}
	switch {
	case !form.amount:
		if given {
			return errorf(KindUsage, "a %s has no amount", r.Operation)
		}
		return nil
	case !given && d.original != nil:
		amount = d.original.AmountMinor
	case !given && r.Operation != Void && r.Operation != Cancel && r.Operation != Reversal:
		return errorf(KindUsage, "give --amount (or --minor)")
	case !given:
		return nil // the host knows what the original was about
	}
	d.amount = amount
	d.fields[4] = fmt.Sprintf("%0*d", amountDigits, amount)
	if r.Cashback == "" {
		return nil
	}
	cashback, err := t.minor("--cashback", r.Cashback)
	if err != nil {
		return err
	}
	d.fields[3] = cashbackProcessing
	d.fields[54] = fmt.Sprintf("%0*d", amountDigits, cashback)
	if t.dialect == dialectASCII {
		// Account type 00, amount type 40 (cashback), currency, debit.
		d.fields[54] = "0040" + t.currency.Numeric() + "D" + d.fields[54]
	}
	return nil
}

// present puts in the card. What speaks of an earlier transaction carries number
// and expiry only: a terminal may not keep a track.
func (t *Terminal) present(d *draft, r *Request, form form) error {
	var err error
	switch {
	case form.card, r.Unreferenced:
		d.card, err = t.presented(r)
	case d.original != nil:
		d.card, err = t.remembered(r, d.original.Card)
	default:
		d.card, err = t.given(r)
	}
	if err != nil || d.card == nil {
		return err
	}
	if len(form.originals) > 0 && !r.Unreferenced {
		d.card.keyed = true
	}
	d.card.put(d.fields)
	return nil
}

// reference names the original: by RRN (F37) where there is one, else by STAN, in
// F90 of an ASCII message and in F60 (batch and STAN) of an NAC one.
func (t *Terminal) reference(d *draft, r *Request, st *state, form form) {
	switch {
	case len(form.originals) == 0 || r.Unreferenced:
		return
	case r.RRN != "":
		d.fields[37] = r.RRN
	case r.OriginalSTAN == "" && d.original.RRN != "":
		d.fields[37] = d.original.RRN
	case t.dialect == dialectASCII:
		d.fields[90] = originalData(d.originalSTAN(r), d.original)
	default:
		d.fields[60] = fmt.Sprintf("%06d", t.batchNumber(st)%1_000_000) + d.originalSTAN(r)
	}
	if o := d.original; o != nil && o.AuthCode != "" && r.Operation != Refund {
		d.fields[38] = o.AuthCode
	}
}

func (d *draft) originalSTAN(r *Request) string {
	if r.OriginalSTAN != "" {
		return sixDigits(r.OriginalSTAN)
	}
	return d.original.Fields[11]
}

// originalData is F90: MTI, STAN and F7 of the original, its acquirer and its
// forwarder, which a terminal does not know.
func originalData(stan string, o *record) string {
	mti, transmitted := "0200", "0000000000"
	if o != nil {
		mti = o.MTI
		if f7 := o.Fields[7]; f7 != "" {
			transmitted = f7
		}
	}
	return mti + stan + transmitted + strings.Repeat("0", 22)
}

// reverse makes a reversal look like its original: the same processing code, STAN,
// time and amount. It takes no STAN of its own.
func (t *Terminal) reverse(d *draft, r *Request) error {
	if r.Advice {
		d.mti = "0420"
	}
	d.fields[3] = "000000"
	if o := d.original; o != nil {
		for _, field := range []int{3, 12, 13, 22, 25, 54, 62} {
			if v, ok := o.Fields[field]; ok {
				d.fields[field] = v
			}
		}
		if o.RRN != "" && r.OriginalSTAN == "" {
			d.fields[37] = o.RRN
		}
	}
	if r.RRN != "" {
		d.fields[37] = r.RRN
	}
	if r.Invoice != "" && t.dialect == dialectNAC {
		d.fields[62] = sixDigits(r.Invoice)
	}
	stan := ""
	if r.OriginalSTAN != "" || d.original != nil {
		stan = d.originalSTAN(r)
	}
	switch {
	case r.STAN != "":
		d.fields[11] = sixDigits(r.STAN)
	case stan != "":
		d.fields[11] = stan
	default:
		return errorf(KindUsage, "a reversal carries its original's STAN: terminal %s remembers no RRN %s, give --original-stan too",
			t.tid, r.RRN)
	}
	if t.dialect == dialectASCII {
		d.fields[90] = originalData(firstOf(stan, d.fields[11]), d.original)
	}
	if r.Replacement == "" {
		return nil
	}
	remaining, err := t.minor("--replacement-amount", r.Replacement)
	if err != nil {
		return err
	}
	d.partial, d.remaining = true, remaining
	d.fields[95] = fmt.Sprintf("%0*d", amountDigits, remaining) + strings.Repeat("0", 30)
	return nil
}

// invoice puts in F62 of an NAC message: a void's is its original's, a sale's is
// its STAN unless the user says otherwise.
func (t *Terminal) invoice(d *draft, r *Request) {
	if t.dialect != dialectNAC || d.operation == Balance {
		return
	}
	switch {
	case r.Invoice != "":
		d.fields[62] = sixDigits(r.Invoice)
	case d.original != nil && d.original.Fields[62] != "":
		d.fields[62] = d.original.Fields[62]
	case d.original == nil && (r.RRN != "" || r.OriginalSTAN != ""):
		// The invoice of a transaction that the terminal does not remember.
	default:
		d.fields[62] = d.fields[11]
	}
}

// again builds the operation's last message once more.
func (t *Terminal) again(r *Request, st *state) (*draft, error) {
	o := st.find(func(o *record) bool {
		return o.Operation == r.Operation && (r.STAN == "" || o.Fields[11] == sixDigits(r.STAN))
	})
	if o == nil {
		return nil, errorf(KindUsage, "terminal %s remembers no such %s to repeat", t.tid, r.Operation)
	}
	if o.Dialect != t.dialect {
		return nil, errorf(KindUsage, "the last %s went in the %s dialect: add --dialect %s", r.Operation, o.Dialect, o.Dialect)
	}
	d := &draft{operation: r.Operation, mti: o.MTI, fields: map[int]string{}, repeats: o}
	if r.Mark {
		d.mti = marked(o.MTI)
	}
	for _, field := range rememberedFields {
		if v, ok := o.Fields[field]; ok {
			d.fields[field] = v
		}
	}
	if f4 := d.fields[4]; f4 != "" {
		var err error
		if d.amount, err = strconv.ParseInt(f4, 10, 64); err != nil {
			return nil, errorf(KindConfiguration, "%s holds an amount that is none: remove it to begin anew", t.store.path)
		}
	}
	if r.Operation == Script {
		if o.ChipDataGiven && len(r.ChipData) == 0 {
			return nil, errorf(KindUsage, "chip data is not remembered: give --data again, as the %s had it", r.Operation)
		}
		d.scriptResult(r)
	}
	if o.Card == nil {
		return d, nil
	}
	c, err := t.remembered(r, o.Card)
	switch {
	case err != nil:
		return nil, err
	case c == nil, o.Card.ExpiryGiven && r.Expiry == "":
		return nil, errorf(KindUsage, "card numbers are not remembered: give card %s again, as the %s had it", o.Card.Masked, r.Operation)
	case c.pan.Masked() != o.Card.Masked:
		return nil, errorf(KindUsage, "this is another card than the %s had: %s", r.Operation, o.Card.Masked)
	case o.Card.PIN == pinGiven && r.PIN == "":
		return nil, errorf(KindUsage, "PINs are not remembered: give --pin again, as the %s had it", r.Operation)
	}
	c.keyed = o.Card.Keyed
	entered := d.fields[22] // a reversal's is its original's, however it carries the card
	c.put(d.fields)
	d.fields[22] = firstOf(entered, d.fields[22])
	d.card = c
	again := Request{PIN: firstOf(r.PIN, o.Card.PIN), SealTrack: o.Card.SealedTrack}
	return d, t.secure(d, &again, st)
}

// marked is the message type of a repeat: its last digit is odd.
func marked(mti string) string {
	last := mti[3]
	if (last-'0')%2 == 0 {
		last++
	}
	return mti[:3] + string(last)
}
