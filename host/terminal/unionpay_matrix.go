package terminal

// unionPayRow is one row of UnionPay's message matrix: message type, F3, F25, and
// the message type of F60.1.
type unionPayRow struct{ mti, processing, condition, kind string }

// Conditions: an ordinary transaction, and the pre-authorization family.
const (
	ordinary         = "00"
	preauthorization = "06"
)

// unionPayRows are the transactions that speak of none before them.
var unionPayRows = map[Operation]unionPayRow{
	Balance: {"0200", "310000", ordinary, "01"},
	Sale:    {"0200", "000000", ordinary, "22"},
	Preauth: {"0100", "030000", preauthorization, "10"},
	Offline: {"0220", "000000", ordinary, "30"},
	Refund:  {"0220", "200000", ordinary, "25"},
	Script:  {"0620", "", "", "00"},
}

// unionPayVoids are by what they void.
var unionPayVoids = map[Operation]unionPayRow{
	Sale:     {"0200", "200000", ordinary, "23"},
	Offline:  {"0200", "200000", ordinary, "23"},
	Complete: {"0200", "200000", preauthorization, "21"},
	Preauth:  {"0100", "200000", preauthorization, "11"},
}

// unionPayRow of a request, whose original is of the kind of.
func (r *Request) unionPayRow(of Operation) unionPayRow {
	switch r.Operation {
	case Void, Cancel:
		// UnionPay has no message that leaves the choice to the host: a cancel asks
		// for a void, and a merchant in automatic mode is told what became of it.
		return unionPayVoids[of]
	case Complete:
		if r.Advice {
			return unionPayRow{"0220", "000000", preauthorization, "24"}
		}
		return unionPayRow{"0200", "000000", preauthorization, "20"}
	case Adjust:
		if r.Tip != "" {
			return unionPayRow{"0220", "000000", ordinary, "34"}
		}
		return unionPayRow{"0220", "000000", ordinary, "32"}
	default:
		return unionPayRows[r.Operation]
	}
}

// byAuthCode tells the rows that name their original by its authorization code
// and F61, as it may have been another terminal's, and not by its RRN.
func (u unionPayRow) byAuthCode() bool { return u.kind == "11" || u.kind == "20" || u.kind == "24" }

// Network management information, F60.3, and the message type it goes with.
const (
	codeSignOff        = "002"
	codeEcho           = "301"
	codeSettle         = "201"
	codeUpload         = "201"
	codeEndAfterUpload = "202"
	codeEndBalanced    = "207"
	codeScript         = "951"
)

// Reason is why a terminal reverses, F39 of a reversal.
type Reason string

// The reasons.
const (
	ReasonNoAnswer    Reason = "98"
	ReasonNotFinished Reason = "96" // approved, but the terminal could not go through with it
	ReasonWrongMAC    Reason = "A0"
	ReasonOther       Reason = "06"
)

func (r Reason) known() bool {
	switch r {
	case "", ReasonNoAnswer, ReasonNotFinished, ReasonWrongMAC, ReasonOther:
		return true
	default:
		return false
	}
}

func (f KeyForm) known() bool {
	_, ok := f.code()
	return ok
}

// List is one of the things that terminals download.
type List string

// The lists.
const (
	ListParameters   List = "parameters"
	ListKeys         List = "keys"
	ListApplications List = "applications"
)

// listCodes are F60.3: to report what the terminal has (0820), to ask for one
// entry, and to say that it has all of them (0800).
type listCodes struct{ status, download, end string }

func (l List) codes() (listCodes, bool) {
	codes, ok := map[List]listCodes{
		ListParameters:   {"362", "360", "361"},
		ListKeys:         {"372", "370", "371"},
		ListApplications: {"382", "380", "381"},
	}[l]
	return codes, ok
}

func (l List) known() bool {
	_, ok := l.codes()
	return ok
}
