package switching

import "testing"

// Where every unit meets another, hardly one is run twice; where they stop
// meeting, none locks before long.
func TestCaution(t *testing.T) {
	t.Parallel()
	var c caution
	for range 1000 {
		if c.next() {
			t.Fatal("locks cards that nobody else is at")
		}
	}
	const units = 10_000
	twice := 0
	for range units {
		if !c.next() {
			twice++
			c.met()
		}
	}
	if twice < units/70 || twice > units/60 {
		t.Errorf("%d of %d units were run twice", twice, units)
	}
	var after int
	for after = 0; c.next(); after++ {
		if after > 64 { // 2^6
			t.Fatal("goes on locking")
		}
	}
	for i := range cautionMax {
		if c.next() {
			t.Errorf("locks the unit %d after the last meeting's", i)
		}
	}
	if c.level != 0 {
		t.Errorf("still at level %d", c.level)
	}
}
