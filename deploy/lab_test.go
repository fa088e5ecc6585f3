//go:build unix

package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox"
)

func TestMain(m *testing.M) {
	// Tests here wait for a Prometheus or for promtool, and may wait side by side on
	// one processor. What is asked for on the command line is taken later.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m))
}

// patience bounds every wait on something that must happen soon.
const patience = time.Minute

// verifyEvery of the lab's ledger: a broken one is to show soon.
const verifyEvery = 2 * time.Second

// lab is a running sandbox and the tills that talk to it.
type lab struct {
	t *testing.T
	*sandbox.Manifest
}

// newLab runs a sandbox over a database until the test ends.
func newLab(t *testing.T, databaseURL string) *lab {
	t.Helper()
	const anyPort = "127.0.0.1:0"
	s, err := sandbox.Start(t.Context(), sandbox.Options{
		DataDir: t.TempDir(), DatabaseURL: databaseURL,
		NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort, VerifyEvery: verifyEvery, StoreTimeout: 20 * time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError + 1})), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := *s.Manifest()
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &lab{t: t, Manifest: &manifest}
}

// get returns what an address of the sandbox says.
func (l *lab) get(path string) string {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.Addresses.Ops+path, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		l.t.Fatalf("GET %s: %s, %v", path, response.Status, err)
	}
	return string(body)
}

// await a metric without labels to be above zero.
func (l *lab) await(metrics ...string) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		text := l.get("/metrics")
		missing := slices.DeleteFunc(slices.Clone(metrics), func(name string) bool {
			_, value, found := strings.Cut(text, "\n"+name+" ")
			return found && !strings.HasPrefix(value, "0\n")
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("%v are still zero", missing)
		}
		time.Sleep(100 * time.Millisecond) // metrics announce nothing
	}
}

// advance moves the sandbox's clock, and waits for what is due then until ctx
// ends. That it cannot be done is not an error here.
func (l *lab) advance(ctx context.Context, by time.Duration) {
	change, err := json.Marshal(sandbox.ClockChange{Do: "advance", Duration: by})
	if err != nil {
		l.t.Error(err)
		return
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Addresses.Ops+sandbox.ClockPath, bytes.NewReader(change))
	if err != nil {
		l.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	_ = response.Body.Close()
}

// load keeps tills busy, one customer after the other with a pause, until stop,
// which waits for them.
func (l *lab) load(tills int, pause time.Duration) (stop func()) {
	l.t.Helper()
	done := make(chan struct{})
	var busy sync.WaitGroup
	for i := range tills {
		// Merchants with policy auto; tills of one terminal do not share trace numbers.
		t := l.till([]int{0, 2}[i%2], "none")
		t.stan = i * 100_000
		busy.Go(func() {
			next := time.NewTicker(pause)
			defer next.Stop()
			for {
				t.round()
				select {
				case <-done:
					return
				case <-next.C:
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(done); busy.Wait() })
}

// database of a test of its own, that a sandbox may fill.
func database(t *testing.T) string {
	t.Helper()
	return pgtest.Database(t, func(context.Context, string) error { return nil })
}
