package terminal

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"meridian/host/wire"
)

// Tags of F62 in status reports and downloads.
const (
	tagAID      = 0x9F06 // of an application; the RID of a public key
	tagKeyIndex = 0x9F22
	tagExpires  = 0xDF05 // of a public key: eight digits
)

// First characters of F62 in answers: nothing there, all of it, and of a list more
// to come or the last part of it.
const (
	noneThere  = '0'
	allThere   = '1'
	moreToCome = '2'
	maxHeardOf = 99 // two digits say how many entries the terminal has heard of
)

// heardOf is F62 of a status report: how many entries the terminal was told of in
// this conversation.
func heardOf(n int) string { return fmt.Sprintf("1%02d", n) }

// listing is what an answer named, and whether there is more.
type listing struct {
	names [][]byte // TLV to ask for each by
	more  bool
}

// judgeListing reads F62 of a status report's or a download's answer.
func (r *Report) judgeListing(d *draft, f62 string) {
	switch {
	case d.operation == Download && d.fields[62] == "": // terminal parameters have no mark
		if f62 != "" {
			r.List = []string{strings.Join(strings.Fields(printable(f62)), " ")}
		}
		return
	case f62 == "" || strings.IndexByte("0123", f62[0]) < 0:
		r.Problem = "the answer's field 62 does not say what there is"
		return
	case f62[0] == noneThere:
		r.List = []string{"there is nothing"}
		return
	case f62 == string(allThere): // which is all that is told of terminal parameters
		r.List = []string{"there are some"}
		return
	}
	r.listed.more = f62[0] == moreToCome
	if d.operation == Download {
		r.List = []string{tags(f62[1:])}
		return
	}
	told, ok := r.listed.read(f62[1:])
	if !ok {
		r.Problem = "the answer's field 62 is not a list"
		return
	}
	r.List = told
}

// read cuts a list into what each entry is asked for by, and tells the entries in
// words.
func (l *listing) read(list string) (told []string, ok bool) {
	err := wire.WalkTLV([]byte(list), func(tag uint32, value []byte) bool {
		last := len(l.names) - 1
		switch {
		case tag == tagAID:
			l.names = append(l.names, element(tag, value))
			told = append(told, word(tag, value))
		case last < 0:
		case tag == tagKeyIndex:
			l.names[last] = append(l.names[last], element(tag, value)...)
			told[last] += ", " + word(tag, value)
		case word(tag, value) != "":
			told[last] += ", " + word(tag, value)
		}
		return true
	})
	return told, err == nil
}

// word is an element in words, where it has any.
func word(tag uint32, value []byte) string {
	switch tag {
	case tagAID:
		return strings.ToUpper(hex.EncodeToString(value))
	case tagKeyIndex:
		return fmt.Sprintf("key %X", value)
	case tagExpires:
		return "expires " + printable(string(value))
	default:
		return ""
	}
}

// element with a tag of two bytes and a value below 128.
func element(tag uint32, value []byte) []byte {
	return append([]byte{byte(tag >> 8), byte(tag), byte(len(value))}, value...)
}

// tags are elements in words: what a key or an application is called by, and how
// many bytes everything else has.
func tags(elements string) string {
	var words []string
	rest := 0
	err := wire.WalkTLV([]byte(elements), func(tag uint32, value []byte) bool {
		if w := word(tag, value); w != "" {
			words = append(words, w)
		} else {
			rest++
		}
		return true
	})
	if err != nil {
		return fmt.Sprintf("%d bytes that are no TLV", len(elements))
	}
	if rest > 0 {
		words = append(words, fmt.Sprintf("%d parameters", rest))
	}
	return strings.Join(words, ", ")
}

// printable text as it is, anything else in hex.
func printable(text string) string {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return strings.ToUpper(hex.EncodeToString([]byte(text)))
		}
	}
	return text
}

// Download takes lists from the host: for each it reports what it has (nothing),
// asks for every entry that there is, and says that it has them. Reports and errors
// are those of [Terminal.Run].
func (t *Terminal) Download(ctx context.Context, lists []List, show func(*Report) error) error {
	if t.dialect != dialectUnionPay {
		return t.permits(&Request{Operation: Download})
	}
	for _, list := range lists {
		if !list.known() {
			return errorf(KindUsage, "--list %s: it is parameters, keys or applications", list)
		}
	}
	l, err := t.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	say := func(operation Operation, mti, code, f62 string) (*Report, error) {
		report, err := t.converse(ctx, l, func(st *state) (*draft, error) {
			d := &draft{operation: operation, mti: mti, fields: map[int]string{41: t.tid, 42: t.mid}}
			d.fields[60] = fmt.Sprintf("00%06d%s", t.batchNumber(st), code)
			if f62 != "" {
				d.fields[62] = f62
			}
			return d, nil
		})
		if report != nil {
			if showErr := show(report); showErr != nil {
				return nil, showErr
			}
		}
		if err == nil {
			err = declinedUnless(report, "a "+string(operation))
		}
		return report, err
	}
	for _, list := range lists {
		if err := download(list, say); err != nil {
			return err
		}
	}
	return nil
}

func download(list List, say func(operation Operation, mti, code, f62 string) (*Report, error)) error {
	codes, _ := list.codes()
	var names [][]byte
	for range maxHeardOf {
		report, err := say(Status, "0820", codes.status, heardOf(len(names)))
		if err != nil {
			return err
		}
		names = append(names, report.listed.names...)
		if !report.listed.more || len(report.listed.names) == 0 || len(names) > maxHeardOf {
			break
		}
	}
	if list == ListParameters {
		names = [][]byte{nil}
	}
	for _, name := range names {
		if _, err := say(Download, "0800", codes.download, string(name)); err != nil {
			return err
		}
	}
	_, err := say(DownloadEnd, "0800", codes.end, "")
	return err
}
