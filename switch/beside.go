package switching

import "sync"

// Some requests run beside the lanes, because they take longer than a unit of work: sign-ins,
// passwords, ends of downloads. None of them carries a MAC, so that anybody can send
// them in a terminal's name, and each takes a place among the requests in flight until it
// is answered. What waits is bounded here, so that sales find one.
const (
	// besideMax wait or run at once: a quarter of what a host has in flight by default.
	besideMax = 1024
	// besideOfTerminal is the same for one terminal, which sends one after the other.
	besideOfTerminal = 4
)

// beside counts what waits or runs beside the lanes.
type beside struct {
	mu  sync.Mutex
	all int
	of  map[int32]int // by terminal
}

// enter tells whether there is room for one more of the terminal's; leave follows.
func (b *beside) enter(terminalID int32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= besideMax || b.of[terminalID] >= besideOfTerminal {
		return false
	}
	if b.of == nil {
		b.of = map[int32]int{}
	}
	b.all++
	b.of[terminalID]++
	return true
}

func (b *beside) leave(terminalID int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.of[terminalID]--; b.of[terminalID] == 0 {
		delete(b.of, terminalID)
	}
}

// besides does a job beside the lanes, and answers it without doing it where too many wait.
func (s *Switch) besides(j *job, do func(*job)) {
	terminalID := j.request.terminal.ID
	if !s.beside.enter(terminalID) {
		s.answer(j, Response{Reason: StoreUnavailable, Became: j.request.Kind})
		return
	}
	s.keepers.Go(func() {
		defer s.beside.leave(terminalID)
		do(j)
	})
}
