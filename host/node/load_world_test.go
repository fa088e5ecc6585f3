package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/host"
	"meridian/host/node"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/pglocal"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

// opening is when a world begins: noon in Shanghai, far from the cutoff at 23:00.
var opening = time.Date(2026, 3, 10, 4, 0, 0, 0, time.UTC)

const (
	shops         = 8         // two for each bucket
	tillsPerShop  = 14        // half of them NAC, half ASCII
	cardCount     = 240       // fewer than there are tills: lanes meet on cards
	openingMinor  = 5_000_000 // on every card
	stepTimeout   = time.Minute
	storeTimeout  = 1500 * time.Millisecond // of a hurried host, instead of 3 s
	answerTimeout = 3 * time.Second         // instead of 6 s
)

// world is a database with shops, tills and cards, and the clock of every host
// over it.
type world struct {
	t      testing.TB
	server *pglocal.Server
	url    string
	pool   *pgxpool.Pool // as the owner
	cards  []card.PAN
	book   *book
	offset atomic.Int64 // of the business clock, in nanoseconds
	logs   *logTail
}

func newWorld(t testing.TB, settings ...pgtest.Option) *world {
	t.Helper()
	server := pgtest.Prepared(t, seeded, settings...)
	w := &world{t: t, server: server, url: server.URL(), book: newBook(cardCount), logs: &logTail{}}
	for i := range cardCount {
		w.cards = append(w.cards, cardNumber(i))
	}
	w.offset.Store(int64(time.Until(opening)))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the host's last words:\n%s", w.logs)
		}
	})
	var err error
	w.pool, err = pgxpool.New(t.Context(), w.url)
	w.must(err)
	t.Cleanup(w.pool.Close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// nextDay moves every clock past the cutoff.
func (w *world) nextDay() { w.offset.Add(int64(24 * time.Hour)) }

func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	_, err := w.pool.Exec(context.Background(), query, args...)
	w.must(err)
}

// till of a shop, as its row has it. Odd ones speak ASCII.
type till struct {
	number   int
	tid, mid string
	dialect  string
}

func tills() []till {
	var list []till
	for shop := range shops {
		for i := range tillsPerShop {
			n := shop*tillsPerShop + i + 1
			list = append(list, till{
				number: n, tid: fmt.Sprintf("%08d", 10_000_000+n), mid: fmt.Sprintf("1041100000%05d", shop+1),
				dialect: []string{"nac", "ascii"}[i%2],
			})
		}
	}
	return list
}

func testVault() *vault.Vault {
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		panic(err)
	}
	return v
}

func cardNumber(i int) card.PAN {
	pan, err := card.WithCheckDigit(fmt.Sprintf("62171200000000%04d", i))
	if err != nil {
		panic(err)
	}
	return pan
}

// seeded is migrated and has the world's shops, tills and cards. Servers are copied from it.
func seeded(ctx context.Context, url string) error {
	if _, err := migrations.Up(ctx, url); err != nil {
		return err
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(seed(ctx, c), c.Close(ctx))
}

func seed(ctx context.Context, c *pgx.Conn) error {
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (1, 'china', 'Asia/Shanghai', '23:00', '2026-01-01')`)
	b.Queue(`INSERT INTO policies (policy_id, name, max_refunds) VALUES (1, 'plain', 1000)`)
	b.Queue(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
	for shop := range shops {
		b.Queue(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES ($1, $2, $3, 'Shop', 156, 1, 1)`,
			shop+1, shop%4, fmt.Sprintf("1041100000%05d", shop+1))
	}
	for _, till := range tills() {
		b.Queue(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES ($1, $2, $3, $4)`,
			till.number, till.tid, (till.number-1)/tillsPerShop+1, till.dialect)
	}
	v := testVault()
	for i := range cardCount {
		pan := cardNumber(i)
		token := v.Token(pan)
		b.Queue(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, balance_minor) VALUES ($1, $2, $3, '3012', 156, $4)`,
			i+1, token[:], pan.Masked(), openingMinor)
	}
	if err := c.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	calendars, err := ledger.Calendars(ctx, c)
	if err != nil {
		return err
	}
	if err := ledger.EnsureWindows(ctx, c, calendars, opening); err != nil {
		return err
	}
	b = &pgx.Batch{}
	for i := range cardCount {
		j := ledger.Journal{ID: uuid.Must(uuid.NewV7()), Date: ledger.MakeDate(2026, 3, 10), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), openingMinor)
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, 0, $3, $4, now())`, i+1, openingMinor, j.Date.Time(), j.ID)
	}
	return c.SendBatch(ctx, b).Close()
}

// nodeConfig is a host over the world's database, the same in every process. It
// is patient: nothing is refused only because the machine is busy with tests.
func nodeConfig(url string, now func() time.Time, log *slog.Logger) node.Config {
	return node.Config{
		DatabaseURL: url, Vault: testVault(), OpsAddress: "127.0.0.1:0", Now: now, Logger: log,
		Switch: switching.Options{StoreTimeout: 20 * time.Second, AnswerTimeout: 40 * time.Second},
		Listeners: []node.Listener{
			{Dialect: "nac", ListenerConfig: host.ListenerConfig{Name: "nac", Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: true}}},
			{Dialect: "ascii", ListenerConfig: host.ListenerConfig{Name: "ascii", Address: "127.0.0.1:0"}},
		},
	}
}

// hurried makes a host give up sooner, where a test waits for that.
func hurried(c *node.Config) {
	c.Switch.StoreTimeout, c.Switch.AnswerTimeout = storeTimeout, answerTimeout
}

// running is a host under test. Its addresses change when it starts again.
type running struct {
	w         *world
	addresses atomic.Pointer[map[string]string]
	// of a node in this process
	stopNode context.CancelFunc
	ended    chan error
	// of one in a process of its own
	process *exec.Cmd
	alive   io.Closer
}

func (r *running) address(dialect string) string { return (*r.addresses.Load())[dialect] }

// start starts a node in this process; it is drained when the test ends, if it
// was not before.
func (w *world) start(change ...func(*node.Config)) *running {
	w.t.Helper()
	cfg := nodeConfig(w.url, w.now, slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelWarn})))
	for _, c := range change {
		c(&cfg)
	}
	n, err := node.Start(w.t.Context(), cfg)
	w.must(err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{w: w, stopNode: stop, ended: make(chan error, 1)}
	addresses := n.Addresses()
	r.addresses.Store(&addresses)
	go func() { r.ended <- n.Run(ctx) }()
	w.t.Cleanup(r.stop)
	return r
}

// stop drains a node of this process.
func (r *running) stop() {
	r.w.t.Helper()
	if r.stopNode == nil {
		return
	}
	r.stopNode()
	r.stopNode = nil
	select {
	case err := <-r.ended:
		if err != nil {
			r.w.t.Errorf("the node ended with: %v", err)
		}
	case <-time.After(stepTimeout):
		r.w.t.Error("the node does not end")
	}
}

// spawn starts a node in a process of its own, to be killed.
func (w *world) spawn() *running {
	w.t.Helper()
	r := &running{w: w}
	w.t.Cleanup(func() { r.signal(syscall.SIGKILL) })
	r.respawn()
	return r
}

// respawn starts the process again after it has ended.
func (r *running) respawn() {
	r.w.t.Helper()
	order, err := json.Marshal(hostOrder{DatabaseURL: r.w.url, ClockOffset: time.Duration(r.w.offset.Load())})
	r.w.must(err)
	program, err := os.Executable()
	r.w.must(err)
	r.process = exec.Command(program, "-test.run=^$")
	r.process.Env = append(os.Environ(), hostProcess+"="+string(order))
	r.process.Stderr = r.w.logs
	r.alive, err = r.process.StdinPipe()
	r.w.must(err)
	out, err := r.process.StdoutPipe()
	r.w.must(err)
	r.w.must(r.process.Start())
	var addresses map[string]string
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&addresses); err != nil {
		r.w.t.Fatalf("the host process said no addresses: %v\n%s", err, r.w.logs)
	}
	r.addresses.Store(&addresses)
}

// signal sends a signal to the host's process, which must end it, and returns
// how it ended.
func (r *running) signal(s syscall.Signal) error {
	if r.process.ProcessState != nil {
		return nil
	}
	_ = r.process.Process.Signal(s)
	err := r.process.Wait()
	_ = r.alive.Close()
	return err
}

// metric reads one metric of the host, summed over its labels.
func (r *running) metric(name string) float64 {
	r.w.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: stepTimeout}
	response, err := client.Get("http://" + r.address("ops") + "/metrics")
	r.w.must(err)
	defer response.Body.Close()
	found, sum := false, 0.0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if plain, _, _ := strings.Cut(series, "{"); plain != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		r.w.must(err)
		found, sum = true, sum+v
	}
	if !found {
		r.w.t.Fatalf("there is no metric %s", name)
	}
	return sum
}

// wantSound checks what no load may break.
func (r *running) wantSound() {
	r.w.t.Helper()
	for _, name := range []string{
		"meridian_handler_panics_total", "meridian_decision_panics_total", "meridian_answers_ignored_total", "meridian_answers_unsendable_total",
	} {
		if v := r.metric(name); v != 0 {
			r.w.t.Errorf("%s is %v", name, v)
		}
	}
}

// wantSoundBooks verifies the ledger and compares it with what the terminals know.
func (w *world) wantSoundBooks() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	v, err := switching.Verify(ctx, w.pool)
	w.must(err)
	for _, f := range v.Findings {
		w.t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
	}
	w.t.Logf("verified %d transactions in %s", v.Transactions, v.Took)
	w.sql(`ANALYZE`) // what has just been filled has no statistics yet
	w.book.compare(ctx, w.t, w.pool)
}

// soakFactor stretches the loads in a soak: MERIDIAN_TEST_SOAK is 1, or how
// many times the usual load it is to be.
func soakFactor() int {
	text := os.Getenv("MERIDIAN_TEST_SOAK")
	if text == "" {
		return 1
	}
	if n, err := strconv.Atoi(text); err == nil && n > 1 {
		return n
	}
	return 5
}

// logTail keeps the end of a log.
type logTail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// logTailBytes is enough for the lines around a failure.
const logTailBytes = 16 << 10

func (l *logTail) Write(b []byte) (int, error) {
	// What the tests do on purpose, thousands of times.
	if bytes.Contains(b, []byte(`"message cannot be parsed"`)) || bytes.Contains(b, []byte(`"connection closed"`)) {
		return len(b), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if over := l.text.Len() - logTailBytes; over > 0 {
		l.text.Next(over)
	}
	return len(b), nil
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
