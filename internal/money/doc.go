// Package money holds amounts the way the ledger and the wire hold them: whole
// minor units in an int64, beside the ISO 4217 currency that says how many
// decimals the minor unit stands for.
//
//	"12.34" ──ParseMinor──▶ 1234 minor units ──FormatMinor──▶ "12.34"
//	                          │         ▲
//	                          ▼         │
//	         Add, Sub, Neg (overflow checked), MulRateHalfEven
//
// Invariants:
//
//   - No floating point anywhere. What a terminal sent, what the ledger posts
//     and what a statement prints are the same integer.
//   - Arithmetic reports overflow, it never wraps.
//   - There is one rounding rule, half to even, and it is applied once per
//     transaction where a rate is involved.
//
// The package imports nothing of Meridian: everything may stand on it.
package money
