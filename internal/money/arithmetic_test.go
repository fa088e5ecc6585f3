package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
)

// edges are the values around which 64-bit arithmetic goes wrong.
var edges = []int64{
	0, 1, -1, 2, -2, 3, 10, -10, math.MaxInt32, math.MinInt32, 1 << 32,
	math.MaxInt64 / 2, math.MinInt64 / 2, math.MaxInt64 - 1, math.MaxInt64, math.MinInt64 + 1, math.MinInt64,
}

func edgy() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.SampledFrom(edges), rapid.Int64Range(-1000, 1000))
}

// fataler is what a test and a property have in common.
type fataler interface {
	Fatalf(format string, args ...any)
}

func TestCheckedArithmetic(t *testing.T) {
	operations := []struct {
		name    string
		checked func(a, b int64) (int64, bool)
		exact   func(z, a, b *big.Int) *big.Int
	}{
		{"Add", money.Add, (*big.Int).Add},
		{"Sub", money.Sub, (*big.Int).Sub},
		{"Mul", money.Mul, (*big.Int).Mul},
		{"Neg", func(a, _ int64) (int64, bool) { return money.Neg(a) }, func(z, a, _ *big.Int) *big.Int { return z.Neg(a) }},
		{"Sum", func(a, b int64) (int64, bool) { return money.Sum(a, b) }, (*big.Int).Add},
	}
	for _, operation := range operations {
		check := func(t fataler, a, b int64) {
			got, ok := operation.checked(a, b)
			want := operation.exact(new(big.Int), big.NewInt(a), big.NewInt(b))
			if ok != want.IsInt64() || (ok && got != want.Int64()) {
				t.Fatalf("%s(%d, %d) = %d, %t; exactly %s", operation.name, a, b, got, ok, want)
			}
		}
		t.Run(operation.name, func(t *testing.T) {
			for _, a := range edges {
				for _, b := range edges {
					check(t, a, b)
				}
			}
			rapid.Check(t, func(t *rapid.T) { check(t, edgy().Draw(t, "a"), edgy().Draw(t, "b")) })
		})
	}
}

func TestSumOfNothing(t *testing.T) {
	if got, ok := money.Sum(); got != 0 || !ok {
		t.Errorf("Sum() = %d, %t", got, ok)
	}
	if got, ok := money.Sum(math.MaxInt64, 1, -1); got != 0 || ok {
		t.Errorf("Sum past the end = %d, %t", got, ok)
	}
}

func TestRoundHalfEven(t *testing.T) {
	for _, test := range []struct{ numerator, denominator, want int64 }{
		{5, 2, 2},
		{7, 2, 4},
		{-5, 2, -2},
		{-7, 2, -4},
		{5, -2, -2},
		{-5, -2, 2},
		{1, 2, 0},
		{3, 2, 2},
		{-1, 2, 0},
		{-3, 2, -2},
		{1, 3, 0},
		{2, 3, 1},
		{0, 7, 0},
		{6, 3, 2},
		{math.MaxInt64, 2, 1 << 62},       // …807 ÷ 2 = …403.5, to the even …404
		{math.MinInt64, 2, -(1 << 62)},    // exact
		{math.MinInt64, 1, math.MinInt64}, // the one value without a negative
		{math.MaxInt64, math.MinInt64, -1},
		{1, math.MinInt64, 0},
		{1 << 62, math.MinInt64, 0}, // −0.5, to the even 0
	} {
		got, err := money.RoundHalfEven(test.numerator, test.denominator)
		if err != nil || got != test.want {
			t.Errorf("RoundHalfEven(%d, %d) = %d, %v; want %d", test.numerator, test.denominator, got, err, test.want)
		}
	}
	if _, err := money.RoundHalfEven(1, 0); !errors.Is(err, money.ErrDivideByZero) {
		t.Errorf("division by zero: %v", err)
	}
	if _, err := money.RoundHalfEven(math.MinInt64, -1); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("MinInt64 ÷ -1: %v", err)
	}
}

// roundExactly is the definition, in exact integers and written apart from the
// code under test: floor, then look at what remains on either side.
func roundExactly(numerator, denominator *big.Int) *big.Int {
	fraction := new(big.Rat).SetFrac(numerator, denominator)
	floor := new(big.Int).Div(fraction.Num(), fraction.Denom()) // Euclidean: floor, as Denom > 0
	above := new(big.Rat).Sub(fraction, new(big.Rat).SetInt(floor))
	switch above.Cmp(big.NewRat(1, 2)) {
	case -1:
		return floor
	case 1:
		return floor.Add(floor, big.NewInt(1))
	}
	if floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor
}

func TestRoundHalfEvenIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numerator := edgy().Draw(t, "numerator")
		denominator := edgy().Filter(func(d int64) bool { return d != 0 }).Draw(t, "denominator")
		want := roundExactly(big.NewInt(numerator), big.NewInt(denominator))
		got, err := money.RoundHalfEven(numerator, denominator)
		if !want.IsInt64() {
			if !errors.Is(err, money.ErrOverflow) {
				t.Fatalf("%d / %d = %d, %v; want overflow, exactly %s", numerator, denominator, got, err, want)
			}
			return
		}
		if err != nil || got != want.Int64() {
			t.Fatalf("%d / %d = %d, %v; want %s", numerator, denominator, got, err, want)
		}
	})
}

func TestMulRateHalfEven(t *testing.T) {
	for _, test := range []struct{ minor, rateMillionths, want int64 }{
		{1234, 25_000, 31}, // 2.5 % of 12.34 = 30.85
		{100, 25_000, 2},   // 2.5, to the even 2
		{300, 25_000, 8},   // 7.5, to the even 8
		{-100, 25_000, -2}, // a refund's fee mirrors the sale's
		{-300, 25_000, -8},
		{100, -25_000, -2},
		{1, 500_000, 0},
		{3, 500_000, 2},
		{1, 1, 0},
		{1_000_000, 1, 1},
		{math.MaxInt64, money.RateScale, math.MaxInt64},
		{math.MinInt64, money.RateScale, math.MinInt64},
		{math.MinInt64, 1, -9223372036855},
		{0, math.MaxInt64, 0},
		{1_000_000, math.MaxInt64, math.MaxInt64},
	} {
		got, err := money.MulRateHalfEven(test.minor, test.rateMillionths)
		if err != nil || got != test.want {
			t.Errorf("MulRateHalfEven(%d, %d) = %d, %v; want %d", test.minor, test.rateMillionths, got, err, test.want)
		}
	}
	for _, test := range [][2]int64{
		{math.MaxInt64, money.RateScale + 1}, {math.MinInt64, -money.RateScale}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64},
	} {
		if got, err := money.MulRateHalfEven(test[0], test[1]); !errors.Is(err, money.ErrOverflow) || got != 0 {
			t.Errorf("MulRateHalfEven(%d, %d) = %d, %v; want overflow", test[0], test[1], got, err)
		}
	}
}

func TestMulRateHalfEvenIsExact(t *testing.T) {
	rate := rapid.OneOf(rapid.Int64Range(0, money.RateScale), edgy(), rapid.SampledFrom([]int64{25_000, 500_000, 12_500}))
	rapid.Check(t, func(t *rapid.T) {
		minor, rateMillionths := edgy().Draw(t, "minor"), rate.Draw(t, "rateMillionths")
		product := new(big.Int).Mul(big.NewInt(minor), big.NewInt(rateMillionths))
		want := roundExactly(product, big.NewInt(money.RateScale))
		got, err := money.MulRateHalfEven(minor, rateMillionths)
		if !want.IsInt64() {
			if !errors.Is(err, money.ErrOverflow) {
				t.Fatalf("%d at %d = %d, %v; want overflow, exactly %s", minor, rateMillionths, got, err, want)
			}
			return
		}
		if err != nil || got != want.Int64() {
			t.Fatalf("%d at %d = %d, %v; want %s", minor, rateMillionths, got, err, want)
		}
	})
}
