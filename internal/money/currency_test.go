package money_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
)

func TestCurrencyCodes(t *testing.T) {
	for _, test := range []struct {
		currency money.Currency
		alpha    string
		numeric  string
		exponent int
	}{
		{money.CNY, "CNY", "156", 2},
		{money.EUR, "EUR", "978", 2},
		{money.USD, "USD", "840", 2},
		{money.AUD, "AUD", "036", 2},
		{money.JPY, "JPY", "392", 0},
		{money.KRW, "KRW", "410", 0},
		{money.KWD, "KWD", "414", 3},
		{money.BHD, "BHD", "048", 3},
		{money.CLF, "CLF", "990", 4},
		{money.UYW, "UYW", "927", 4},
	} {
		t.Run(test.alpha, func(t *testing.T) {
			if got := test.currency.Alpha(); got != test.alpha {
				t.Errorf("Alpha() = %q, want %q", got, test.alpha)
			}
			if got := test.currency.String(); got != test.alpha {
				t.Errorf("String() = %q, want %q", got, test.alpha)
			}
			if got := test.currency.Numeric(); got != test.numeric {
				t.Errorf("Numeric() = %q, want %q", got, test.numeric)
			}
			if got := test.currency.Exponent(); got != test.exponent {
				t.Errorf("Exponent() = %d, want %d", got, test.exponent)
			}
			if !test.currency.Valid() {
				t.Error("Valid() = false")
			}
		})
	}
}

// TestCurrencyExponents counts the whole list, so that a row cannot be added
// with a wrong exponent unnoticed.
func TestCurrencyExponents(t *testing.T) {
	alphaByExponent := map[int][]string{}
	for code := range money.Currency(1000) {
		if code.Valid() {
			alphaByExponent[code.Exponent()] = append(alphaByExponent[code.Exponent()], code.Alpha())
		}
	}
	for exponent, want := range map[int]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
	} {
		got := map[string]bool{}
		for _, alpha := range alphaByExponent[exponent] {
			got[alpha] = true
		}
		for alpha := range strings.FieldsSeq(want) {
			if !got[alpha] {
				t.Errorf("%s does not have exponent %d", alpha, exponent)
			}
		}
		if len(got) != len(strings.Fields(want)) {
			t.Errorf("exponent %d: %v, want %s", exponent, alphaByExponent[exponent], want)
		}
	}
	// List One has 178 codes, 13 of them without a minor unit.
	const activeWithMinorUnit = 165
	total := 0
	for _, alphas := range alphaByExponent {
		total += len(alphas)
	}
	if total != activeWithMinorUnit {
		t.Errorf("%d currencies, want %d", total, activeWithMinorUnit)
	}
}

func TestParseCurrency(t *testing.T) {
	for input, want := range map[string]money.Currency{
		"CNY": money.CNY, "156": money.CNY, "036": money.AUD, "KWD": money.KWD, "048": money.BHD,
		"XCG": 532, "ZWG": 924, "VED": 926, "SLE": 925,
	} {
		got, err := money.ParseCurrency(input)
		if err != nil || got != want {
			t.Errorf("ParseCurrency(%q) = %v, %v; want %v", input, got, err, want)
		}
	}
	for _, input := range []string{
		"", "C", "cny", "CNY ", " 156", "0156", "56", "36", "15A", "+15", "-15", "000", "999", "XTS", "XAU",
		"DEM", "276", "HRK", "191", "BGN", "975", "ANG", "١٥٦", "CNYCNY", strings.Repeat("9", 100_000),
	} {
		got, err := money.ParseCurrency(input)
		if !errors.Is(err, money.ErrCurrency) {
			t.Errorf("ParseCurrency(%.20q) = %v, %v; want ErrCurrency", input, got, err)
			continue
		}
		if got != 0 {
			t.Errorf("ParseCurrency(%.20q) failed with currency %v, want none", input, got)
		}
		if len(err.Error()) > 200 {
			t.Errorf("ParseCurrency(%.20q): an error of %d bytes", input, len(err.Error()))
		}
	}
}

func TestCurrencyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		currency := money.Currency(rapid.Uint16().Draw(t, "code"))
		fromAlpha, alphaErr := money.ParseCurrency(currency.Alpha())
		fromNumeric, numericErr := money.ParseCurrency(currency.Numeric())
		if !currency.Valid() {
			if alphaErr == nil || numericErr == nil || currency.Exponent() != 0 {
				t.Fatalf("invalid code %d: %v, %v, exponent %d", uint16(currency), fromAlpha, fromNumeric, currency.Exponent())
			}
			return
		}
		if alphaErr != nil || numericErr != nil || fromAlpha != currency || fromNumeric != currency {
			t.Fatalf("%d: %v (%v), %v (%v)", uint16(currency), fromAlpha, alphaErr, fromNumeric, numericErr)
		}
	})
}

func TestInvalidCurrencyShowsItsNumber(t *testing.T) {
	for currency, want := range map[money.Currency]string{0: "000", 1: "001", 276: "276", 999: "999", 65535: "65535"} {
		if got := fmt.Sprint(currency); got != want {
			t.Errorf("currency %d prints %q, want %q", uint16(currency), got, want)
		}
	}
}

func TestCurrencyText(t *testing.T) {
	type price struct {
		Currency money.Currency `json:"currency"`
	}
	for text, want := range map[string]money.Currency{
		`{"currency":"EUR"}`: money.EUR, `{"currency":"978"}`: money.EUR, `{"currency":""}`: 0,
	} {
		var got price
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Currency != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for currency, want := range map[money.Currency]string{money.EUR: `{"currency":"EUR"}`, 0: `{"currency":""}`} {
		got, err := json.Marshal(price{currency})
		if err != nil || string(got) != want {
			t.Errorf("Marshal(%v) = %s, %v; want %s", currency, got, err, want)
		}
	}
	if _, err := json.Marshal(price{276}); !errors.Is(err, money.ErrCurrency) {
		t.Errorf("Marshal of a withdrawn code: %v, want ErrCurrency", err)
	}
	kept := price{money.USD}
	if err := json.Unmarshal([]byte(`{"currency":"euro"}`), &kept); !errors.Is(err, money.ErrCurrency) || kept.Currency != money.USD {
		t.Errorf("Unmarshal of nonsense: %v, currency %v; want ErrCurrency and the value kept", err, kept.Currency)
	}
}
