package scenario

import "fmt"

// Entry is a row of the published table: what the scenario card does with amounts
// that end so.
type Entry struct {
	Name string    `json:"name"`
	Do   Behaviour `json:"do"`
	// Code that is answered; empty is the decision's own.
	Code string `json:"code,omitempty"`
	// AmountEnds are the last three digits of the amount in minor units.
	AmountEnds string `json:"amount_ends"`
	// Card is the behaviour of the cards that do the same whatever the amount;
	// empty where there is none.
	Card string `json:"card,omitempty"`
	What string `json:"what"`
}

// CardBehaviour is the behaviour, in sandbox.json, of the cards whose amounts
// decide.
const CardBehaviour = "scenario"

// amountEnds is how much of an amount counts.
const amountEnds = 1000

// Table is what is published: response codes first, then misbehaviour.
func Table() []Entry {
	var list []Entry
	for _, code := range Codes() {
		what := "Declined: " + codes[code] + "."
		if Approves(code) {
			what = "Approved, the money moves, and the code is not 00: " + codes[code] + "."
		}
		list = append(list, Entry{
			Name: codeName(code), Do: Code, Code: code, AmountEnds: fmt.Sprintf("%03d", codeEnds(code)), What: what,
		})
	}
	for _, b := range behaviours {
		list = append(list, Entry{
			Name: string(b.behaviour), Do: b.behaviour, AmountEnds: fmt.Sprintf("%03d", b.ends), Card: string(b.behaviour), What: b.what,
		})
	}
	return list
}

func codeName(code string) string { return "code-" + code }

// act is what is played with one request.
type act struct {
	name  string
	do    Behaviour
	code  string
	delay delay
	rule  *Rule // nil of a card or an amount
}

// byAmount are the published endings.
func byAmount() map[int]act {
	ends := map[int]act{}
	for _, code := range Codes() {
		ends[codeEnds(code)] = act{name: codeName(code), do: Code, code: code}
	}
	for _, b := range behaviours {
		ends[b.ends] = act{name: string(b.behaviour), do: b.behaviour}
	}
	return ends
}
