package switching

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever waits comes to its turn once, a terminal's jobs in their order; what may end a
// batch alone; and what is sold waits for one settlement at most before each unit of it.
func TestUnitsOfWhatWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "most")
		terminals := []*Terminal{{ID: 1}, {ID: 2}, {ID: 3}, {ID: 4}}
		var queue []*job
		for range rapid.IntRange(1, 40).Draw(t, "jobs") {
			kind := rapid.SampledFrom([]Kind{KindSale, KindSale, KindVoid, KindSettlement, KindTrailer}).Draw(t, "kind")
			queue = append(queue, &job{request: &Request{Kind: kind, terminal: rapid.SampledFrom(terminals).Draw(t, "terminal")}})
		}
		of := func(list []*job) map[int32][]*job {
			by := map[int32][]*job{}
			for _, j := range list {
				by[j.request.terminal.ID] = append(by[j.request.terminal.ID], j)
			}
			return by
		}
		want := of(queue)
		var done []*job
		settled := false
		for rest := queue; len(rest) > 0; {
			var unit []*job
			before := rest
			unit, rest = unitOf(before, most, settled)
			if len(unit) == 0 || len(unit) > most || len(unit)+len(rest) != len(before) {
				t.Fatalf("%d waited, a unit has %d and %d are left", len(before), len(unit), len(rest))
			}
			for _, j := range unit {
				if j.settles() && len(unit) > 1 {
					t.Fatalf("a %s in a unit of %d", j.request.Kind, len(unit))
				}
			}
			sells := map[int32]bool{} // terminals in front of which nothing waits that may end their batch
			for _, j := range slices.Backward(before) {
				sells[j.request.terminal.ID] = !j.settles()
			}
			if unit[0].settles() {
				for _, free := range sells {
					if free && settled {
						t.Fatal("what is sold waits behind two settlements")
					}
				}
			}
			settled = unit[0].settles()
			done = append(done, unit...)
		}
		for terminalID, got := range of(done) {
			if len(got) != len(want[terminalID]) {
				t.Fatalf("%d of terminal %d, want %d", len(got), terminalID, len(want[terminalID]))
			}
			for i := range got {
				if got[i] != want[terminalID][i] {
					t.Fatalf("terminal %d's job %d is out of its order", terminalID, i)
				}
			}
		}
	})
}

// Settlements that wait leave room in a lane for what is sold, and their room is free again
// once they are done.
func TestRoomForSettlements(t *testing.T) {
	l := newLane(&Switch{opts: Options{Queue: 8, MaxBatch: 8}})
	waits := func(kind Kind, terminalID int32) bool {
		return l.add(0, &job{request: &Request{Kind: kind, terminal: &Terminal{ID: terminalID}}})
	}
	for range 2 {
		if !waits(KindSettlement, 1) || !waits(KindTrailer, 2) {
			t.Fatal("no room for settlements")
		}
		if waits(KindSettlement, 3) {
			t.Fatal("settlements take more than their room")
		}
		for i := range int32(6) {
			if !waits(KindSale, 3+i) {
				t.Fatalf("no room for sale %d", i)
			}
		}
		if waits(KindSale, 9) {
			t.Fatal("more waits than there is room for")
		}
		var sizes []int
		for l.depth() > 0 {
			_, jobs, _ := l.take()
			sizes = append(sizes, len(jobs))
		}
		if len(sizes) != 3 || sizes[0]+sizes[1]+sizes[2] != 8 {
			t.Fatalf("units of %v", sizes)
		}
	}
}

// Settlements that expired while they waited have left their room.
func TestExpiredSettlementsLeaveTheirRoom(t *testing.T) {
	sw := &Switch{opts: Options{Queue: 8, MaxBatch: 8}, metrics: newMetrics(nil)}
	l := newLane(sw)
	now := time.Now()
	told := 0
	for range 3 {
		for range 2 {
			r := &Request{Kind: KindSettlement, terminal: &Terminal{ID: 1}}
			if !l.add(0, &job{request: r, done: func(Response) { told++ }, storeBy: now}) {
				t.Fatalf("no room, and %d wait", l.depth())
			}
		}
		l.expireQueued(now)
	}
	if told != 6 || l.settlements != 0 || l.depth() != 0 {
		t.Errorf("%d were told, %d of %d that wait are settlements", told, l.settlements, l.depth())
	}
}
