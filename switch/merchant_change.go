package switching

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/ledger"
)

// maxMIDCharacters of F42, maxTIDCharacters of F41 (ISO 8583:1987).
const (
	maxMIDCharacters = 15
	maxTIDCharacters = 8
)

// NewMerchant is a merchant without terminals.
type NewMerchant struct {
	MID      string // F42
	Name     string
	Currency money.Currency
	// Calendar and Policy by their names.
	Calendar, Policy string
	// Discounts from its first business date on; MID and From are the merchant's.
	Discounts []Discount
}

// AddMerchant adds a merchant to the bucket that has the fewest. Errors:
// [FieldError].
func AddMerchant(ctx context.Context, db ledger.TxBeginner, n NewMerchant, now time.Time, who, why string) error {
	if err := n.check(); err != nil {
		return err
	}
	c := PolicyChange{Who: who, Why: why, What: "merchant " + n.MID, Kind: "merchant_added"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) { return n.add(ctx, tx, now) })
}

func (n *NewMerchant) check() error {
	if err := checkNumber("mid", n.MID, maxMIDCharacters); err != nil {
		return err
	}
	if err := checkName(n.Name); err != nil {
		return err
	}
	if !n.Currency.Valid() {
		return wrong("currency", "%s is no currency of ISO 4217, such as EUR or 978", n.Currency)
	}
	said := map[string]bool{}
	for i := range n.Discounts {
		d := &n.Discounts[i]
		if err := d.check(); err != nil {
			return ofDiscount(err)
		}
		if said[d.Network] {
			return wrong("discount", "there are two for %s", networkText(d.Network))
		}
		said[d.Network] = true
	}
	return nil
}

func (n *NewMerchant) add(ctx context.Context, tx pgx.Tx, now time.Time) (what string, err error) {
	id, err := nextNumber(ctx, tx, "merchants", "merchant_id", math.MaxInt32)
	if err != nil {
		return "", err
	}
	calendar, err := namedNumber(ctx, tx, "calendar", n.Calendar)
	if err != nil {
		return "", err
	}
	policy, err := namedNumber(ctx, tx, "policy", n.Policy)
	if err != nil {
		return "", err
	}
	var bucket int16
	err = tx.QueryRow(ctx, `
		INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
		SELECT $1, b.bucket, $2, $3, $4, $5, $6 FROM (
			SELECT b.bucket FROM buckets b LEFT JOIN merchants m USING (bucket)
			GROUP BY b.bucket ORDER BY count(m.merchant_id), b.bucket LIMIT 1) b
		ON CONFLICT (mid) DO NOTHING RETURNING bucket`,
		id, n.MID, n.Name, n.Currency, calendar, policy).Scan(&bucket)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", taken("mid", "there is a merchant %s already", n.MID)
	case err != nil:
		return "", fmt.Errorf("store: %w", err)
	}
	said := []string{
		fmt.Sprintf("merchant %s: %s, %s, calendar %s, policy %s, number %d in bucket %d", n.MID, n.Name, n.Currency, n.Calendar, n.Policy, id, bucket),
	}
	from, err := firstTermDate(ctx, tx, int32(id), now)
	if err != nil {
		return "", err
	}
	for i := range n.Discounts {
		d := n.Discounts[i]
		d.MID, d.From = n.MID, from
		if err := d.store(ctx, tx, int32(id)); err != nil {
			return "", ofDiscount(err)
		}
		said = append(said, d.String())
	}
	return strings.Join(said, ", "), nil
}

// ofDiscount has an error be about the merchant's discounts, whose parts are no
// fields of its own.
func ofDiscount(err error) error {
	if part, ok := errors.AsType[*FieldError](err); ok {
		return &FieldError{Field: "discount", Problem: part.Error(), cause: part.cause}
	}
	return err
}

// namedNumber finds a calendar or a policy, which is also what the field is called.
func namedNumber(ctx context.Context, tx pgx.Tx, field, name string) (id int32, err error) {
	if name == "" {
		return 0, wrong(field, "is missing: every merchant has one")
	}
	sql := map[string]string{
		"calendar": `SELECT calendar_id FROM calendars WHERE name = $1`,
		"policy":   `SELECT policy_id FROM policies WHERE name = $1`,
	}[field]
	err = tx.QueryRow(ctx, sql, name).Scan(&id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, missing(field, "there is no %s %q", field, name)
	case err != nil:
		return 0, fmt.Errorf("look for %s: %w", field, err)
	}
	return id, nil
}

// SetMerchantActive suspends a merchant, all of whose terminals are then answered
// that it is not known, or resumes it. Errors: [ErrNothingChanged] also where it
// is so already.
func SetMerchantActive(ctx context.Context, db ledger.TxBeginner, mid string, active bool, who, why string) error {
	c := PolicyChange{Who: who, Why: why, What: "merchant " + mid, Kind: "merchant_suspended"}
	if active {
		c.Kind = "merchant_resumed"
	}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		return "", execute(ctx, tx, `UPDATE merchants SET active = $2 WHERE mid = $1 AND active <> $2`, mid, active)
	})
}

// MerchantChange is what becomes different at a merchant; nil stays. Its MID and
// its currency never change: what is settled names them.
type MerchantChange struct {
	Name, Policy, Calendar *string
	// ReviewRefunds flags it: every refund is reviewed.
	ReviewRefunds *bool
}

// SetMerchant changes a merchant. Another calendar has to have the same business
// date open, nothing before it may wait for its close, and neither may be about to
// cut. Errors: [FieldError], [ErrNothingChanged] where it is so already.
func SetMerchant(ctx context.Context, db ledger.TxBeginner, mid string, change MerchantChange, now time.Time, who, why string) error {
	if change.Name != nil {
		if err := checkName(*change.Name); err != nil {
			return err
		}
	}
	c := PolicyChange{Who: who, Why: why, What: "merchant " + mid, Kind: "merchant_changed"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) { return change.store(ctx, tx, mid, now) })
}

func (c *MerchantChange) store(ctx context.Context, tx pgx.Tx, mid string, now time.Time) (what string, err error) {
	var was struct {
		id             int32
		bucket         int16
		name           string
		policy         string
		calendar       string
		reviewsRefunds bool
	}
	err = tx.QueryRow(ctx, `
		SELECT m.merchant_id, m.bucket, m.name, p.name, c.name, m.review_refunds
		FROM merchants m JOIN policies p USING (policy_id) JOIN calendars c USING (calendar_id) WHERE m.mid = $1 FOR UPDATE OF m`, mid).
		Scan(&was.id, &was.bucket, &was.name, &was.policy, &was.calendar, &was.reviewsRefunds)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", missing("mid", "there is no merchant %s", mid)
	case err != nil:
		return "", fmt.Errorf("find merchant: %w", err)
	}
	var said []string
	set := func(column, is, before string, value any) error {
		said = append(said, fmt.Sprintf("%s = %s, was %s", strings.TrimSuffix(column, "_id"), is, before))
		return execute(ctx, tx, `UPDATE merchants SET `+column+` = $2 WHERE merchant_id = $1`, was.id, value)
	}
	if c.Name != nil && *c.Name != was.name {
		if err := set("name", *c.Name, was.name, *c.Name); err != nil {
			return "", err
		}
	}
	if c.Policy != nil && *c.Policy != was.policy {
		id, err := namedNumber(ctx, tx, "policy", *c.Policy)
		if err != nil {
			return "", err
		}
		if err := set("policy_id", *c.Policy, was.policy, id); err != nil {
			return "", err
		}
	}
	if c.Calendar != nil && *c.Calendar != was.calendar {
		id, err := namedNumber(ctx, tx, "calendar", *c.Calendar)
		if err != nil {
			return "", err
		}
		if err := mayMove(ctx, tx, was.bucket, [2]string{was.calendar, *c.Calendar}, now); err != nil {
			return "", err
		}
		if err := set("calendar_id", *c.Calendar, was.calendar, id); err != nil {
			return "", err
		}
	}
	if c.ReviewRefunds != nil && *c.ReviewRefunds != was.reviewsRefunds {
		if err := set("review_refunds", fmt.Sprint(*c.ReviewRefunds), fmt.Sprint(was.reviewsRefunds), *c.ReviewRefunds); err != nil {
			return "", err
		}
	}
	if len(said) == 0 {
		return "", ErrNothingChanged
	}
	return fmt.Sprintf("merchant %s: %s", mid, strings.Join(said, "; ")), nil
}

// moveQuiet is how far a merchant's move has to be from a cutoff of either
// calendar: hosts take a change up within seconds, and a clock may be a little off.
const moveQuiet = 5 * time.Minute

// mayMove tells whether a merchant of a bucket may go from one calendar to another
// now. A business date is settled with the merchants that its calendar has at its
// close, so both must have the same date open and no earlier one to close: what was
// sold would be in no statement otherwise.
func mayMove(ctx context.Context, tx pgx.Tx, bucket int16, calendars [2]string, now time.Time) error {
	var open [2]ledger.Date
	for i, name := range calendars {
		var date, closes *time.Time
		var waiting bool
		err := tx.QueryRow(ctx, `
			SELECT o.business_date, o.closes_at, EXISTS (
				SELECT FROM windows w JOIN business_days d USING (calendar_id, business_date)
				WHERE w.bucket = $1 AND w.calendar_id = c.calendar_id AND w.state < 3 AND d.closes_at <= $3)
			FROM calendars c LEFT JOIN LATERAL (
				SELECT d.business_date, d.closes_at FROM business_days d
				WHERE d.calendar_id = c.calendar_id AND d.closes_at > $3 ORDER BY d.business_date LIMIT 1) o ON true
			WHERE c.name = $2`, bucket, name, now).Scan(&date, &closes, &waiting)
		switch {
		case err != nil:
			return fmt.Errorf("look at calendar %s: %w", name, err)
		case date == nil:
			return notNow("calendar", "the business dates of %s are not made that far yet", name)
		case waiting:
			return notNow("calendar", "%s has a business date that waits for its close: move the merchant after it", name)
		case closes.Sub(now) < moveQuiet:
			return notNow("calendar", "%s is cut at %s: move the merchant after that", name, closes.UTC().Format(time.RFC3339))
		}
		open[i] = ledger.DateOf(*date)
	}
	if open[0] != open[1] {
		return notNow("calendar", "%s is in business date %s and %s in %s: a merchant moves while both are in the same one",
			calendars[0], open[0], calendars[1], open[1])
	}
	return nil
}
