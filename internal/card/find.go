package card

import "slices"

// leastDigits of what is taken for a card number in a text. Networks issue none of
// 12 digits any more, and every retrieval reference number and amount has 12.
const leastDigits = 13

// lengthDigits stand in front of a number of variable length.
const lengthDigits = 2

// finder looks for card numbers in a text.
//
// Digits stand together where nothing, or one space or dash, is between them. What
// is taken for a card number there has 13 to 19 digits, begins with no zero, passes
// the Luhn check and is
//
//   - all of them or a whole group of them, zeros in front aside, or all behind their
//     own length of two digits; whatever it begins with; or
//   - any other part of them that [Issued] knows a card like: one part in ten passes
//     the check, so that among many digits some always does. It does not end in six
//     zeros, as an amount does before a field's filler, and where it goes over a space
//     or dash it begins and ends where a group does.
//
// What stands before a track's separator is its card number whatever the check says.
type finder struct {
	text string
	gap  string                   // stands for the digits in the middle
	not  func(digits string) bool // tells numbers that are something else; nil for none
	// known has only numbers that a network issues taken for a card's.
	known bool
	hide  []piece
}

// piece of a text that may not be seen, and what stands for it.
type piece struct {
	start, end int // in bytes
	shown      string
}

// together are digits that stand together.
type together struct {
	digits []byte
	at     []int  // where each is in the text
	opens  []bool // whether it begins a group, zeros in front aside
	closes []bool // whether it ends a group
	zeros  int    // in front of all
}

// hideNumbers replaces the middle of every card number in a text by gap. What is left
// of a number may stand alone with digits behind it, and pass for another one: each
// round hides five digits at least, so there is a last one.
func hideNumbers(text, gap string, not func(digits string) bool) string {
	for {
		f := finder{text: text, gap: gap, not: not}
		f.find()
		if len(f.hide) == 0 {
			return text
		}
		text = f.masked()
	}
}

func (f *finder) find() {
	for i := 0; i < len(f.text); {
		if length := identifier(f.text, i); length > 0 {
			i += length
			continue
		}
		if !isDigit(f.text[i]) {
			i++
			continue
		}
		end, group, count := standTogether(f.text, i)
		if count < leastDigits {
			i = end
			continue
		}
		i = f.digits(i, group, end)
	}
}

// standTogether returns where the digits end that stand together from start on, where
// their last group begins, and how many they are.
func standTogether(text string, start int) (end, group, count int) {
	group = start
	for end = start; end < len(text); end++ {
		switch {
		case isDigit(text[end]):
			count++
		case isGap(text, end):
			group = end + 1
		default:
			return end, group, count
		}
	}
	return end, group, count
}

// digits looks at those that stand together from start to end, the last group of them
// from group on, and returns where to go on.
func (f *finder) digits(start, group, end int) (next int) {
	found := len(f.hide)
	track := endOfDigits(f.text, min(end+1, len(f.text)))
	followed := track > end+1 && isSeparator(f.text[end])
	const expiryAndService = 7
	if followed && track-end-1 >= expiryAndService && end-group >= leastDigits {
		f.hide = append(f.hide, piece{group + headDigits, end - tailDigits, f.gap})
	}
	f.numbers(apart(f.text, start, end))
	if followed && len(f.hide) > found {
		f.hide = append(f.hide, piece{end + 1, track, trackGap})
		return track
	}
	return end
}

// trackGap stands for what follows the card number of a track.
const trackGap = "****"

// apart takes digits that stand together apart.
func apart(text string, start, end int) (t together) {
	n := end - start
	t.digits, t.at, t.opens, t.closes = make([]byte, 0, n), make([]int, 0, n), make([]bool, 0, n), make([]bool, 0, n)
	opens := true
	for i := start; i < end; i++ {
		if !isDigit(text[i]) {
			opens = true
			continue
		}
		if len(t.digits) == t.zeros && text[i] == '0' {
			t.zeros++
		}
		t.digits, t.at = append(t.digits, text[i]), append(t.at, i)
		t.opens, t.closes = append(t.opens, opens), append(t.closes, i+1 == end || !isDigit(text[i+1]))
		opens = opens && text[i] == '0'
	}
	return t
}

// numbers hides those among digits that stand together.
func (f *finder) numbers(t together) {
	for from := 0; from < len(t.digits); from++ {
		if t.digits[from] == '0' {
			continue
		}
		for n := min(MaxPANDigits, len(t.digits)-from); n >= leastDigits; n-- {
			digits := t.digits[from : from+n]
			alone, possible := t.stands(from, n)
			if alone && f.not != nil && f.not(string(digits)) {
				from += n - 1
				break
			}
			if !possible || luhnSum(string(digits))%10 != 0 {
				continue
			}
			if alone && !f.known {
				f.number(t.at[from : from+n])
				from += n - 1 // no part of it is another
				break
			}
			if issued(string(digits)) && string(digits[n-len(filler):]) != filler {
				f.number(t.at[from : from+n])
			}
		}
	}
}

// filler is what no number of a part of many digits ends in.
const filler = "000000"

// stands tells whether n digits stand alone, and whether they can be one number.
func (t *together) stands(from, n int) (alone, possible bool) {
	last := from + n - 1
	grouped := t.opens[from] && t.closes[last]
	oneGroup := t.at[last]-t.at[from] == n-1
	whole := from == t.zeros && last == len(t.digits)-1
	ownLength := oneGroup && t.closes[last] && from >= lengthDigits && t.opens[from-lengthDigits] &&
		twoDigits(string(t.digits[from-lengthDigits:from])) == n
	return whole || grouped && oneGroup || ownLength, grouped || oneGroup || whole
}

// number hides the middle of one whose digits are at these places, and what is
// between its groups, so that a number shows in one form however it was written.
func (f *finder) number(at []int) {
	n := len(at)
	shown := shownTail(n)
	for i := 1; i < n; i++ {
		if at[i] > at[i-1]+1 {
			f.hide = append(f.hide, piece{at[i] - 1, at[i], ""})
		}
	}
	f.hide = append(f.hide, piece{at[headDigits], at[n-shown], f.gap + panMask[:tailDigits-shown]})
}

// masked puts what stands for the pieces into the text. Numbers may overlap: what
// one of them hides is hidden.
func (f *finder) masked() string {
	slices.SortStableFunc(f.hide, func(a, b piece) int { return a.start - b.start })
	out := make([]byte, 0, len(f.text))
	copied := 0
	for i := 0; i < len(f.hide); {
		p := f.hide[i]
		for i++; i < len(f.hide) && f.hide[i].start < p.end; i++ {
			p.end = max(p.end, f.hide[i].end)
			if len(f.hide[i].shown) > len(p.shown) {
				p.shown = f.hide[i].shown
			}
		}
		out = append(append(out, f.text[copied:p.start]...), p.shown...)
		copied = p.end
	}
	return string(append(out, f.text[copied:]...))
}

// isGap tells whether what is at i groups digits: one space or dash between two.
func isGap(text string, i int) bool {
	return (text[i] == ' ' || text[i] == '-') && i+1 < len(text) && isDigit(text[i+1])
}

func endOfDigits(s string, from int) int {
	for from < len(s) && isDigit(s[from]) {
		from++
	}
	return from
}
