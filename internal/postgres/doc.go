// Package postgres opens the pools that Meridian's services use and says what
// an error from the database means for the money.
//
//	error  ->  Classify  ->  NotCommitted | Unknown | Permanent
//
// Invariants:
//
//   - A service's connection has assumed the service role: it cannot change or
//     remove a transfer, whatever statement reaches it.
//   - Not committed and unknown are told apart. Only the first may be answered
//     as if nothing had happened.
package postgres
