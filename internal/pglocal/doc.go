//go:build unix

// Package pglocal runs a private Postgres for the sandbox and for tests: found
// on the machine or downloaded, initialised once, started, stopped and, for
// fault tests, killed.
//
//	DataDir/                          owned by whoever runs Meridian
//	├── postgres.lock                 flock: one live owner per data directory
//	├── postgres.password             0600, made once, before the cluster
//	├── postgres.port                 chosen once, again only when it is taken
//	├── postgres.log, postgres.log.1  what the server says, bounded
//	├── postgres.location             only when the cluster must live elsewhere
//	├── postgres.init-*/              a first start in progress; never used after a crash
//	└── postgres/                     the cluster, owned by the account that runs it
//
//	Start: lock → place → stop what a dead owner left → initdb (aside, then
//	rename) → configure → run → wait until it accepts a connection
//
// Invariants:
//
//   - One owner. The flock on postgres.lock is held from Start to Stop, and the
//     kernel gives it back however the owner dies. A server that still runs
//     without an owner is shut down (fast) before a new one starts.
//   - A cluster is whole or absent: initdb works in a directory beside it, which
//     is renamed when everything in it is on disk.
//   - Durable unless [Options.FastUnsafe] is set: fsync, full_page_writes and
//     synchronous_commit are on, data checksums too.
//   - No trust: TCP on the loopback address only, SCRAM with a random password,
//     no Unix socket.
//   - Never root. Postgres refuses it, so root runs it as the owner of the
//     existing cluster, else of the data directory, else as the account postgres,
//     else as nobody.
//   - The server's log holds no statements and no parameter values.
//
// On Linux the kernel asks the server for a fast shutdown when its owner dies.
// Elsewhere it goes on until the next Start on the same data directory.
package pglocal
