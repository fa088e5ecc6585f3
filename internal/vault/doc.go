// Package vault keeps keys and card numbers at rest: it wraps what the database
// stores and turns card numbers into tokens.
//
//	master key file ──LoadMasterKey──▶ MasterKey ──Open──▶ Vault
//	                                                         │ HKDF-SHA256, one label per use
//	                                  ┌──────────────────────┼───────────────┐
//	                                  ▼                      ▼               ▼
//	                             wrapping               token            id
//	                             Wrap, Unwrap           Token            in every header
//
// A wrapped value is
//
//	version 1 byte │ key id 4 bytes │ nonce 24 bytes │ ciphertext │ tag 16 bytes
//	└──────── authenticated, with the usage ────────┘
//
// Invariants:
//
//   - The master key encrypts nothing itself; each derived key has one use.
//   - A wrapped value opens only for the usage it was wrapped for: a wrapped MAC
//     key that is copied into the column of a PIN key stays closed.
//   - The header names its key, so that a vault with several keys can choose,
//     and one with the wrong key can say so.
//   - A key that everybody knows says that it is a sandbox key, and production
//     asks ([Vault.IsSandbox]) before it starts.
//   - Nothing here can be printed: see [Secret]. Errors name files, usages and
//     key ids, never content.
//
// A Vault does not change after [Open] and serves any number of goroutines.
package vault
