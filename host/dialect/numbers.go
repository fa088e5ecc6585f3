package dialect

import (
	"time"

	"meridian/host/wire"
)

// digits reads decimal digits and nothing else: no sign, no space.
func digits[T string | []byte](text T) (int64, bool) {
	const tooMuch = (1<<63 - 1) / 10
	if len(text) == 0 {
		return 0, false
	}
	var v uint64
	for i := range len(text) {
		digit := text[i] - '0'
		if digit > 9 || v > tooMuch {
			return 0, false
		}
		if v = v*10 + uint64(digit); v > 1<<63-1 {
			return 0, false
		}
	}
	return int64(v), true
}

// maxDigits is what setDigits writes at most: an amount or an RRN.
const maxDigits = 20

// setDigits puts a number that is not negative into a field, with zeros before it
// to so many digits; a longer one is not cut.
func setDigits(m *wire.Message, field int, v int64, width int) {
	var text [maxDigits]byte
	m.SetText(field, appendDigits(text[:0], v, width))
}

// appendDigits is setDigits onto dst.
func appendDigits(dst []byte, v int64, width int) []byte {
	var text [maxDigits]byte
	at := len(text)
	for ; v > 0 || width > 0; width-- {
		at--
		text[at] = '0' + byte(v%10)
		v /= 10
	}
	return append(dst, text[at:]...)
}

// setTimeOfDay puts a time's hour, minute and second into a field.
func setTimeOfDay(m *wire.Message, field int, at time.Time) {
	hour, minute, second := at.Clock()
	setDigits(m, field, int64(hour*1_00_00+minute*1_00+second), timeDigits)
}

// setMonthAndDay puts a date's month and day into a field.
func setMonthAndDay(m *wire.Message, field int, at time.Time) {
	_, month, day := at.Date()
	setDigits(m, field, int64(int(month)*1_00+day), dateDigits)
}

// timeDigits of hour, minute and second.
const timeDigits = 6
