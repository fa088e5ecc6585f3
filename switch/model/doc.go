// Package model is what package switching does, told a second time: small, in
// memory, without a database, and for tests alone. It is written from the
// reference documents (the void-or-refund table, the worked postings, the host
// semantics of the NAC reference) and what docs/ promises of batches, reviews and
// settlement, and not from the decision of package switching, of which it imports
// nothing. A property test asks both the same questions and compares answers,
// balances, batches, statements and postings after every step: a mistake must be
// made twice, in two ways, to go unseen.
//
//	rapid ─┬─▶ World.Ask                   ─┬─▶ equal?
//	       └─▶ switching.Switch ─▶ Postgres ─┘
//
// Invariants:
//
//   - A World is a value: Clone makes another that shares nothing. Racing
//     requests are right if some order of them, each in its own clone, gives the
//     same answers and the same world.
//   - Time is the field Now; nothing here reads a clock.
//   - Where the documents leave a choice, the choice stands where it is made,
//     under "Not in the documents".
package model
