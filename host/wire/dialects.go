package wire

import "sync"

// Names of the built-in specs.
const (
	NameASCII87  = "ascii"
	NameNAC      = "nac"
	NameUnionPay = "unionpay"
)

// ASCII87 is ISO 8583:1987 with ASCII fields as jPOS's ISO87APackager and moov's
// Spec87ASCII agree on it: a bitmap of 16 hex characters (32 with a field above
// 64), binary fields as hex (F52, F64 and F128 16 characters, F96 32), decimal
// length prefixes. F55 is LLLVAR characters in both; it carries hex digits here,
// and text that is not hex is passed through. Where the two differ in a length
// (F44: 25 against 99) jPOS's, which is the standard's, holds.
func ASCII87() *Spec { return ascii87() }

var ascii87 = sync.OnceValue(func() *Spec {
	return mustCompile(buildMoov(NameASCII87, style{
		mti:          asciiNumeric,
		fixedNumeric: asciiNumeric,
		varNumeric:   asciiNumeric,
		track:        asciiTrack{},
		amount:       asciiAmount,
		binary:       hexDigits{},
		bitmap:       hexDigits{},
		ll:           asciiLL,
		lll:          asciiLLL,
	}, iso87Rows(KindHexText)))
})

// NAC is ISO 8583:1987 in the binary form of terminals behind an NAC, as jPOS's
// ISO87BPackager has it: a bitmap of 8 or 16 bytes, fixed numerics in BCD padded
// on the left with 0, LL numerics and track 2 padded on the right, length
// prefixes in BCD, characters in ASCII, F52, F64, F96 and F128 raw, F55 raw bytes
// behind their length.
func NAC() *Spec { return nac() }

var nac = sync.OnceValue(func() *Spec {
	return mustCompile(buildMoov(NameNAC, style{
		mti:          bcdLeft,
		fixedNumeric: bcdLeft,
		varNumeric:   bcdRight,
		track:        bcdTrack,
		amount:       bcdAmount,
		binary:       raw{},
		bitmap:       raw{},
		ll:           bcdLL,
		lll:          bcdLLL,
	}, iso87Rows(KindBinary)))
})
