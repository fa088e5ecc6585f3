package sandbox

import (
	"context"
	"time"

	"meridian/console"
)

// movableClock is the sandbox's clock as the console moves it: by the same changes
// as `meridian clock`, with the same work after them.
type movableClock struct{ control *clockControl }

func (m movableClock) Read() console.ClockReading {
	r := m.control.read()
	return console.ClockReading{Now: r.Now, Real: r.Real, Frozen: r.Frozen}
}

func (m movableClock) Advance(ctx context.Context, d time.Duration) error {
	return m.change(ctx, ClockChange{Do: "advance", Duration: d})
}

func (m movableClock) Set(ctx context.Context, t time.Time) error {
	return m.change(ctx, ClockChange{Do: "set", Instant: t})
}

func (m movableClock) Freeze(ctx context.Context) error {
	return m.change(ctx, ClockChange{Do: "freeze"})
}

func (m movableClock) Real(ctx context.Context) error {
	return m.change(ctx, ClockChange{Do: "real"})
}

func (m movableClock) change(ctx context.Context, change ClockChange) error {
	_, err := m.control.change(ctx, change, nil) // the console has written its row
	return err
}
