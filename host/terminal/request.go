package terminal

import (
	"fmt"
	"strconv"
	"time"

	"meridian/internal/card"
	"meridian/internal/money"
)

// Request is what the user asks the terminal to do. Whatever is empty comes from
// the terminal's memory or from its counters.
type Request struct {
	Operation Operation

	// Amount is a decimal of the merchant's currency ("12.34"); AmountMinor are
	// minor units. One of them, or neither.
	Amount      string
	AmountMinor *int64
	// Cashback is the part of Amount that is paid out (sale only).
	Cashback string
	// Replacement is what remains of the original: a partial reversal.
	Replacement string

	// Card is a position in sandbox.json from 0, a behaviour, or one of its numbers.
	Card string
	// PAN with Expiry (YYMM), or Track2, is a card of no sandbox. Expiry alone
	// replaces the chosen card's.
	PAN, Expiry, Track2 string
	// Keyed sends F2 and F14 instead of F35.
	Keyed bool

	// PIN that the card holder enters: its digits, or PINOfCard.
	PIN string
	// SealTrack enciphers F35 under the session's track key (unionpay).
	SealTrack bool

	// RRN, OriginalSTAN or AuthCode name the original.
	RRN, OriginalSTAN, AuthCode string
	// Of narrows it down to one kind of operation.
	Of Operation
	// Unreferenced sends a refund that names no original.
	Unreferenced bool
	// STAN replaces the terminal's counter, which then stands still.
	STAN string
	// Invoice is F62 (NAC only).
	Invoice string

	// Advice sends a reversal as 0420, and a unionpay completion as 0220.
	Advice bool
	// Reason of a unionpay reversal, F39; ReasonNoAnswer when empty.
	Reason Reason
	// Tip is the part of an adjusted amount that is one.
	Tip string
	// Keys that a unionpay logon asks for; KeysDouble when empty.
	Keys KeyForm
	// ChipData is F55 of a script result; a script that went well when empty.
	ChipData []byte
	// List of a status report.
	List List
	// Repeat sends the operation's last message again, byte for byte; Mark says
	// so in the message type (0201, 0221, 0401, 0421).
	Repeat, Mark bool

	// Lose is what gets lost on the line; nothing where it works.
	Lose Loss
	// WrongMAC sends a MAC that is not the message's.
	WrongMAC bool
}

// Loss is what a line loses of an exchange. The terminal is left with an unknown
// outcome either way.
type Loss string

const (
	// LoseRequest: the request never gets to the host.
	LoseRequest Loss = "request"
	// LoseAnswer: the host answers, and the terminal never hears of it.
	LoseAnswer Loss = "answer"
)

func (l Loss) known() bool { return l == "" || l == LoseRequest || l == LoseAnswer }

// Repetition sends a request several times.
type Repetition struct {
	Count int           // 1 when 0
	Pause time.Duration // between an answer and the next request
}

// maxCount is a day's work at one request per 10 ms; load is the bench's.
const maxCount = 8_640_000

func (r Repetition) check() error {
	if r.Count < 0 || r.Count > maxCount || r.Pause < 0 {
		return errorf(KindUsage, "--count is 1 to %d and --pause not negative", maxCount)
	}
	return nil
}

// check refuses what contradicts itself, before anything is sent.
func (r *Request) check() error {
	form, ok := r.Operation.form()
	if !ok {
		return errorf(KindUsage, "a terminal has no %q", r.Operation)
	}
	refers := len(form.originals) > 0
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{r.Amount != "" && r.AmountMinor != nil, "--amount and --minor are two ways to say one thing"},
		{r.PAN != "" && r.Track2 != "", "--track2 holds the card number: leave --pan away"},
		{r.Card != "" && (r.PAN != "" || r.Track2 != ""), "--card takes a card of the sandbox, --pan and --track2 another one"},
		{(r.RRN != "" || r.OriginalSTAN != "" || r.AuthCode != "" || r.Of != "") && !refers && !r.Repeat, string(r.Operation) + " names no original"},
		{r.Of != "" && !form.mayBe(r.Of), fmt.Sprintf("--of %s: a %s is of a %s", r.Of, r.Operation, joined(form.candidates()))},
		{r.Advice && r.Operation != Reversal && r.Operation != Complete, "--advice is a reversal's or a completion's"},
		{r.Reason != "" && r.Operation != Reversal, "--reason is a reversal's"},
		{!r.Reason.known(), fmt.Sprintf("--reason %s: it is 98, 96, A0 or 06", r.Reason)},
		{r.Tip != "" && r.Operation != Adjust, "--tip is an adjustment's"},
		{r.Keys != "" && r.Operation != Logon, "--keys is a logon's"},
		{!r.Keys.known(), fmt.Sprintf("--keys %s: it is single, double or track", r.Keys)},
		{r.PIN != "" && r.Operation == Reversal, "a reversal carries no PIN"},
		{r.AuthCode != "" && len(r.AuthCode) != 6, "--auth-code is 6 characters"},
		{r.List != "" && r.Operation != Status, "--list is a status report's"},
		{r.Operation == Status && !r.List.known(), fmt.Sprintf("--list %s: it is parameters, keys or applications", r.List)},
		{r.Cashback != "" && r.Operation != Sale, "--cashback is a sale's"},
		{r.Replacement != "" && r.Operation != Reversal, "--replacement-amount is a reversal's"},
		{r.Unreferenced && r.Operation != Refund, "--unreferenced is a refund's"},
		{r.Unreferenced && (r.RRN != "" || r.OriginalSTAN != ""), "--unreferenced names no original"},
		{r.Mark && !r.Repeat, "--mark marks a repeat: add --repeat"},
		{r.Mark && r.Operation.network(), "a network message has no marked repeat"},
		{!r.Lose.known(), fmt.Sprintf("--lose %s: it is %s or %s", r.Lose, LoseRequest, LoseAnswer)},
		{r.RRN != "" && len(r.RRN) != 12, "--rrn is 12 characters"},
		{r.Expiry != "" && (len(r.Expiry) != 4 || !digits(r.Expiry)), "--expiry is YYMM"},
	} {
		if rule.broken {
			return errorf(KindUsage, "%s", rule.text)
		}
	}
	if err := stanFlag("--stan", r.STAN); err != nil {
		return err
	}
	return stanFlag("--original-stan", r.OriginalSTAN)
}

// permits refuses what the terminal's dialect does not have.
func (t *Terminal) permits(r *Request) error {
	unionPay := t.dialect == dialectUnionPay
	for _, rule := range []struct {
		broken bool
		what   string
	}{
		{!unionPay && r.Operation.unionPayAlone(), string(r.Operation)},
		{!unionPay && r.Operation == Complete && r.Advice, "--advice of a completion: its completions are advices"},
		{!unionPay && r.Reason != "", "--reason"},
		{!unionPay && r.Keys != "", "--keys"},
		{!unionPay && r.SealTrack, "--seal-track"},
		{!unionPay && r.AuthCode != "", "--auth-code"},
		{unionPay && r.Cashback != "", "--cashback"},
		{unionPay && r.Replacement != "", "--replacement-amount"},
		{unionPay && r.Invoice != "", "--invoice"},
		{unionPay && r.Mark, "--mark"},
		{unionPay && r.Advice && r.Operation == Reversal, "--advice of a reversal"},
	} {
		if rule.broken {
			return errorf(KindUsage, "the %s dialect has no %s", t.dialect, rule.what)
		}
	}
	return nil
}

func stanFlag(name, value string) error {
	if value == "" {
		return nil
	}
	if n, err := strconv.Atoi(value); err != nil || !digits(value) || n < 1 || n > maxSTAN {
		return errorf(KindUsage, "%s %s: it is 1 to %d", name, card.MaskDigits(value), maxSTAN)
	}
	return nil
}

// sixDigits is a STAN as F11 has it.
func sixDigits(stan string) string {
	for len(stan) < 6 {
		stan = "0" + stan
	}
	return stan
}

// amountDigits is the width of F4.
const amountDigits = 12

// minor reads a decimal amount of the terminal's currency.
func (t *Terminal) minor(flag, decimal string) (int64, error) {
	if !t.currency.Valid() {
		return 0, errorf(KindUsage, "%s: give --currency, or --minor instead", flag)
	}
	minor, err := money.ParseMinor(decimal, t.currency)
	if err != nil {
		return 0, errorf(KindUsage, "%s: %w", flag, err)
	}
	return minor, inField(flag, minor)
}

func inField(flag string, minor int64) error {
	if minor < 0 || len(strconv.FormatInt(minor, 10)) > amountDigits {
		return errorf(KindUsage, "%s: a message has room for 0 to 999999999999 minor units", flag)
	}
	return nil
}

// amount of a request; given is false where the user said nothing.
func (t *Terminal) amount(r *Request) (minor int64, given bool, err error) {
	switch {
	case r.AmountMinor != nil:
		return *r.AmountMinor, true, inField("--minor", *r.AmountMinor)
	case r.Amount != "":
		minor, err = t.minor("--amount", r.Amount)
		return minor, true, err
	}
	return 0, false, nil
}
