package story

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"meridian/internal/money"
	"meridian/switch"
)

// find reads a transaction of one of the scenario's terminals; nil where the books
// have none, as of a sign-in.
func (p *play) find(ctx context.Context, rrn, tid string) (*switching.Inspection, error) {
	number, err := strconv.ParseInt(rrn, 10, 64)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // what is no number is no RRN of ours
	}
	found, err := switching.FindByRRN(ctx, p.player.World.Pool, number)
	if err != nil {
		return nil, fmt.Errorf("look into the books: %w", err)
	}
	for _, i := range found { // newest first
		if i.TID == tid {
			return i, nil
		}
	}
	return nil, nil //nolint:nilnil // see above
}

// books of what a step's last message with a transaction came to.
func (p *play) books(ctx context.Context, told *Told) (*Books, error) {
	for _, x := range slices.Backward(told.Exchanges) {
		if x.Transaction() == "" {
			continue
		}
		i, err := p.find(ctx, x.RRN, x.TID)
		if i == nil || err != nil {
			return nil, err
		}
		b := newBooks(i)
		if i.OriginalRRN != "" {
			original, err := p.find(ctx, i.OriginalRRN, i.TID)
			if err != nil {
				return nil, err
			}
			if original != nil {
				b.OriginalState = human(original.State.String())
			}
		}
		return b, nil
	}
	return nil, nil //nolint:nilnil // nothing was stored
}

func newBooks(i *switching.Inspection) *Books {
	b := &Books{
		RRN: i.RRN, Asked: human(i.Asked.String()), Became: human(i.Kind.String()), State: human(i.State.String()), Reason: human(i.Reason.String()),
		Sentence: i.RuleSentence, BusinessDate: cmp.Or(i.PostedDate, i.BusinessDate).String(), OriginalRRN: i.OriginalRRN, Legs: []Leg{},
	}
	if i.Rule != 0 {
		b.Rule = i.Rule.String()
	}
	for _, t := range i.Transfers {
		b.Legs = append(b.Legs, Leg{
			Kind: human(t.Kind), Phase: human(t.Phase), Debit: t.Debit, Credit: t.Credit,
			Amount: money.Amount{Minor: t.AmountMinor, Currency: i.Currency}.String(),
		})
	}
	var e *switching.Evidence
	if len(i.Decision) > 0 && json.Unmarshal(i.Decision, &e) == nil && e != nil {
		b.Otherwise = e.Counterfactual
	}
	return b
}

func human(name string) string { return strings.ReplaceAll(name, "_", " ") }

// balances are what the scenario's transactions moved, in minor units.
func (p *play) balances(ctx context.Context) (map[string]int64, error) {
	moved := map[string]int64{balanceCard: 0, balanceMerchant: 0, balanceHeld: 0}
	seen := map[uuid.UUID]bool{}
	holds := map[int16][][16]byte{}
	add := func(i *switching.Inspection) {
		if i == nil || seen[i.ID] {
			return
		}
		seen[i.ID] = true
		if i.Kind == switching.KindAuthorization {
			holds[i.Bucket] = append(holds[i.Bucket], i.ID)
		}
		for _, t := range i.Transfers {
			if t.Phase != phasePosted && t.Phase != phasePostPending {
				continue
			}
			moved[owner(t.Debit)] -= t.AmountMinor
			moved[owner(t.Credit)] += t.AmountMinor
		}
	}
	if err := p.each(ctx, add); err != nil {
		return nil, err
	}
	for bucket, ids := range holds {
		var held int64
		if err := p.player.World.Pool.QueryRow(ctx, heldSQL, bucket, ids).Scan(&held); err != nil {
			return nil, fmt.Errorf("look into the holds: %w", err)
		}
		moved[balanceHeld] += held
	}
	return moved, nil
}

// each hands over the scenario's transactions, also those that only what undoes
// them leads to.
func (p *play) each(ctx context.Context, add func(*switching.Inspection)) error {
	for _, step := range p.telling.Steps {
		for _, x := range step.Exchanges {
			if x.Transaction() == "" {
				continue
			}
			i, err := p.find(ctx, x.RRN, x.TID)
			if err != nil {
				return err
			}
			add(i)
			if i == nil || i.OriginalRRN == "" {
				continue
			}
			original, err := p.find(ctx, i.OriginalRRN, x.TID)
			if err != nil {
				return err
			}
			if original != nil && p.unanswered(x.TID, original.STAN) {
				add(original)
			}
		}
	}
	return nil
}

// unanswered tells whether a step sent under a STAN what it has no answer to: the
// books have it, and only what undoes it leads there.
func (p *play) unanswered(tid string, stan int32) bool {
	for _, step := range p.telling.Steps {
		for _, x := range step.Exchanges {
			if n, err := strconv.Atoi(x.STAN); x.RRN == "" && x.TID == tid && err == nil && int32(n) == stan { //nolint:gosec // six digits
				return true
			}
		}
	}
	return false
}

// heldSQL sums up open holds; a hold has its authorization's id.
const heldSQL = `SELECT coalesce(sum(amount_minor), 0)::bigint FROM holds WHERE bucket = $1 AND hold_id = ANY($2::uuid[]) AND state = 1`

// Phases of transfers that move money, as inspections name them.
const (
	phasePosted      = "posted"
	phasePostPending = "post_pending"
)

// owner is whose money an account is: card, merchant, or the chart's own name.
func owner(account string) string {
	name, _, _ := strings.Cut(account, ":")
	return name
}

// openBatch is the host's view of the batch that was settled last, or is open.
func (p *play) openBatch(ctx context.Context, tid string) (*switching.BatchReport, error) {
	report, err := switching.FindBatch(ctx, p.player.World.Pool, tid, p.batch)
	if errors.Is(err, switching.ErrNoBatch) {
		return nil, nil //nolint:nilnil // a terminal that sold nothing yet has none
	}
	if err != nil {
		return nil, fmt.Errorf("look into the batch: %w", err)
	}
	return report, nil
}
