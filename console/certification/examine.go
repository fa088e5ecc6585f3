package certification

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"meridian/host/wire"
	"meridian/ledger"
	"meridian/switch"
)

// Exam is what a terminal is examined with.
type Exam struct {
	DB        Database
	Directory *switching.Directory
	Witness   *Witness // nil where nothing was seen
	Now       time.Time
	Version   string
}

// Database reads, and begins transactions to read in.
type Database interface {
	ledger.Querier
	ledger.TxBeginner
}

// maxExamined of a terminal's transactions, the newest: a certification has some
// dozens, and a page waits for it.
const maxExamined = 1000

// ErrNoTerminal: nobody has the TID.
var ErrNoTerminal = switching.ErrNoTerminal

// Examine looks at everything that proves something of a terminal. It fails with
// [ErrNoTerminal] where there is no such terminal.
func Examine(ctx context.Context, e Exam, tid string) (*Checklist, error) {
	state, err := switching.FindTerminal(ctx, e.DB, tid)
	if err != nil {
		return nil, fmt.Errorf("examine terminal: %w", err)
	}
	l := &Checklist{TID: state.TID, MID: state.MID, Dialect: state.Dialect, MAC: state.MAC, At: e.Now.UTC(), Version: e.Version}
	if m := e.Directory.Merchant(state.MID); m != nil {
		l.Merchant = m.Name
	}
	page, err := switching.SearchTransactions(ctx, e.DB, switching.TransactionSearch{TID: tid, Limit: maxExamined})
	if err != nil {
		return nil, fmt.Errorf("examine terminal %s: %w", tid, err)
	}
	failures, err := switching.AuditRows(ctx, e.DB, switching.AuditFilter{Kind: "mac_failure", Subject: "terminal " + tid, Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("examine terminal %s: %w", tid, err)
	}
	batches, err := switching.ListBatches(ctx, e.DB, switching.BatchFilter{TID: tid, Limit: maxExamined})
	if err != nil {
		return nil, fmt.Errorf("examine terminal %s: %w", tid, err)
	}
	x := &examination{Exam: e, terminal: state, found: page.Found, batches: map[int32]*switching.BatchSummary{}}
	for _, b := range batches {
		x.batches[b.BatchNo] = b
	}
	slices.Reverse(x.found) // by business date, and by when they came: a clock may stand still
	if len(failures) > 0 {
		x.macFailure = failures[0]
	}
	l.Examined, l.Truncated = len(x.found), page.Next != nil
	for _, c := range cases {
		l.Cases = append(l.Cases, x.judge(c))
	}
	l.count()
	return l, nil
}

// examination is a terminal with what is known of it.
type examination struct {
	Exam

	terminal   *switching.TerminalState
	found      []*switching.FoundTransaction // the oldest first
	batches    map[int32]*switching.BatchSummary
	macFailure *switching.AuditRow // the newest; nil for none
}

// certCase is a case and its proof.
type certCase struct {
	id, title string
	// how to pass it.
	how      string
	optional bool
	// applies to a terminal; nil to all.
	applies func(*examination) (reason string, applies bool)
	// proof of it; nil where there is none.
	proof func(*examination) *Case
}

func optional(id string) bool {
	i := slices.IndexFunc(cases, func(c certCase) bool { return c.id == id })
	return i >= 0 && cases[i].optional
}

func (x *examination) judge(c certCase) Case {
	judged := Case{ID: c.id, Title: c.title, Status: Open, Evidence: c.how}
	if c.optional {
		judged.Status = Extra
	}
	if c.applies != nil {
		if reason, applies := c.applies(x); !applies {
			judged.Status, judged.Evidence = NotApplicable, reason
			return judged
		}
	}
	if proof := c.proof(x); proof != nil {
		proof.ID, proof.Title, proof.Status = judged.ID, judged.Title, Passed
		return *proof
	}
	return judged
}

// saw proves a case by what was seen.
func saw(what sight, evidence string) func(*examination) *Case {
	return func(x *examination) *Case {
		s, ok := x.Witness.of(x.terminal.TID, what)
		if !ok {
			return nil
		}
		c := &Case{Evidence: evidence, At: s.At}
		if s.RRN != 0 {
			c.RRN = fmt.Sprintf("%012d", s.RRN)
		}
		return c
	}
}

// stored proves a case by the newest transaction that fits.
func stored(evidence string, fits func(x *examination, i int) bool) func(*examination) *Case {
	return func(x *examination) *Case {
		for i, t := range slices.Backward(x.found) {
			if fits(x, i) {
				return &Case{Evidence: evidence, RRN: t.RRN, At: t.AcceptedAt.UTC()}
			}
		}
		return nil
	}
}

// approved tells whether a transaction counted, whatever became of it later.
func approved(t *switching.FoundTransaction) bool {
	return t.State != switching.StateDeclined && t.State != switching.StateAbandoned && t.State != switching.StateUnderReview
}

func approvedKind(kinds ...switching.Kind) func(*examination, int) bool {
	return func(x *examination, i int) bool {
		return approved(x.found[i]) && slices.Contains(kinds, x.found[i].Kind)
	}
}

// sealed messages carry a MAC; settlements and uploads do not.
var sealed = []switching.Kind{
	switching.KindAuthorization, switching.KindSale, switching.KindCompletion, switching.KindAdvice, switching.KindVoid, switching.KindRefund,
	switching.KindReversal, switching.KindBalance,
}

// sales capture money at once.
var sales = []switching.Kind{switching.KindSale, switching.KindCompletion, switching.KindAdvice}

var cases = []certCase{
	{
		id: "line", title: "Tests the line or signs on", how: "send an echo or a sign-on (0800)",
		proof: func(x *examination) *Case {
			if c := saw(sawEcho, "an echo was answered")(x); c != nil {
				return c
			}
			return saw(sawLogon, "a sign-on was answered")(x)
		},
	},
	{
		id: "sign-in", title: "Signs in for working keys", how: "sign in and use the keys that the answer gives",
		applies: func(x *examination) (string, bool) {
			return "its keys are not given at sign-in", x.terminal.Dialect == wire.NameUnionPay
		},
		proof: func(x *examination) *Case {
			for _, g := range x.terminal.Generations {
				if g.FirstUsed != nil {
					return &Case{Evidence: "working keys of generation " + strconv.FormatInt(int64(g.Number), 10) + " were given and used", At: g.FirstUsed.UTC()}
				}
			}
			return nil
		},
	},
	{
		id: "sale", title: "Sells", how: "send a sale that is approved",
		proof: stored("a sale was approved", approvedKind(switching.KindSale)),
	},
	{
		id: "mac", title: "Makes right MACs", how: "send a sale with a right MAC, and no wrong one after it",
		applies: func(x *examination) (string, bool) {
			return "it has no MAC", x.terminal.MAC != "" && x.terminal.MAC != macNone
		},
		proof: func(x *examination) *Case {
			c := stored("what was approved had a right MAC, and no wrong one came after it", approvedKind(sealed...))(x)
			if c != nil && x.macFailure != nil && x.macFailure.At.After(c.At) {
				return nil
			}
			return c
		},
	},
	{
		id: "decline", title: "Goes on after a decline", how: "have a sale declined (card low or blocked), and sell with another card and a STAN of its own",
		proof: stored("a sale was approved after a declined one, with a STAN of its own", func(x *examination, i int) bool {
			if x.found[i].Kind != switching.KindSale || !approved(x.found[i]) {
				return false
			}
			return slices.ContainsFunc(x.found[:i], func(t *switching.FoundTransaction) bool {
				return t.Kind == switching.KindSale && t.State == switching.StateDeclined &&
					(t.STAN != x.found[i].STAN || t.BatchNo != x.found[i].BatchNo)
			})
		}),
	},
	{
		id: "void", title: "Voids before the cutoff", how: "cancel or void a sale before its business date ends",
		applies: func(x *examination) (string, bool) { return "its voids are suspended", x.terminal.AllowVoid },
		proof:   stored("a sale was voided", approvedKind(switching.KindVoid)),
	},
	{
		id: "refund", title: "Refunds after the cutoff", how: "sell, let the business date end (meridian clock), and refund or cancel the sale",
		applies: func(x *examination) (string, bool) { return "its refunds are suspended", x.terminal.AllowRefund },
		proof:   stored("a settled sale was refunded", approvedKind(switching.KindRefund)),
	},
	{
		id: "became", title: "Takes a void that became a refund", how: "void a sale after its business date ended, and print what the answer says", optional: true,
		proof: stored("a void or cancel became a refund", func(x *examination, i int) bool {
			t := x.found[i]
			return approved(t) && t.Kind == switching.KindRefund && t.Asked != switching.KindRefund
		}),
	},
	{
		id: "reversal", title: "Reverses what has no answer", how: "have an answer not come (scenario no answer), and reverse the sale",
		proof: stored("a reversal was accepted; whether an answer was missing only the terminal knows", approvedKind(switching.KindReversal)),
	},
	{
		id: "repeat", title: "Repeats and takes the stored answer", how: "send an approved message again, byte for byte",
		proof: saw(sawRepeat, "a repeat was given its stored answer"),
	},
	{
		id: "balanced", title: "Settles a batch in balance", how: "settle with totals that agree",
		proof: func(x *examination) *Case { return x.settled(false) },
	},
	{
		id: "upload", title: "Uploads a batch out of balance", how: "settle with wrong totals, upload every transaction, and end the batch",
		proof: func(x *examination) *Case { return x.settled(true) },
	},
	{
		id: "preauth", title: "Reserves and completes", how: "reserve an amount and complete it", optional: true,
		proof: stored("a reservation was completed", approvedKind(switching.KindCompletion)),
	},
}

// macNone is a terminal's algorithm where it has none.
const macNone = "none"

// settled finds a batch that the terminal closed: out of balance with an upload, or
// in balance.
func (x *examination) settled(uploaded bool) *Case {
	for i, last := range slices.Backward(x.found) {
		if last.Reason != switching.Approved || last.Kind != switching.KindSettlement && last.Kind != switching.KindTrailer {
			continue
		}
		var upload, sold bool
		for _, t := range x.found[:i] {
			if t.BatchNo != last.BatchNo || !approved(t) {
				continue
			}
			upload = upload || t.Kind == switching.KindUpload
			sold = sold || slices.Contains(sales, t.Kind)
		}
		if !sold || uploaded && !upload || !uploaded && !x.agreed(last) {
			continue
		}
		evidence := "a batch with sales was settled, and the totals agreed"
		if uploaded {
			evidence = "a batch was out of balance, uploaded, and ended"
		}
		return &Case{Evidence: evidence, Batch: last.BatchNo, At: last.AcceptedAt.UTC()}
	}
	return nil
}

// agreed tells whether an approved settlement or trailer ended its batch with totals
// that were the host's. A trailer says nothing of that: it is approved whatever it
// states.
func (x *examination) agreed(last *switching.FoundTransaction) bool {
	b := x.batches[last.BatchNo]
	switch {
	case b == nil || b.State != switching.BatchClosed:
		return false
	case b.ClosedBy == switching.ClosedBySettlement:
		return true
	default: // the host closed it first, and its terminal settled it later
		return b.ClosedBy != switching.ClosedByTrailer && last.Kind == switching.KindSettlement
	}
}

// IsNoTerminal tells whether an examination failed for want of its terminal.
func IsNoTerminal(err error) bool { return errors.Is(err, ErrNoTerminal) }
