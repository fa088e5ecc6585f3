// Package dukpt derives the keys of terminals that use a new one for each
// transaction (derived unique key per transaction), over clear keys.
//
//	base key ──InitialKey──▶ initial key ──WorkingKey──▶ key of one transaction and one purpose
//	host                     terminal's whole life        KSN = who, and the how-manieth
//
//	TDES  ANSI X9.24-1:2009   KSN 10 bytes, counter of 21 bits with at most 10 ones
//	AES   ANSI X9.24-3:2017   KSN 12 bytes, counter of 32 bits with at most 16 ones
//
// Invariants:
//
//   - Counter 0 is no transaction: its key would be the initial key itself. More
//     ones than allowed are no transaction either, as a terminal skips them.
//   - A working key is not stronger than the initial key it comes from.
//   - A counter must be above the last one seen from the terminal; whoever keeps
//     terminals keeps that, see [KSN.Counter].
//
// InitialKey is for the security module, WorkingKey for both sides.
package dukpt
