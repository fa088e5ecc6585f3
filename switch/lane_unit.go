package switching

import "slices"

// settles tells whether the job may end a batch.
func (j *job) settles() bool { return j.request.Kind.Class() == ClassSettlement }

// unitOf splits what waits into the jobs of the next unit, so many at most, and the rest;
// settled tells that the unit before this one was a settlement.
//
// What may end a batch is a unit of its own: it holds the bucket's gate alone, and what it
// leaves to be looked at is read out of the database after it, where nothing later may
// be yet. Others do not wait behind it, but for those of its own terminal: settlements
// are many at the end of a day, and whenever somebody sends them in terminals' names. So
// they take turns with a unit of all that is sold meanwhile.
func unitOf(queue []*job, most int, settled bool) (unit, rest []*job) {
	first := slices.IndexFunc(queue, (*job).settles)
	switch {
	case first == 0 && !settled:
		return queue[:1:1], queue[1:]
	case first < 0 || first >= most:
		n := min(len(queue), most)
		return queue[:n:n], queue[n:]
	}
	unit = append(make([]*job, 0, min(len(queue), most)), queue[:first]...)
	behind := map[int32]struct{}{}
	for _, j := range queue[first:] {
		terminalID := j.request.terminal.ID
		_, waits := behind[terminalID]
		if waits || j.settles() || len(unit) == most {
			behind[terminalID] = struct{}{}
			rest = append(rest, j)
		} else {
			unit = append(unit, j)
		}
	}
	if len(unit) == 0 { // all wait for a settlement
		return queue[:1:1], queue[1:]
	}
	return unit, rest
}
