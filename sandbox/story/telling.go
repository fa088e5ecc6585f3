package story

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"meridian/host/terminal"
)

// Telling is a scenario as it was played, step by step. It is fit for eyes.
type Telling struct {
	ID       string `json:"id"` // under which it is kept
	Scenario string `json:"scenario"`
	Title    string `json:"title,omitempty"`
	About    string `json:"about,omitempty"`
	File     string `json:"file,omitempty"`
	Dialect  string `json:"dialect"`
	TID      string `json:"tid"`
	MID      string `json:"mid"`
	// StartedAt is by the sandbox's clock, RealTime by the real one.
	StartedAt time.Time     `json:"started_at"`
	RealTime  time.Time     `json:"real_time"`
	Took      time.Duration `json:"took_ns"`
	// Outcome: passed where everything was as expected, failed where it was not, and
	// broken where it could not be played to its end; running meanwhile.
	Outcome string  `json:"outcome"`
	Error   string  `json:"error,omitempty"`
	Steps   []*Told `json:"steps"`
}

// Outcomes of a telling.
const (
	Running = "running"
	Passed  = "passed"
	Failed  = "failed"
	Broken  = "broken"
)

// Told is one step as it was played.
type Told struct {
	Line int       `json:"line"`
	ID   string    `json:"id,omitempty"`
	Tell string    `json:"tell,omitempty"`
	At   time.Time `json:"at"` // the sandbox's clock
	// Did is what happened beside messages: the clock, waiting.
	Did       string      `json:"did,omitempty"`
	Exchanges []*Exchange `json:"exchanges,omitempty"`
	// Books is what the host's books have of the transaction; nil where it has none.
	Books *Books `json:"books,omitempty"`
	// Differences are what was expected and is not so.
	Differences []Difference `json:"differences,omitempty"`

	expected bool // something was
}

// Exchange is a message and its answer.
type Exchange struct {
	*terminal.Report
}

// Difference is an expectation that was not met.
type Difference struct {
	Line int    `json:"line"`
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s is %s, expected %s", d.What, orNothing(d.Got), orNothing(d.Want))
}

func orNothing(value string) string {
	if value == "" {
		return "nothing"
	}
	return value
}

// Books is what became of a transaction in the books, and why.
type Books struct {
	RRN      string `json:"rrn"`
	Asked    string `json:"asked"`
	Became   string `json:"became"`
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Rule     string `json:"rule,omitempty"`
	Sentence string `json:"rule_sentence,omitempty"`
	// Otherwise is what it had become on the other side of the cutoff.
	Otherwise     string `json:"otherwise,omitempty"`
	BusinessDate  string `json:"business_date"`
	OriginalRRN   string `json:"original_rrn,omitempty"`
	OriginalState string `json:"original_state,omitempty"`
	Legs          []Leg  `json:"legs"`
}

// Leg is one transfer.
type Leg struct {
	Kind   string `json:"kind"`
	Phase  string `json:"phase"`
	Debit  string `json:"debit"`
	Credit string `json:"credit"`
	Amount string `json:"amount"`
}

// RRNs of the story's transactions, in their order, each once.
func (t *Telling) RRNs() []string {
	var list []string
	seen := map[string]bool{}
	for _, step := range t.Steps {
		for _, x := range step.Exchanges {
			if rrn := x.Transaction(); rrn != "" && !seen[rrn] {
				seen[rrn] = true
				list = append(list, rrn)
			}
		}
	}
	return list
}

// Differences of all steps.
func (t *Telling) Differences() []Difference {
	var list []Difference
	for _, step := range t.Steps {
		list = append(list, step.Differences...)
	}
	return list
}

// MarshalJSON adds the RRNs.
func (t *Telling) MarshalJSON() ([]byte, error) {
	type bare Telling
	return json.Marshal(struct { //nolint:wrapcheck // the encoder's own
		*bare

		RRNs []string `json:"rrns"`
	}{(*bare)(t), append([]string{}, t.RRNs()...)})
}

// WriteHead begins the telling for people.
func (t *Telling) WriteHead(w io.Writer) {
	name := t.Scenario
	if t.Title != "" {
		name += ": " + t.Title
	}
	fmt.Fprintln(w, name)
	for line := range strings.SplitSeq(strings.TrimSpace(t.About), "\n") {
		if line != "" {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	fmt.Fprintf(w, "  terminal %s of merchant %s, %s\n", t.TID, t.MID, t.Dialect)
}

// WriteStep tells one step for people; number counts from 1.
func (s *Told) WriteStep(w io.Writer, number int) {
	fmt.Fprintf(w, "\n%d. %s\n", number, s.Heading())
	if s.Did != "" {
		fmt.Fprintf(w, "   clock  %s\n", s.Did)
	}
	for _, x := range s.Exchanges {
		fmt.Fprintf(w, "   →  %s\n", x.Sent())
		fmt.Fprintf(w, "   ←  %s\n", x.CameBack())
	}
	if s.Books != nil {
		for _, line := range s.Books.Lines() {
			fmt.Fprintf(w, "   books  %s\n", line)
		}
	}
	for _, d := range s.Differences {
		fmt.Fprintf(w, "   NOT AS EXPECTED (line %d)  %s\n", d.Line, d)
	}
}

// Heading is the step in words.
func (s *Told) Heading() string {
	switch {
	case s.Tell != "":
		return strings.Join(strings.Fields(s.Tell), " ")
	case len(s.Exchanges) > 0:
		return "The terminal sends a " + string(s.Exchanges[0].Operation) + "."
	default:
		return "The clock is moved."
	}
}

// WriteEnd closes the telling for people.
func (t *Telling) WriteEnd(w io.Writer) {
	fmt.Fprintln(w)
	if list := t.RRNs(); len(list) > 0 {
		fmt.Fprintf(w, "RRNs: %s\n", strings.Join(list, " "))
	}
	fmt.Fprintln(w, t.Verdict())
}

// Verdict is the end in a line.
func (t *Telling) Verdict() string {
	took := t.Took.Round(time.Millisecond)
	switch t.Outcome {
	case Passed:
		return fmt.Sprintf("%s (%s): as expected, in %s", t.Scenario, t.Dialect, took)
	case Failed:
		return fmt.Sprintf("%s (%s): %d not as expected, in %s", t.Scenario, t.Dialect, len(t.Differences()), took)
	case Broken:
		return fmt.Sprintf("%s (%s): not played to its end: %s", t.Scenario, t.Dialect, t.Error)
	default:
		return fmt.Sprintf("%s (%s) is being played", t.Scenario, t.Dialect)
	}
}

// Approved tells whether the terminal has an approval that counts.
func (x *Exchange) Approved() bool { return x.Outcome == terminal.Approved }

// Transaction is the RRN that leads to something stored: one of an answer to a
// sign-in leads nowhere.
func (x *Exchange) Transaction() string {
	switch x.Operation {
	case terminal.Echo, terminal.Logon, terminal.SignOff:
		return ""
	default:
		return x.RRN
	}
}

// Sent is a request in a line.
func (x *Exchange) Sent() string {
	parts := []string{x.Request.MTI + " " + string(x.Operation)}
	add := func(format string, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	if x.Repeat {
		add("%s", "the same once more")
	}
	if x.Amount != "" {
		add("%s", x.Amount+" "+x.Currency)
	}
	add("STAN %s", x.STAN)
	add("of RRN %s", x.OriginalRRN)
	add("batch %s", x.Batch)
	add("totals %s", x.Totals)
	if x.Request.MAC != "none" {
		add("MAC %s", x.Request.MAC)
	}
	return strings.Join(parts, ", ")
}

// CameBack is the answer in a line.
func (x *Exchange) CameBack() string {
	if x.Response == nil {
		return "no answer: " + x.Problem
	}
	parts := []string{strings.TrimSpace(x.Response.MTI + " " + x.Code + " " + x.Meaning)}
	add := func(format string, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("%s", x.Balance)
	add("RRN %s", x.RRN)
	add("approval %s", x.AuthCode)
	add("business date %s", x.BusinessDate)
	if x.Verdict != "" {
		add("it became a %s", x.Verdict)
		add("by rule %s", x.Rule)
	}
	add("available %s", x.Available)
	add("“%s”", x.Text)
	add("not to be trusted: %s", x.Problem)
	return strings.Join(parts, ", ")
}

// Lines of what the books have, for people.
func (b *Books) Lines() []string {
	what := capital(b.Became)
	if b.Asked != b.Became {
		what = capital(b.Asked) + " that became a " + b.Became
	}
	what += " is " + b.State
	if b.State == "declined" {
		what += ": " + b.Reason
	}
	if b.OriginalRRN != "" {
		what += "; its original " + b.OriginalRRN + " is " + b.OriginalState
	}
	lines := []string{what}
	for _, leg := range b.Legs {
		lines = append(lines, fmt.Sprintf("%s %s: Dr %s, Cr %s (%s)", leg.Phase, leg.Amount, leg.Debit, leg.Credit, leg.Kind))
	}
	if len(b.Legs) == 0 {
		lines = append(lines, "nothing moved")
	}
	if b.Rule != "" {
		lines = append(lines, "why: "+b.Rule+", "+b.Sentence)
	}
	if b.Otherwise != "" {
		lines = append(lines, "otherwise: "+b.Otherwise)
	}
	return lines
}

func capital(name string) string {
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}
