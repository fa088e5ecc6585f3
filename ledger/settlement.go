package ledger

import (
	"fmt"

	"github.com/google/uuid"

	"meridian/internal/money"
)

// account of the statement's merchant.
func (s *Statement) account(role Role) AccountID { return Account(role, int64(s.MerchantID)) }

// settle decides what the close of the business date posts for one merchant,
// once its movements, discount, opening balances and due reserves are known. It
// fills in the rest of the statement and returns the transfers:
//
//	settlement       pending → payable, so that nothing stays pending on a closed date
//	discount         payable → revenue, and what of it comes back with refunds
//	reserve release  reserve → payable, of what was held back long enough
//	recovery         payable → receivable, of what the merchant owes from earlier dates
//	reserve          payable → reserve, but no more than there is
//	shortfall        receivable → payable, of what the payable is short: it is never negative
func (s *Statement) settle(id uuid.UUID, terms ReserveTerm) (Journal, error) {
	j := Journal{ID: id, Date: s.BusinessDate, Currency: s.Currency}
	s.JournalID = id
	pending, payable := s.account(RoleMerchantPending), s.account(RoleMerchantPayable)
	receivable, reserve := s.account(RoleMerchantReceivable), s.account(RoleMerchantReserve)
	revenue := Account(RoleDiscountRevenue, 0)

	var total checkedSum
	total.add(s.Opening.PayableMinor, s.GrossMinor, -s.Refunds.Minor, s.RefundReversals.Minor, -s.Adjustments.Minor, s.OtherMinor)
	transferEither(&j, KindSettlement, pending, payable, s.GrossMinor)

	total.add(-s.DiscountMinor, s.DiscountReturnedMinor, s.ReserveReleasedMinor)
	j.Post(KindDiscount, payable, revenue, s.DiscountMinor)
	transferEither(&j, KindDiscountReturn, revenue, payable, s.DiscountReturnedMinor)
	j.Post(KindReserveRelease, reserve, payable, s.ReserveReleasedMinor)

	var owed, held checkedSum
	owed.add(s.Opening.ReceivableMinor, s.otherReceivableMinor)
	held.add(s.Opening.ReserveMinor, s.otherReserveMinor, -s.ReserveReleasedMinor)
	s.RecoveredMinor = max(0, min(total.minor, owed.minor))
	total.add(-s.RecoveredMinor)
	j.Post(KindRecovery, payable, receivable, s.RecoveredMinor)

	withheld, err := money.MulRateHalfEven(max(0, s.GrossMinor), terms.RateMillionths)
	if err != nil {
		return j, fmt.Errorf("reserve: %w", err)
	}
	s.ReserveMinor = min(withheld, max(0, total.minor))
	if s.ReserveMinor > 0 {
		release := s.BusinessDate.AddDays(terms.ReleaseDays)
		s.ReserveReleaseOn = &release
	}
	total.add(-s.ReserveMinor)
	j.Post(KindReserve, payable, reserve, s.ReserveMinor)

	s.ToReceivableMinor = max(0, -total.minor)
	total.add(s.ToReceivableMinor)
	j.Post(KindReceivable, receivable, payable, s.ToReceivableMinor)

	owed.add(s.ToReceivableMinor, -s.RecoveredMinor)
	held.add(s.ReserveMinor)
	s.Closing = Balances{PayableMinor: total.minor, ReceivableMinor: owed.minor, ReserveMinor: held.minor}
	if total.overflow || owed.overflow || held.overflow {
		return j, fmt.Errorf("balances of merchant %d: %w", s.MerchantID, money.ErrOverflow)
	}
	return j, nil
}

// transferEither posts a signed amount: from debit to credit, or back when it
// is negative.
func transferEither(j *Journal, kind Kind, debit, credit AccountID, minor int64) {
	if minor < 0 {
		j.Post(kind, credit, debit, -minor)
		return
	}
	j.Post(kind, debit, credit, minor)
}

// checkedSum notices when a sum leaves int64.
type checkedSum struct {
	minor    int64
	overflow bool
}

func (c *checkedSum) add(values ...int64) {
	for _, v := range values {
		sum, ok := money.Add(c.minor, v)
		c.minor, c.overflow = sum, c.overflow || !ok
	}
}
