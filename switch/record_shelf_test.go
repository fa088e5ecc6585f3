package switching

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"meridian/ledger"
)

// A record has one place, and loses it to whoever comes to it later.
func TestRecordShelf(t *testing.T) {
	s := newRecordShelf(2)
	record := func(rrn int64, stan int32) (*Record, Key) {
		r := &Record{
			ID: uuid.Must(uuid.NewV7()), RRN: rrn, MerchantID: 1, TerminalID: 2, BatchNo: 3, STAN: stan,
			Asked: KindSale, Kind: KindSale, State: StateApproved, WindowClosesAt: time.Unix(1, 0),
		}
		return r, r.Key()
	}
	found := func(what string, r *Record, byRRN, byKey, byID bool) {
		t.Helper()
		for _, c := range []struct {
			by   string
			got  *shelvedRecord
			want bool
		}{{"RRN", s.ofRRN(7, r.RRN), byRRN}, {"key", s.ofKey(7, r.Key()), byKey}, {"id", s.ofID(7, r.ID), byID}} {
			if (c.got != nil) != c.want || c.got != nil && c.got.record.ID != r.ID {
				t.Errorf("%s: by %s %v", what, c.by, c.got)
			}
		}
	}
	first, key := record(100, 1)
	found("not kept", first, false, false, false)
	s.put(7, key, first, nil)
	found("kept", first, true, true, true)
	if s.ofRRN(8, 100) != nil || s.ofKey(8, key) != nil || s.ofID(8, first.ID) != nil {
		t.Error("another bucket's")
	}
	second, other := record(100+recordsKept, 2)
	s.put(7, other, second, nil)
	found("the later one", second, true, true, true)
	found("the earlier one", first, false, false, false)
	third, another := record(101, 5)
	s.put(7, another, third, nil)
	s.drop(third)
	found("dropped", third, false, false, false)
	found("stays", second, true, true, true)
	for lanes, room := range map[int]int{1: 1 << 14, 8: 1 << 14, 9: 1 << 13, 64: 1 << 11, 1000: 1 << 10} {
		if got := len(newRecordShelf(lanes).byID); got != room {
			t.Errorf("%d lanes keep %d records each, want %d", lanes, got, room)
		}
	}

	// What people may change is not kept, nor is what it was.
	reviewed := *second
	reviewed.State = StateUnderReview
	s.put(7, other, &reviewed, nil)
	found("under review", second, false, false, false)
	// A reversal's key may be of another batch than the reversal.
	reversal, _ := record(200, 3)
	reversal.Asked, reversal.Kind = KindReversal, KindReversal
	before := reversal.Key()
	before.BatchNo--
	s.put(7, before, reversal, nil)
	s.drop(reversal)
	if s.ofKey(7, before) != nil {
		t.Error("a dropped reversal is found by its key")
	}
	// An authorization without its hold is not all there is to know of it.
	held, key := record(300, 4)
	held.Asked, held.Kind = KindAuthorization, KindAuthorization
	s.put(7, key, held, nil)
	found("without its hold", held, false, false, false)
	s.put(7, key, held, &ledger.Hold{ID: held.ID})
	found("with its hold", held, true, true, true)
	// What is handed out is a copy.
	f := newFacts(7, time.Unix(0, 0), nil, 1)
	f.presumeRecord(s.ofRRN(7, 300)).State = StateVoided
	if one := s.ofRRN(7, 300); one.record.State != StateApproved || one.record.Presumed {
		t.Error("a unit changed what is on the shelf")
	}
}
