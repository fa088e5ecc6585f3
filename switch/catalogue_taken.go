package switching

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// longestDownload is how long a terminal may take over one: some hundred entries, each a call of its own.
const longestDownload = 15 * time.Minute

// downloads are the last of each terminal and catalogue that began at this host, each with the oldest
// version that any of it was answered from: what changed meanwhile the terminal has in part, or not at all.
type downloads struct {
	mu   sync.Mutex
	last map[downloadOf]download
}

type downloadOf struct {
	terminal  int32
	catalogue Catalogue
}

type download struct {
	version int64
	served  time.Time // the last of it
}

// serve keeps what a status report or a download was answered from at now.
func (d *downloads) serve(r *Request, version int64, now time.Time) {
	of := downloadOf{r.terminal.ID, r.Catalogue}
	// All terminal parameters are one answer, the others a list that is shown from its beginning first.
	begins := r.Catalogue == TerminalParameters || r.Kind == KindStatus && r.Skip <= 0
	d.mu.Lock()
	defer d.mu.Unlock()
	last, ok := d.last[of]
	switch {
	case begins:
		last.version = version
	case ok:
		last.version = min(last.version, version)
	default: // it began at another host
		return
	}
	last.served = now
	if d.last == nil {
		d.last = map[downloadOf]download{}
	}
	d.last[of] = last
}

// taken is the version that a terminal has when it says at now that it has all. What began at another
// host may have begun before the last change.
func (d *downloads) taken(r *Request, c catalogue, now time.Time) int64 {
	d.mu.Lock()
	last, ok := d.last[downloadOf{r.terminal.ID, r.Catalogue}]
	d.mu.Unlock()
	switch {
	case ok && now.Before(last.served.Add(longestDownload)):
		return min(last.version, c.version)
	case now.Before(c.since.Add(longestDownload)):
		return c.before
	default:
		return c.version
	}
}

// downloaded keeps that a terminal has taken a catalogue. It is not a lane's
// work: nothing waits for it but the terminal.
func (s *Switch) downloaded(j *job) {
	r := j.request
	ctx, cancel := context.WithDeadline(context.Background(), j.storeBy)
	defer cancel()
	response := Response{Reason: Approved, Became: r.Kind, AcceptedAt: s.now(), Currency: r.merchant.Currency}
	version := s.downloads.taken(r, s.directory.Load().catalogues[r.Catalogue], s.now())
	_, err := s.pool.Exec(ctx, `
		INSERT INTO terminal_downloads AS d (bucket, terminal_id, catalogue, version, taken_at)
		SELECT b.bucket, $2, $3, $4, $5 FROM buckets b WHERE b.bucket = $1
		ON CONFLICT (bucket, terminal_id, catalogue) DO UPDATE SET version = excluded.version, taken_at = excluded.taken_at`,
		r.merchant.Bucket, r.terminal.ID, int16(r.Catalogue), version, s.now())
	if err != nil {
		s.lines.write(slog.LevelWarn, "cannot keep what a terminal has downloaded", "tid", r.TID, "catalogue", r.Catalogue.String(), "error", err)
		response.Reason = StoreUnavailable
	} else if response.Demand, err = s.downloadDemand(ctx, r.merchant, r.terminal); err != nil {
		s.lines.write(slog.LevelWarn, "cannot see what a terminal has downloaded", "tid", r.TID, "error", err)
	}
	s.answer(j, response)
}

// downloadDemand is what a terminal has not taken yet, the first of it: what its
// sign-in is answered with.
func (s *Switch) downloadDemand(ctx context.Context, m *Merchant, t *Terminal) (Demand, error) {
	rows, err := s.pool.Query(ctx, `SELECT catalogue, version FROM terminal_downloads WHERE bucket = $1 AND terminal_id = $2`, m.Bucket, t.ID)
	if err != nil {
		return DemandNone, fmt.Errorf("read downloads: %w", err)
	}
	taken := map[Catalogue]int64{}
	var of Catalogue
	var version int64
	if _, err := pgx.ForEachRow(rows, []any{&of, &version}, func() error {
		taken[of] = version
		return nil
	}); err != nil {
		return DemandNone, fmt.Errorf("read downloads: %w", err)
	}
	dir := s.directory.Load()
	for _, d := range catalogueDemands {
		if taken[d.catalogue] < dir.catalogues[d.catalogue].version {
			return d.demand, nil
		}
	}
	return DemandNone, nil
}
