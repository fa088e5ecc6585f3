package certification

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"meridian/host"
	"meridian/switch"
)

// sight is something that is seen and not stored.
type sight string

const (
	sawEcho   sight = "echo"
	sawLogon  sight = "logon"
	sawRepeat sight = "repeat"
)

// seen is when a terminal did something last, and under which RRN.
type seen struct {
	At  time.Time `json:"at"`
	RRN int64     `json:"rrn,omitempty"`
}

// maxWitnessed terminals are kept: far more than one sandbox certifies.
const maxWitnessed = 10_000

// Witness remembers of every terminal what the host does not store. It may be used
// by many goroutines at once; the nil Witness saw nothing.
type Witness struct {
	now func() time.Time

	mu    sync.Mutex
	saw   map[string]map[sight]seen // by TID
	fresh bool                      // since it was kept
}

// NewWitness returns a witness that has seen nothing; now is the business clock.
func NewWitness(now func() time.Time) *Witness {
	return &Witness{now: now, saw: map[string]map[sight]seen{}}
}

// See takes note of an answer.
func (w *Witness) See(a host.Answered) {
	if a.Reason != switching.Approved {
		return
	}
	switch {
	case a.Repeat:
		w.note(a.TID, sawRepeat, a.RRN)
	case a.Kind == switching.KindEcho:
		w.note(a.TID, sawEcho, 0)
	case a.Kind == switching.KindLogon:
		w.note(a.TID, sawLogon, 0)
	}
}

func (w *Witness) note(tid string, what sight, rrn int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := w.saw[tid]
	if of == nil {
		if len(w.saw) >= maxWitnessed {
			return
		}
		of = map[sight]seen{}
		w.saw[tid] = of
	}
	of[what], w.fresh = seen{w.now().UTC(), rrn}, true
}

// of is what was seen of a terminal.
func (w *Witness) of(tid string, what sight) (seen, bool) {
	if w == nil {
		return seen{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.saw[tid][what]
	return s, ok
}

// Load adds what a file kept. A file that is not there kept nothing.
func (w *Witness) Load(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was seen of terminals: %w", err)
	}
	saw := map[string]map[sight]seen{}
	if err := json.Unmarshal(content, &saw); err != nil {
		return fmt.Errorf("read what was seen of terminals in %s: %w (remove the file to begin anew)", path, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for tid, of := range saw {
		if len(w.saw) < maxWitnessed && of != nil {
			w.saw[tid] = of
		}
	}
	return nil
}

// Keep writes what was seen into a file, if anything was since the last time, and
// tells whether it did.
func (w *Witness) Keep(path string) (kept bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fresh {
		return false, nil
	}
	content, err := json.Marshal(w.saw)
	if err != nil {
		return false, fmt.Errorf("keep what was seen of terminals: %w", err)
	}
	staged := path + ".new"
	if err := errors.Join(os.WriteFile(staged, content, 0o600), os.Rename(staged, path)); err != nil {
		return false, fmt.Errorf("keep what was seen of terminals: %w", err)
	}
	w.fresh = false
	return true, nil
}
