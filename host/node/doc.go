// Package node puts one host together: pool, switch, dialects, sessions and the
// ops address. Production and sandbox run the same node.
//
//	listeners ─▶ sessions ─▶ pipeline ─▶ switch ─▶ ledger
//	ops: /metrics /livez /readyz
//
// Invariants:
//
//   - A node that started has listened on every address it was given.
//   - It ends by draining: no new connections, no new frames, what is in flight
//     is finished and answered, then the lanes and the pool close.
package node
