package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/host/node"
	"meridian/internal/pglocal/pgtest"
)

// hostProcess names the variable that makes this binary a host instead of
// running tests: what is killed in a test must be a process of its own.
const hostProcess = "MERIDIAN_TEST_HOST"

func TestMain(m *testing.M) {
	if order := os.Getenv(hostProcess); order != "" {
		os.Exit(beHost(order))
	}
	// A goroutine that outlives its test is a connection that no deadline ends.
	goleak.VerifyTestMain(pgtest.Wrap(m))
}

// hostOrder is what a host process is told.
type hostOrder struct {
	DatabaseURL string
	// ClockOffset is added to the real time.
	ClockOffset time.Duration
}

// beHost runs a node until SIGTERM, or until the test that started it is gone.
// Its first line of output is its addresses.
func beHost(text string) int {
	var order hostOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := nodeConfig(order.DatabaseURL, func() time.Time { return time.Now().Add(order.ClockOffset) },
		slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	n, err := node.Start(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(n.Addresses()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		// Standard input ends with the process that holds its other end.
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(3)
	}()
	if err := n.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
