//go:build unix

package sandbox

import (
	"fmt"

	"meridian/internal/money"
	"meridian/switch"
)

// merchant is a test merchant with all that is its own: calendar, policy,
// terminals, and a range of cards in its currency. The calendar and the policy
// have the merchant's number.
type merchant struct {
	id       int32
	bucket   int16
	mid      string
	name     string
	currency money.Currency
	zone     string // IANA
	cutoff   string // HH:MM in zone
	mode     switching.CancelMode

	// region is a public holiday calendar, empty for none; weekend are ISO weekdays.
	region  string
	weekend []int16

	network string
	// bin is the first six digits of its cards: a published test range, and none of
	// zeros, so that a number can be told from what else is in a database's files.
	bin       string
	panDigits int
}

// merchants differ in everything that changes a decision: cutoffs at night, in
// an hour that daylight saving skips, and by day; all cancel modes; currencies
// with no, two and three decimals; every bucket of a small machine.
func merchants() []merchant {
	return []merchant{
		{
			1, 0, "104110000000001", "Huangpu River Books", money.CNY, "Asia/Shanghai", "23:00", switching.CancelAuto,
			"",
			[]int16{6, 7},
			"unionpay", "621234", 19,
		},
		{
			2, 1, "104110000000002", "Spree Backwaren", money.EUR, "Europe/Berlin", "02:30", switching.CancelStrict,
			"de",
			[]int16{6, 7},
			"visa", "476173", 16,
		},
		{
			3, 2, "104110000000003", "Hudson Hardware", money.USD, "America/New_York", "17:00", switching.CancelAuto,
			"us",
			[]int16{6, 7},
			"mastercard", "555555", 16,
		},
		{
			4, 3, "104110000000004", "Sumida Records", money.JPY, "Asia/Tokyo", "22:00", switching.CancelOnly,
			"jp",
			[]int16{6, 7},
			"jcb", "353011", 16,
		},
		{
			5, 0, "104110000000005", "Salmiya Spices", money.KWD, "Asia/Kuwait", "20:00", switching.CancelAuto,
			"",
			[]int16{5, 6},
			"visa", "424242", 16,
		},
	}
}

func (m *merchant) calendarName() string { return fmt.Sprintf("%s %s", m.zone, m.cutoff) }

func (m *merchant) policyName() string { return "sandbox " + m.mid }

const (
	// maxAmountMinor is above every balance but the highest: what is short of
	// funds is told so, what is over the limit too.
	maxAmountMinor = 500_000_000
	// maxCashbackMinor is what a till may hand out.
	maxCashbackMinor = 100_000
	// firstDate of the calendars lies before any clock that a test sets.
	firstDate = "2020-01-01"
)

// terminal is a test terminal of a merchant.
type terminal struct {
	id       int32
	tid      string
	merchant *merchant
	dialect  string
	tpdu     string // as the terminal sends it; empty where the dialect has none
	mac      string
	// stories: it is the merchant's one for the stories that the sandbox tells.
	stories bool
}

// scheme of the terminal's keys: UnionPay's sign in for theirs.
func (t *terminal) scheme() switching.KeyScheme {
	if t.dialect == listenerUnionPay {
		return switching.SchemeSession
	}
	return switching.SchemeStatic
}

// Operators of every test merchant: the one that sandbox.json names, and a
// supervisor for policies that ask for one.
const (
	operator           = "01"
	operatorPassword   = "0000"
	supervisor         = "99"
	supervisorPassword = "9999"
)

// holidays are dates that no public calendar of ours has: China's statutory
// holidays on fixed dates, for value dates that are worth a look.
func holidays() []holiday {
	var list []holiday
	for year := 2026; year <= 2030; year++ {
		for _, day := range []struct{ date, name string }{
			{"01-01", "New Year's Day"},
			{"05-01", "Labour Day"},
			{"10-01", "National Day"},
			{"10-02", "National Day"},
			{"10-03", "National Day"},
		} {
			list = append(list, holiday{calendar: 1, date: fmt.Sprintf("%d-%s", year, day.date), name: day.name})
		}
	}
	return list
}

// holiday of a calendar, YYYY-MM-DD.
type holiday struct {
	calendar   int16
	date, name string
}

// terminals of a merchant: two for each dialect, and one more for stories, so that
// nobody's own terminal is in their way. The first NAC and ASCII ones need no MAC,
// so that a first message can be written by hand.
func (m *merchant) terminals() []terminal {
	kinds := []struct {
		dialect, tpdu, mac string
		stories            bool
	}{
		{"nac", "6000010000", "none", false},
		{"nac", "6000010000", "x919", false},
		{"ascii", "", "none", false},
		{"ascii", "", "x919", false},
		{"unionpay", "6000030000", "unionpay-ecb", false},
		{"unionpay", "6000030000", "unionpay-ecb", false},
		{"nac", "6000010000", "x919", true},
		{"ascii", "", "x919", true},
		{"unionpay", "6000030000", "unionpay-ecb", true},
	}
	list := make([]terminal, len(kinds))
	for i, k := range kinds {
		id := m.id*10_000_000 + int32(i) + 1
		list[i] = terminal{id: id, tid: fmt.Sprintf("%08d", id), merchant: m, dialect: k.dialect, tpdu: k.tpdu, mac: k.mac, stories: k.stories}
	}
	return list
}
