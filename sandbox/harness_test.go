//go:build unix

package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/host/wire"
	"meridian/internal/pglocal"
	"meridian/switch"
)

const anyPort = "127.0.0.1:0"

// patience bounds every wait on something that must happen; a loaded machine
// starts Postgres in seconds.
const patience = 60 * time.Second

// dataDir is a directory that the account which runs Postgres for root can
// enter, as a user's checkout is.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sandbox-test-*") //nolint:usetesting // only root may enter what t.TempDir makes for root
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, directoryMode()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pglocal.Remove(context.Background(), dir); err != nil {
			t.Errorf("remove Postgres: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// temporaryDirectory replaces the machine's, so that a test sees what is left in it.
func temporaryDirectory(t *testing.T) string {
	t.Helper()
	dir := dataDir(t)
	t.Setenv("TMPDIR", dir)
	return dir
}

func options(dir string) Options {
	return Options{DataDir: dir, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort, Version: "test", StoreTimeout: patience / 3}
}

// running is a sandbox that serves until stop.
type running struct {
	*Sandbox
	t     *testing.T
	end   context.CancelFunc
	ended chan error
	once  sync.Once
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, s)
}

// run runs a sandbox that was started.
func run(t *testing.T, s *Sandbox) *running {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	r := &running{Sandbox: s, t: t, end: end, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx) }()
	t.Cleanup(r.stop)
	return r
}

// stop ends the sandbox in order.
func (r *running) stop() {
	r.once.Do(func() {
		r.end()
		select {
		case err := <-r.ended:
			if err != nil {
				r.t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			r.t.Fatal("the sandbox does not end")
		}
	})
}

// line is a connection of a terminal.
type line struct {
	t       *testing.T
	conn    net.Conn
	reader  *bufio.Reader
	spec    *wire.Spec
	framing wire.Framing
}

func dial(t *testing.T, m *Manifest, dialect string) *line {
	t.Helper()
	l := &line{t: t, spec: wire.NAC(), framing: wire.Framing{TPDU: true}}
	address := m.Addresses.NAC
	if dialect == "ascii" {
		l.spec, l.framing, address = wire.ASCII87(), wire.Framing{}, m.Addresses.ASCII
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.hangUp)
	l.conn, l.reader = conn, bufio.NewReader(conn)
	return l
}

// hangUp ends the connection; a host that drains waits for peers that do not.
func (l *line) hangUp() { _ = l.conn.Close() }

// ask sends a message and returns its answer. A nil MAC algorithm sends none.
func (l *line) ask(mti string, fields map[int]string, mac wire.MACAlgorithm) *wire.Message {
	l.t.Helper()
	m := wire.NewMessage(mti)
	for number, value := range fields {
		m.Set(number, value)
	}
	payload, err := l.spec.Pack(m)
	if mac != nil {
		payload, err = l.spec.AppendPackWithMAC(nil, m, mac)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	frame, err := l.framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: payload})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.conn.Write(frame); err != nil {
		l.t.Fatal(err)
	}
	answered, err := l.framing.ReadFrame(l.reader, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	answer, err := l.spec.Parse(answered.Payload)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer
}

// request is the fields of a purchase with a card of the manifest.
func request(m Merchant, t Terminal, c Card, stan int, minor int64) map[int]string {
	return map[int]string{
		2: c.PAN, 3: "000000", 4: fmt.Sprintf("%012d", minor), 11: fmt.Sprintf("%06d", stan), 14: c.Expiry, 22: "012", 25: "00",
		41: t.TID, 42: m.MID,
	}
}

// merchantOf finds a merchant by its currency, and its first terminal of a
// dialect and MAC.
func (m *Manifest) find(t *testing.T, currency, dialect, mac string) (Merchant, Terminal) {
	t.Helper()
	for _, one := range m.Merchants {
		if one.Currency != currency {
			continue
		}
		for _, terminal := range one.Terminals {
			if terminal.Dialect == dialect && terminal.MAC == mac {
				return one, terminal
			}
		}
	}
	t.Fatalf("no %s terminal with MAC %s of a merchant in %s", dialect, mac, currency)
	return Merchant{}, Terminal{}
}

// card finds the first card of a currency with a behaviour.
func (m *Manifest) card(t *testing.T, currency, behaviour string) Card {
	t.Helper()
	i := slices.IndexFunc(m.Cards, func(c Card) bool { return c.Currency == currency && c.Behaviour == behaviour })
	if i < 0 {
		t.Fatalf("no card in %s that is %s", currency, behaviour)
	}
	return m.Cards[i]
}

// verify recomputes the ledger.
func verify(t *testing.T, url string) *switching.Verification {
	t.Helper()
	conn := connectTo(t, url)
	v, err := switching.Verify(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range v.Findings {
		t.Errorf("ledger: %+v", finding)
	}
	return v
}

// messages are what was logged, for tests that wait for something to happen.
type messages chan string

func (m messages) Handle(_ context.Context, r slog.Record) error {
	select {
	case m <- r.Message:
	default: // nobody waits for so many
	}
	return nil
}

func (messages) Enabled(context.Context, slog.Level) bool { return true }
func (m messages) WithAttrs([]slog.Attr) slog.Handler     { return m }
func (m messages) WithGroup(string) slog.Handler          { return m }

// await reads on to a message.
func (m messages) await(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case got := <-m:
			if got == want {
				return
			}
		case <-timeout:
			t.Fatalf("nothing logged %q", want)
		}
	}
}

// connectTo is a connection for a test.
func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// value asks the database for one value.
func value[T any](t *testing.T, url, sql string, args ...any) (v T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// listing is the names in a directory.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
