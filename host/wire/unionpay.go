package wire

import "sync"

// UnionPay is the form of UnionPay's POS terminals: one bitmap of 8 bytes, fixed
// numerics in BCD, every other numeric and the tracks in BCD from the left with a
// 0 behind an odd number of digits, length prefixes in BCD, characters in ASCII,
// F52, F55 and F64 raw. Lengths count digits, characters or bytes.
//
// Bit 1 is refused: UnionPay's POS messages end with F64, which is their MAC, and
// a field behind it would not be covered by it.
func UnionPay() *Spec { return unionPay() }

var unionPay = sync.OnceValue(func() *Spec {
	m := buildMoov(NameUnionPay, style{
		mti:          bcdLeft,
		fixedNumeric: bcdLeft,
		varNumeric:   bcdRight,
		track:        bcdTrackSealed,
		amount:       bcdAmount,
		binary:       raw{},
		bitmap:       raw{},
		ll:           bcdLL,
		lll:          bcdLLL,
		own:          map[int]codec{22: bcdRight},
	}, unionPayRows)
	m.Fields[1].Spec().DisableAutoExpand = true
	s := mustCompile(m)
	s.private = unionPayPrivate
	return s
})

// unionPayRows is the field table of UnionPay's POS specification, and after it
// the fields that terminals and acquirers in the field have agreed upon beside it
// (43, 46, 47, 56 to 59). Text is Chinese there and in F63, F62 holds keys and
// tables, and so they take any byte. F62 may be as long as its prefix allows:
// signatures travel there.
var unionPayRows = []row{
	{2, "Primary account number", KindNumeric, LL, 19},
	{3, "Processing code", KindNumeric, Fixed, 6},
	{4, "Amount, transaction", KindNumeric, Fixed, 12},
	{11, "System trace audit number", KindNumeric, Fixed, 6},
	{12, "Time, local transaction", KindNumeric, Fixed, 6},
	{13, "Date, local transaction", KindNumeric, Fixed, 4},
	{14, "Date, expiration", KindNumeric, Fixed, 4},
	{15, "Date, settlement", KindNumeric, Fixed, 4},
	{22, "Point of service entry mode", KindNumeric, Fixed, 3},
	{23, "Card sequence number", KindNumeric, Fixed, 3},
	{25, "Point of service condition code", KindNumeric, Fixed, 2},
	{26, "Point of service PIN capture code", KindNumeric, Fixed, 2},
	{32, "Acquiring institution identification code", KindNumeric, LL, 11},
	{35, "Track 2 data", KindTrack, LL, 37},
	{36, "Track 3 data", KindTrack, LLL, 104},
	{37, "Retrieval reference number", KindText, Fixed, 12},
	{38, "Authorization identification response", KindText, Fixed, 6},
	{39, "Response code", KindText, Fixed, 2},
	{41, "Card acceptor terminal identification", KindText, Fixed, 8},
	{42, "Card acceptor identification code", KindText, Fixed, 15},
	{43, "Card acceptor name and location", KindPrivate, Fixed, 40},
	{44, "Additional response data", KindText, LL, 25},
	{46, "Additional data, ISO", KindPrivate, LLL, 999},
	{47, "Additional data, national", KindPrivate, LLL, 999},
	{48, "Additional data, private", KindNumeric, LLL, 322},
	{49, "Currency code, transaction", KindText, Fixed, 3},
	{52, "Personal identification number data", KindBinary, Fixed, 8},
	{53, "Security related control information", KindNumeric, Fixed, 16},
	{54, "Balance", KindText, LLL, 120},
	{55, "ICC data", KindBinary, LLL, 255},
	{56, "Text of the response", KindPrivate, LLL, 999},
	{57, "Additional transaction data", KindPrivate, LLL, 999},
	{58, "Electronic purse data", KindPrivate, LLL, 999},
	{59, "Terminal data", KindPrivate, LLL, 999},
	{60, "Type, batch and network management", KindNumeric, LLL, 17},
	{61, "Original message", KindNumeric, LLL, 29},
	{62, "Keys, status and parameters", KindPrivate, LLL, 999},
	{63, "Operator, card scheme and text", KindPrivate, LLL, 163},
	{64, "Message authentication code", KindBinary, Fixed, 8},
}
