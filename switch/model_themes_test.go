package switching_test

// A theme is how often a sequence does what, and the rules that its merchants
// begin with more often than others: one that did a little of everything would
// seldom get far with anything.
type theme struct {
	weights map[string]int
	rules   []string
}

// The first is what a failure is shrunk to.
var themeNames = []string{"everything", "refunds", "voids", "sums", "batches", "holds", "days"}

var themes = map[string]theme{
	"everything": {weights: map[string]int{
		"buy": 8, "complete": 3, "cancel": 8, "reverse": 5, "reverse early": 1, "late original": 1, "repeat": 4, "change repeat": 1,
		"inquire": 1, "fault": 1, "refund nothing": 1, "sign on": 1, "guess": 1, "operators": 1, "review": 2,
		"settle": 2, "show": 1, "show all": 1, "close batch": 1, "close batches": 1,
		"move clock": 5, "next day": 2, "turn back": 1, "policy": 2, "rights": 1, "terms": 1, "card status": 1, "expire": 1, "cutover": 2,
	}},
	"refunds": {weights: map[string]int{
		"buy": 8, "cancel": 14, "refund nothing": 3, "review": 6, "reverse": 4, "repeat": 3, "sign on": 1, "settle": 1,
		"move clock": 2, "next day": 5, "turn back": 1, "policy": 2, "rights": 1, "card status": 3, "cutover": 2,
	}, rules: []string{"review", "review", "unreferenced", "unreferenced", "balance", "cards", "cards", "count", "window", "supervisors", "batches"}},
	"voids": {weights: map[string]int{
		"buy": 14, "complete": 3, "cancel": 20, "reverse": 6, "repeat": 2, "sign on": 4, "guess": 1, "operators": 1,
		"move clock": 3, "policy": 2, "rights": 2, "settle": 1,
	}, rules: []string{"void window", "voids", "void sums", "void sums", "operators", "supervisors", "mode"}},
	// Three voids at one terminal on one day are the least that sums say anything about.
	"sums": {weights: map[string]int{
		"buy": 12, "cancel": 20, "reverse": 4, "repeat": 1, "move clock": 2, "policy": 1,
	}, rules: []string{"void sums", "void sums", "void sums", "voids"}},
	"batches": {weights: map[string]int{
		"buy": 10, "cancel": 5, "reverse": 4, "reverse early": 1, "late original": 1, "repeat": 5, "change repeat": 1, "review": 1,
		"settle": 6, "show": 2, "show all": 3, "close batch": 1, "close batches": 1, "move clock": 4, "turn back": 1, "policy": 1, "cutover": 1,
	}, rules: []string{"batches", "batches", "review"}},
	"holds": {weights: map[string]int{
		"buy": 6, "complete": 7, "cancel": 7, "reverse": 8, "repeat": 2, "settle": 1, "move clock": 4, "policy": 1, "expire": 2, "cutover": 1,
	}, rules: []string{"mode", "batches"}},
	"days": {weights: map[string]int{
		"buy": 10, "complete": 3, "cancel": 9, "reverse": 5, "review": 2, "settle": 1, "move clock": 4, "next day": 3, "turn back": 1, "terms": 2,
		"expire": 1, "cutover": 6,
	}, rules: []string{"balance", "batches", "review"}},
}
