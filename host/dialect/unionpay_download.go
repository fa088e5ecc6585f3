package dialect

import (
	"bytes"

	"meridian/switch"
)

// First characters of F62 in answers to status reports and downloads.
const (
	nothingThere = "0"
	allThere     = "1" // or, of a download, what was asked for
	moreFollows  = "2"
	lastPart     = "3"
)

// maxListBytes bounds the entries of one answer, so that a frame stays below what
// small terminals take.
const maxListBytes = 500

// list is F62 of a status report's answer: what there is beyond what the terminal
// has heard of, as far as it fits.
func (a *unionPayAnswer) list() string {
	entries := a.response.Catalogue
	if len(entries) == 0 {
		return nothingThere
	}
	if entries[0].Code != "" { // terminal parameters are one: they are there
		return allThere
	}
	var b bytes.Buffer
	for len(entries) > 0 {
		item := entryName(&entries[0])
		if b.Len()+len(item) > maxListBytes {
			break
		}
		b.Write(item)
		entries = entries[1:]
	}
	mark := allThere
	switch {
	case len(entries) > 0:
		mark = moreFollows
	case heardOf(string(a.request.Bytes(62))) > 0:
		mark = lastPart
	}
	return mark + b.String()
}

// tagExpires is the date on which a public key ends, eight digits.
const tagExpires = 0xDF05

// entryName is an entry in a list: 9F06, 9F22 and DF05 of a public key, 9F06 of an
// application.
func entryName(e *switching.CatalogueEntry) []byte {
	if e.RID == nil {
		return appendTLV(nil, tagAID, e.AID)
	}
	b := appendTLV(nil, tagAID, e.RID)
	b = appendTLV(b, tagKeyIndex, []byte{e.KeyIndex})
	return appendTLV(b, tagExpires, []byte(e.ExpiresOn.Time().Format("20060102")))
}

// appendTLV appends an element with a tag of two bytes and a value below 128.
func appendTLV(b []byte, tag uint16, value []byte) []byte {
	b = append(b, byte(tag>>8), byte(tag), byte(len(value)))
	return append(b, value...)
}

// download is F62 of a download's answer: the entry behind a 1, or a 0. Terminal
// parameters have no mark: each is a code of two digits and its value.
func (a *unionPayAnswer) download() string {
	data := string(a.response.Data)
	switch {
	case a.op.catalogue == switching.TerminalParameters:
		return data
	case data == "":
		return nothingThere
	default:
		return allThere + data
	}
}

// parameterLengths of terminal parameters by their codes. A download has codes and values
// one after the other and nothing between, so a value of another length puts a terminal
// out of step for all that follow.
var parameterLengths = map[string]int{
	"11": 2, "12": 2, "13": 1, "14": 14, "15": 14, "16": 14, "17": 14, "18": 1, "19": 2, "20": 1, "21": 1, "22": 40, "23": 1,
}

// ParameterLength is how long terminals expect the value of a terminal parameter to be;
// not known of codes that are between a host and a terminal's maker.
func ParameterLength(code string) (length int, known bool) {
	length, known = parameterLengths[code]
	return length, known
}
