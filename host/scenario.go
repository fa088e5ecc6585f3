package host

import (
	"fmt"
	"strconv"

	"meridian/host/wire"
	"meridian/switch"
)

// Scenarios let a test host misbehave, for those who try their terminals against
// it: the one way there is to do that. [PipelineOptions.Scenarios] is nil in
// production, where no answer has a [Departure].
type Scenarios interface {
	// Play is asked about every request that goes to the switch, before it does. It
	// may set the request's Scenario, and says how the answer leaves; nil is as
	// always. It is called by many sessions at once and must not block.
	Play(r *switching.Request) *Departure
}

// Departure is how one answer leaves, after what it tells was committed. An answer
// that is told again from the record leaves as always.
type Departure struct {
	// Name of the scenario, for those who watch.
	Name string
	// WrongSTAN answers with the next STAN; the MAC is right over it.
	WrongSTAN bool
	// WrongMAC inverts the MAC, where the answer has one.
	WrongMAC bool
	// Lost sends nothing.
	Lost bool
	// CloseBefore closes the connection instead of answering, CloseAfter after it.
	CloseBefore, CloseAfter bool
	// Copies are sent behind the answer, in the same breath.
	Copies int
	// Pieces that the frame leaves in, with [piecePause] between them; below 2 it
	// leaves in one. There are never more than [maxPieces].
	Pieces int
	// Withhold, when not nil, gets the answer as a function that sends it: once, at
	// any time, from any goroutine, unless the connection has ended. Answers to
	// later requests overtake it. It must not block.
	Withhold func(send func())
	// Played, when not nil, is told whether the answer was the first one to its
	// request, and said what the request's Scenario had it say: otherwise none of
	// this was done.
	Played func(played bool)
	// Sent, when not nil, is called when the answer has left: on the session's
	// writer, so it must not block.
	Sent func()
}

// play asks the scenarios about a request.
func (x *exchange) play(s Scenarios) {
	x.departure = s.Play(x.submitted)
}

// settleScenario finds out whether the departure is this answer's.
func (x *exchange) settleScenario(r *switching.Response) {
	d := x.departure
	if d == nil {
		return
	}
	asked := x.submitted.Scenario
	played := !r.Stored && (asked == nil || !asked.Decline || r.Reason == switching.ScenarioDecided)
	if d.Played != nil {
		d.Played(played)
	}
	if !played {
		x.departure = nil
	}
}

// depart makes an answer leave as its departure says.
func (x *exchange) depart(a *Answer) {
	d := x.departure
	if d == nil {
		return
	}
	switch {
	case d.CloseBefore:
		a.Payload, a.Close = nil, CloseByHandler
	case d.Lost:
		a.Payload = nil
	case d.CloseAfter:
		a.Close = CloseByHandler
	}
	if d.Sent != nil {
		a.Done = func(bool) { d.Sent() }
	}
	a.departure = d
}

// Trace number (ISO 8583, F11) in every dialect.
const (
	fieldSTAN  = 11
	stanDigits = 6
)

// spoilSTAN puts the next STAN in place of the right one.
func spoilSTAN(m *wire.Message) {
	stan, err := strconv.ParseUint(m.Get(fieldSTAN), 10, 32)
	if err != nil {
		return // there was none to repeat
	}
	const all = 1_000_000
	m.Set(fieldSTAN, fmt.Sprintf("%0*d", stanDigits, (stan+1)%all))
}

// spoiledMAC is a MAC with every bit the other way.
type spoiledMAC struct{ wire.MACAlgorithm }

func (s spoiledMAC) Sum(data []byte) ([8]byte, error) {
	sum, err := s.MACAlgorithm.Sum(data)
	for i := range sum {
		sum[i] = ^sum[i]
	}
	return sum, err
}
