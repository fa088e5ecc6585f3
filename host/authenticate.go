package host

import (
	"context"
	"errors"
	"log/slog"

	"meridian/host/wire"
	"meridian/switch"
)

// What was wrong with a MAC, in metrics.
const (
	macWrong    = "wrong"
	macMissing  = "missing"
	macReplayed = "replayed"
)

// noMAC as a terminal's algorithm.
const noMAC = "none"

// keySerials is a dialect whose messages name the key they are under.
type keySerials interface {
	// KSN of a message; nil if it has none.
	KSN(m *wire.Message) []byte
}

// fieldPIN is the PIN block in every dialect.
const fieldPIN = 52

// needsKeys tells whether anything of the message is under the terminal's keys,
// or has to wait for a session.
func (x *exchange) needsKeys(t *switching.Terminal) bool {
	return t.MACAlgorithm != noMAC || t.Scheme == switching.SchemeSession || t.Scheme.Derives() || x.request.Has(fieldPIN)
}

// step is where an exchange goes on once it has keys.
type step func(x *exchange, ctx context.Context, fresh bool)

// withKeys goes on with the terminal's keys, if there is use for them; fresh
// tells that there are none newer. When they cannot be had the message is
// answered 96 or 91, without a MAC.
func (x *exchange) withKeys(ctx context.Context, next step) {
	t := x.attempt.Terminal
	if t == nil || !x.needsKeys(t) {
		next(x, ctx, true)
		return
	}
	x.readSerial()
	x.readKeys(ctx, next)
}

// readSerial finds the key that the message says it is under.
func (x *exchange) readSerial() {
	if d, ok := x.dialect.(keySerials); ok && x.attempt.Terminal.Scheme.Derives() {
		x.ksn = d.KSN(x.request)
	}
}

// readKeys reads the terminal's keys; newer ones than those that are at hand.
func (x *exchange) readKeys(ctx context.Context, next step) {
	x.pipeline.o.Switch.Keys(x.attempt.Terminal, x.keys, func(set *switching.KeySet, fresh bool, err error) {
		defer x.contain("verifying a message")
		if err != nil {
			x.keys = nil
			x.log(slog.LevelError, "keys cannot be read", "tid", x.attempt.TID, "error", err)
			x.refuse(keyTrouble(err))
			return
		}
		x.keys = set
		next(x, ctx, fresh)
	})
}

func keyTrouble(err error) switching.Reason {
	if errors.Is(err, switching.ErrNoModule) {
		return switching.SystemMalfunction
	}
	return switching.StoreUnavailable
}

// withKeysIfAny goes on with the terminal's keys, or without.
func (x *exchange) withKeysIfAny(next func()) {
	if x.keys != nil || x.attempt.Terminal == nil || !x.needsKeys(x.attempt.Terminal) {
		next()
		return
	}
	x.readSerial()
	x.pipeline.o.Switch.Keys(x.attempt.Terminal, nil, func(set *switching.KeySet, _ bool, _ error) {
		defer x.contain("refusing a message")
		x.keys = set // nil where they cannot be read
		next()
	})
}

// authenticate verifies the MAC over the raw bytes, where the terminal and the
// type of the message have one. Nothing of the message but its type and its
// terminal's name has been looked at by then.
func (x *exchange) authenticate(ctx context.Context, fresh bool) {
	t := x.attempt.Terminal
	if x.keys == nil {
		x.authenticated(false)
		return
	}
	if t.MACAlgorithm == noMAC || !x.dialect.Authenticated(x.request.MTI()) {
		if !fresh && !x.keys.SignedIn() {
			x.readKeys(ctx, (*exchange).authenticate) // it may have signed in at another host just now
			return
		}
		x.credentials = x.keys.Unverified(x.ksn)
		x.authenticated(false)
		return
	}
	verified, err := x.verify(ctx)
	switch {
	case verified:
		x.authenticated(true)
	case errors.Is(err, wire.ErrMACMissing), errors.Is(err, switching.ErrKSN):
		x.macFailed(macMissing)
	case !fresh:
		x.readKeys(ctx, (*exchange).authenticate)
	case !x.keys.SignedIn():
		x.denied(switching.SignInRequired)
	case errors.Is(err, wire.ErrMACWrong):
		x.macFailed(macWrong)
	default:
		x.notVerifiable(err)
	}
}

// verify tries the keys that may have made the message's MAC. What went wrong
// with a key counts for more than a MAC that no other key fits.
func (x *exchange) verify(ctx context.Context) (bool, error) {
	verifiers, broken := x.keys.Verifiers(ctx, x.ksn)
	for i := range verifiers {
		v := &verifiers[i]
		err := x.dialect.Spec().VerifyMAC(x.message.Payload, v.Request)
		switch {
		case err == nil:
			x.credentials, x.seal = x.keys.Verified(v), v.Answer
			return true, nil
		case errors.Is(err, wire.ErrMACMissing):
			return false, err
		case !errors.Is(err, wire.ErrMACWrong):
			broken = errors.Join(broken, err)
		}
	}
	if broken != nil {
		return false, broken
	}
	return false, wire.ErrMACWrong
}

// sealable returns why no answer to the terminal could have a MAC, though it has
// keys.
func (x *exchange) sealable(ctx context.Context) error {
	if x.keys == nil {
		return nil
	}
	verifiers, err := x.keys.Verifiers(ctx, x.ksn)
	if len(verifiers) > 0 || errors.Is(err, switching.ErrKSN) {
		return nil
	}
	return err
}

// notVerifiable: a MAC that could not be computed says nothing about the message.
// It is answered 96, without a MAC, and counts against nobody.
func (x *exchange) notVerifiable(err error) {
	x.log(slog.LevelError, "MAC cannot be verified", "tid", x.attempt.TID, "error", err)
	x.keys = nil
	x.refuse(switching.SystemMalfunction)
}

// macFailed answers A0 or 63, leaves a row in the audit log, and nothing else
// happens.
func (x *exchange) macFailed(problem string) {
	x.pipeline.metrics.macFailures.WithLabelValues(x.message.Listener, problem).Inc()
	x.macVerdict = problem
	x.pipeline.o.Guard.MACFailed(x.attempt, problem == macMissing, func() { x.turnAway(switching.MACWrong) })
}
