package switching

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
	"time"
)

// A terminal has no more rows than slots, whatever is handed out, and keeps the
// keys that it was last seen to have.
func TestNextSlotKeepsWhatIsInUse(t *testing.T) {
	var have []slotRow
	sign := func() slotRow {
		t.Helper()
		slot, number := nextSlot(have)
		row := slotRow{slot: slot, generation: number}
		switch {
		case int(slot) == len(have):
			have = append(have, row)
		case int(slot) > len(have):
			t.Fatalf("slot %d of %d rows", slot, len(have))
		default:
			have[slot] = row
		}
		return row
	}
	use := func(number int32) {
		for i := range have {
			have[i].used = have[i].used || have[i].generation == number
		}
	}
	has := func(number int32) bool {
		return slices.ContainsFunc(have, func(r slotRow) bool { return r.generation == number })
	}
	use(sign().generation)
	for range 20 {
		before := sign()
		use(before.generation)
		// Somebody else signs it in, again and again.
		for range 10 {
			last := sign()
			if !has(before.generation) || !has(last.generation) || len(have) > keySlots {
				t.Fatalf("generation %d is in use, %d was handed out; rows %+v", before.generation, last.generation, have)
			}
		}
	}
	if n := have[0].generation; n > 20*11+1 {
		t.Fatalf("generation %d", n)
	}
}

func TestSplitKSN(t *testing.T) {
	for _, tt := range []struct {
		scheme       KeyScheme
		ksn, initial string
		counter      int64
	}{
		// ANSI X9.24-1:2009, A.4: the first transactions of the test data.
		{SchemeTDES, "ffff9876543210e00001", "ffff9876543210e00000", 1},
		{SchemeTDES, "ffff9876543210fff800", "ffff9876543210e00000", 0x1FF800},
		{SchemeTDES, "ffff9876543210e00000", "", 0},
		{SchemeTDES, "ffff9876543210ffffff", "", 0}, // a counter that is skipped
		{SchemeTDES, "ffff9876543210e000", "", 0},
		{SchemeTDES, "123456789012345600000001", "", 0},
		// ANSI X9.24-3:2017, the test data.
		{SchemeAES, "123456789012345600000001", "1234567890123456", 1},
		{SchemeAES, "1234567890123456ffff0000", "1234567890123456", 0xFFFF0000},
		{SchemeAES, "123456789012345600000000", "", 0},
		{SchemeAES, "ffff9876543210e00001", "", 0},
		{SchemeStatic, "ffff9876543210e00001", "", 0},
	} {
		ksn, err := hex.DecodeString(tt.ksn)
		if err != nil {
			t.Fatal(err)
		}
		given := bytes.Clone(ksn)
		initial, counter, ok := splitKSN(tt.scheme, ksn)
		if ok != (tt.initial != "") || ok && (hex.EncodeToString(initial) != tt.initial || counter != tt.counter) {
			t.Errorf("%s %s: %x, %d, %t; want %s, %d", tt.scheme, tt.ksn, initial, counter, ok, tt.initial, tt.counter)
		}
		if !bytes.Equal(ksn, given) {
			t.Errorf("%s was changed to %x", tt.ksn, ksn)
		}
	}
}

// A generation is taken until a later one has been in use for the overlap.
func TestLiveGenerations(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	ring := &Keyring{now: func() time.Time { return now }}
	set := func(used ...time.Duration) *KeySet { // by age, the newest first; 0 for never
		s := &KeySet{ring: ring, terminal: &Terminal{}}
		for i, age := range used {
			g := &generation{number: int32(len(used) - i)}
			if age != 0 {
				g.firstUsed.Store(now.Add(-age).UnixNano())
			}
			s.generations = append(s.generations, g)
		}
		return s
	}
	const long, short = time.Hour, rolloverOverlap - time.Nanosecond
	for _, tt := range []struct {
		used []time.Duration
		want int
	}{
		{nil, 0},
		{[]time.Duration{0}, 1},
		{[]time.Duration{0, 0, 0}, 3},
		{[]time.Duration{long}, 1},
		{[]time.Duration{0, long}, 2},
		{[]time.Duration{short, long}, 2},
		{[]time.Duration{rolloverOverlap, long}, 1},
		{[]time.Duration{0, 0, long, long}, 3},
		{[]time.Duration{0, short, short, long}, 4},
		{[]time.Duration{-long, long}, 2}, // the clock was set back
	} {
		if got := len(set(tt.used...).live()); got != tt.want {
			t.Errorf("used %v ago: %d are taken, want %d", tt.used, got, tt.want)
		}
	}
}
