package switching

// caution decides which units of a lane go the safe way: lock cards when they read
// them, or read what they might have presumed (presume.go). A unit that does not and
// meets another, at a card or at a terminal, is run twice; where few cards are used by
// many, that costs more than waiting. So every such meeting doubles how many units are
// cautious after it, and a unit that went through without halves it.
type caution struct {
	level uint // 2^level units are cautious after a meeting now
	left  int  // of those
}

// cautionMax: one unit in 65 is run twice where all meet (the level is one lower by then).
const cautionMax = 7

// next tells whether the next unit is cautious.
func (c *caution) next() bool {
	if c.left > 0 {
		c.left--
		return true
	}
	if c.level > 0 {
		c.level--
	}
	return false
}

// met another unit: one that was not cautious is run again. It tells whether that
// was not long after the meeting before.
func (c *caution) met() (again bool) {
	again = c.level > 0
	c.left = 1 << c.level
	c.level = min(c.level+2, cautionMax) // one more than next takes off again
	return again
}
