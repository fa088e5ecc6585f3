package host

import "meridian/switch"

// Answered is what a witness hears of an answer: which terminal asked for what, and
// how it was decided. Terminals that nobody knows have no witness.
type Answered struct {
	TID    string
	Kind   switching.Kind
	Reason switching.Reason
	RRN    int64 // of what is stored; 0 without
	Repeat bool  // the answer had been given before
}

// testify tells the witness, if there is one. It may be called from a lane's
// goroutine: a witness takes its note and returns.
func (x *exchange) testify(r *switching.Response) {
	if x.pipeline.o.Witness == nil || x.submitted == nil || x.attempt.Terminal == nil {
		return
	}
	a := Answered{TID: x.attempt.Terminal.TID, Kind: x.submitted.Kind, Reason: r.Reason, Repeat: r.Stored}
	if hasTransaction(a.Kind) {
		a.RRN = r.RRN
	}
	x.pipeline.o.Witness(a)
}
