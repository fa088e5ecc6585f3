package terminal

import "slices"

// Operation is something a terminal does.
type Operation string

// The operations, by the names of their commands.
const (
	Echo     Operation = "echo"
	Logon    Operation = "logon"
	Sale     Operation = "sale"
	Preauth  Operation = "preauth"
	Complete Operation = "complete"
	Void     Operation = "void"
	Refund   Operation = "refund"
	Cancel   Operation = "cancel"
	Reversal Operation = "reversal"
	Balance  Operation = "balance"
	Offline  Operation = "offline"

	Settle  Operation = "settle"
	Upload  Operation = "upload"
	Trailer Operation = "trailer"
)

// The operations that UnionPay alone has.
const (
	SignOff     Operation = "signoff"
	Adjust      Operation = "adjust"
	Script      Operation = "script"
	Status      Operation = "status"
	Download    Operation = "download"
	DownloadEnd Operation = "download end"
)

// form is an operation's message: type and processing code, which UnionPay's
// matrix has others for, and what it stands on.
type form struct {
	mti        string
	processing string
	// originals are the operations it speaks of; the last approved one is taken
	// where the user names none.
	originals []Operation
	// card is true where the message makes no sense without one.
	card bool
	// amount is true where the message carries one.
	amount bool
}

// cashbackProcessing is the processing code of a sale with cashback.
const cashbackProcessing = "090000"

func (o Operation) form() (form, bool) {
	f, ok := map[Operation]form{
		Echo:     {mti: "0800", processing: "990000"},
		Logon:    {mti: "0800", processing: "920000"},
		Sale:     {mti: "0200", processing: "000000", card: true, amount: true},
		Preauth:  {mti: "0100", processing: "000000", card: true, amount: true},
		Balance:  {mti: "0200", processing: "310000", card: true},
		Complete: {mti: "0220", processing: "000000", amount: true, originals: []Operation{Preauth}},
		Offline:  {mti: "0220", processing: "000000", card: true, amount: true},
		Void:     {mti: "0200", processing: "020000", amount: true, originals: []Operation{Sale, Complete, Offline}},
		Refund:   {mti: "0200", processing: "200000", amount: true, originals: []Operation{Sale, Complete, Offline}},
		Cancel:   {mti: "0200", processing: "290000", amount: true, originals: []Operation{Sale, Complete, Offline, Preauth}},
		Settle:   {mti: "0500", processing: "920000"},
		Upload:   {mti: "0320"}, // with its transaction's processing code
		Trailer:  {mti: "0500", processing: "960000"},
		Reversal: {mti: "0400", amount: true, originals: []Operation{Sale, Preauth, Complete, Offline, Void, Refund, Cancel}},

		SignOff:     {},
		Adjust:      {amount: true, originals: []Operation{Sale, Offline}},
		Script:      {originals: []Operation{Sale, Preauth, Complete, Void, Refund, Cancel}},
		Status:      {},
		Download:    {},
		DownloadEnd: {},
	}[o]
	return f, ok
}

// network tells the operations that manage the line and move no money: they
// carry no MAC.
func (o Operation) network() bool {
	return o == Echo || o == Logon || o == SignOff || o == Status || o == Download || o == DownloadEnd
}

// aboutBatch tells the operations that settle; they carry no MAC either.
func (o Operation) aboutBatch() bool { return o == Settle || o == Upload || o == Trailer }

// unsealed tells the operations whose messages carry no MAC.
func (o Operation) unsealed() bool { return o.network() || o.aboutBatch() }

// function is F70 of an ASCII network message: 301 tests, 001 signs on.
func (o Operation) function() string {
	if o == Echo {
		return "301"
	}
	return "001"
}

func (f form) refersTo(o Operation) bool { return slices.Contains(f.originals, o) }

// candidates are the originals that the user may name by their kind.
func (f form) candidates() []Operation {
	if f.refersTo(Complete) && !f.refersTo(Preauth) {
		return append(slices.Clone(f.originals), Preauth) // a void of one is asked for, never taken
	}
	return f.originals
}

func (f form) mayBe(o Operation) bool { return slices.Contains(f.candidates(), o) }

// only narrows the originals down to one kind, where the user names it.
func (f form) only(of Operation) form {
	if of != "" {
		f.originals = []Operation{of}
	}
	return f
}

// unionPayAlone tells the operations that no other dialect has.
func (o Operation) unionPayAlone() bool {
	return o == SignOff || o == Adjust || o == Script || o == Status || o == Download || o == DownloadEnd
}
