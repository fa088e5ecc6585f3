// Package switching takes requests, decides them and keeps the life of every
// transaction. Its folder is switch, which is a word of the language.
//
//	Submit ─▶ directory ─▶ lane of the merchant's bucket ─▶ unit of work ─▶ answer
//	                                                        │
//	                                    load ─▶ Decide ─▶ store ─▶ commit
//	                         (what is known is not loaded)
//
// Invariants:
//
//   - An answer leaves after its commit. A lost answer is repeated, a lost
//     posting is not.
//   - Decide is pure: facts and a request in, a verdict out. No clock, no I/O,
//     no SQL. What decides a live request also previews one.
//   - What a lane takes for granted is proved by the transaction that stores what
//     was decided over it, or nothing is stored: presume.go.
//   - A key (merchant, terminal, batch, STAN, class) is decided once. The same
//     content again gets the stored answer; other content gets 94. What
//     pays back is given once under its STAN, whatever its batch.
//   - A commit whose outcome is unknown is run again; until it is known, nobody
//     is told that it was approved or that nothing happened, and who had to be
//     told something meanwhile is made right by a reversal of the host's own.
//   - An approval that was told out of the store is not taken back by another
//     host, and one that was taken back is not told: claim.go.
//   - One request's failure never fails its neighbours in a unit of work.
//   - This package knows reasons, not the two characters a dialect has for
//     them, and neither field numbers nor message types.
package switching
