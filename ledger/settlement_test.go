package ledger

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"meridian/internal/money"
)

// halfEven is the fee's rate part by arbitrary precision.
func halfEven(minor, rateMillionths int64) int64 {
	product := new(big.Int).Mul(big.NewInt(minor), big.NewInt(rateMillionths))
	scale := big.NewInt(1_000_000)
	quotient, remainder := new(big.Int).QuoRem(product, scale, new(big.Int))
	twice := new(big.Int).Lsh(remainder, 1)
	if c := twice.Cmp(scale); c > 0 || c == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient.Int64()
}

func TestFeesRoundHalfToEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		term := DiscountTerm{
			RateMillionths: rapid.OneOf(rapid.Int64Range(0, 1_000_000), rapid.SampledFrom([]int64{500_000, 250_000, 25_000, 5_000, 1})).Draw(t, "rate"),
			FixedMinor:     rapid.Int64Range(0, 1_000_000_000).Draw(t, "fixed"),
			ReturnsFee:     rapid.Bool().Draw(t, "returns"),
		}
		minor := rapid.OneOf(rapid.Int64Range(1, 1000), rapid.Int64Range(1, 999_999_999_999)).Draw(t, "amount")
		fee, err := term.Fee(minor)
		if err != nil || fee != halfEven(minor, term.RateMillionths)+term.FixedMinor {
			t.Fatalf("fee of %d is %d (%v)", minor, fee, err)
		}
		returned, err := term.Returned(minor, 0, minor)
		want := int64(0)
		if term.ReturnsFee {
			want = halfEven(minor, term.RateMillionths)
		}
		if err != nil || returned != want {
			t.Fatalf("returned of %d is %d (%v), want %d", minor, returned, err, want)
		}
		if undone, err := term.Returned(minor, minor, 0); err != nil || undone != -returned {
			t.Fatalf("%d back, and %d when that is undone (%v)", returned, undone, err)
		}
	})
}

// Refunds in any parts, undone at times, return of a fee what one refund of the
// same sum returns: never less than nothing, never more than the rate's part.
func TestReturnsAddUpToTheFee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		term := DiscountTerm{RateMillionths: rapid.Int64Range(0, 1_000_000).Draw(t, "rate"), FixedMinor: 30, ReturnsFee: true}
		captured := rapid.Int64Range(1, 5_000).Draw(t, "captured")
		charged := captured - rapid.Int64Range(0, captured).Draw(t, "cashback")
		fee := halfEven(charged, term.RateMillionths)
		var paid, sum int64
		for range rapid.IntRange(1, 30).Draw(t, "dates") {
			after := rapid.Int64Range(0, captured).Draw(t, "paid back")
			returned, err := term.Returned(charged, paid, after)
			if err != nil {
				t.Fatal(err)
			}
			paid, sum = after, sum+returned
			if sum < 0 || sum > fee || sum != halfEven(min(paid, charged), term.RateMillionths) {
				t.Fatalf("%d of a fee of %d came back with %d of %d paid back", sum, fee, paid, charged)
			}
		}
		rest, err := term.Returned(charged, paid, captured)
		if err != nil || sum+rest != fee {
			t.Fatalf("all paid back, %d of a fee of %d came back (%v)", sum+rest, fee, err)
		}
	})
}

// Whatever moved, a settlement leaves nothing pending and no balance below zero,
// and its transfers are what its statement says.
func TestSettlementHoldsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := func(name string) int64 { return rapid.Int64Range(0, 1_000_000_00).Draw(t, name) }
		s := &Statement{
			MerchantID: 7, Currency: money.EUR, BusinessDate: MakeDate(2026, time.March, 10),
			GrossMinor: rapid.Int64Range(-1000, 1_000_000_00).Draw(t, "gross"),
			Refunds:    ClassTotal{Minor: amount("refunds")}, RefundReversals: ClassTotal{Minor: amount("refund reversals")},
			Adjustments: ClassTotal{Minor: amount("adjustments")}, OtherMinor: rapid.Int64Range(-1000, 1000).Draw(t, "other"),
			DiscountMinor: amount("discount"), DiscountReturnedMinor: rapid.Int64Range(-1000, 1000).Draw(t, "returned"),
		}
		s.Opening.PayableMinor = amount("payable")
		s.Opening.ReceivableMinor = rapid.SampledFrom([]int64{0, 1, 5000, 1_000_000_00}).Draw(t, "receivable")
		s.Opening.ReserveMinor = amount("reserve")
		s.ReserveReleasedMinor = rapid.Int64Range(0, s.Opening.ReserveMinor).Draw(t, "release")
		term := ReserveTerm{RateMillionths: rapid.Int64Range(0, 1_000_000).Draw(t, "reserve rate"), ReleaseDays: 30}
		j, err := s.settle(uuid.New(), term)
		if err != nil {
			t.Fatal(err)
		}
		moved := map[Role]int64{
			RoleMerchantPending: s.GrossMinor,
			RoleMerchantPayable: s.Opening.PayableMinor - s.Refunds.Minor + s.RefundReversals.Minor - s.Adjustments.Minor + s.OtherMinor,
			RoleMerchantReserve: s.Opening.ReserveMinor, RoleMerchantReceivable: -s.Opening.ReceivableMinor,
		}
		for _, x := range j.Transfers {
			if x.AmountMinor <= 0 || x.Phase != Posted || x.BusinessDate != s.BusinessDate || x.Currency != s.Currency {
				t.Fatalf("%+v", x)
			}
			moved[x.Debit.Role()] -= x.AmountMinor
			moved[x.Credit.Role()] += x.AmountMinor
		}
		switch {
		case moved[RoleMerchantPending] != 0:
			t.Fatalf("pending %d", moved[RoleMerchantPending])
		case moved[RoleMerchantPayable] != s.Closing.PayableMinor || s.Closing.PayableMinor < 0:
			t.Fatalf("payable %d, statement %d", moved[RoleMerchantPayable], s.Closing.PayableMinor)
		case -moved[RoleMerchantReceivable] != s.Closing.ReceivableMinor || s.Closing.ReceivableMinor < 0:
			t.Fatalf("receivable %d, statement %d", -moved[RoleMerchantReceivable], s.Closing.ReceivableMinor)
		case moved[RoleMerchantReserve] != s.Closing.ReserveMinor || s.Closing.ReserveMinor < 0:
			t.Fatalf("reserve %d, statement %d", moved[RoleMerchantReserve], s.Closing.ReserveMinor)
		case moved[RoleDiscountRevenue] != s.DiscountMinor-s.DiscountReturnedMinor:
			t.Fatalf("revenue %d", moved[RoleDiscountRevenue])
		case s.Closing.PayableMinor > 0 && s.Closing.ReceivableMinor > 0:
			t.Fatal("owes and is owed")
		case s.ReserveMinor > halfEven(max(0, s.GrossMinor), term.RateMillionths):
			t.Fatalf("reserve of %d from %d", s.ReserveMinor, s.GrossMinor)
		case (s.ReserveMinor > 0) != (s.ReserveReleaseOn != nil):
			t.Fatal("a reserve without a date")
		}
	})
}

func TestNetworksBySixDigits(t *testing.T) {
	terms := &Terms{ofBIN: map[string]string{}, networks: []networkRange{
		{"4000000000000000000", "4999999999999999999", "visa"},
		{"6217120000000000000", "6217125999999999999", "cup"},
		{"6217126000000000000", "6217129999999999999", "closed loop"},
		{"9000000000000000000", "9000000000999999999", "late in its digits"},
	}}
	for bin, want := range map[string]string{
		"411111": "visa", "621712": "cup", "900000": "late in its digits", "500000": "", "": "", "41": "", "4111111": "",
	} {
		for range 2 { // the second time from memory
			if got := terms.Network(bin); got != want {
				t.Errorf("network of %q is %q, want %q", bin, got, want)
			}
		}
	}
}

// Days around the changes of Berlin's clocks, with a cutoff in the hour that
// spring leaves out and autumn has twice.
func TestCutoffsAroundClockChanges(t *testing.T) {
	now := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	b := newBooks(t, now)
	c := b.cals[0]
	for _, d := range []struct {
		from, date, closesUTC, closesLocal, value string
		hours                                     int
	}{
		// 02:30 does not exist on the 29th: the day ends at 03:30 summer time.
		{"2026-03-28", "2026-03-28", "2026-03-28T01:30:00Z", "2026-03-28T02:30:00+01:00", "2026-03-30", 24},
		{"2026-03-28", "2026-03-29", "2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00", "2026-03-30", 24},
		{"2026-03-28", "2026-03-30", "2026-03-30T00:30:00Z", "2026-03-30T02:30:00+02:00", "2026-03-31", 23},
		{"2026-03-28", "2026-03-31", "2026-03-31T00:30:00Z", "2026-03-31T02:30:00+02:00", "2026-04-01", 24},
		// 02:30 comes twice on the 25th: the first one counts.
		{"2026-10-24", "2026-10-25", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00+02:00", "2026-10-26", 24},
		{"2026-10-24", "2026-10-26", "2026-10-26T01:30:00Z", "2026-10-26T02:30:00+01:00", "2026-10-27", 25},
		// A leap day, the end of a year, Christmas.
		{"2028-02-28", "2028-02-29", "2028-02-29T01:30:00Z", "2028-02-29T02:30:00+01:00", "2028-03-01", 24},
		{"2028-02-28", "2028-03-01", "2028-03-01T01:30:00Z", "2028-03-01T02:30:00+01:00", "2028-03-02", 24},
		{"2026-12-30", "2026-12-31", "2026-12-31T01:30:00Z", "2026-12-31T02:30:00+01:00", "2027-01-04", 24},
		{"2026-12-30", "2027-01-01", "2027-01-01T01:30:00Z", "2027-01-01T02:30:00+01:00", "2027-01-04", 24},
		{"2026-12-23", "2026-12-24", "2026-12-24T01:30:00Z", "2026-12-24T02:30:00+01:00", "2026-12-28", 24},
	} {
		from, err := ParseDate(d.from)
		b.must(err)
		list, err := cutoffsAfter(t.Context(), b.pool, c, from.Time(), 4)
		b.must(err)
		found := false
		for i, cutoff := range list {
			if i > 0 && !cutoff.OpensAt.Equal(list[i-1].ClosesAt) {
				t.Errorf("%s does not begin where %s ends", cutoff.BusinessDate, list[i-1].BusinessDate)
			}
			if cutoff.BusinessDate.String() != d.date {
				continue
			}
			found = true
			if got := cutoff.ClosesAt.Format(time.RFC3339); got != d.closesUTC {
				t.Errorf("%s closes at %s, want %s", d.date, got, d.closesUTC)
			}
			if got := cutoff.ClosesLocal.Format(time.RFC3339); got != d.closesLocal {
				t.Errorf("%s closes locally at %s, want %s", d.date, got, d.closesLocal)
			}
			if cutoff.Length() != time.Duration(d.hours)*time.Hour || cutoff.ValueDate.String() != d.value {
				t.Errorf("%s has %s and the value of %s, want %d h and %s", d.date, cutoff.Length(), cutoff.ValueDate, d.hours, d.value)
			}
		}
		if !found {
			t.Errorf("no %s in the four cutoffs from %s: %+v", d.date, d.from, list)
		}
	}
}

// The job closes at the instant itself, not a nanosecond before, on a day of
// any length.
func TestClosesAtTheInstant(t *testing.T) {
	for _, c := range []struct{ date, closes string }{
		{"2026-03-29", "2026-03-29T01:30:00Z"},
		{"2026-03-30", "2026-03-30T00:30:00Z"},
		{"2026-10-25", "2026-10-25T00:30:00Z"},
		{"2026-10-26", "2026-10-26T01:30:00Z"},
		{"2028-02-29", "2028-02-29T01:30:00Z"},
		{"2026-12-31", "2026-12-31T01:30:00Z"},
	} {
		t.Run(c.date, func(t *testing.T) {
			closes, err := time.Parse(time.RFC3339, c.closes)
			if err != nil {
				t.Fatal(err)
			}
			b := newBooks(t, closes.Add(-time.Hour))
			d, err := ParseDate(c.date)
			b.must(err)
			b.sell(d, 100)
			settled := func() int64 {
				return b.int(`SELECT count(*) FROM settlements s JOIN business_days d USING (calendar_id, business_date)
					WHERE s.calendar_id = 1 AND s.business_date = $1 AND s.value_date = d.value_date`, d.Time())
			}
			b.run(closes.Add(-time.Nanosecond))
			if n := settled(); n != 0 {
				t.Fatalf("%d statements before the instant", n)
			}
			b.run(closes)
			if n := settled(); n != 2 {
				t.Fatalf("%d statements at the instant", n)
			}
			b.verify()
		})
	}
}

func TestValueDatesAreKept(t *testing.T) {
	before := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC) // Wednesday before Easter
	b := newBooks(t, before)
	stored := func(d string) string {
		var at time.Time
		b.must(b.owner.QueryRow(t.Context(), `SELECT value_date FROM business_days WHERE calendar_id = 1 AND business_date = $1::text::date`, d).Scan(&at))
		return DateOf(at).String()
	}
	if v := stored("2026-04-02"); v != "2026-04-07" {
		t.Fatalf("the value of Maundy Thursday is %s", v)
	}
	// What is made is kept; what is not made follows new holidays; what an
	// earlier version made is computed when it is needed.
	b.sql(`INSERT INTO calendar_holidays (calendar_id, holiday, name) VALUES (1, '2026-04-07', 'Extra day'), (1, '2026-04-14', 'Extra day')`)
	b.sql(`UPDATE business_days SET value_date = NULL WHERE business_date = '2026-04-03'`)
	b.ensure(before.AddDate(0, 0, 3))
	if v := stored("2026-04-02"); v != "2026-04-07" {
		t.Fatalf("became %s", v)
	}
	if v := stored("2026-04-13"); v != "2026-04-15" {
		t.Fatalf("the value of the 13th is %s", v)
	}
	b.sell(MakeDate(2026, 4, 3), 100)
	b.run(before.AddDate(0, 0, 3))
	b.verify()
	list, more, err := Statements(t.Context(), b.pool, StatementFilter{MID: "104110000000001", From: MakeDate(2026, 4, 3)})
	if err != nil || more || len(list) != 1 || list[0].ValueDate.String() != "2026-04-08" {
		t.Fatalf("%+v %v %v", list, more, err)
	}
	cutoffs, err := cutoffsAfter(t.Context(), b.pool, b.cals[0], before, 3)
	b.must(err)
	if !cutoffs[0].Made || cutoffs[0].ValueDate.String() != "2026-04-07" || len(cutoffs[0].Closures) != 4 || cutoffs[0].Closures[0].Name != "Karfreitag" {
		t.Fatalf("%+v", cutoffs[0])
	}
}
