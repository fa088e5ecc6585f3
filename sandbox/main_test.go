//go:build unix

package sandbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"meridian/internal/pglocal/pgtest"
)

// childVariable makes this test binary a sandbox on the directory it names, for
// tests that kill a whole process.
const childVariable = "SANDBOX_TEST_DATA_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(pgtest.Wrap(m))
}

// child is a sandbox until a signal ends it. It says on standard output when it
// is ready.
func child(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := Start(ctx, Options{
		DataDir: dir, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err == nil {
		fmt.Println("ready")
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
