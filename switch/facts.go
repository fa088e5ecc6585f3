package switching

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"meridian/internal/money"
	"meridian/ledger"
)

// Facts are what a unit of work loaded for its requests, and what the verdicts
// before this one made of it: two requests in one unit see each other.
type Facts struct {
	Bucket int16
	// Now is the instant at which the unit's requests are accepted.
	Now time.Time

	windows    map[int16]ledger.Window // by calendar: the one that takes work now
	batches    map[int32]*batch        // by terminal: its current one
	ended      map[batchKey]*batch     // that a settlement may speak of
	keys       map[Key]*keyEntry
	records    map[uuid.UUID]*Record
	byRRN      map[int64][]*Record
	bySTAN     map[stanRef][]*Record
	byInvoice  map[invoiceRef][]*Record
	byAuthCode map[authRef][]*Record
	holds      map[uuid.UUID]*ledger.Hold
	cards      map[[16]byte]*ledger.CardAccount
	cardsByID  map[int64]*ledger.CardAccount
	voids      map[int32]voidsToday      // by terminal, where its policy limits them
	sessions   map[int32]operatorSession // by terminal, where its policy asks for operators
	balances   map[int32]int64           // by merchant, where its policy sets a minimum
	actedOn    map[uuid.UUID]bool        // records that the host may reverse and that others refer to
	pins       map[*Request]pinFact      // of requests with a PIN, but for repeats
	counters   map[serial]counted        // of terminals whose keys are derived
	paid       map[paidKey]located       // what paid back, that a request may ask for once more
	references *Directory
	// retired keys are of transactions in months that are not in the ledger any more, and
	// about to be removed. Nothing can be stored under them yet.
	retired map[Key]struct{}
	// presumed are requests whose keys nobody looked for, in these batches (presume_load.go).
	presumed map[*Request]int32
	// unread: nothing was read but cards and originals, and no lock is held yet.
	unread bool
	// unreferred: no request speaks of an original, or repeats one.
	unreferred bool
	// unreversed are keys in the batches before, which must not be there as tombstones
	// when the unit is stored.
	unreversed []probe
	// unpaid are voids and refunds that came to nothing, and must not have been given before.
	unpaid []unpaid

	changes changes
}

// voidsToday is what a terminal has voided in the business date of now.
type voidsToday struct {
	count int
	minor int64
}

// operatorSession is who is signed on at a terminal.
type operatorSession struct {
	number     string
	supervisor bool
}

// newReview is a refund that a person must decide, and why.
type newReview struct {
	record *Record
	cause  string
}

// keyEntry is a stored key; it is a tombstone while only a reversal has come.
type keyEntry struct {
	record    *Record
	tombstone bool
	// unconfirmed: its batch has ended, and the terminal may not have its answer.
	unconfirmed bool
}

// stanRef names a transaction by its STAN; batch 0 means any.
type stanRef struct {
	merchantID, terminalID, stan int32
}

type invoiceRef struct {
	terminalID int32
	invoice    string
}

// authRef names authorizations by the code that they were given.
type authRef struct {
	merchantID int32
	code       string
}

// changes is what the store writes: each row once, however many verdicts of
// the unit touched it.
type changes struct {
	records    []*Record
	keys       []keyChange
	paidBack   []paidBack
	transfers  []ledger.Transfer
	newHolds   []*ledger.Hold
	shown      []*Record // by uploads of several; their own batch's
	newBatches map[int32]newBatch
	batches    []batchWrite
	differs    []batchDifference
	dirty      map[*Record]struct{}
	dirtyHolds map[*ledger.Hold]struct{}
	dirtyCards map[*ledger.CardAccount]struct{}
	exceptions []Exception
	reviews    []newReview
	withdrawn  []withdrawal
	counters   map[serial]struct{}
	isNew      map[any]struct{}
}

type keyChange struct {
	key       Key
	record    *Record
	tombstone bool
	// replaces a tombstone that is stored already
	replaces bool
}

// withdrawal is what becomes of a refund under review that is reversed.
type withdrawal struct {
	record *Record
	reason Reason      // what its repeats are answered with
	date   ledger.Date // that takes work now
}

// Exception is what a person must look at.
type Exception struct {
	ID     uuid.UUID
	Kind   string
	Record *Record
	Detail string
}

// newFacts has room for so many requests.
func newFacts(bucket int16, now time.Time, dir *Directory, requests int) *Facts {
	return &Facts{
		Bucket: bucket, Now: now, references: dir,
		windows:    map[int16]ledger.Window{},
		batches:    make(map[int32]*batch, requests),
		ended:      map[batchKey]*batch{},
		keys:       make(map[Key]*keyEntry, requests),
		records:    make(map[uuid.UUID]*Record, requests),
		byRRN:      map[int64][]*Record{},
		bySTAN:     map[stanRef][]*Record{},
		byInvoice:  map[invoiceRef][]*Record{},
		byAuthCode: map[authRef][]*Record{},
		holds:      map[uuid.UUID]*ledger.Hold{},
		cards:      make(map[[16]byte]*ledger.CardAccount, requests),
		cardsByID:  make(map[int64]*ledger.CardAccount, requests),
		pins:       map[*Request]pinFact{},
		counters:   map[serial]counted{},
		paid:       map[paidKey]located{},
		voids:      map[int32]voidsToday{},
		sessions:   map[int32]operatorSession{},
		balances:   map[int32]int64{},
		actedOn:    map[uuid.UUID]bool{},
		presumed:   make(map[*Request]int32, requests),
		changes: changes{
			records: make([]*Record, 0, requests), keys: make([]keyChange, 0, requests), transfers: make([]ledger.Transfer, 0, requests),
			newBatches: map[int32]newBatch{},
			dirty:      map[*Record]struct{}{}, dirtyHolds: map[*ledger.Hold]struct{}{},
			dirtyCards: make(map[*ledger.CardAccount]struct{}, requests), isNew: make(map[any]struct{}, requests),
			counters: map[serial]struct{}{},
		},
	}
}

// know indexes a record, so that references find it.
func (f *Facts) know(r *Record) {
	if _, known := f.records[r.ID]; known {
		return
	}
	f.records[r.ID] = r
	if f.unreferred {
		return // sales and authorizations: nothing refers to anything
	}
	f.byRRN[r.RRN] = append(f.byRRN[r.RRN], r)
	if r.Asked.Class() == ClassFinancial {
		ref := stanRef{r.MerchantID, r.TerminalID, r.STAN}
		f.bySTAN[ref] = append(f.bySTAN[ref], r)
	}
	if r.Kind == KindAuthorization && r.AuthCode != "" {
		ref := authRef{r.MerchantID, r.AuthCode}
		f.byAuthCode[ref] = append(f.byAuthCode[ref], r)
	}
	if r.Invoice != "" { // cancels and reversals have none of their own
		ref := invoiceRef{r.TerminalID, r.Invoice}
		f.byInvoice[ref] = append(f.byInvoice[ref], r)
	}
}

// leastRetired is how old a transaction is at least whose month was retired.
const leastRetired = 28 * 24 * time.Hour

func (f *Facts) retire(key Key) {
	if f.retired == nil {
		f.retired = map[Key]struct{}{}
	}
	f.retired[key] = struct{}{}
}

func (f *Facts) isRetired(key Key) bool {
	_, is := f.retired[key]
	return is
}

// forgetAll that was presumed, or read in a transaction that was rolled back, so that it is read
// anew: what is not there any more must not stay.
func (f *Facts) forgetAll() {
	clear(f.presumed)
	clear(f.windows)
	clear(f.batches)
	clear(f.ended)
	clear(f.sessions)
	clear(f.counters)
	clear(f.paid)
	clear(f.cards)
	clear(f.cardsByID)
	clear(f.voids)
	clear(f.balances)
	clear(f.actedOn)
	clear(f.retired)
	clear(f.keys)
	clear(f.holds)
	clear(f.records)
	clear(f.byRRN)
	clear(f.bySTAN)
	clear(f.byInvoice)
	clear(f.byAuthCode)
}

func (f *Facts) addCard(c *ledger.CardAccount) {
	f.cards[c.Token], f.cardsByID[c.ID] = c, c
}

// batchOf is the batch a request belongs to: the stated one or the current.
func (f *Facts) batchOf(r *Request) int32 {
	if r.BatchNo != 0 {
		return r.BatchNo
	}
	return f.currentBatch(r.terminal.ID)
}

// currentBatch of a terminal; its first is 1.
func (f *Facts) currentBatch(terminalID int32) int32 { return f.batch(terminalID).number }

// keyOf is the request's key.
func (f *Facts) keyOf(r *Request) Key {
	return Key{r.merchant.ID, r.terminal.ID, f.batchOf(r), r.STAN, r.Kind.Class()}
}

// window takes the merchant's work now.
func (f *Facts) window(m *Merchant) ledger.Window { return f.windows[m.CalendarID] }

// windowOf takes work now for the record's merchant: by the calendar that the
// merchant has today, which may not be the one that the record came in under.
func (f *Facts) windowOf(r *Record) ledger.Window {
	if m := f.references.merchantsByID[r.MerchantID]; m != nil {
		return f.windows[m.CalendarID]
	}
	return f.windows[r.CalendarID]
}

// cutoffOf an original is its date's: of the calendar that its merchant has now while the date goes
// on, and of the one that it came in under when it is over.
func (f *Facts) cutoffOf(o *Record) time.Time {
	if w := f.windowOf(o); w.Date == o.BusinessDate {
		return w.ClosesAt
	}
	return o.WindowClosesAt
}

// originals that a request may mean: what the first reference given finds, as
// far as it agrees with what the request says of it besides.
func (f *Facts) originals(r *Request) []*Record {
	var fitting []*Record
	for _, o := range f.referred(r) {
		if r.means(o) {
			fitting = append(fitting, o)
		}
	}
	return fitting
}

// means tells whether a record agrees with what a request says of its original.
// What cannot be cancelled at all is not taken for another kind: a rule says so.
func (r *Request) means(o *Record) bool {
	ref := &r.Original
	cancellable := o.captures() || o.Kind == KindAuthorization
	if ref.Kind != 0 && ref.Kind != o.Kind && cancellable && !(ref.Kind == KindSale && o.Kind == KindAdvice) {
		return false
	}
	if !ref.Exact {
		return true
	}
	return (!ref.HasSTAN || ref.STAN == o.STAN) && (ref.BatchNo == 0 || ref.BatchNo == o.BatchNo) &&
		(ref.Date == "" || ref.Date == monthAndDay(o.AcceptedAt.In(r.merchant.zone)))
}

// monthAndDay of a time, two digits each.
func monthAndDay(t time.Time) string { return fmt.Sprintf("%02d%02d", t.Month(), t.Day()) }

// referred finds what the first reference given names. An RRN names whatever has
// it: that a reversal cannot be cancelled is a rule's to say.
func (f *Facts) referred(r *Request) []*Record {
	ref := &r.Original
	switch {
	case ref.HasRRN:
		return f.byRRN[ref.RRN]
	case ref.HasAuthCode:
		return f.byAuthorizationCode(r)
	case ref.HasSTAN:
		return inBatch(f.bySTAN[stanRef{r.merchant.ID, r.terminal.ID, ref.STAN}], ref.BatchNo)
	case ref.Invoice != "":
		return f.byInvoiceNumber(r)
	default:
		return nil
	}
}

// byAuthorizationCode finds authorizations of the merchant's by their code, on
// the request's card where it has one: six digits alone come again.
func (f *Facts) byAuthorizationCode(r *Request) []*Record {
	var found []*Record
	for _, o := range f.byAuthCode[authRef{r.merchant.ID, r.Original.AuthCode}] {
		if r.PAN.IsZero() || o.Token == r.Token {
			found = append(found, o)
		}
	}
	return found
}

// byInvoiceNumber finds what an invoice number of the terminal stands for. The
// numbers come again: what moved nothing is passed over, and of several the one
// in the terminal's current batch is meant (reference: NAC, void).
func (f *Facts) byInvoiceNumber(r *Request) []*Record {
	var standing []*Record
	for _, o := range inBatch(f.byInvoice[invoiceRef{r.terminal.ID, r.Original.Invoice}], r.Original.BatchNo) {
		if o.State != StateDeclined && o.State != StateReversed && o.State != StateAbandoned {
			standing = append(standing, o)
		}
	}
	if len(standing) > 1 {
		if current := inBatch(standing, f.currentBatch(r.terminal.ID)); len(current) == 1 {
			return current
		}
	}
	return standing
}

func inBatch(list []*Record, batchNo int32) []*Record {
	var out []*Record
	for _, o := range list {
		if batchNo == 0 || o.BatchNo == batchNo {
			out = append(out, o)
		}
	}
	return out
}

// apply makes a verdict part of the facts and of what will be stored.
func (f *Facts) apply(v *Verdict) {
	if v.Record == nil {
		return
	}
	c := &f.changes
	f.know(v.Record)
	c.records = append(c.records, v.Record)
	c.isNew[v.Record] = struct{}{}
	if v.NewBatch {
		opened := f.batch(v.Record.TerminalID)
		opened.openedDate = v.WindowDate
		f.batches[v.Record.TerminalID] = opened
		c.newBatches[v.Record.TerminalID] = newBatch{opened.number, v.WindowDate}
	}
	f.applyKeys(v)
	if v.PaidBack != nil {
		at := located{v.Record.BusinessDate, v.Record.ID}
		f.paid[*v.PaidBack] = at
		c.paidBack = append(c.paidBack, paidBack{*v.PaidBack, at})
	}
	c.transfers = append(c.transfers, v.Journal.Transfers...)
	for _, h := range v.Holds {
		if have, ok := f.holds[h.ID]; ok {
			*have = *h
			f.touch(c.dirtyHolds, have)
			continue
		}
		f.holds[h.ID] = h
		c.newHolds = append(c.newHolds, h)
		c.isNew[h] = struct{}{}
	}
	for _, o := range v.Originals {
		have := f.records[o.ID]
		f.countChange(have, o)
		have.State, have.CapturedMinor, have.RefundedMinor, have.RefundCount = o.State, o.CapturedMinor, o.RefundedMinor, o.RefundCount
		have.ReviewedMinor = o.ReviewedMinor
		if _, fresh := c.isNew[have]; !fresh {
			c.dirty[have] = struct{}{}
		}
	}
	if v.Card.ID != 0 {
		account := f.cardsByID[v.Card.ID]
		account.BalanceMinor += v.Card.BalanceMinor
		account.HeldMinor += v.Card.HeldMinor
		c.dirtyCards[account] = struct{}{}
	}
	f.applyPIN(v.PINTry)
	f.countNew(v.Record)
	c.shown = append(c.shown, v.Shown...)
	for _, difference := range v.Differences {
		c.differs = append(c.differs, batchDifference{difference, v.Record})
	}
	if v.Batch != nil {
		f.changeBatch(*v.Batch, v.Record, v.WindowDate)
	}
	c.exceptions = append(c.exceptions, v.Exceptions...)
	if v.Review != "" {
		c.reviews = append(c.reviews, newReview{v.Record, v.Review})
	}
	if one := v.Withdrawn; one != nil {
		one.record.State, one.record.Reason, one.record.PostedDate = StateDeclined, one.reason, one.date
		c.withdrawn = append(c.withdrawn, *one)
	}
	if v.VoidedMinor != 0 {
		today := f.voids[v.Record.TerminalID]
		f.voids[v.Record.TerminalID] = voidsToday{today.count + 1, today.minor + v.VoidedMinor}
	}
	f.owe(v.Journal.Transfers)
}

// applyKeys has a verdict's record under its keys.
func (f *Facts) applyKeys(v *Verdict) {
	for _, k := range v.Keys {
		entry := f.keys[k]
		tombstone := k.Class == ClassFinancial && v.Record.Asked.Class() == ClassReversal
		f.changes.keys = append(f.changes.keys, keyChange{key: k, record: v.Record, tombstone: tombstone, replaces: entry != nil})
		f.keys[k] = &keyEntry{record: v.Record, tombstone: tombstone}
		if b := f.batches[k.TerminalID]; b != nil && k.Class == ClassFinancial && k.BatchNo == b.number {
			b.filled = true
		}
	}
}

func (f *Facts) touch(dirty map[*ledger.Hold]struct{}, h *ledger.Hold) {
	if _, fresh := f.changes.isNew[h]; !fresh {
		dirty[h] = struct{}{}
	}
}

// Identity is what a new transaction is called. It is handed to Decide, which
// makes nothing up.
type Identity struct {
	ID       uuid.UUID
	RRN      int64
	AuthCode string
}

// Verdict is what Decide says. It changes nothing: apply does.
type Verdict struct {
	Response Response
	// Repeated is the stored record whose answer this is again; nil for a first
	// answer.
	Repeated *Record
	// Record is what is stored; nil stores nothing.
	Record *Record
	// Keys the record takes: its own, and the original's for a tombstone.
	Keys []Key
	// PaidBack is what the record is not given twice for; nil where that does not matter.
	PaidBack *paidKey
	// NewBatch opens the terminal's first batch.
	NewBatch bool
	// Batch is what becomes of the terminal's batch; nil for nothing.
	Batch *batchChange
	// Differences that an upload has shown.
	Differences []BatchDifference
	// Shown are the host's records of what an upload of several has shown.
	Shown []*Record
	// WindowDate is the business date that took the request.
	WindowDate ledger.Date
	Journal    ledger.Journal
	// Holds and Originals are new values of what the facts hold.
	Holds     []*ledger.Hold
	Originals []*Record
	Card      CardChange
	// PINTry is what the request's PIN did to its card.
	PINTry pinTry
	// Exceptions for people.
	Exceptions []Exception
	// Review, when not empty, is why a person must decide this refund.
	Review string
	// Withdrawn is the refund that nobody has to decide any more; nil for none.
	Withdrawn *withdrawal
	// VoidedMinor counts against the terminal's limits of the day.
	VoidedMinor int64
}

// CardChange moves an on-us card's balance and what is held of it.
type CardChange struct {
	ID           int64
	BalanceMinor int64
	HeldMinor    int64
}

// currencyOf is the request's currency, the merchant's unless it says otherwise.
func (r *Request) currencyOf() money.Currency {
	if r.Currency != 0 {
		return r.Currency
	}
	return r.merchant.Currency
}
