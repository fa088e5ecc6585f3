package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// chart is lines over time, drawn as SVG by the page's template. Its picture
// stretches with the page, so its words stand around it as text.
type chart struct {
	Title string
	// Summary says in words what the picture shows.
	Summary string
	Top     string // the highest line of the grid
	Lines   []chartLine
}

// chartLine is one line, and the area under it.
type chartLine struct {
	Name  string
	Class string // of its colour
	Path  string
	Area  string
}

// The picture's own units.
const (
	chartWidth  = 600
	chartHeight = 120
)

// drawLine puts values on the picture's width, the newest at its right end; top is
// the value at its upper edge. NaN is a gap; a value between two gaps is a dot.
func drawLine(values []float64, slots int, top float64) (line, area string) {
	var l, a strings.Builder
	step := float64(chartWidth) / float64(max(slots-1, 1))
	first := slots - len(values)
	var runStart, x float64
	open := false
	end := func() {
		if open {
			if x == runStart {
				l.WriteString("h0 ")
			}
			fmt.Fprintf(&a, "L%s %d L%s %d Z", short(x), chartHeight, short(runStart), chartHeight)
			open = false
		}
	}
	for i, v := range values {
		if math.IsNaN(v) {
			end()
			continue
		}
		x = float64(first+i) * step
		y := chartHeight * (1 - v/top)
		verb := "L"
		if !open {
			verb, runStart, open = "M", x, true
		}
		fmt.Fprintf(&l, "%s%s %s ", verb, short(x), short(y))
		fmt.Fprintf(&a, "%s%s %s ", verb, short(x), short(y))
	}
	end()
	return strings.TrimSpace(l.String()), strings.TrimSpace(a.String())
}

func short(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// roundUp is the next 1, 2 or 5 times a power of ten: a grid that people can read.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}
