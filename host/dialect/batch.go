package dialect

import (
	"strings"

	"meridian/host/wire"
	"meridian/switch"
)

// Terminal batches: 0500 states totals (F3 920000) or ends an upload (960000),
// 0320 uploads one transaction. Their answers carry no F37 and no F15 of their
// own: nothing is posted.

// batchKinds are the requests about batches, like kinds.
var batchKinds = map[string]map[string]switching.Kind{
	"050": {
		"92": switching.KindSettlement,
		"96": switching.KindTrailer,
	},
	"052": {
		"92": switching.KindSettlement,
		"96": switching.KindTrailer,
	},
}

// isUpload: 0320 and its repeat carry their transaction's F3.
func isUpload(class string) bool { return class == "032" }

// aboutBatch tells whether the kind is about a batch and moves no money.
func aboutBatch(kind switching.Kind) bool {
	return kind == switching.KindSettlement || kind == switching.KindTrailer || kind == switching.KindUpload
}

// settlement reads a 0500: the batch's number in F60, where it is given, and
// the terminal's totals in F63.
func settlement(m *wire.Message, r *switching.Request) *Refusal {
	if refusal := stan(m, r); refusal != nil {
		return refusal
	}
	if f60 := strings.TrimSpace(m.Get(60)); f60 != "" {
		number, ok := digits(f60)
		if !ok || len(f60) > 6 {
			return malformed(60, "not a batch number of six digits")
		}
		r.BatchNo = int32(number)
	}
	f63 := strings.TrimSpace(m.Get(63))
	if f63 == "" {
		if r.Kind == switching.KindSettlement {
			return malformed(63, "missing: no totals")
		}
		return nil
	}
	if r.Stated = totals(f63); r.Stated == nil {
		return malformed(63, "totals are not 15, 30 or 90 digits")
	}
	return nil
}

// Totals are groups of a count of 3 digits and an amount of 12.
const (
	countDigits = 3
	groupDigits = 15
)

// totals of F63. One group is sales less voids. Two are sales and refunds. Six
// are these and the same of debit cards and of authorized transactions; the
// host does not tell those apart, so sales are the sum of the first, third and
// fifth group and refunds of the others.
func totals(f63 string) *switching.StatedTotals {
	s := &switching.StatedTotals{Form: switching.TotalsSplit}
	switch len(f63) {
	case groupDigits:
		s.Form = switching.TotalsNet
	case 2 * groupDigits, 6 * groupDigits:
	default:
		return nil
	}
	for i := 0; i*groupDigits < len(f63); i++ {
		group := f63[i*groupDigits:][:groupDigits]
		count, ok1 := digits(group[:countDigits])
		minor, ok2 := digits(group[countDigits:])
		switch {
		case !ok1 || !ok2:
			return nil
		case i%2 == 0:
			s.SaleCount += int32(count)
			s.SaleMinor += minor
		default:
			s.RefundCount += int32(count)
			s.RefundMinor += minor
		}
	}
	return s
}

// F60 of an upload: the original's message type, STAN and RRN.
const (
	mtiDigits    = 4
	stanDigits   = 6
	rrnDigits    = 12
	minReference = mtiDigits + stanDigits
)

// upload reads a 0320: which transaction it shows is in F60, or it carries its
// transaction's STAN and RRN itself.
func (d *iso87) upload(m *wire.Message, r *switching.Request) *Refusal {
	reads := []func(*wire.Message, *switching.Request) *Refusal{stan, amounts, currency}
	if m.Has(2) || m.Has(35) { // a terminal may have forgotten its cards by then
		reads = append(reads, d.card)
	}
	for _, read := range reads {
		if refusal := read(m, r); refusal != nil {
			return refusal
		}
	}
	byRRN(m, &r.Original)
	r.Original.STAN, r.Original.HasSTAN = r.STAN, true
	mti := "0200"
	if f60 := m.Get(60); strings.TrimSpace(f60) != "" {
		if len(f60) < minReference || len(f60) > minReference+rrnDigits {
			return malformed(60, "not message type, STAN and RRN of the original")
		}
		original, ok := digits(f60[mtiDigits:minReference])
		if !ok {
			return malformed(60, "original STAN is not a number")
		}
		mti, r.Original.STAN = f60[:mtiDigits], int32(original)
		if rrn, ok := digits(strings.TrimSpace(f60[minReference:])); ok && rrn != 0 && len(f60) == minReference+rrnDigits {
			r.Original.RRN, r.Original.HasRRN = rrn, true
		}
	}
	if f3 := m.Get(3); len(f3) >= 2 {
		r.UploadedKind = kinds[mti[:3]][f3[:2]] // 0 where the terminal calls it by another name
	}
	return nil
}

// answerBatch puts into an answer what answers about batches carry: the totals
// as the terminal stated them, an upload's RRN as the terminal sent it.
func answerBatch(m, request *wire.Message, kind switching.Kind) {
	field := 63
	if kind == switching.KindUpload {
		field = 37
	}
	m.Copy(field, request)
}
