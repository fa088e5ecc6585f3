package console

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"meridian/internal/money"
	"meridian/ledger"
	"meridian/switch"
)

// searchForm is what a person typed: one field for everything, or one for each.
type searchForm struct {
	Q, RRN, Merchant, Terminal, STAN, Batch, Amount, Card, Kind, State, From, To string
}

// fields are the form's fields by their names in an address.
func (f *searchForm) fields() []struct {
	name  string
	value *string
} {
	return []struct {
		name  string
		value *string
	}{
		{"q", &f.Q},
		{"rrn", &f.RRN},
		{"merchant", &f.Merchant},
		{"terminal", &f.Terminal},
		{"stan", &f.STAN},
		{"batch", &f.Batch},
		{"amount", &f.Amount},
		{"card", &f.Card},
		{"kind", &f.Kind},
		{"state", &f.State},
		{"from", &f.From},
		{"to", &f.To},
	}
}

// maxFieldBytes is more than anything that is searched for has.
const maxFieldBytes = 64

func readSearchForm(r *http.Request) (*searchForm, error) {
	var f searchForm
	query := r.URL.Query()
	for _, field := range f.fields() {
		*field.value = strings.TrimSpace(query.Get(field.name))
		if len(*field.value) > maxFieldBytes {
			return nil, badRequest("What was typed is longer than anything that can be searched for.")
		}
	}
	return &f, nil
}

// query is the form as an address has it.
func (f *searchForm) query() url.Values {
	values := url.Values{}
	for _, field := range f.fields() {
		if *field.value != "" {
			values.Set(field.name, *field.value)
		}
	}
	return values
}

var (
	onlyDigits = regexp.MustCompile(`^[0-9]+$`)
	// 621234…0001, 621234*********0001, 621234 0001
	maskedCard = regexp.MustCompile(`^([0-9]{6})[*.xX…· -]+([0-9]{4})$`)
	lastFour   = regexp.MustCompile(`^(?:[*.xX…·]+ ?)?([0-9]{4})$`)
	firstSix   = regexp.MustCompile(`^([0-9]{6})[*.xX…·]*$`)
	decimal    = regexp.MustCompile(`^[0-9]+[.,][0-9]+$`)
)

// understand puts what was typed into the one field where it belongs. It returns
// what it took it for.
func (f *searchForm) understand(directory *switching.Directory) (took string, err error) {
	q := f.Q
	switch {
	case q == "":
		return "", nil
	case len(q) == rrnDigits && onlyDigits.MatchString(q):
		f.RRN, took = q, "an RRN"
	case directory.Terminal(q) != nil:
		f.Terminal, took = q, "a terminal"
	case directory.Merchant(q) != nil:
		f.Merchant, took = q, "a merchant"
	case maskedCard.MatchString(q):
		f.Card, took = q, "a card"
	case decimal.MatchString(q):
		f.Amount, took = strings.Replace(q, ",", ".", 1), "an amount"
	case onlyDigits.MatchString(q) && len(q) <= stanDigits:
		f.STAN, took = q, "a STAN"
	default:
		return "", badRequest("“" + q + "” is no RRN (12 digits), STAN (up to 6), terminal, merchant, masked card (621234…0001) or amount (12.34).")
	}
	f.Q = ""
	return took, nil
}

// parseRRN reads an RRN (F37).
func parseRRN(text string) (rrn int64, is bool) {
	rrn, err := strconv.ParseInt(text, 10, 64)
	return rrn, err == nil && len(text) == rrnDigits && rrn >= 0
}

const (
	rrnDigits  = 12
	stanDigits = 6
)

// search makes the question that the form asks.
func (f *searchForm) search(directory *switching.Directory) (s switching.TransactionSearch, err error) {
	number := func(text, what string, most int64) int64 {
		if text == "" || err != nil {
			return 0
		}
		n, parseErr := strconv.ParseInt(text, 10, 64)
		if parseErr != nil || n < 0 || n > most {
			err = badRequest("“" + text + "” is no " + what + ".")
		}
		return n
	}
	date := func(text string) ledger.Date {
		if text == "" || err != nil {
			return 0
		}
		d, parseErr := ledger.ParseDate(text)
		if parseErr != nil {
			err = badRequest("“" + text + "” is no date such as 2026-03-10.")
		}
		return d
	}
	s = switching.TransactionSearch{
		RRN: number(f.RRN, "RRN: it has twelve digits", 999_999_999_999), MID: f.Merchant, TID: f.Terminal,
		STAN: int32(number(f.STAN, "STAN: it has up to six digits", 999_999)), HasSTAN: f.STAN != "",
		BatchNo: int32(number(f.Batch, "batch number", 999_999)), From: date(f.From), To: date(f.To),
	}
	if err != nil {
		return s, err
	}
	if f.Kind != "" && s.Kind.UnmarshalText([]byte(f.Kind)) != nil {
		return s, badRequest("“" + f.Kind + "” is no kind of transaction.")
	}
	if f.State != "" && s.State.UnmarshalText([]byte(f.State)) != nil {
		return s, badRequest("“" + f.State + "” is no state of a transaction.")
	}
	if s.CardFirst, s.CardLast, err = f.card(); err != nil {
		return s, err
	}
	s.Amounts, err = f.amounts(directory)
	return s, err
}

func (f *searchForm) card() (first, last string, err error) {
	if f.Card == "" {
		return "", "", nil
	}
	if parts := maskedCard.FindStringSubmatch(f.Card); parts != nil {
		return parts[1], parts[2], nil
	}
	if parts := lastFour.FindStringSubmatch(f.Card); parts != nil {
		return "", parts[1], nil
	}
	if parts := firstSix.FindStringSubmatch(f.Card); parts != nil {
		return parts[1], "", nil
	}
	return "", "", badRequest("A card is searched for by its first six and last four digits, such as 621234…0001, or by one of them.")
}

// amounts are what was typed in each currency that it is an amount in.
func (f *searchForm) amounts(directory *switching.Directory) ([]money.Amount, error) {
	if f.Amount == "" {
		return nil, nil
	}
	list := []money.Amount{}
	for _, m := range directory.Merchants() {
		minor, err := money.ParseMinor(f.Amount, m.Currency)
		if one := (money.Amount{Minor: minor, Currency: m.Currency}); err == nil && !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	if len(list) == 0 {
		return nil, badRequest("“" + f.Amount + "” is no amount in a currency of any merchant here, such as 12.34.")
	}
	return list, nil
}
