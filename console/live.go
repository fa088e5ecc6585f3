package console

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"meridian/host"
	"meridian/host/wire"
	"meridian/internal/money"
)

// messagesBody are the messages that passed lately.
type messagesBody struct {
	List []messageRow
	Here bool // there is a tap
}

// messageRow is one message in a line.
type messageRow struct {
	*host.Passed

	Code   string // of the answer
	Amount string
	STAN   string
	Took   string
}

const (
	// lookFor is how long messages are kept for somebody who loads the page again
	// rather than stay, as browsers without JavaScript do.
	lookFor = time.Minute
	// messagesListed are on a page when it is loaded.
	messagesListed = 100
)

// Field numbers that every dialect shares.
const (
	fieldAmount   = 4
	fieldSTAN     = 11
	fieldRRN      = 37
	fieldCode     = 39
	fieldCurrency = 49
	fieldICC      = 55
)

func newMessageRow(p *host.Passed) messageRow {
	row := messageRow{Passed: p, Code: p.Answer.Field(fieldCode), STAN: p.Request.Field(fieldSTAN), Took: milliseconds(p.Internal)}
	if text := p.Request.Field(fieldAmount); onlyDigits.MatchString(text) {
		minor, err := strconv.ParseInt(text, 10, 64)
		currency, currencyErr := money.ParseCurrency(p.Request.Field(fieldCurrency))
		switch {
		case err != nil:
		case currencyErr == nil:
			row.Amount = formatMoney(minor, currency)
		default:
			row.Amount = group(strconv.FormatInt(minor, 10)) + "\u00a0minor units"
		}
	}
	return row
}

func milliseconds(d time.Duration) string {
	return compact(float64(d)/float64(time.Millisecond)) + "\u00a0ms"
}

func (c *Console) messages(*http.Request) (*view, error) {
	body := &messagesBody{Here: c.o.Tap != nil}
	if body.Here {
		c.o.Tap.Look(lookFor)
		for _, p := range c.o.Tap.Latest(messagesListed, nil) {
			body.List = append(body.List, newMessageRow(p))
		}
	}
	return &view{template: "messages.html", title: "Live messages", section: "messages", body: body}, nil
}

// messageStream sends each message's row as it passes.
func (c *Console) messageStream(w http.ResponseWriter, r *http.Request) {
	if c.o.Tap == nil {
		c.fail(w, r, errNotFound)
		return
	}
	watch := c.o.Tap.Watch()
	if watch == nil {
		c.fail(w, r, &pageError{http.StatusServiceUnavailable, "Too many look already", "Try again later."})
		return
	}
	defer watch.Close()
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	s, lookedUp := newStream(w), time.Now()
	if s.send("hello", []byte("1")) != nil {
		return
	}
	for {
		list, missed, err := watch.Next(ctx)
		if err != nil {
			return // the viewer is gone, or has to come back
		}
		if !c.mayWatch(r, &lookedUp) {
			return
		}
		var b bytes.Buffer
		if missed > 0 {
			fmt.Fprintf(&b, "event: missed\ndata: %d\n\n", missed)
		}
		b.WriteString("event: messages\n")
		for _, p := range list {
			row, err := c.rows.of(p, c.renderRow)
			if err != nil {
				c.log.Error("cannot render a message", "error", err)
				return
			}
			b.Write(row)
		}
		b.WriteByte('\n')
		if s.write(b.Bytes()) != nil {
			return
		}
		// The first message leaves at once; what passes meanwhile is the next event.
		if !wait(ctx, gatherFor) {
			return
		}
	}
}

// gatherFor is the time between two events to one viewer: nobody reads faster, and a
// write costs the same whatever is in it.
const gatherFor = 500 * time.Millisecond

// wait tells whether ctx still stands after d.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// renderRow makes a message's row as lines of an event, the same for every viewer.
func (c *Console) renderRow(p *host.Passed) ([]byte, error) {
	var b bytes.Buffer
	if err := c.pages.part(&b, "messages.html", "message-row", newMessageRow(p)); err != nil {
		return nil, err
	}
	return appendData(nil, b.Bytes()), nil
}

// messageBody is one message with its answer, field by field.
type messageBody struct {
	messageRow

	Sides  []messageSide
	Phases []phase
	RRNKey string // of the transaction, where there is one
}

// messageSide is the request or the answer.
type messageSide struct {
	Name   string // request or answer
	Title  string
	Shown  host.Shown
	Bits   []bit
	Fields []shownField
	Dump   []dumpPart
}

// bit of the bitmaps.
type bit struct {
	Number int
	Set    bool
	Name   string
}

// shownField is a field with its parts.
type shownField struct {
	wire.MaskedField

	Tags []shownTag
}

// shownTag is an element of chip data.
type shownTag struct{ Tag, Name, Value string }

// dumpPart is a piece of the bytes.
type dumpPart struct {
	Field  int // wire.NoField for what could not be read
	Text   string
	Hidden bool
	Label  string
}

// phase is where the time went.
type phase struct {
	Name string
	Took string
	X, W int // in thousandths of the whole
}

func (c *Console) message(r *http.Request) (*view, error) {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil || c.o.Tap == nil {
		return nil, notFound("There is no such message.")
	}
	c.o.Tap.Look(lookFor)
	p := c.o.Tap.Find(number)
	if p == nil {
		return nil, notFound("Message " + strconv.FormatUint(number, 10) + " is not kept any more: the last 512 are, and none over a restart.")
	}
	body := &messageBody{messageRow: newMessageRow(p), Phases: phases(p)}
	if p.RRN != 0 {
		body.RRNKey = fmt.Sprintf("%012d", p.RRN)
	}
	body.Sides = append(body.Sides, side("request", "Request", p.Dialect, p.Request))
	if p.Answer.Bytes > 0 {
		body.Sides = append(body.Sides, side("answer", "Answer", p.Dialect, p.Answer))
	}
	return &view{template: "message.html", title: "Message " + strconv.FormatUint(number, 10), section: "messages", body: body}, nil
}

func side(name, title, dialect string, s host.Shown) messageSide {
	m := messageSide{Name: name, Title: title, Shown: s}
	spec := specOf(dialect)
	present := map[int]bool{}
	for _, f := range s.Fields {
		present[f.Field] = true
		shown := shownField{MaskedField: f}
		if f.Field == fieldICC {
			for _, tag := range wire.MaskedTags(f.Value) {
				code, value, _ := strings.Cut(tag, "=")
				shown.Tags = append(shown.Tags, shownTag{code, emvNames[code], value})
			}
		}
		m.Fields = append(m.Fields, shown)
	}
	last := 64
	for number := range present {
		if number > last {
			last = 128
		}
	}
	for number := 1; number <= last; number++ {
		b := bit{Number: number, Set: present[number] || number == 1 && last == 128}
		if spec != nil {
			b.Name = spec.Describe(number).Name
		}
		m.Bits = append(m.Bits, b)
	}
	for _, part := range s.Parts {
		m.Dump = append(m.Dump, newDumpPart(part))
	}
	return m
}

func newDumpPart(part wire.MaskedPart) dumpPart {
	d := dumpPart{Field: part.Field, Hidden: part.Hidden, Label: fmt.Sprintf("F%d", part.Field)}
	switch part.Field {
	case 0:
		d.Label = "MTI"
	case 1:
		d.Label = "bitmap"
	case wire.NoField:
		d.Label = "unread"
	}
	if part.Hidden {
		d.Text = strings.TrimSpace(strings.Repeat("·· ", part.Bytes))
		return d
	}
	raw, err := hex.DecodeString(part.Hex)
	if err != nil {
		return d
	}
	d.Text = fmt.Sprintf("% X", raw)
	return d
}

// phases divide the time inside this host.
func phases(p *host.Passed) []phase {
	rest := p.Internal - p.Queue - p.Ledger
	if p.Internal <= 0 || rest < 0 {
		return nil
	}
	list := []phase{{Name: "message and answer", Took: milliseconds(rest)}}
	spans := []time.Duration{rest}
	if p.Ledger > 0 {
		list = append(list,
			phase{Name: "wait for a unit of work", Took: milliseconds(p.Queue)},
			phase{Name: "unit of work and commit", Took: milliseconds(p.Ledger)})
		spans = append(spans, p.Queue, p.Ledger)
	}
	x := 0
	for i := range list {
		list[i].X, list[i].W = x, int(1000*spans[i]/p.Internal)
		x += list[i].W
	}
	return list
}

// specOf a built-in dialect; nil for another.
func specOf(dialect string) *wire.Spec {
	switch dialect {
	case wire.NameNAC:
		return wire.NAC()
	case wire.NameASCII87:
		return wire.ASCII87()
	case wire.NameUnionPay:
		return wire.UnionPay()
	default:
		return nil
	}
}

// emvNames are the names of the tags that terminals send (EMV Book 3, annex A).
var emvNames = map[string]string{
	"4F": "Application identifier (card)", "57": "Track 2 equivalent", "5A": "Application PAN", "5F20": "Cardholder name", "5F24": "Expiry",
	"5F2A": "Transaction currency", "5F34": "PAN sequence number", "82": "Application interchange profile", "84": "Dedicated file name",
	"8A": "Authorization response code", "8E": "CVM list", "91": "Issuer authentication data", "95": "Terminal verification results",
	"9A": "Transaction date", "9B": "Transaction status information", "9C": "Transaction type", "9F02": "Amount, authorized",
	"9F03": "Amount, other", "9F06": "Application identifier (terminal)", "9F09": "Application version (terminal)",
	"9F10": "Issuer application data", "9F1A": "Terminal country", "9F1E": "Interface device serial number", "9F26": "Application cryptogram",
	"9F27": "Cryptogram information data", "9F33": "Terminal capabilities", "9F34": "CVM results", "9F35": "Terminal type",
	"9F36": "Application transaction counter", "9F37": "Unpredictable number", "9F41": "Transaction sequence counter",
	"71": "Issuer script 1", "72": "Issuer script 2", "DF31": "Issuer script results", "9F53": "Transaction category code", "9F63": "Card product",
}
