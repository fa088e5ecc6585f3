package node

import (
	"strings"
	"testing"
)

// TestDecisionTable: each row of the void-or-refund table as terminals see it,
// in both dialects, with what is stored, moved and told to people.
func TestDecisionTable(t *testing.T) {
	for _, dialect := range []string{"nac", "ascii"} {
		t.Run(dialect, func(t *testing.T) {
			t.Parallel()
			w := newDecisionTown(t)
			w.operators()
			all := newScenes(w, dialect)
			for _, c := range decisionTable() {
				t.Run(c.row.String()+" "+c.name, func(t *testing.T) {
					if strings.Contains(c.policy, "per_day") {
						w.in(t).settled() // a business date without voids
					}
					s := all.next(w.in(t), c.policy)
					got := s.play(c.cancel(s), c.outcome)
					if c.then != nil {
						c.then(s, got)
					}
				})
			}
		})
	}
}
