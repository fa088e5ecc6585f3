package switching

// caution decides which units of a lane lock cards when they read them. A unit
// that does not and meets another on a card is run twice; where few cards are
// used by many, that costs more than waiting. So every such meeting doubles how
// many units lock after it, and a unit that went through without halves it.
type caution struct {
	level uint // 2^level units lock after a meeting now
	left  int  // of those that lock
}

// cautionMax: one unit in 65 is run twice where all meet (the level is one lower by then).
const cautionMax = 7

// next tells whether the next unit locks.
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

// met another unit on a card.
func (c *caution) met() {
	c.left = 1 << c.level
	c.level = min(c.level+2, cautionMax) // one more than next takes off again
}
