//go:build unix

package bench

import (
	"context"
	"fmt"
	"net"
	"time"
)

// idle connections: what each costs in memory, and the mix beside them.
func (r *run) idle(ctx context.Context) (bytesEach float64, err error) {
	before, err := r.host.memory(ctx)
	if err != nil {
		return 0, err
	}
	var d net.Dialer
	conns := make([]net.Conn, 0, r.o.Idle)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for range r.o.Idle {
		c, err := d.DialContext(ctx, "tcp", r.host.nac)
		if err != nil {
			return 0, fmt.Errorf("idle connection %d: %w", len(conns)+1, err)
		}
		conns = append(conns, c)
	}
	if err := r.accepted(ctx, len(conns)); err != nil {
		return 0, err
	}
	after, err := r.host.memory(ctx)
	if err != nil {
		return 0, err
	}
	// A host that gave memory back meanwhile tells nothing of what so few connections cost.
	more := max(after.resident-before.resident, after.live-before.live, 0)
	bytesEach = float64(more) / float64(max(len(conns), 1))
	n := r.o.many()
	_, err = r.tcp(ctx, nameBeside, stage{connections: n, step: mixed})
	return bytesEach, err
}

// accepted waits until the host has that many connections.
func (r *run) accepted(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		open, err := r.host.metric(ctx, "meridian_connections")
		if err != nil {
			return err
		}
		if int(open) >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the host has %d of %d connections: %w", int(open), n, ctx.Err())
		case <-tick.C:
		}
	}
}
