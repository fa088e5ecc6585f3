package loadgen

// UnionPay is the binary form of UnionPay's POS terminals: TPDU and application
// header, one bitmap, F22 filled on the right, tracks and every numeric with a
// length in BCD from the left, and sub-fields that are digits of F48, F60 and F61.
func UnionPay() Dialect {
	return Dialect{
		name: "unionpay", binary: true, table: &unionPayFields,
		// To NII 003; payment (60), version 31, in service, no demand.
		head: "\x60\x00\x03\x00\x00" + "\x60\x31\x00\x00\x00\x00",
	}
}

// unionPayFields are those of POS messages, after UnionPay's POS specification,
// and those that acquirers have agreed upon beside it in published messages.
var unionPayFields = fieldTable{
	2:  {digits: true, size: 19, prefix: 2},
	3:  {digits: true, size: 6},
	4:  {digits: true, size: 12},
	11: {digits: true, size: 6},
	12: {digits: true, size: 6},
	13: {digits: true, size: 4},
	14: {digits: true, size: 4},
	15: {digits: true, size: 4},
	22: {digits: true, size: 3, left: true},
	23: {digits: true, size: 3},
	25: {digits: true, size: 2},
	26: {digits: true, size: 2},
	32: {digits: true, size: 11, prefix: 2},
	35: {digits: true, size: 37, prefix: 2},
	36: {digits: true, size: 104, prefix: 3},
	37: {size: 12},
	38: {size: 6},
	39: {size: 2},
	41: {size: 8},
	42: {size: 15},
	44: {size: 25, prefix: 2},
	46: {size: 999, prefix: 3},
	47: {size: 999, prefix: 3},
	48: {digits: true, size: 322, prefix: 3},
	49: {size: 3},
	52: {size: 8},
	53: {digits: true, size: 16},
	54: {size: 20, prefix: 3},
	55: {size: 255, prefix: 3},
	57: {size: 999, prefix: 3},
	59: {size: 999, prefix: 3},
	60: {digits: true, size: 17, prefix: 3},
	61: {digits: true, size: 29, prefix: 3},
	62: {size: 999, prefix: 3},
	63: {size: 163, prefix: 3},
	64: {size: 8},
}

// Sub-fields of the answer's application header, behind the TPDU.
const (
	tpduBytes   = 5
	demandByte  = tpduBytes + 2 // terminal's status and demand, a digit each
	demandDigit = 0x0F
)

// Demand is the digit with which an answer asks the terminal for something: 0 for
// nothing, 1 to download parameters, 2 to report its status, 3 to sign in again.
func (m Message) Demand() int {
	if len(m.Head) <= demandByte {
		return 0
	}
	return int(m.Head[demandByte] & demandDigit)
}
