package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// ErrOverflow is returned when a result does not fit 64 bits.
var ErrOverflow = errors.New("amount does not fit 64 bits")

// RateScale is one whole in the unit of [MulRateHalfEven]: a rate of 2.5 % is
// 25,000 millionths, and the finest rate is a hundredth of a basis point.
const RateScale = 1_000_000

// Add returns a + b, and false when the sum does not fit.
func Add(a, b int64) (int64, bool) {
	sum := a + b
	// The sum wrapped exactly when it lies on the wrong side of a.
	return sum, (sum >= a) == (b >= 0)
}

// Sub returns a − b, and false when the difference does not fit.
func Sub(a, b int64) (int64, bool) {
	difference := a - b
	return difference, (difference <= a) == (b >= 0)
}

// Neg returns −a, and false for the one value that has no negative.
func Neg(a int64) (int64, bool) { return -a, a != math.MinInt64 }

// Mul returns a × b, and false when the product does not fit.
func Mul(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 {
		return 0, false
	}
	return signed(low, (a < 0) != (b < 0))
}

// MulRateHalfEven returns minor × rateMillionths ÷ [RateScale], rounded half to
// even: the fee of 2.5 % on 1,234 minor units is MulRateHalfEven(1234, 25000) =
// 31. The product is exact in 128 bits, so only a result outside int64 fails,
// with [ErrOverflow]. Both arguments may be negative: the fee of a refund is
// the exact negative of the fee of its sale.
func MulRateHalfEven(minor, rateMillionths int64) (int64, error) {
	high, low := bits.Mul64(magnitude(minor), magnitude(rateMillionths))
	if quotient, ok := divideHalfEven(high, low, RateScale); ok {
		if result, ok := signed(quotient, (minor < 0) != (rateMillionths < 0)); ok {
			return result, nil
		}
	}
	return 0, fmt.Errorf("apply rate of %d millionths to %d: %w", rateMillionths, minor, ErrOverflow)
}

// divideHalfEven divides the 128-bit value high:low by a denominator that is not
// zero; false when the quotient does not fit 64 bits. Rounding works on
// magnitudes, because half to even is symmetric around zero.
func divideHalfEven(high, low, denominator uint64) (uint64, bool) {
	if high >= denominator { // the quotient needs more than 64 bits
		return 0, false
	}
	quotient, remainder := bits.Div64(high, low, denominator)
	// Compared with what is left of the denominator, since twice the
	// remainder may not fit.
	rest := denominator - remainder
	if remainder > rest || (remainder == rest && quotient%2 == 1) {
		if quotient == math.MaxUint64 {
			return 0, false
		}
		quotient++
	}
	return quotient, true
}

// magnitude returns |a|, also for math.MinInt64.
func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// signed gives a magnitude its sign, and false when it does not fit.
func signed(magnitude uint64, negative bool) (int64, bool) {
	if negative {
		return -int64(magnitude), magnitude <= 1<<63
	}
	return int64(magnitude), magnitude <= math.MaxInt64
}
