package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// plural counts things in words: "1 row", "3 rows".
func plural(n float64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return compact(n) + " " + many
}

// capital begins a sentence.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// compact is a number with three digits that matter, whole from a hundred on.
func compact(v float64) string {
	switch {
	case v == math.Trunc(v) || v >= 100:
		return group(strconv.FormatFloat(math.Round(v), 'f', -1, 64))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// span is a duration in its two largest units: 2 d 3 h, 5 min 10 s.
func span(d time.Duration) string {
	if d < 0 {
		return "−" + span(-d)
	}
	d = d.Round(time.Second)
	days, hours, minutes, seconds := d/(24*time.Hour), d/time.Hour%24, d/time.Minute%60, d/time.Second%60
	two := func(a time.Duration, aUnit string, b time.Duration, bUnit string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, aUnit)
		}
		return fmt.Sprintf("%d %s %d %s", a, aUnit, b, bUnit)
	}
	switch {
	case days > 0:
		return two(days, "d", hours, "h")
	case hours > 0:
		return two(hours, "h", minutes, "min")
	case minutes > 0:
		return two(minutes, "min", seconds, "s")
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

// hours is a day's length: 23 h, or 23 h 30 min where clocks move by half an hour.
func hours(d time.Duration) string {
	text := fmt.Sprintf("%d h", d/time.Hour)
	if minutes := d % time.Hour / time.Minute; minutes != 0 {
		text += fmt.Sprintf(" %d min", minutes)
	}
	return text
}
