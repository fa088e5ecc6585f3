package dialect

import (
	"meridian/host/wire"
	"meridian/switch"
)

// operation is one row of the message matrix (reference: UnionPay, §3).
type operation struct {
	kind switching.Kind
	// preauth: the pre-authorization family, told by F25 06.
	preauth bool
	// of is what it speaks of.
	of switching.Kind
	// reversible by a 0400. What is not is repeated until it is answered.
	reversible bool
	// noted: an upload of what the terminal saw fail, which is compared with nothing.
	noted bool
	// several: an upload of several, with their details in F48.
	several bool
	// afterUpload: the end of a batch that had to be uploaded.
	afterUpload bool
	keys        switching.KeyForm
	catalogue   switching.Catalogue
	// answer is what its answer carries.
	answer []int
}

// network tells whether it is about the terminal itself: no batch, no money.
func (o *operation) network() bool {
	switch o.kind {
	case switching.KindLogon, switching.KindSignOff, switching.KindEcho,
		switching.KindStatus, switching.KindDownload, switching.KindDownloadEnd:
		return true
	default:
		return false
	}
}

// financialKey is class, transaction type (F3, first two digits) and message type
// (F60.1) of a financial request.
type financialKey struct{ class, transaction, messageType string }

// financialOperations are the transactions. What is not here is not supported:
// points, purses, reservations, top-ups.
var financialOperations = pointers(map[financialKey]operation{
	{"020", "31", "01"}: {kind: switching.KindBalance, answer: balanceAnswer},
	{"020", "00", "22"}: {kind: switching.KindSale, reversible: true, answer: saleAnswer},
	{"020", "20", "23"}: {kind: switching.KindVoid, of: switching.KindSale, reversible: true, answer: saleAnswer},
	{"022", "20", "25"}: {kind: switching.KindRefund, answer: refundAnswer},
	// A refund of an offline sale by electronic cash: it is a sale like others here.
	{"022", "20", "27"}: {kind: switching.KindRefund, answer: refundAnswer},

	{"010", "03", "10"}: {kind: switching.KindAuthorization, preauth: true, reversible: true, answer: saleAnswer},
	{"010", "20", "11"}: {kind: switching.KindVoid, preauth: true, of: switching.KindAuthorization, reversible: true, answer: saleAnswer},
	{"020", "00", "20"}: {kind: switching.KindCompletion, preauth: true, of: switching.KindAuthorization, reversible: true, answer: saleAnswer},
	{"022", "00", "24"}: {kind: switching.KindCompletion, preauth: true, of: switching.KindAuthorization, answer: saleAnswer},
	{"020", "20", "21"}: {kind: switching.KindVoid, preauth: true, of: switching.KindCompletion, reversible: true, answer: saleAnswer},

	{"022", "00", "30"}: {kind: switching.KindAdvice, answer: saleAnswer},
	{"020", "00", "36"}: {kind: switching.KindAdvice, answer: saleAnswer}, // a chip's, uploaded
	{"022", "00", "32"}: {kind: switching.KindAdjustment, of: switching.KindSale, answer: saleAnswer},
	{"022", "00", "34"}: {kind: switching.KindAdjustment, of: switching.KindSale, answer: saleAnswer}, // with a tip
})

// pointers lets every message of a kind have the one operation, which is not
// changed, in place of a copy.
func pointers[K comparable](table map[K]operation) map[K]*operation {
	shared := make(map[K]*operation, len(table))
	for key := range table {
		op := table[key]
		shared[key] = &op
	}
	return shared
}

// reversibleTypes are the message types that a reversal may repeat, with their F3;
// false for those that are not reversible.
var reversibleTypes = func() map[[2]string]bool {
	types := map[[2]string]bool{}
	for key := range financialOperations {
		types[[2]string{key.transaction, key.messageType}] = financialOperations[key].reversible
	}
	return types
}()

// refusedOperation is that of a message which asks for nothing known.
var refusedOperation = operation{answer: refusedAnswer}

// reversalOf is the operation of every reversal.
var reversalOf = operation{kind: switching.KindReversal, answer: reversalAnswer}

// networkKey is class and network management information (F60.3).
type networkKey struct{ class, code string }

// networkOperations are told by F60.3 alone.
var networkOperations = pointers(map[networkKey]operation{
	{"080", "001"}: {kind: switching.KindLogon, keys: switching.KeysSingle, answer: signInAnswer},
	{"080", "003"}: {kind: switching.KindLogon, keys: switching.KeysDouble, answer: signInAnswer},
	{"080", "004"}: {kind: switching.KindLogon, keys: switching.KeysWithTrack, answer: signInAnswer},
	{"082", "002"}: {kind: switching.KindSignOff, answer: signOffAnswer},
	{"082", "301"}: {kind: switching.KindEcho, answer: echoAnswer},
	{"080", "301"}: {kind: switching.KindEcho, answer: echoAnswer}, // as a few terminals send it

	{"082", "362"}: {kind: switching.KindStatus, catalogue: switching.TerminalParameters, answer: statusAnswer},
	{"082", "372"}: {kind: switching.KindStatus, catalogue: switching.PublicKeys, answer: listAnswer},
	{"082", "382"}: {kind: switching.KindStatus, catalogue: switching.ChipApplications, answer: listAnswer},
	{"082", "373"}: {kind: switching.KindStatus, catalogue: switching.ForeignKeys, answer: listAnswer},
	{"080", "360"}: {kind: switching.KindDownload, catalogue: switching.TerminalParameters, answer: listAnswer},
	{"080", "364"}: {kind: switching.KindDownload, catalogue: switching.TerminalParameters, answer: listAnswer},
	{"080", "370"}: {kind: switching.KindDownload, catalogue: switching.PublicKeys, answer: listAnswer},
	{"080", "380"}: {kind: switching.KindDownload, catalogue: switching.ChipApplications, answer: listAnswer},
	{"080", "361"}: {kind: switching.KindDownloadEnd, catalogue: switching.TerminalParameters, answer: listAnswer},
	{"080", "371"}: {kind: switching.KindDownloadEnd, catalogue: switching.PublicKeys, answer: listAnswer},
	{"080", "381"}: {kind: switching.KindDownloadEnd, catalogue: switching.ChipApplications, answer: listAnswer},

	{"050", "201"}: {kind: switching.KindSettlement, answer: settlementAnswer},
	{"032", "201"}: {kind: switching.KindUpload, several: true, answer: uploadAnswer},
	{"032", "202"}: {kind: switching.KindTrailer, afterUpload: true, answer: uploadAnswer},
	{"032", "207"}: {kind: switching.KindTrailer, answer: uploadAnswer},
	{"032", "203"}: {kind: switching.KindUpload, answer: uploadAnswer},
	{"032", "205"}: {kind: switching.KindUpload, answer: uploadAnswer},
	{"032", "204"}: {kind: switching.KindUpload, noted: true, answer: uploadAnswer},
	{"032", "206"}: {kind: switching.KindUpload, noted: true, answer: uploadAnswer},
	{"062", "951"}: {kind: switching.KindScript, answer: scriptAnswer},
})

// operationOf says what a message asks for.
func operationOf(m *wire.Message) (*operation, field60, *Refusal) {
	mti := m.MTI()
	if _, ok := answerMTI(mti); !ok {
		return nil, field60{}, unsupported(0, "message type is not a request of UnionPay's")
	}
	f60, refusal := readField60(m)
	if refusal != nil {
		return nil, f60, refusal
	}
	var op *operation
	switch class := mti[:3]; class {
	case "010", "020", "022":
		op, refusal = financialOperation(m, class, f60)
	case "040":
		op, refusal = reversalOperation(m, f60)
	case "032", "050", "062", "080", "082":
		op, refusal = networkOperation(class, f60)
	default:
		refusal = unsupported(0, "message type is not supported")
	}
	return op, f60, refusal
}

func financialOperation(m *wire.Message, class string, f60 field60) (*operation, *Refusal) {
	transaction, refusal := transactionType(m)
	if refusal != nil {
		return nil, refusal
	}
	op, ok := financialOperations[financialKey{class, transaction, f60.messageType}]
	if !ok {
		return nil, noTransaction(f60.messageType)
	}
	return op, condition(m, op.preauth)
}

// reversalOperation: a reversal has its original's F3, F25 and F60.1.
func reversalOperation(m *wire.Message, f60 field60) (*operation, *Refusal) {
	transaction, refusal := transactionType(m)
	if refusal != nil {
		return nil, refusal
	}
	reversible, known := reversibleTypes[[2]string{transaction, f60.messageType}]
	switch {
	case !known:
		return nil, noTransaction(f60.messageType)
	case !reversible: // 12 ends the terminal's attempts
		return nil, &Refusal{Reason: switching.InvalidTransaction, Field: 60, Problem: "transaction is not reversible: it is repeated until it is answered"}
	}
	return &reversalOf, nil
}

// networkOperation: by F60.3; and single notices (refund, offline sale, …) of an
// upload by F60.1.
func networkOperation(class string, f60 field60) (*operation, *Refusal) {
	if class == "032" && f60.messageType != "00" {
		kind, ok := kindsByType[f60.messageType]
		if !ok {
			return nil, noTransaction(f60.messageType)
		}
		return &operation{kind: switching.KindUpload, of: kind, answer: uploadAnswer}, nil
	}
	op, ok := networkOperations[networkKey{class, f60.network}]
	if !ok {
		return nil, unsupported(60, "network management code is not supported")
	}
	return op, nil
}

func transactionType(m *wire.Message) (string, *Refusal) {
	processing := m.Get(3)
	switch {
	case processing == "":
		return "", malformed(3, "missing")
	case len(processing) < 2:
		return "", malformed(3, "too short")
	default:
		return processing[:2], nil
	}
}

// kindsByType are the transactions by their message type (F60.1) alone, which no
// two of them share.
var kindsByType = func() map[string]switching.Kind {
	kinds := map[string]switching.Kind{}
	for key := range financialOperations {
		kinds[key.messageType] = financialOperations[key].kind
	}
	return kinds
}()

// noTransaction tells what cannot be from what is not supported.
func noTransaction(messageType string) *Refusal {
	if kindsByType[messageType] != 0 {
		return malformed(60, "message type does not go with the message and field 3")
	}
	return unsupported(60, "transaction is not supported")
}

// preauthCondition is F25 of the pre-authorization family.
const preauthCondition = "06"

// condition holds F25 against the family: 00, 82 and others are for the rest.
func condition(m *wire.Message, preauth bool) *Refusal {
	switch got := m.Get(25); {
	case got == "":
		return malformed(25, "missing")
	case preauth != (got == preauthCondition):
		return malformed(25, "does not go with the message type of field 60")
	default:
		return nil
	}
}
