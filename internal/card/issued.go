package card

// issuers are the numbers that the networks which issue cards all over the world
// begin with, by their first four digits, and how long such numbers are. Numbers of
// airlines (1), of petrol cards (7) and of most domestic schemes (8, 9) are not in it,
// nor are Visa's of 13 digits: there are none any more, and merchants' numbers of 104…
// would end in one.
var issuers = [...]struct{ low, high, least, most int }{
	{2200, 2205, 16, 19},                       // Mir
	{2221, 2720, 16, 16},                       // Mastercard
	{3000, 3059, 14, 19}, {3095, 3095, 14, 19}, // Diners Club
	{3400, 3499, 15, 15}, {3700, 3799, 15, 15}, // American Express
	{3528, 3589, 16, 19},                       // JCB
	{3600, 3699, 14, 19}, {3800, 3999, 14, 19}, // Diners Club
	{4000, 4999, 16, 16}, {4000, 4999, 19, 19}, // Visa
	{5000, 5099, 16, 19}, {5600, 5899, 16, 19}, // Maestro
	{5100, 5599, 16, 16}, // Mastercard
	{6000, 6999, 16, 19}, // UnionPay, Discover, Maestro, RuPay, gift cards
	{8100, 8199, 16, 19}, // UnionPay
	{9558, 9558, 16, 19}, // debit cards of China from before UnionPay
	{9792, 9792, 16, 16}, // Troy
}

// Issued tells whether a network issues cards with numbers like this one: its first
// digits, its length and its check digit. It is for digits that may well be something
// else; a number that fails it may be a card's all the same.
func Issued(digits string) bool {
	return len(digits) >= leastDigits && firstNonDigit(digits) < 0 && issued(digits) && luhnSum(digits)%10 == 0
}

// HasIssued tells whether there is such a number in a text, alone or within more
// digits.
func HasIssued(text string) bool {
	f := finder{text: text, known: true}
	f.find()
	return len(f.hide) > 0
}

// issued is [Issued] for digits that pass the check.
func issued(digits string) bool {
	prefix := 100*twoDigits(digits) + twoDigits(digits[2:])
	for _, i := range &issuers {
		if i.low <= prefix && prefix <= i.high && i.least <= len(digits) && len(digits) <= i.most {
			return true
		}
	}
	return false
}
