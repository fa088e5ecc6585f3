package switching

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"

	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/money"
	"meridian/ledger"
)

// Request is what a terminal asks, in the domain's words. The dialect makes
// it; Submit resolves the terminal and the merchant.
type Request struct {
	Kind     Kind
	MID, TID string
	// Dialect that the request came in; a terminal speaks one.
	Dialect string
	// CertificateSHA256 of the peer, zero without a client certificate.
	CertificateSHA256 [32]byte

	STAN int32
	// BatchNo as the request states it; 0 means the terminal's current batch.
	BatchNo int32
	// AmountMinor with HasAmount; without it a cancel means all that is left.
	AmountMinor   int64
	HasAmount     bool
	CashbackMinor int64
	// ReplacementMinor is what a partial reversal leaves standing.
	ReplacementMinor int64
	HasReplacement   bool
	// Currency; 0 takes the merchant's.
	Currency money.Currency

	PAN    card.PAN
	Token  [16]byte // of PAN; zero without one
	Expiry string   // YYMM, empty if not given

	// Original is what completions, cancels, reversals and uploads speak of.
	Original Reference
	Invoice  string

	// OperatorNo and OperatorPassword of a logon that signs an operator on.
	OperatorNo       string
	OperatorPassword string

	// Stated totals of a settlement or trailer; nil where a trailer has none.
	Stated *StatedTotals
	// UploadedKind is what an upload says its transaction was; 0 if it does not.
	UploadedKind Kind
	// TwoStep: a settlement compares totals and closes nothing; a trailer closes
	// the batch, whatever the comparison came to.
	TwoStep bool
	// AfterUpload: the trailer's terminal has shown what is in its batch.
	AfterUpload bool
	// Shown are the transactions of an upload of several.
	Shown []ShownTransaction

	// TipMinor is the part of an adjustment's amount that is a tip.
	TipMinor int64
	// Remark is what the terminal tells besides: a reversal's cause, a script's
	// result. It is kept with the record, for people.
	Remark string
	// Catalogue of a status report or a download.
	Catalogue Catalogue
	// Skip what a status report's terminal has heard of in its answers before.
	Skip int

	// PIN that the cardholder entered; nil without one.
	PIN *PINEntry
	// Credentials of the message, from whoever verified it; zero for a request
	// that nobody vouches for.
	Credentials Credentials
	// WorkingKeys that a logon asks for; without them it says that the terminal is there.
	WorkingKeys KeyForm
	// SingleMAC asks for a MAC key of one DES key whatever the form.
	SingleMAC bool
	// Data of a status report, a download or a script result, as the terminal has it.
	Data []byte

	// Repeat is the sender's own mark. Within a batch it changes nothing; across
	// the end of a batch it tells a repeat from a STAN that began anew.
	Repeat bool
	// ApproveUnknownOriginal answers a reversal of an unknown original as
	// done; otherwise as not found. Either way it leaves its tombstone.
	ApproveUnknownOriginal bool
	// Echo is kept with the outcome and handed back with every answer to this
	// key: what the dialect repeats of the first transmission.
	Echo []byte

	// Scenario of a test host; nil in production.
	Scenario *Scenario

	// Received is when the frame was complete, on the monotonic clock.
	Received time.Time

	merchant *Merchant
	terminal *Terminal
	// tried are the records that the host may have stored for it, or found stored, in tries
	// whose outcome it does not know.
	tried []uuid.UUID
}

// repeats tells whether the request is known to repeat what a record was stored for, whatever
// became of the record's batch: its sender says so, or the host tries again itself.
func (r *Request) repeats(stored *Record) bool {
	return r.Repeat || slices.Contains(r.tried, stored.ID)
}

// Reference names an earlier transaction. The first that is given counts: RRN,
// then authorization code, then STAN, then invoice.
type Reference struct {
	// RRN with HasRRN; -1 is an RRN that cannot be one of ours.
	RRN    int64
	HasRRN bool
	// STAN with HasSTAN, in BatchNo, or in any batch when that is 0.
	STAN    int32
	HasSTAN bool
	BatchNo int32
	// Invoice, when not empty, of the same terminal.
	Invoice string
	// AuthCode with HasAuthCode finds an authorization of the merchant's on the
	// request's card.
	AuthCode    string
	HasAuthCode bool
	// Kind of the original, 0 for any. A sale is meant by an offline one as well.
	Kind Kind
	// Date of the original in its merchant's time (MMDD); empty if not given.
	Date string
	// Exact: what is found by the first that is given must agree with all others,
	// the date too; otherwise they are not looked at.
	Exact bool
}

// Given tells whether anything is referred to.
func (r *Reference) Given() bool { return r.HasRRN || r.HasSTAN || r.Invoice != "" || r.HasAuthCode }

// Key makes a repeat a repeat.
type Key struct {
	MerchantID int32
	TerminalID int32
	BatchNo    int32
	STAN       int32
	Class      Class
}

// compare keys, for the order in which they are locked.
func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.MerchantID, other.MerchantID), cmp.Compare(k.TerminalID, other.TerminalID),
		cmp.Compare(k.BatchNo, other.BatchNo), cmp.Compare(k.STAN, other.STAN), cmp.Compare(k.Class, other.Class))
}

// digest is the beginning of a SHA-256.
type digest [16]byte

// digest is over what makes two requests with one key the same request. What
// belongs to a transmission (its time, its MAC, its PIN block under a session
// key, the repeat mark) is left out.
func (r *Request) digest() digest {
	b := make([]byte, 0, digestRoom)
	number := func(v int64) { b = binary.BigEndian.AppendUint64(b, uint64(v)) }
	flag := func(b bool) {
		if b {
			number(1)
		} else {
			number(0)
		}
	}
	text := func(s string) {
		number(int64(len(s)))
		b = append(b, s...)
	}
	number(int64(r.Kind))
	number(r.AmountMinor)
	flag(r.HasAmount)
	number(r.CashbackMinor)
	number(r.ReplacementMinor)
	flag(r.HasReplacement)
	number(int64(r.Currency))
	b = append(b, r.Token[:]...)
	flag(r.Original.HasRRN)
	number(r.Original.RRN)
	flag(r.Original.HasSTAN)
	number(int64(r.Original.STAN))
	number(int64(r.Original.BatchNo))
	text(r.Original.Invoice)
	text(r.Invoice)
	// Added since the first digests were stored, and so only where it is there.
	if s := r.Stated; s != nil {
		number(int64(s.Form))
		number(int64(s.SaleCount))
		number(s.SaleMinor)
		number(int64(s.RefundCount))
		number(s.RefundMinor)
	}
	if r.UploadedKind != 0 {
		number(int64(r.UploadedKind))
	}
	if r.Original.HasAuthCode {
		text(r.Original.AuthCode)
	}
	if r.Original.Date != "" {
		text(r.Original.Date)
	}
	if r.Original.Kind != 0 {
		number(int64(r.Original.Kind))
	}
	if r.TipMinor != 0 {
		number(r.TipMinor)
	}
	if r.AfterUpload {
		flag(true)
	}
	for i := range r.Shown {
		number(int64(r.Shown[i].STAN))
		number(r.Shown[i].AmountMinor)
	}
	if len(r.Data) > 0 {
		text(string(r.Data))
	}
	sum := sha256.Sum256(b)
	return digest(sum[:])
}

// digestRoom holds what a sale's digest is over, and most others'.
const digestRoom = 256

// KeyForm is which working keys a sign-in asks for. Numbers are UnionPay's
// (F60.3: 001, 003, 004).
type KeyForm uint8

const (
	// KeysSingle is a PIN and a MAC key of one DES key each.
	KeysSingle KeyForm = 1
	// KeysDouble is a PIN and a MAC key of two DES keys each.
	KeysDouble KeyForm = 3
	// KeysWithTrack is a key for tracks besides.
	KeysWithTrack KeyForm = 4
)

// PINEntry is a PIN as a terminal enciphers it. It belongs to a transmission and
// is kept nowhere: its block is wiped when the request has its answer.
type PINEntry struct {
	Block []byte
	// Format of the block; 0 takes the terminal's own.
	Format hsm.PINFormat
}

// IssuedKey is a working key for a terminal: under the terminal's master key, and
// the check value that the terminal compares.
type IssuedKey struct {
	Use        hsm.Use
	Cryptogram []byte
	CheckValue []byte
}

// Demand is what the host asks a terminal to do when it can.
type Demand uint8

const (
	// DemandNone asks for nothing.
	DemandNone Demand = 0
	// DemandDownload: there are parameters that the terminal does not have.
	DemandDownload Demand = 1
	// DemandStatus asks for a report of what the terminal holds.
	DemandStatus Demand = 2
	// DemandSignIn asks for a new session.
	DemandSignIn Demand = 3
	// DemandPublicKeys: there are public keys for chip cards to download.
	DemandPublicKeys Demand = 4
	// DemandApplications: there are parameters of chip applications to download.
	DemandApplications Demand = 5
)

// Response is what the terminal is told.
type Response struct {
	// Reason; 0 means that nothing may be told, because the outcome is unknown
	// and the host is stopping.
	Reason Reason
	// Became is what a cancel became; otherwise the request's kind.
	Became Kind
	// Rule of void-or-refund that decided; 0 for none.
	Rule Rule
	// RRN of this transaction; 0 where nothing was stored.
	RRN      int64
	AuthCode string
	// BusinessDate the outcome was posted in, with HasBusinessDate.
	BusinessDate    ledger.Date
	HasBusinessDate bool
	// AcceptedAt is when the request was accepted, in the merchant's zone.
	AcceptedAt time.Time
	// BalanceMinor with HasBalance: what the card has available.
	BalanceMinor int64
	HasBalance   bool
	Currency     money.Currency
	// BatchNo that a terminal which signed in works in; 0 is not told.
	BatchNo int32
	// Keys of the terminal's new session, in the order PIN, MAC, track.
	Keys []IssuedKey
	// Catalogue is what there is beyond what the terminal has heard of, in answer
	// to a status report.
	Catalogue []CatalogueEntry
	// Data of a download; nil if there is no such thing.
	Data []byte
	// Network of the request's card; empty if it is not known.
	Network string
	// Demand is what the terminal is asked to do next.
	Demand Demand
	// ScenarioAnswer are the characters that a test host's scenario has the dialect
	// tell in place of the reason's; empty in production.
	ScenarioAnswer string
	Echo           []byte
	// Stored tells a repeat's answer from a first one. It is not told.
	Stored bool
	// Spent is where the request's time went. It is not told.
	Spent Spent
}

// Spent is where the time of a request that went through a lane went; zero for
// what was answered without one, or after its unit of work had failed.
type Spent struct {
	// Queue is from the message's arrival to its unit of work: waiting for other
	// units, for a connection, and failed tries.
	Queue time.Duration
	// Ledger is its unit of work: load, decide, store and commit.
	Ledger time.Duration
}

// Approved tells whether the request was.
func (r *Response) Approved() bool { return r.Reason == Approved }
