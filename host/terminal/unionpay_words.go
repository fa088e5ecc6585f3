package terminal

import (
	"fmt"
	"strconv"
	"strings"

	"meridian/host/wire"
)

// unionPayWords says what is in the fields of UnionPay's messages that are made of
// several things; nothing for the others.
func (t *Terminal) unionPayWords(m *wire.Message, field int) string {
	switch field {
	case 48:
		if m.MTI()[:2] == "05" {
			return t.sidesInWords(m.Get(48), m.Get(49))
		}
	case 60:
		return f60InWords(m.Get(60))
	case 61:
		return f61InWords(m.Get(61))
	case 63:
		if (m.MTI()[2]-'0')%2 == 1 {
			text, _ := textOf(string(m.Bytes(63)))
			return text
		}
	}
	return ""
}

func f60InWords(f60 string) string {
	if len(f60) < 8 {
		return ""
	}
	text := fmt.Sprintf("message type %s, batch %s", f60[:2], f60[2:8])
	if len(f60) >= 11 && f60[8:11] != "000" {
		text += ", network management " + f60[8:11]
	}
	return text
}

func f61InWords(f61 string) string {
	if len(f61) < 12 {
		return ""
	}
	text := fmt.Sprintf("batch %s, STAN %s", f61[:6], f61[6:12])
	if len(f61) >= 16 {
		text += ", date " + f61[12:14] + "-" + f61[14:16]
	}
	return text
}

// sidesInWords are the totals of F48, with the foreign cards' where there are any.
func (t *Terminal) sidesInWords(f48, currency string) string {
	if len(f48) != sideDigits && len(f48) != 2*sideDigits {
		return ""
	}
	text := t.sideInWords(f48[:sideDigits], currency)
	if foreign := f48[sideDigits:]; strings.Trim(foreign, "01") != "" {
		text += "; foreign cards: " + t.sideInWords(foreign, currency)
	}
	return text
}

func (t *Terminal) sideInWords(side, currency string) string {
	debits, credits := side[:amountDigits+3], side[amountDigits+3:2*(amountDigits+3)]
	text := fmt.Sprintf("debits %s, credits %s", t.countedInWords(debits, currency), t.countedInWords(credits, currency))
	if outcome := outcomes[side[sideDigits-1]]; outcome != "" {
		text += ", " + outcome
	}
	return text
}

// countedInWords is an amount of twelve digits and a count of three.
func (t *Terminal) countedInWords(digits, code string) string {
	count, _ := strconv.Atoi(digits[amountDigits:]) // the spec has digits there
	amount := t.inWords(digits, code)
	if amount == "" {
		amount = strings.TrimLeft(digits[:amountDigits-1], "0") + digits[amountDigits-1:amountDigits] + " minor units"
	}
	return fmt.Sprintf("%d of %s", count, amount)
}

// demandsInWords are what an answer's header asks for.
var demandsInWords = map[wire.Demand]string{
	wire.DemandNone: "", wire.DemandParameters: "download parameters", wire.DemandStatus: "report the status",
	wire.DemandSignIn: "sign in again", wire.DemandPublicKeys: "download public keys", wire.DemandApplications: "download applications",
}
