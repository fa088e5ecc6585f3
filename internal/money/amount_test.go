package money_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
)

func TestFormatMinor(t *testing.T) {
	for _, test := range []struct {
		minor    int64
		currency money.Currency
		want     string
	}{
		{1234, money.EUR, "12.34"},
		{0, money.EUR, "0.00"},
		{5, money.EUR, "0.05"},
		{-5, money.EUR, "-0.05"},
		{-1234, money.EUR, "-12.34"},
		{100, money.USD, "1.00"},
		{1234, money.JPY, "1234"},
		{-1, money.JPY, "-1"},
		{0, money.JPY, "0"},
		{1, money.KWD, "0.001"},
		{-5, money.KWD, "-0.005"},
		{12345, money.KWD, "12.345"},
		{1, money.CLF, "0.0001"},
		{math.MaxInt64, money.EUR, "92233720368547758.07"},
		{math.MinInt64, money.EUR, "-92233720368547758.08"},
		{math.MinInt64, money.JPY, "-9223372036854775808"},
		{1234, money.Currency(0), "1234"},
	} {
		if got := money.FormatMinor(test.minor, test.currency); got != test.want {
			t.Errorf("FormatMinor(%d, %s) = %q, want %q", test.minor, test.currency, got, test.want)
		}
	}
}

func TestAmountString(t *testing.T) {
	for want, amount := range map[string]money.Amount{
		"12.34 EUR":  {Minor: 1234, Currency: money.EUR},
		"-0.001 KWD": {Minor: -1, Currency: money.KWD},
		"7 JPY":      {Minor: 7, Currency: money.JPY},
	} {
		if got := amount.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestAmountJSON(t *testing.T) {
	want := money.Amount{Minor: -1234, Currency: money.CNY}
	text, err := json.Marshal(want)
	if err != nil || string(text) != `{"minor":-1234,"currency":"CNY"}` {
		t.Fatalf("Marshal = %s, %v", text, err)
	}
	var got money.Amount
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Fatalf("Unmarshal = %v, %v", got, err)
	}
}

func TestParseAmount(t *testing.T) {
	for _, test := range []struct {
		text     string
		currency money.Currency
		want     int64
	}{
		{"12.34", money.EUR, 1234},
		{"12.3", money.EUR, 1230},
		{"12", money.EUR, 1200},
		{"0", money.EUR, 0},
		{"-0.00", money.EUR, 0},
		{"000012.34", money.EUR, 1234},
		{"-0.05", money.EUR, -5},
		{"1234", money.JPY, 1234},
		{"0.001", money.KWD, 1},
		{"1.2", money.KWD, 1200},
		{"1.2345", money.CLF, 12345},
		{"92233720368547758.07", money.EUR, math.MaxInt64},
		{"-92233720368547758.08", money.EUR, math.MinInt64},
	} {
		got, err := money.ParseAmount(test.text, test.currency)
		if want := (money.Amount{Minor: test.want, Currency: test.currency}); err != nil || got != want {
			t.Errorf("ParseAmount(%q, %s) = %v, %v; want %v", test.text, test.currency, got, err, want)
		}
	}
}

func TestParseAmountRefuses(t *testing.T) {
	for _, test := range []struct {
		text     string
		currency money.Currency
		want     error
	}{
		{"", money.EUR, money.ErrAmount},
		{"-", money.EUR, money.ErrAmount},
		{".", money.EUR, money.ErrAmount},
		{".5", money.EUR, money.ErrAmount},
		{"5.", money.EUR, money.ErrAmount},
		{"+5", money.EUR, money.ErrAmount},
		{"--5", money.EUR, money.ErrAmount},
		{"1,50", money.EUR, money.ErrAmount},
		{"1.2.3", money.EUR, money.ErrAmount},
		{" 1", money.EUR, money.ErrAmount},
		{"1e3", money.EUR, money.ErrAmount},
		{"0x10", money.EUR, money.ErrAmount},
		{"١٢", money.EUR, money.ErrAmount},
		{"1.234", money.EUR, money.ErrAmount},
		{"1.0", money.JPY, money.ErrAmount},
		{"1.2340", money.KWD, money.ErrAmount},
		{"NaN", money.EUR, money.ErrAmount},
		{"92233720368547758.08", money.EUR, money.ErrOverflow},
		{"-92233720368547758.09", money.EUR, money.ErrOverflow},
		{"9223372036854775808", money.JPY, money.ErrOverflow},
		{strings.Repeat("9", 100_000), money.EUR, money.ErrOverflow},
		{"1.00", money.Currency(0), money.ErrCurrency},
		{"1.00", money.Currency(999), money.ErrCurrency},
	} {
		got, err := money.ParseAmount(test.text, test.currency)
		if !errors.Is(err, test.want) {
			t.Errorf("ParseAmount(%.30q, %s) = %v, %v; want %v", test.text, test.currency, got, err, test.want)
			continue
		}
		if got != (money.Amount{}) {
			t.Errorf("ParseAmount(%.30q) failed with amount %v", test.text, got)
		}
		if len(err.Error()) > 300 {
			t.Errorf("ParseAmount(%.30q): an error of %d bytes", test.text, len(err.Error()))
		}
	}
}

// validCurrency draws any active currency.
func validCurrency() *rapid.Generator[money.Currency] {
	var active []money.Currency
	for code := range money.Currency(1000) {
		if code.Valid() {
			active = append(active, code)
		}
	}
	return rapid.SampledFrom(active)
}

func TestFormatParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := money.Amount{Minor: rapid.Int64().Draw(t, "minor"), Currency: validCurrency().Draw(t, "currency")}
		text := money.FormatMinor(want.Minor, want.Currency)
		got, err := money.ParseAmount(text, want.Currency)
		if err != nil || got != want {
			t.Fatalf("%q: %v, %v; want %v", text, got, err, want)
		}
		// The text is also the exact decimal: minor ÷ 10^exponent.
		decimal, ok := new(big.Rat).SetString(text)
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(want.Currency.Exponent())), nil)
		if !ok || decimal.Cmp(new(big.Rat).SetFrac(big.NewInt(want.Minor), scale)) != 0 {
			t.Fatalf("%q is not %d with %d decimals", text, want.Minor, want.Currency.Exponent())
		}
	})
}

func FuzzParseMinor(f *testing.F) {
	for _, seed := range []string{"12.34", "-0.05", "1", "", ".", "-.", "92233720368547758.08", "1e9", "0x1", "1_0"} {
		f.Add(seed, uint16(money.EUR))
	}
	f.Add("1.234", uint16(money.KWD))
	f.Add("7", uint16(money.JPY))
	f.Fuzz(func(t *testing.T, text string, code uint16) {
		currency := money.Currency(code)
		minor, err := money.ParseMinor(text, currency)
		if err != nil {
			return
		}
		// What was accepted is, as a decimal, exactly the value returned.
		decimal, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("accepted %q", text)
		}
		again, err := money.ParseMinor(money.FormatMinor(minor, currency), currency)
		if err != nil || again != minor {
			t.Fatalf("%q became %d, which reads back as %d, %v", text, minor, again, err)
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(currency.Exponent())), nil)
		if decimal.Cmp(new(big.Rat).SetFrac(big.NewInt(minor), scale)) != 0 {
			t.Fatalf("%q became %d minor units of %s", text, minor, currency)
		}
	})
}
