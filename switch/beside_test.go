package switching

import "testing"

// What waits beside the lanes is bounded, for all and for each terminal, and a place
// that is left is free again.
func TestRoomBesideTheLanes(t *testing.T) {
	var b beside
	for range besideOfTerminal {
		if !b.enter(1) {
			t.Fatal("no room for a terminal's first")
		}
	}
	if b.enter(1) {
		t.Fatal("one terminal takes more than its own")
	}
	for i := range besideMax - besideOfTerminal {
		if !b.enter(int32(2 + i)) {
			t.Fatalf("no room for terminal %d", 2+i)
		}
	}
	if b.enter(0) {
		t.Fatal("more wait than there is room for")
	}
	b.leave(1)
	if !b.enter(0) {
		t.Fatal("a place that was left is not free")
	}
	if b.enter(1) {
		t.Fatal("more wait than there is room for")
	}
	for i := range besideMax - besideOfTerminal {
		b.leave(int32(2 + i))
	}
	b.leave(0)
	for range besideOfTerminal - 1 {
		b.leave(1)
	}
	if b.all != 0 || len(b.of) != 0 {
		t.Fatalf("nobody is there, and %d and %d are counted", b.all, len(b.of))
	}
}
