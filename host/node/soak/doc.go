// Package soak holds what a host must keep up over weeks of business dates: its
// tests fill a durable database through a real node and measure the cutover
// under live sales. A small month runs with every other test; `make soak-cutover`
// runs the large one.
//
//	tellers ── Submit ──▶ switch ──▶ ledger ◀── cutover, by the node's own housekeeping
//	live terminals ── TCP ──▶ sessions ─┘         │
//	      │ what they were answered               ▼
//	      └──▶ book ────────── compared with ── statements, transfers
//
// Invariants:
//
//   - Nothing that is measured is measured twice as fast by waiting: a live
//     terminal's time runs from the moment at which its sale was due.
//   - The book is written from answers alone and added up in Go: it shares no
//     query with the close or the verification that it is compared with.
//   - No test fails for the time that something took. The large run prints the
//     times and what it thinks of them.
package soak
