// Package ledger keeps the money: accounts, transfers, holds, on-us cards,
// business dates and their windows, and the verification that recomputes all
// of it.
//
//	          card:{id} ──sale──▶ merchant:{id}:pending
//	                                     │ cutoff
//	                                     ▼
//	card:{id} ◀──refund── merchant:{id}:payable ──payout──▶ bank
//
// Invariants:
//
//   - A transfer moves a positive amount of minor units from one account to
//     another in one currency: transfers balance by construction, and what is
//     kept beside them (cards, what was carried forward) balances with them.
//   - A transfer is never changed or removed; a correction is another transfer.
//     Months leave as a whole, when all of it is closed: what accounts moved in
//     them is carried forward, and every position is a sum over that and transfers.
//   - A hold is posted or voided, each at most once. What a hold still reserves
//     is its pending transfers less what posted or voided them.
//   - The only kept balance is a card's. Every other position is a sum over
//     transfers, so that no row is hot at authorization.
//   - A card is changed only where it is still as the decision over it saw it, and
//     loaded once for each reference, however long ago that was.
//   - A business date is the half-open [opens_at, closes_at) of its calendar.
//     Its instants are rows, computed once.
//   - A bucket's business dates close one after the other: cut, settled, sealed.
//     Nothing is pending on a closed date, its statements are its transfers, and
//     its transfers are as they were sealed.
//   - This package knows no message, field number or response code.
package ledger
