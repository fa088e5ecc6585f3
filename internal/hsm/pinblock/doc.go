// Package pinblock builds and reads PIN blocks: ISO 9564-1 formats 0, 1, 3 and
// 4, and UnionPay's block without a card number.
package pinblock
