//go:build unix

// Package pgtest gives tests a real Postgres: a fresh database for every test,
// and servers of a test's own to kill.
//
//	test binary ──locks──▶ slot 0, 1, 2 … in memory, or in the temporary directory
//	                        └── one server, started by the first test that asks
//	                             ├── template per migrate function, made once
//	                             └── database per test, a copy of its template
//	            └─────▶ a stopped server per prepare function, made once
//	                     └── server per test that asks for its own, a copy of its files
//
// Invariants:
//
//   - A test's database starts as its migrate function left it, whatever other
//     tests did, and is dropped when the test ends.
//   - A test binary has its server alone. Slots are kept, so that only the first
//     run on a machine waits for initdb; everything else in them is removed when
//     a binary takes one. A slot that does not start is made anew.
//   - Nothing has to be cleaned up after a test binary that was killed: its
//     server ends with it, at the latest when the next one takes the slot.
//
// The shared server is not crash-safe: its data is worth nothing. Servers of
// [Server] and [Prepared] are when asked to be.
//
// MERIDIAN_TEST_DATABASE_URL, the URL of a superuser, makes every [Database] live
// on that server instead. Several binaries may use it at once.
package pgtest
