package switching

import (
	"bytes"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/ledger"
)

// Directory is the reference data a host works with: read into memory as one
// version, replaced as a whole when the version moves, never changed.
type Directory struct {
	Version   int64
	merchants map[string]*Merchant
	// merchantsByID are the same.
	merchantsByID map[int32]*Merchant
	terminals     map[string]*Terminal
	calendars     map[int16]*ledger.Calendar
	buckets       []int16
	ranges        []binRange // by low
	operators     map[operatorKey]*Operator
	catalogues    map[Catalogue]catalogue
}

type operatorKey struct {
	merchantID int32
	number     string
}

// Merchant as a host knows it.
type Merchant struct {
	ID         int32
	Bucket     int16
	MID        string
	Name       string
	Currency   money.Currency
	CalendarID int16
	Policy     *Policy
	Active     bool
	// AllowVoid and AllowRefund can be suspended below the policy.
	AllowVoid, AllowRefund bool
	// ReviewRefunds: the merchant is flagged, and every refund is reviewed.
	ReviewRefunds bool

	zone *time.Location
}

// Zone of the merchant's calendar: what its terminals show as local time.
func (m *Merchant) Zone() *time.Location { return m.zone }

// Terminal as a host knows it.
type Terminal struct {
	ID           int32
	TID          string
	MerchantID   int32
	MID          string
	Dialect      string
	Active       bool
	MACAlgorithm string // none, or one of package mac's
	TerminalKeys
	// MACKeyWrapped is MAK by its older name.
	MACKeyWrapped     []byte
	CertificateSHA256 []byte // nil if the terminal is bound to none
	// AllowVoid and AllowRefund can be suspended below the merchant.
	AllowVoid, AllowRefund bool
}

// CancelMode is who chooses between void and refund.
type CancelMode string

const (
	// CancelAuto lets the host choose, whatever was asked for.
	CancelAuto CancelMode = "auto"
	// CancelStrict takes a void for a void and a refund for a refund.
	CancelStrict CancelMode = "strict"
	// CancelOnly takes nothing but "cancel, you decide".
	CancelOnly CancelMode = "cancel-only"
)

// Policy is what a merchant's terminals may do, and how far. Zero is no limit.
type Policy struct {
	Name               string
	CancelMode         CancelMode
	MaxAmountMinor     int64
	MaxCashbackMinor   int64
	CompletionPercent  int
	HoldDays           int
	AllowAuthorization bool
	AllowCashback      bool
	AllowOfflineAdvice bool
	AllowVoid          bool
	AllowRefund        bool
	RefundWindowDays   int
	ReversalWindowDays int
	MaxRefunds         int

	// VoidWindow after the original's acceptance; 0 is until the cutoff.
	VoidWindow time.Duration
	// MaxVoidsPerDay and MaxVoidMinorPerDay of a terminal; negative is no limit.
	MaxVoidsPerDay     int
	MaxVoidMinorPerDay int64
	// ReviewThresholdMinor: a refund over it is reviewed; nil reviews none.
	ReviewThresholdMinor    *int64
	AllowUnreferencedRefund bool
	MaxUnreferencedMinor    int64
	// MinBalanceMinor is what a refund must leave of what the merchant is owed.
	MinBalanceMinor     *int64
	RequireOperator     bool
	SupervisorForVoid   bool
	SupervisorForRefund bool
	RefundToLost        CardPolicy
	RefundToFrozen      CardPolicy
	RefundToClosed      CardPolicy

	// SettledByBatch: a transaction is settled when its batch is closed, should
	// that come before the cutoff.
	SettledByBatch bool
	// AutoCloseBatch closes batches with transactions at the cutoff.
	AutoCloseBatch bool
}

// CardPolicy is what a refund to a card out of use comes to.
type CardPolicy string

const (
	// CardAllow pays it back all the same; the money is the issuer's to place.
	CardAllow CardPolicy = "allow"
	// CardReview leaves it to a person.
	CardReview CardPolicy = "review"
	// CardDecline refuses.
	CardDecline CardPolicy = "decline"
)

// Operator of a merchant's terminals.
type Operator struct {
	Number       string
	Supervisor   bool
	PasswordHash string // argon2id
}

// binRange leads the cards of a range to a route; both ends are 19 digits.
type binRange struct {
	low, high, network, route string
}

// Terminal finds a terminal by its TID (F41), with spaces cut.
func (d *Directory) Terminal(tid string) *Terminal { return d.terminals[strings.TrimRight(tid, " ")] }

// Merchant finds a merchant by its MID (F42), with spaces cut.
func (d *Directory) Merchant(mid string) *Merchant { return d.merchants[strings.TrimRight(mid, " ")] }

// Merchants lists every merchant by its MID.
func (d *Directory) Merchants() []*Merchant {
	return slices.SortedFunc(maps.Values(d.merchants), func(a, b *Merchant) int { return strings.Compare(a.MID, b.MID) })
}

// Buckets lists every bucket.
func (d *Directory) Buckets() []int16 { return d.buckets }

// Calendars lists every calendar.
func (d *Directory) Calendars() []*ledger.Calendar {
	list := make([]*ledger.Calendar, 0, len(d.calendars))
	for _, c := range d.calendars {
		list = append(list, c)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

// route of a card number; empty if no range has it.
func (d *Directory) route(pan card.PAN) string { return d.rangeOf(pan).route }

// network of a card number; empty if no range has it.
func (d *Directory) network(pan card.PAN) string { return d.rangeOf(pan).network }

// rangeOf a card number; a zero one if no range has it.
func (d *Directory) rangeOf(pan card.PAN) binRange {
	digits := pan.Reveal()
	i := sort.Search(len(d.ranges), func(i int) bool { return comparePadded(digits, d.ranges[i].low) < 0 })
	if i == 0 || comparePadded(digits, d.ranges[i-1].high) > 0 {
		return binRange{}
	}
	return d.ranges[i-1]
}

// comparePadded compares digits, as if filled up with zeros, with a range's end.
// It is asked for every message, which is why nothing is filled up.
func comparePadded(digits, end string) int {
	n := min(len(digits), len(end))
	if c := strings.Compare(digits[:n], end[:n]); c != 0 || len(digits) >= len(end) {
		return c
	}
	if strings.Trim(end[n:], "0") == "" {
		return 0
	}
	return -1
}

// admit resolves the request's terminal and merchant and says whether they may
// ask anything at all.
func (d *Directory) admit(r *Request) Reason {
	t := d.Terminal(r.TID)
	m := d.Merchant(r.MID)
	switch {
	case t == nil, r.Credentials.Stranger:
		return UnknownTerminal
	case m == nil && strings.TrimRight(r.MID, " ") != "":
		return UnknownMerchant
	}
	if m == nil {
		m = d.Merchant(t.MID) // echo and logon often name the terminal alone
	}
	switch {
	case m == nil:
		return UnknownMerchant
	case t.MerchantID != m.ID:
		return TerminalNotOfMerchant
	case t.Dialect != r.Dialect:
		return UnknownTerminal
	case !t.Active:
		return TerminalInactive
	case !m.Active:
		return UnknownMerchant
	case t.CertificateSHA256 != nil && !bytes.Equal(t.CertificateSHA256, r.CertificateSHA256[:]):
		return SecurityViolation
	}
	r.terminal, r.merchant = t, m
	return Approved
}
