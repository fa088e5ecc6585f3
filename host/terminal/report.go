package terminal

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"meridian/host/wire"
	"meridian/internal/money"
)

// Report is one request and what became of it, fit for eyes: card numbers are
// masked and whatever is sensitive is told by its length only. It is the JSON that
// --output json writes.
type Report struct {
	Operation Operation `json:"operation"`
	Repeat    bool      `json:"repeat,omitempty"`
	Dialect   string    `json:"dialect"`
	Address   string    `json:"address"`
	TID       string    `json:"tid"`
	MID       string    `json:"mid"`

	Request  Message  `json:"request"`
	Response *Message `json:"response"` // null when no answer came
	// ElapsedMicroseconds is from the request's first byte to its answer.
	ElapsedMicroseconds int64 `json:"elapsed_us"`

	Outcome      Outcome `json:"outcome"`
	Code         string  `json:"response_code,omitempty"` // F39
	Meaning      string  `json:"meaning,omitempty"`
	STAN         string  `json:"stan"`
	OriginalSTAN string  `json:"original_stan,omitempty"`
	Batch        string  `json:"batch,omitempty"`  // of a settlement, F60
	Totals       string  `json:"totals,omitempty"` // of a settlement, F63; F48 with unionpay
	OriginalRRN  string  `json:"original_rrn,omitempty"`
	RRN          string  `json:"rrn,omitempty"`
	AuthCode     string  `json:"auth_code,omitempty"`
	BusinessDate string  `json:"business_date,omitempty"` // MM-DD, F15
	Verdict      string  `json:"verdict,omitempty"`       // VOID, REFUND or DECLINE, F63
	Rule         string  `json:"rule,omitempty"`          // R1 to R32, F63
	Amount       string  `json:"amount,omitempty"`
	AmountMinor  int64   `json:"amount_minor,omitempty"`
	Currency     string  `json:"currency,omitempty"`
	Remaining    string  `json:"remaining,omitempty"` // of the original after a partial reversal, F95
	Available    string  `json:"available,omitempty"` // a balance, F54
	// Balance is what a unionpay settlement came to (F48): balanced, unbalanced or host error.
	Balance string `json:"balance,omitempty"`
	// Text for the terminal's display, F63.2 of a unionpay answer.
	Text string `json:"text,omitempty"`
	// Demand is what the application header asks the terminal for.
	Demand string `json:"demand,omitempty"`
	// Keys that a sign-in gave, by their check values.
	Keys []WorkingKey `json:"keys,omitempty"`
	// List is what a status report or a download was answered with.
	List []string `json:"list,omitempty"`
	// Problem says why an answer does not count.
	Problem string `json:"problem,omitempty"`
	Summary string `json:"summary"`

	sides   string   // Totals of a unionpay settlement in words
	date    string   // MMDD, F13 of the answer
	session *session // of a sign-in
	batch   int      // that the session works in
	listed  listing  // of a status report or a download
}

// Message is one message as people may see it.
type Message struct {
	MTI    string `json:"mti"`
	TPDU   string `json:"tpdu,omitempty"`
	Header string `json:"header,omitempty"`
	// Bytes is the payload's length, without length prefix and TPDU.
	Bytes int `json:"bytes"`
	// MAC is none, sent, ok, wrong or missing.
	MAC    string  `json:"mac"`
	Fields []Field `json:"fields"`
}

// Field is one field of a message.
type Field struct {
	Field int    `json:"field"`
	Name  string `json:"name"`
	// Value is masked, or a note of its length, where Hidden is true.
	Value  string `json:"value"`
	Hidden bool   `json:"hidden,omitempty"`
	// Note says in words what the value means.
	Note string `json:"note,omitempty"`
}

// MAC states of a message.
const (
	macSent    = "sent"
	macOK      = "ok"
	macWrong   = "wrong"
	macMissing = "missing"
)

// show renders a payload. What moov packed is parsed by wire: two readings of the
// field tables have to agree.
func (t *Terminal) show(frame wire.Frame, mac string) (Message, error) {
	m, err := t.spec.Parse(frame.Payload)
	if err != nil {
		return Message{}, errorf(KindFailure, "read the message: %w", err)
	}
	shown := Message{MTI: m.MTI(), Bytes: len(frame.Payload), MAC: mac}
	if t.framing.TPDU {
		shown.TPDU = frame.TPDU.String()
	}
	if t.framing.Header {
		shown.Header = frame.Header.String()
	}
	for _, f := range t.spec.MaskedFields(m) {
		shown.Fields = append(shown.Fields, Field{
			Field: f.Field, Name: f.Name, Value: f.Value, Hidden: f.Hidden, Note: t.annotation(m, f.Field),
		})
	}
	return shown, nil
}

// annotation puts a field's value into words where digits alone do not say it.
func (t *Terminal) annotation(m *wire.Message, field int) string {
	switch field {
	case 4, 95:
		return t.inWords(m.Get(field), m.Get(49))
	case 39:
		return t.meaning(m.MTI(), m.Get(field))
	case 49:
		if c, err := money.ParseCurrency(m.Get(field)); err == nil {
			return c.Alpha()
		}
	}
	if t.dialect == dialectUnionPay {
		return t.unionPayWords(m, field)
	}
	return ""
}

// inWords is an amount in the message's currency, or the terminal's.
func (t *Terminal) inWords(digits, code string) string {
	currency := t.currency
	if c, err := money.ParseCurrency(code); err == nil {
		currency = c
	}
	minor, err := strconv.ParseInt(digits[:min(amountDigits, len(digits))], 10, 64)
	if err != nil || !currency.Valid() {
		return ""
	}
	return money.Amount{Minor: minor, Currency: currency}.String()
}

// WriteText writes the report for people: what went, what came, and one line that
// says it all.
func (r *Report) WriteText(w io.Writer) {
	fmt.Fprintf(w, "→ %s %s to %s (%s)\n", r.Request.MTI, r.title(), r.Address, r.Request.remarks(r.Dialect))
	r.Request.writeFields(w)
	if r.Response != nil {
		elapsed := time.Duration(r.ElapsedMicroseconds) * time.Microsecond
		fmt.Fprintf(w, "← %s after %s (%s)\n", r.Response.MTI, elapsed, r.Response.remarks(r.Dialect))
		r.Response.writeFields(w)
	}
	fmt.Fprintln(w, r.Summary)
}

func (r *Report) title() string {
	if r.Repeat {
		return string(r.Operation) + ", repeated,"
	}
	return string(r.Operation)
}

func (m *Message) remarks(dialect string) string {
	parts := []string{dialect, fmt.Sprintf("%d bytes", m.Bytes)}
	if m.TPDU != "" {
		parts = append(parts, "TPDU "+m.TPDU)
	}
	if m.Header != "" {
		parts = append(parts, "header "+m.Header)
	}
	if m.MAC != macNone {
		parts = append(parts, "MAC "+m.MAC)
	}
	return strings.Join(parts, ", ")
}

func (m *Message) writeFields(w io.Writer) {
	widest := 0
	for _, f := range m.Fields {
		widest = max(widest, len(f.Name))
	}
	for _, f := range m.Fields {
		note := ""
		if f.Note != "" {
			note = "  " + f.Note
		}
		fmt.Fprintf(w, "   F%-3d %-*s  %s%s\n", f.Field, widest, f.Name, f.Value, note)
	}
}

// codeOf an answer, behind a space; nothing where it has none.
func codeOf(r *Report) string {
	if r.Code == "" {
		return ""
	}
	return " " + r.Code
}

// summarize writes the one line.
func (r *Report) summarize() {
	var parts []string
	add := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	switch r.Outcome {
	case Approved:
		add("%s approved%s", r.Operation, codeOf(r))
		switch {
		case r.Amount != "":
			add("%s %s", r.Amount, r.Currency)
		case r.AmountMinor != 0: // of a currency that nobody told
			add("%d minor units", r.AmountMinor)
		}
		if r.Remaining != "" {
			add("of which %s %s remain", r.Remaining, r.Currency)
		}
		if r.Available != "" {
			add("available %s", r.Available)
		}
	case Declined:
		add("%s declined%s: %s", r.Operation, codeOf(r), r.Meaning)
	case Unknown:
		add("%s unknown: %s", r.Operation, r.Problem)
		if r.Code != "" {
			add("it says %s: %s", r.Code, r.Meaning)
		}
	}
	if r.Batch != "" {
		add("batch %s", r.Batch)
	}
	if r.sides != "" {
		add("%s", r.sides)
	}
	if r.RRN != "" {
		add("RRN %s", r.RRN)
	}
	if r.AuthCode != "" {
		add("approval %s", r.AuthCode)
	}
	if r.BusinessDate != "" {
		add("business date %s", r.BusinessDate)
	}
	if r.Verdict != "" {
		add("%s", strings.TrimSpace(r.Verdict+" "+r.Rule))
	}
	for _, key := range r.Keys {
		add("%s key %s", key.Use, key.Check)
	}
	if len(r.List) > 0 {
		add("%s", strings.Join(r.List, "; "))
	}
	if r.Text != "" {
		add("shows %s", r.Text)
	}
	if r.Demand != "" {
		add("the host asks to %s", r.Demand)
	}
	r.Summary = strings.Join(parts, ", ")
	switch {
	case r.Outcome != Unknown || r.Operation.network() || r.Operation == Balance:
	case r.Operation.aboutBatch():
		r.Summary += " ('settle --repeat' asks again)"
	default:
		r.Summary += fmt.Sprintf(" ('%s --repeat' asks again", r.Operation)
		if r.Operation != Reversal {
			r.Summary += ", 'reversal' undoes it"
		}
		r.Summary += ")"
	}
}
