//go:build unix

// Package bench measures a host beside the database it stands on. Machines are
// noisy, so every figure is a ratio of two that were measured in one run, one
// round after the other:
//
//	private Postgres (durable) ◀── pgbench TPC-B, one approval per transaction, one-row commits
//	          ▲        ▲
//	          │        └────────── units of work in process
//	   meridian serve ◀─────────── terminals over TCP: NAC and UnionPay in closed loops, mix, open loop, echo, idle
//
// Invariants:
//
//   - Nothing is traded for speed: fsync, synchronous_commit and
//     full_page_writes are on, every message of a measured load carries a MAC,
//     and an answer that is not an approval ends the run.
//   - Host, load generator and Postgres are processes of their own, so that the
//     processor time of each is known.
//   - A round measures everything once; the report gives medians over rounds.
//   - After the run host and Postgres are killed under load: what was answered
//     is stored, once, or the run fails. Then the ledger is verified.
package bench
