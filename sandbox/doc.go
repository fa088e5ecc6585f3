//go:build unix

// Package sandbox runs a whole host on one machine for those who build against
// it: a Postgres of its own, the schema, test merchants, terminals and cards,
// and a file that tells other programs where everything is.
//
//	Start: hold the data directory → Postgres → migrate → seed → node → sandbox.json
//	Run:   serve … until told to end → sandbox.json goes → drain → Postgres stops
//
//	DataDir/
//	├── sandbox.lock   flock: one live sandbox per data directory
//	├── sandbox.json   0600, there exactly while the host is ready
//	└── postgres…      the private Postgres, see package pglocal
//
// Invariants:
//
//   - What is seeded is public: test card numbers, keys derived from names, a
//     vault under the well-known key. Production refuses all of it.
//   - A production database that somebody uses is never touched: it is looked at
//     before it is migrated, and again, locked, before it is seeded.
//   - Seeding is one transaction and can be repeated: a second start changes
//     nothing, one that was killed left nothing half done.
//   - Opening balances are transfers like any others, so that the ledger's own
//     verification holds for the sandbox too.
//   - sandbox.json appears in one piece when every address listens, and is gone
//     before the drain begins. One that a killed run left goes first of all.
//   - What goes wrong on purpose is package scenario's, and goes wrong after the
//     commit.
//   - An ephemeral sandbox removes everything it made.
package sandbox
