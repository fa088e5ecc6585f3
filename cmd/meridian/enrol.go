package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/ledger"
	"meridian/switch"
)

// enrolled is what a command has stored, whole, beside what it says of it.
type enrolled struct {
	changed

	Calendar *switching.StoredCalendar `json:"calendar,omitempty"`
	Policy   *switching.StoredPolicy   `json:"policy,omitempty"`
	Merchant *switching.MerchantState  `json:"merchant,omitempty"`
	Terminal *terminalView             `json:"terminal,omitempty"`
	Range    *switching.CardRange      `json:"range,omitempty"`
	Discount *switching.Discount       `json:"discount,omitempty"`
	Reserve  *switching.Reserve        `json:"reserve,omitempty"`
	// Note is what somebody should know besides.
	Note string `json:"note,omitempty"`
}

// doneEnrolling tells about a change, and shows what is stored now.
func (g *globals) doneEnrolling(what string, why change, stored enrolled) error {
	stored.changed = changed{Changed: what, By: why.by, Reason: why.reason}
	return g.print(&stored, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s; running hosts take it up within seconds\n", printable(what))
		if stored.Note != "" {
			_, _ = fmt.Fprintf(w, "note: %s\n", printable(stored.Note))
		}
	})
}

// enrolling opens the database for a change that is said to be somebody's, with the time that decides.
func (d *databaseFlags) enrolling(c *cobra.Command, g *globals, why *change, required ...string) (*pgxpool.Pool, time.Time, error) {
	for _, name := range required {
		if !c.Flags().Changed(name) {
			return nil, time.Time{}, usagef("--%s is missing: %s", name, c.Flags().Lookup(name).Usage)
		}
	}
	if err := why.check(); err != nil {
		return nil, time.Time{}, err
	}
	pool, err := d.open(c.Context(), g)
	if err != nil {
		return nil, time.Time{}, err
	}
	at, err := d.clockOf(c.Context(), pool)
	if err != nil {
		pool.Close()
		return nil, time.Time{}, err
	}
	return pool, at.now, nil
}

// whereListed are the commands that list what a field can name.
var whereListed = map[string]string{
	"calendar": "meridian calendar list", "policy": "meridian policy list", "like": "meridian policy list", "mid": "meridian merchant list",
	"tid": "meridian terminals list", "network": "meridian range list", "base-key": "meridian key check", "low": "meridian range list",
	"discount": "meridian range list", "from": "meridian terms list", "date": "meridian calendar list",
	"code": "meridian catalogue list", "rid/index": "meridian catalogue list", "aid": "meridian catalogue list",
}

// enrolError names a field by its flag or its argument, and gives the error its exit code: a wrong form is the command line's,
// what the database has or has not is not.
func enrolError(c *cobra.Command, err error, unchanged string) error {
	field, ok := errors.AsType[*switching.FieldError](err)
	if !ok {
		return changeError(err, unchanged)
	}
	name := strings.ToUpper(field.Field)
	if c.Flags().Lookup(field.Field) != nil {
		name = "--" + field.Field
	}
	text := name + ": " + field.Problem
	switch {
	case errors.Is(err, switching.ErrMissing):
		return fmt.Errorf("%s (%s shows what there is)", text, whereListed[field.Field])
	case errors.Is(err, switching.ErrTaken):
		return errors.New(text)
	case errors.Is(err, switching.ErrNotNow) && (field.Field == "mac" || field.Field == "scheme"):
		return fmt.Errorf("%s (meridian key components, load or generate loads it)", text)
	case errors.Is(err, switching.ErrNotNow):
		return errors.New(text)
	}
	return usagef("%s", text)
}

var percent = regexp.MustCompile(`^([0-9]{1,3})(?:\.([0-9]{1,4}))? ?%?$`)

// parseRate reads a percentage with up to four decimals as millionths: 1.2 or 1.2% is 12,000.
func parseRate(flag, text string) (millionths int64, err error) {
	parts := percent.FindStringSubmatch(text)
	if parts == nil {
		return 0, usagef("--%s: %q is no percentage with up to four decimals, such as 1.2%%", flag, text)
	}
	digits := parts[1] + parts[2] + strings.Repeat("0", 4-len(parts[2]))
	millionths, err = strconv.ParseInt(digits, 10, 64)
	if err != nil || millionths > 1_000_000 {
		return 0, usagef("--%s: %s is not from 0 to 100 %%", flag, text)
	}
	return millionths, nil
}

// rateText is a rate in millionths as parseRate takes it.
func rateText(millionths int64) string {
	text := strings.TrimRight(fmt.Sprintf("%d.%04d", millionths/10_000, millionths%10_000), "0")
	return strings.TrimSuffix(text, ".") + "%"
}

// parseDateFlag reads a date that may be left out.
func parseDateFlag(flag, text string) (ledger.Date, error) {
	if text == "" {
		return 0, nil
	}
	date, err := ledger.ParseDate(text)
	if err != nil {
		return 0, usagef("--%s %q is not YYYY-MM-DD", flag, text)
	}
	return date, nil
}

// merchantOf names whose terms they are.
func merchantOf(mid string) string {
	if mid == "" {
		return "every merchant"
	}
	return "merchant " + mid
}
