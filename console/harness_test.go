package console

import (
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/postgres"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

// patience bounds every wait on something that must happen.
const patience = 30 * time.Second

// world is a database with two merchants, a switch that works on it, and a console
// that looks at it.
type world struct {
	t       testing.TB
	url     string
	pool    *pgxpool.Pool // the console's
	sw      *switching.Switch
	console *Console
	server  *httptest.Server
	metrics *prometheus.Registry
	stan    int32

	mu  sync.Mutex
	now time.Time
}

const (
	shop   = "104110000000001"
	bakery = "104110000000002"
	till   = "10000001" // of shop
	till2  = "10000002" // of shop
	oven   = "20000001" // of bakery
	opened = 100_000_00 // minor units on every card
)

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), metrics: prometheus.NewRegistry()}
	w.url = pgtest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Up(ctx, url)
		return err
	})
	w.seed()
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	w.pool, err = OpenPool(ctx, w.url)
	w.must(err)
	w.settle(w.now)
	lanes, err := postgres.Open(ctx, w.url, postgres.Options{Role: migrations.ServiceRole, ConnectTimeout: patience, LockTimeout: patience / 3})
	w.must(err)
	w.sw, err = switching.Start(ctx, switching.Options{Pool: lanes, Now: w.Now, Refresh: time.Hour, Registerer: w.metrics, StoreTimeout: patience / 3, AnswerTimeout: patience / 2})
	w.must(err)
	o := Options{
		Pool: w.pool, Directory: w.sw.Directory, Metrics: w.metrics, Now: w.Now, Clock: "sandbox", Open: true, Who: "tester", Version: "test", Logger: log,
	}
	for _, c := range change {
		c(&o)
	}
	w.console, err = New(o)
	w.must(err)
	w.console.trial.wait = patience
	w.server = httptest.NewServer(w.console)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		w.server.CloseClientConnections()
		w.server.Close()
		w.console.Close()
		w.pool.Close()
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.sw.Shutdown(stop); err != nil {
			t.Error(err)
		}
		lanes.Close()
	})
	return w
}

func (w *world) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

// settle moves the clock and closes what is due by then.
func (w *world) settle(t time.Time) {
	w.t.Helper()
	w.set(t)
	w.sql(`UPDATE installation SET kind = 'sandbox'`)
	owner := w.connect()
	calendars, err := ledger.Calendars(context.Background(), owner)
	w.must(err)
	w.must(ledger.EnsureWindows(context.Background(), owner, calendars, t))
	for more := true; more; {
		run, err := ledger.RunCutover(context.Background(), w.pool, t)
		w.must(err)
		more = run.More
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// connect as the database's owner.
func (w *world) connect() *pgx.Conn {
	w.t.Helper()
	c, err := pgx.Connect(context.Background(), w.url)
	w.must(err)
	w.t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	_, err := w.connect().Exec(context.Background(), query, args...)
	w.must(err)
}

func cardNumber(i int) card.PAN {
	pan, err := card.WithCheckDigit(fmt.Sprintf("62171200000000%04d", i))
	if err != nil {
		panic(err)
	}
	return pan
}

func token(p card.PAN) (t [16]byte) {
	copy(t[:], "tok:"+p.Last4()+p.Reveal()[10:])
	return t
}

func (w *world) seed() {
	w.t.Helper()
	w.sql(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES
		(1, 'china', 'Asia/Shanghai', '23:00', '2026-01-01'), (2, 'berlin', 'Europe/Berlin', '02:30', '2026-01-01')`)
	w.sql(`INSERT INTO policies (policy_id, name, max_amount_minor, review_threshold_minor) VALUES (1, 'plain', 5000000, 400000), (2, 'strict', NULL, NULL)`)
	w.sql(`UPDATE policies SET cancel_mode = 'strict' WHERE policy_id = 2`)
	w.sql(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES
		(1, 0, $1, 'River <Books> & Co', 156, 1, 1), (2, 1, $2, 'Spree Backwaren', 978, 2, 2)`, shop, bakery)
	w.sql(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES
		(1, $1, 1, 'nac'), (2, $2, 1, 'nac'), (3, $3, 2, 'ascii')`, till, till2, oven)
	w.sql(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
	c := w.connect()
	calendars, err := ledger.Calendars(context.Background(), c)
	w.must(err)
	w.must(ledger.EnsureWindows(context.Background(), c, calendars, w.Now()))
	b := &pgx.Batch{}
	for i := range 4 {
		pan := cardNumber(i)
		tok := token(pan)
		b.Queue(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, balance_minor) VALUES ($1, $2, $3, '3012', 156, $4)`,
			i+1, tok[:], pan.Masked(), opened)
		j := ledger.Journal{ID: uuid.New(), Date: ledger.MakeDate(2026, 3, 10), Currency: money.CNY}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), opened)
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, 0, $3, $4, now())`, i+1, opened, j.Date.Time(), j.ID)
	}
	w.must(c.SendBatch(context.Background(), b).Close())
}

// ask submits a request of the till and waits for its answer.
func (w *world) ask(kind switching.Kind, minor int64, change ...func(*switching.Request)) switching.Response {
	w.t.Helper()
	w.stan++
	r := &switching.Request{
		Kind: kind, MID: shop, TID: till, Dialect: "nac", STAN: w.stan, AmountMinor: minor, HasAmount: minor != 0, ApproveUnknownOriginal: true,
	}
	if !kind.Refers() {
		r.PAN, r.Expiry = cardNumber(0), "3012"
		r.Token = token(r.PAN)
	}
	for _, c := range change {
		c(r)
	}
	answered := make(chan switching.Response, 1)
	w.sw.Submit(r, func(response switching.Response) { answered <- response })
	select {
	case response := <-answered:
		return response
	case <-time.After(patience):
		w.t.Fatal("no answer")
		return switching.Response{}
	}
}

func of(r switching.Response) func(*switching.Request) {
	return func(q *switching.Request) { q.Original = switching.Reference{RRN: r.RRN, HasRRN: true} }
}

func rrnOf(r switching.Response) string { return fmt.Sprintf("%012d", r.RRN) }

// answer is what the console said to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// get asks for a page; redirects are shown and not followed.
func (w *world) get(path string) answer {
	w.t.Helper()
	return w.send(http.MethodGet, path, nil)
}

func (w *world) post(path string, form url.Values) answer {
	w.t.Helper()
	return w.send(http.MethodPost, path, form)
}

func (w *world) send(method, path string, form url.Values, change ...func(*http.Request)) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(form.Encode()))
	w.must(err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range change {
		c(request)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	w.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	w.must(err)
	return answer{response.StatusCode, response.Header, string(body)}
}

// want checks a status and that texts are on the page, tags cut out.
func (a answer) want(t testing.TB, status int, texts ...string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%s", a.status, status, a.text())
	}
	for _, text := range texts {
		if !strings.Contains(a.text(), text) {
			t.Errorf("no %q on the page:\n%s", text, a.text())
		}
	}
	return a
}

// text is the page's words, one space between them.
func (a answer) text() string {
	var b strings.Builder
	inside := false
	for _, r := range a.body {
		switch r {
		case '<':
			inside = true
			b.WriteByte(' ')
		case '>':
			inside = false
		default:
			if !inside {
				b.WriteRune(r)
			}
		}
	}
	words := strings.Join(strings.Fields(strings.ReplaceAll(html.UnescapeString(b.String()), "\u00a0", " ")), " ")
	return strings.NewReplacer(" .", ".", " ,", ",", " :", ":").Replace(words)
}
