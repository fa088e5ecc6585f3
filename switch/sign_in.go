package switching

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/internal/hsm"
)

// A terminal with sessions signs in before anything else. It is given new
// working keys under its master key and the number of its batch; every sign-in
// is another generation of keys, and none is taken away by it from a terminal
// that goes on with the one before: a sign-in carries no MAC, so anybody can
// send one, and the same terminal sends one again when it missed the answer.
//
//	sign-in ─▶ generation n+1, unused ── first message under it ─▶ in use; a minute later n is over
//	sign-off ─▶ every generation has ended, its keys are gone

// signInsAtOnce bounds the connections that sign-ins take from everything else
// beside the lanes; one takes some milliseconds.
const signInsAtOnce = 3

// needsSession tells whether a terminal with sessions must be signed in for this.
func (k Kind) needsSession() bool {
	switch k {
	case KindEcho, KindLogon, KindSignOff, KindStatus, KindDownload, KindDownloadEnd:
		return false
	default:
		return true
	}
}

// errCannotSignIn: the terminal has no sessions, or the keys it asks for do not
// fit its profile.
var errCannotSignIn = errors.New("terminal cannot sign in")

// signInOrOff begins or ends a terminal's session. It runs beside the lanes.
func (s *Switch) signInOrOff(j *job) {
	ctx, cancel := context.WithDeadline(context.Background(), j.storeBy)
	defer cancel()
	select {
	case s.signIns <- struct{}{}:
		defer func() { <-s.signIns }()
	case <-ctx.Done():
		s.answer(j, Response{Reason: StoreUnavailable, Became: j.request.Kind})
		return
	}
	do := s.signIn
	if j.request.Kind == KindSignOff {
		do = s.signOff
	}
	response, err := do(ctx, j.request)
	switch {
	case errors.Is(err, errCannotSignIn):
		response = Response{Reason: FunctionNotSupported}
	case errors.Is(err, errModule):
		response = Response{Reason: SystemMalfunction}
	case err != nil:
		response = Response{Reason: StoreUnavailable}
	}
	if err != nil {
		s.lines.write(slog.LevelWarn, "cannot begin or end a session", "tid", j.request.TID, "kind", j.request.Kind.String(), "error", err)
	}
	response.Became, response.Currency = j.request.Kind, j.request.merchant.Currency
	s.answer(j, response)
}

// errModule: the security module could not do its part.
var errModule = errors.New("security module")

func (s *Switch) signIn(ctx context.Context, r *Request) (Response, error) {
	if r.OperatorPassword != "" {
		if reason, err := s.checkOperator(ctx, r); err != nil || reason != Approved {
			return Response{Reason: reason}, err
		}
	}
	keys, issued, err := s.drawKeys(ctx, r)
	if err != nil {
		return Response{}, err
	}
	now := s.now()
	response := Response{Reason: Approved, AcceptedAt: now, Keys: issued, BatchNo: 1}
	if response.RRN, err = s.signRRNs.take(ctx, s.pool, now); err != nil {
		return Response{}, err
	}
	for attempt := 0; ; attempt++ {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := storeGeneration(ctx, tx, r.merchant.Bucket, r.terminal.ID, keys, now); err != nil {
				return err
			}
			return currentBatch(ctx, tx, r.merchant.Bucket, r.terminal.ID, &response.BatchNo)
		})
		if !isKeyTaken(err) || attempt == generationTries {
			break // else another host has signed the terminal in: after it, then
		}
	}
	if err != nil {
		return Response{}, fmt.Errorf("store session: %w", err)
	}
	s.ring.forget(r.terminal.ID)
	if response.Demand, err = s.downloadDemand(ctx, r.merchant, r.terminal); err != nil {
		s.lines.write(slog.LevelWarn, "cannot see what a terminal has downloaded", "tid", r.TID, "error", err) // the next sign-in will tell
	}
	return response, nil
}

// generationTries is how often a sign-in begins anew because another one of the
// same terminal was first: the repeats of one terminal are few.
const generationTries = 3

// workingKeys are new keys as they are stored; nil for those there are none of.
type workingKeys struct{ mak, pik, tdk []byte }

// drawKeys makes the keys that a terminal asks for, and their cryptograms.
func (s *Switch) drawKeys(ctx context.Context, r *Request) (keys workingKeys, issued []IssuedKey, err error) {
	t, module := r.terminal, s.ring.module
	if t.Scheme != SchemeSession || module == nil {
		return keys, nil, fmt.Errorf("%w: its keys are not drawn", errCannotSignIn)
	}
	master, err := hsm.ParseKey(t.TMK, hsm.UseTerminalMaster)
	if err != nil {
		return keys, nil, fmt.Errorf("%w: terminal master key: %w", errModule, err)
	}
	uses := []hsm.Use{hsm.UsePIN, hsm.UseMAC}
	if r.WorkingKeys == KeysWithTrack {
		uses = append(uses, hsm.UseTrack)
	}
	for _, use := range uses {
		algorithm := hsm.TDES2
		if r.WorkingKeys == KeysSingle || use == hsm.UseMAC && r.SingleMAC {
			algorithm = hsm.DES
		}
		key, err := s.drawKey(ctx, t, use, algorithm)
		if err != nil {
			return keys, nil, err
		}
		one := IssuedKey{Use: use}
		if one.Cryptogram, err = module.Encrypt(ctx, master, key); err != nil {
			return keys, nil, fmt.Errorf("%w: encipher %s: %w", errModule, key, err)
		}
		check, err := module.CheckValue(ctx, key)
		if err != nil {
			return keys, nil, fmt.Errorf("%w: check value of %s: %w", errModule, key, err)
		}
		one.CheckValue = check[:]
		issued = append(issued, one)
		*map[hsm.Use]*[]byte{hsm.UsePIN: &keys.pik, hsm.UseMAC: &keys.mak, hsm.UseTrack: &keys.tdk}[use] = key.Bytes()
	}
	return keys, issued, nil
}

// drawKey makes one working key that fits the terminal's profile.
func (s *Switch) drawKey(ctx context.Context, t *Terminal, use hsm.Use, algorithm hsm.Algorithm) (hsm.Key, error) {
	draw := func() (hsm.Key, error) { return s.ring.module.Generate(ctx, use, algorithm) }
	if fixed := s.opts.FixedWorkingKeys; fixed != nil {
		draw = func() (hsm.Key, error) { return fixed(ctx, t.TID, use, algorithm) }
	}
	key, err := draw()
	if err != nil {
		return hsm.Key{}, fmt.Errorf("%w: draw %s key: %w", errModule, use, err)
	}
	if use != hsm.UseMAC || t.MACAlgorithm == noMAC {
		return key, nil
	}
	_, err = s.ring.module.MAC(ctx, key, t.MACAlgorithm)
	switch {
	case errors.Is(err, hsm.ErrAlgorithm):
		return hsm.Key{}, fmt.Errorf("%w: its MAC is %s, which takes no key of %s", errCannotSignIn, t.MACAlgorithm, algorithm)
	case err != nil:
		return hsm.Key{}, fmt.Errorf("%w: MAC key: %w", errModule, err)
	}
	return key, nil
}

// signOff ends the terminal's session, if it has one.
func (s *Switch) signOff(ctx context.Context, r *Request) (Response, error) {
	now := s.now()
	rrn, err := s.signRRNs.take(ctx, s.pool, now)
	if err != nil {
		return Response{}, err
	}
	if _, err := s.pool.Exec(ctx, endGenerationsSQL, r.merchant.Bucket, r.terminal.ID, now); err != nil {
		return Response{}, fmt.Errorf("end session: %w", err)
	}
	s.ring.forget(r.terminal.ID)
	return Response{Reason: Approved, AcceptedAt: now, RRN: rrn}, nil
}

// signInRRNs hands out the RRNs of sign-ins and sign-offs.
type signInRRNs struct {
	mu  sync.Mutex
	own rrnSource
}

// take hands out one. A block of them is taken by itself: the transaction that it
// is for may come to nothing, and the rest of the block goes to others.
func (n *signInRRNs) take(ctx context.Context, pool *pgxpool.Pool, now time.Time) (rrn int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	err = pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return n.own.reserve(ctx, c.Conn(), now, 1) })
	if err != nil {
		return 0, fmt.Errorf("RRN of a session: %w", err)
	}
	return n.own.take(), nil
}
