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
