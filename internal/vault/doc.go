// Package vault keeps keys and card numbers at rest: it wraps what the database
// stores and turns card numbers into tokens.
//
//	master key files ──LoadMasterKeys──▶ MasterKeys ──Open──▶ Vault
//	                                                           │ HKDF-SHA256, one label per use
//	                                                ┌──────────┴─────────────┐
//	                                                ▼                        ▼
//	                                            wrapping                    id
//	                                  Wrap, Unwrap, Rewrap            in every header
//	                                                ▲
//	  table of data keys ──OpenDataKeys──▶ DataKeys ┘
//	                                       token key: Token
//	                                       PIN reference key: HMAC, for the security module
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
//   - The first of several master keys wraps, all of them open: the header names
//     its key. So a master key is exchanged while hosts run.
//   - What cannot be made anew does not depend on a master key. Tokens and PIN
//     references are under data keys, which are wrapped rows with versions; a new
//     master key wraps them again and changes none of them.
//   - A key that everybody knows says that it is a sandbox key, and production
//     asks ([Vault.IsSandbox]) before it starts.
//   - Nothing here can be printed: see [Secret]. Errors name files, usages and
//     key ids, never content.
//
// Neither a Vault nor its DataKeys change after they were opened, and they serve
// any number of goroutines.
package vault
