package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"meridian/host"
	"meridian/host/terminal"
	"meridian/host/wire"
	"meridian/internal/money"
	"meridian/switch"
)

const (
	// answerTimeout is how long the builder waits for an answer: longer than a host
	// takes that gives up by itself.
	answerTimeout = 12 * time.Second
	// builderTimeout bounds the whole page.
	builderTimeout = 20 * time.Second
	// maxHexBytes is a frame of the largest size with spaces between its bytes.
	maxHexBytes = 3 * (wire.DefaultMaxFrameBytes + 2)
	// referable are as many transactions as are offered as originals.
	referable = 12
)

// builderBody is a message from its form to its answer. Its hex is the one place of
// the console where a card number stands in clear: a sandbox's, which is public.
type builderBody struct {
	Form      builderForm
	Merchants []builderMerchant
	Cards     []terminal.KnownCard
	Kinds     []terminal.Operation
	Recent    []*switching.FoundTransaction
	CanAct    bool

	Hex     string // of the whole frame, bytes parted
	Address string
	Problem string // what stands in the way
	Request *messageSide
	Note    string // what is odd about the request

	Sent    bool
	Answer  *messageSide
	Summary string
	Code    string
	Good    bool
	RRN     string
	Took    string

	Samples []program
}

// builderMerchant is a merchant with its terminals.
type builderMerchant struct {
	Name      string
	Terminals []terminal.KnownTerminal
}

// builderForm is what a person chose.
type builderForm struct {
	Terminal, Kind, Card, Amount, STAN, RRN, Hex string
	PIN, Keyed                                   bool
}

func readBuilderForm(r *http.Request) (f builderForm, err error) {
	for name, value := range map[string]*string{
		"terminal": &f.Terminal, "kind": &f.Kind, "card": &f.Card, "amount": &f.Amount, "stan": &f.STAN, "rrn": &f.RRN,
	} {
		if *value = strings.TrimSpace(r.FormValue(name)); len(*value) > maxFieldBytes {
			return f, badRequest("What was typed is longer than what a message has room for.")
		}
	}
	f.PIN, f.Keyed = r.FormValue("pin") != "", r.FormValue("keyed") != ""
	if f.Hex = r.PostFormValue("hex"); len(f.Hex) > 2*maxHexBytes {
		return f, badRequest("The frame is longer than the host takes: 4,096 bytes.")
	}
	return f, nil
}

// builder shows the form.
func (c *Console) builder(r *http.Request) (*view, error) {
	form, err := readBuilderForm(r)
	if err != nil {
		return nil, err
	}
	body, err := c.newBuilder(r, form)
	if err != nil {
		return nil, err
	}
	return &view{template: "builder.html", title: "Message builder", section: "builder", body: body}, nil
}

func (c *Console) newBuilder(r *http.Request, form builderForm) (*builderBody, error) {
	known, err := terminal.ReadKnown(c.o.TestTerminals)
	if err != nil {
		return nil, &pageError{http.StatusServiceUnavailable, "The sandbox is not ready", capital(err.Error()) + ". Load the page again."}
	}
	body := &builderBody{Form: form, Cards: known.Cards, Kinds: terminal.Composable, CanAct: personOf(r).CanAct()}
	for _, t := range known.Terminals {
		n := len(body.Merchants)
		if n == 0 || body.Merchants[n-1].Name != t.Merchant {
			body.Merchants = append(body.Merchants, builderMerchant{Name: t.Merchant})
			n++
		}
		body.Merchants[n-1].Terminals = append(body.Merchants[n-1].Terminals, t)
	}
	if body.Form.Terminal == "" && len(known.Terminals) > 0 {
		body.Form.Terminal = known.Terminals[0].TID
	}
	if body.Form.Kind == "" {
		body.Form.Kind = string(terminal.Sale)
	}
	if r.Method == http.MethodGet && body.Form.Amount == "" && body.Form.RRN == "" {
		body.Form.Amount = "12.34"
		if i := slices.IndexFunc(known.Terminals, func(t terminal.KnownTerminal) bool { return t.TID == body.Form.Terminal }); i >= 0 {
			body.Form.Amount = money.FormatMinor(1234, known.Terminals[i].Currency)
		}
	}
	found, err := switching.SearchTransactions(r.Context(), c.o.Pool, switching.TransactionSearch{TID: body.Form.Terminal, Limit: referable})
	if err != nil {
		return nil, err
	}
	body.Recent = found.Found
	return body, nil
}

// build does what a button of the form says.
func (c *Console) build(r *http.Request) (*view, error) {
	if err := c.mayAct(r); err != nil {
		return nil, err
	}
	form, err := readBuilderForm(r)
	if err != nil {
		return nil, err
	}
	body, err := c.newBuilder(r, form)
	if err != nil {
		return nil, err
	}
	if err := c.compose(r, body); err != nil {
		told, is := errors.AsType[*terminal.Error](err)
		if !is {
			return nil, err
		}
		body.Problem = capital(plainWords(told.Error())) + "."
		if body.Hex == "" {
			body.Hex = form.Hex
		}
	}
	return &view{template: "builder.html", title: "Message builder", section: "builder", body: body}, nil
}

// plainWords says what the test terminal says of its flags as the form has it.
func plainWords(text string) string {
	return strings.NewReplacer("give --amount (or --minor)", "give an amount", "--amount", "the amount", "--rrn", "the RRN",
		" and --original-stan too", "", "give --original-stan too", "name one of its own", " or --original-stan", "", "--stan", "STAN",
		"--pin", "the PIN", "--card", "the card", "'logon' first", "build and send a logon first").Replace(text)
}

// compose makes the frame, or takes the one in the form, and sends it when asked to.
// A *terminal.Error is for the person.
func (c *Console) compose(r *http.Request, body *builderBody) error {
	form := &body.Form
	do := r.PostFormValue("do")
	t, err := terminal.New(terminal.Options{DataDir: c.o.TestTerminals, TID: form.Terminal, Timeout: answerTimeout, Now: c.o.Now})
	if err != nil {
		return err
	}
	body.Address = t.Address()
	request, err := c.requestOf(r.Context(), form)
	if err != nil {
		return err
	}
	var frame []byte
	if do == "build" {
		frame, err = t.Compose(request)
	} else {
		frame, err = wire.ParseHex(form.Hex)
		if err == nil && len(frame) == 0 {
			err = errors.New("there is no frame yet: build one, or paste one")
		}
		if err != nil {
			err = &terminal.Error{Kind: terminal.KindUsage, Err: err}
		}
	}
	if err == nil && do == "mend" {
		frame, err = t.Mend(frame)
	}
	if err != nil {
		return err
	}
	body.Hex = fmt.Sprintf("% X", frame)
	body.look(t, frame)
	if body.Samples, err = samplesOf(frame, body.Address, "the "+t.Spec().Name()+" listener of a Meridian sandbox"); err != nil {
		return err
	}
	if do != "send" {
		return nil
	}
	detail := fmt.Sprintf("%d bytes from the message builder, by %s", len(frame), personOf(r).Name)
	if err := c.record(r.Context(), "message_sent", "terminal "+form.Terminal, detail); err != nil {
		return err
	}
	delivery, err := t.Deliver(r.Context(), request, frame)
	if err != nil {
		return err
	}
	body.take(t, delivery)
	return nil
}

// requestOf is what the test terminal is asked for. What it does not remember of an
// original, the host's own record tells.
func (c *Console) requestOf(ctx context.Context, form *builderForm) (terminal.Request, error) {
	request := terminal.Request{
		Operation: terminal.Operation(form.Kind), Amount: form.Amount, Card: form.Card, STAN: form.STAN, Keyed: form.Keyed,
	}
	network := request.Operation == terminal.Echo || request.Operation == terminal.Logon
	if network || request.Operation == terminal.Balance {
		request.Amount = "" // it has none
	}
	if network {
		request.Card = ""
	}
	if form.PIN && !network && request.Operation != terminal.Reversal {
		request.PIN = terminal.PINOfCard
	}
	if form.RRN == "" || !refers(request.Operation) {
		return request, nil
	}
	rrn, is := parseRRN(form.RRN)
	if !is {
		return request, &terminal.Error{Kind: terminal.KindUsage, Err: errors.New("an RRN has twelve digits")}
	}
	request.RRN = form.RRN
	found, err := switching.FindByRRN(ctx, c.o.Pool, rrn)
	if err != nil {
		return request, err
	}
	if len(found) == 0 || found[0].TID != form.Terminal {
		return request, nil // whether the host finds it is to be seen
	}
	original := found[0]
	if request.Operation == terminal.Reversal {
		request.OriginalSTAN = fmt.Sprintf("%06d", original.STAN)
	}
	if request.Amount == "" {
		minor := original.AmountMinor
		request.AmountMinor = &minor
	}
	return request, nil
}

// refers tells the kinds that name an original.
func refers(o terminal.Operation) bool {
	switch o {
	case terminal.Complete, terminal.Void, terminal.Refund, terminal.Cancel, terminal.Reversal:
		return true
	default:
		return false
	}
}

// look decodes the request.
func (b *builderBody) look(t *terminal.Terminal, frame []byte) {
	read, err := t.ReadFrame(frame)
	if err != nil {
		b.Note = capital(err.Error()) + "."
		return
	}
	shown := side("request", "Request", t.Spec().Name(), host.Show(t.Spec(), read.Payload))
	b.Request = &shown
	if _, err := t.Spec().Parse(read.Payload); err != nil {
		b.Note = capital(err.Error()) + "."
	}
}

// take shows what came back.
func (b *builderBody) take(t *terminal.Terminal, d *terminal.Delivery) {
	b.Sent, b.Took, b.Summary = true, milliseconds(d.Elapsed), capital(d.Problem)
	if d.Answer.Payload == nil {
		return
	}
	shown := side("answer", "Answer", t.Spec().Name(), host.Show(t.Spec(), d.Answer.Payload))
	b.Answer = &shown
	b.Code = shown.Shown.Field(fieldCode)
	if rrn := shown.Shown.Field(fieldRRN); len(rrn) == rrnDigits && onlyDigits.MatchString(rrn) {
		b.RRN = rrn
	}
	if d.Report != nil {
		b.Summary, b.Good = capital(d.Report.Summary), d.Report.Outcome == terminal.Approved
	}
}
