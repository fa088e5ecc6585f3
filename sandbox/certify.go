//go:build unix

package sandbox

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/console/certification"
)

// CertificationPath is where a terminal's checklist is read, on the ops address:
// ?tid=TID.
const CertificationPath = "/sandbox/certification"

// sightsFile keeps over restarts what was seen of terminals.
const sightsFile = "certification.json"

// certifyTimeout bounds one examination.
const certifyTimeout = 10 * time.Second

// startWitness takes up what an earlier run has seen. An ephemeral sandbox begins
// anew, as its database does.
func (s *Sandbox) startWitness() error {
	s.witness = certification.NewWitness(s.clock.Now)
	if s.options.Ephemeral {
		return nil
	}
	path := s.home.path(sightsFile)
	s.undo = append(s.undo, func(context.Context) error {
		if kept, err := s.witness.Keep(path); err != nil || !kept {
			return err
		}
		return s.home.give(path)
	})
	return s.witness.Load(path)
}

// certify serves checklists to the command line.
func (s *Sandbox) certify(w http.ResponseWriter, r *http.Request) {
	pool := s.books.Load()
	if pool == nil {
		http.Error(w, "the sandbox is still starting", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), certifyTimeout)
	defer cancel()
	list, err := certification.Examine(ctx, s.exam(pool), r.URL.Query().Get("tid"))
	switch {
	case certification.IsNoTerminal(err):
		http.Error(w, "no terminal has this TID", http.StatusBadRequest)
	case err != nil:
		s.logger.Error("cannot examine a terminal", "error", err)
		http.Error(w, "the terminal cannot be examined; the sandbox's log says why", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) //nolint:errchkjson // the peer went away; these instants have years
	}
}

func (s *Sandbox) exam(pool *pgxpool.Pool) certification.Exam {
	return certification.Exam{
		DB: pool, Directory: s.switched.Load().Directory(), Witness: s.witness, Now: s.clock.Now(), Version: s.options.Version,
	}
}
