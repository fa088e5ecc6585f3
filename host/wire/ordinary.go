package wire

import (
	"regexp"
	"slices"

	"meridian/internal/card"
)

// ordinary is what fields hold that have digits enough to be taken for a card number.
// One in ten 15-digit merchants passes a card number's check, and of totals and
// references, which are several numbers in a row, every other one has some part that
// does; they are what people look for in a message. A value of this form has no card
// number in it: its amounts and institutions begin with zeros, its references with a
// message type. Only what is in parentheses could be one, and is looked at as a whole
// by who issues such numbers: a merchant's number as an American Express card, and a
// batch or STAN with what follows it as any other.
//
// A value of any other form is searched as a text is.
var ordinary = map[int]*regexp.Regexp{
	42: regexp.MustCompile(`^([0-9]{15})$`),
	// UnionPay's totals (debits, credits, outcome), once or for two kinds of cards.
	48: regexp.MustCompile(`^(?:` + totalForm + totalForm + `[0-9]){1,2}$`),
	// Format of the PIN block, its algorithm, whether tracks are enciphered.
	53: regexp.MustCompile(`^[0-9]{3}0{13}$`),
	54: regexp.MustCompile(`^(?:[0-9]{7}[CD]` + amountForm + `)+$`),
	// UnionPay's transaction type, batch and network management; the original's type,
	// STAN and RRN of a nac upload.
	60: regexp.MustCompile(`^(?:([0-3](?:[0-9]{10,13}|[0-9]{16}))|` + typeForm + `([0-9]{16})[0-9]{2})$`),
	// Batch, STAN and date of an original; how it was authorized, and by whom.
	61: regexp.MustCompile(`^([0-9]{12}` + dateForm + `)(?:[0-9]{13})?$`),
	62: regexp.MustCompile(`^` + typeForm + `([0-9]{16})[0-9]{2}$`),
	63: regexp.MustCompile(`^(?:([0-9]{3}` + amountForm + `)|(?:[0-9]{3}` + amountForm + `){2,})$`),
	// Message type, STAN, date and time, two institutions.
	90: regexp.MustCompile(`^` + typeForm + `([0-9]{6}` + dateForm + timeForm + `)(?:00[0-9]{9}){2}$`),
	95: regexp.MustCompile(`^` + amountForm + amountForm + `(?:[CD0]00[0-9]{6}){2}$`),
}

// Forms of what those fields are made of. Ten digits are enough for an amount that
// people look at.
const (
	amountForm = `00[0-9]{10}`
	totalForm  = amountForm + `[0-9]{3}`
	typeForm   = `0[1-8][0-9]{2}`
	dateForm   = `(?:0[0-9]|1[0-2])(?:[0-2][0-9]|3[01])`
	timeForm   = `(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]`
)

// withoutCards is what may be seen of a field's value that is no secret by itself.
func withoutCards(field int, value string) string {
	if form := ordinary[field]; form != nil {
		if parts := form.FindStringSubmatch(value); parts != nil && !slices.ContainsFunc(parts[1:], card.Issued) {
			return value
		}
	}
	return card.MaskDigits(value)
}
