// Package scenario is how a sandbox says no on purpose, and how its answers go
// astray, for those who try their terminals against it.
//
//	host: Play(request) ─▶ rule of its terminal, else its card and amount ─▶ Scenario (the decision) + Departure (the answer's way)
//
// Invariants:
//
//   - What is decided goes through the one decision there is, and is stored; what
//     goes astray is an answer, after its commit. So a repeat gets what is stored
//     and a reversal undoes what happened, as in production.
//   - Only first answers are played with. A rule that met a repeat is not used up.
//   - Cards and amounts count for purchases alone, and only on the published cards:
//     no other card's amount is looked at. What follows a purchase (a void, a
//     reversal, the settlement) is as always, unless a rule says otherwise.
//   - Rules live as long as the sandbox does. Rules, and answers that are held back,
//     are bounded; a held answer is dropped after [HoldFor].
//   - Package host has one seam for all of this, which [Engine] fills. A production
//     host has no engine, and nothing that it could be told to make one by.
package scenario
