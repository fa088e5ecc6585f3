package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/host"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/switch"
)

// patience bounds every wait of these tests for something that must happen. It
// is never waited out when the code is right.
const patience = 30 * time.Second

// Merchants. The shop is in Shanghai and cuts off at 23:00.
const (
	shop  = "104110000000001" // auto, up to 50,000.00
	kiosk = "104110000000002" // takes nothing but sales: no holds, cashback, advice, voids or refunds
	stall = "104110000000003" // strict: a void is a void and a refund a refund
	ghost = "104110000000004" // not active
)

// Terminals by the last digit of their TID; the first says the dialect.
const (
	till    = "0000001" // of shop
	till2   = "0000002" // of shop
	sealed  = "0000003" // of shop, with X9.19
	bound   = "0000004" // of shop, bound to its certificate
	retired = "0000005" // of shop, not active
	booth   = "0000006" // of kiosk
	cart    = "0000007" // of stall
	haunted = "0000008" // of ghost
)

// Cards by number. All have 1,000.00 at first.
const (
	everyday = iota
	second
	blocked
	lost
	stolen
	frozen
	closed
	outworn // expired
	euro
	broke // has 10.00
	cards
)

const opened = 1_000_00

func dialectDigit(dialect string) string { return map[string]string{"nac": "1", "ascii": "3"}[dialect] }

// cardNumber of the town's cards.
func cardNumber(i int) card.PAN {
	pan, err := card.WithCheckDigit(fmt.Sprintf("62171200000000%04d", i))
	if err != nil {
		panic(err)
	}
	return pan
}

func expiryOf(i int) string {
	if i == outworn {
		return "2602" // ended on 28 February 2026
	}
	return "3012"
}

// sealedKey is the MAC key of the terminals that have one.
var sealedKey = []byte("0123456789abcdef")

// pinKey of every terminal, and the PIN of every card.
var pinKey = []byte("a key for PINs--")

const everyPIN = "1234"

// pinBlock is the PIN of a card as terminals encipher it, in hexadecimal characters.
func pinBlock(i int) string { return encipherPIN(i, everyPIN) }

func encipherPIN(i int, pin string) string {
	key, err := hsm.TDES2.Block(pinKey)
	if err != nil {
		panic(err)
	}
	block, err := pinblock.Encrypt(pinblock.Format0, key, vault.NewSecret([]byte(pin)), cardNumber(i))
	if err != nil {
		panic(err)
	}
	return strings.ToUpper(hex.EncodeToString(block))
}

// securityModule is what a node under the sandbox's vault has its keys in.
func securityModule(v *vault.Vault) func(*vault.DataKeys) (hsm.Module, error) {
	return func(keys *vault.DataKeys) (hsm.Module, error) { return hsm.NewSoftware(v, keys), nil }
}

// town is a database with merchants, terminals and cards, and a node in front of it.
type town struct {
	t     testing.TB
	url   string
	vault *vault.Vault
	clock *clock
	node  *Node
	log   *logLines
	owner *pgx.Conn
	// admission of its node, for those that set it before it starts.
	admission host.AdmissionLimits
	// approved is what was answered so: each must be in the ledger once.
	approved *approvals
}

// approvals by their RRNs.
type approvals struct {
	mu   sync.Mutex
	rrns map[string]bool
}

func (a *approvals) add(rrn string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rrns[rrn] = true
}

func (a *approvals) sorted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.rrns))
}

// in is the town as a part of its test sees it.
func (w *town) in(t testing.TB) *town {
	t.Helper()
	part := *w
	part.t = t
	return &part
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// logLines keeps what the node logs.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

// newTown starts a node on plain listeners: nac and ascii, and nac-strict and
// ascii-strict which answer 25 to the reversal of an unknown original.
func newTown(t testing.TB, more ...Listener) *town {
	t.Helper()
	return newTownWith(t, func(*town) {}, more...)
}

// newTownWith changes the seeds before the node reads them.
func newTownWith(t testing.TB, change func(*town), more ...Listener) *town {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	w := &town{
		t: t, url: pgtest.Database(t, seeded), vault: v, log: &logLines{}, approved: &approvals{rrns: map[string]bool{}},
		clock: &clock{now: opening},
	}
	w.must(err)
	w.owner, err = pgx.Connect(t.Context(), w.url)
	w.must(err)
	t.Cleanup(func() { w.must(w.owner.Close(context.Background())) })
	change(w)
	w.open(more...)
	return w
}

// open starts a node on the listeners.
func (w *town) open(more ...Listener) {
	w.t.Helper()
	var listeners []Listener
	for name, framing := range framings {
		for _, strict := range []bool{false, true} {
			l := Listener{Dialect: name, DeclineUnknownReversal: strict}
			l.Name, l.Address, l.Framing = name, "127.0.0.1:0", framing
			if strict {
				l.Name += "-strict"
			}
			listeners = append(listeners, l)
		}
	}
	var err error
	w.node, err = Start(w.t.Context(), Config{
		DatabaseURL: w.url, Vault: w.vault, Module: securityModule(w.vault), Listeners: append(listeners, more...),
		Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:    w.clock.Now, Version: "test", Admission: w.admission, OpsAddress: "127.0.0.1:0",
		// Nothing is refused only because the machine is busy with tests.
		ConnectTimeout: patience / 2, Switch: switching.Options{StoreTimeout: patience / 3, AnswerTimeout: patience / 2},
	})
	w.must(err)
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.node.Run(running) }()
	w.t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("node: %v", err)
			}
		case <-time.After(patience):
			w.t.Error("the node does not end")
		}
	})
}

var framings = map[string]wire.Framing{"nac": {TPDU: true}, "ascii": {}}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// sql runs as the database's owner.
func (w *town) sql(query string, args ...any) {
	w.t.Helper()
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, query, args...)
		return err
	})
}

// one reads a single value as the database's owner.
func one[T any](w *town, query string, args ...any) T {
	w.t.Helper()
	var v T
	w.database(func(ctx context.Context, c *pgx.Conn) error { return c.QueryRow(ctx, query, args...).Scan(&v) })
	return v
}

// database is used as its owner, on a connection that the town keeps.
func (w *town) database(use func(context.Context, *pgx.Conn) error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.must(use(ctx, w.owner))
}

// opening is when a town begins: 20:00 in Shanghai.
var opening = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// seeded is migrated and has the town's merchants, terminals and cards. Databases are copied from it.
func seeded(ctx context.Context, url string) error {
	if err := migrate(ctx, url); err != nil {
		return err
	}
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		return err
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(seed(ctx, c, v), c.Close(ctx))
}

func seed(ctx context.Context, c *pgx.Conn, v *vault.Vault) error {
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (1, 'china', 'Asia/Shanghai', '23:00', '2026-01-01')`)
	b.Queue(`INSERT INTO policies (policy_id, name, cancel_mode, max_amount_minor) VALUES (1, 'plain', 'auto', 5000000), (3, 'strict', 'strict', 5000000)`)
	b.Queue(`INSERT INTO policies (policy_id, name, allow_authorization, allow_cashback, allow_offline_advice, allow_void, allow_refund)
		VALUES (2, 'sales alone', false, false, false, false, false)`)
	b.Queue(`INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id, active) VALUES
		(1, 0, $1, 'Shop', 156, 1, 1, true), (2, 1, $2, 'Kiosk', 156, 1, 2, true),
		(3, 2, $3, 'Stall', 156, 1, 3, true), (4, 3, $4, 'Ghost', 156, 1, 1, false)`, shop, kiosk, stall, ghost)
	keys := hsm.NewSoftware(v, v.FirstDataKeys())
	mak, err := keys.Enter(hsm.UseMAC, hsm.TDES2, sealedKey)
	if err != nil {
		return err
	}
	pik, err := keys.Enter(hsm.UsePIN, hsm.TDES2, pinKey)
	if err != nil {
		return err
	}
	for _, dialect := range []string{"nac", "ascii"} {
		digit := dialectDigit(dialect)
		b.Queue(`INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, active, mac_algorithm, mak_wrapped, pik_wrapped)
			SELECT $1::int * 10 + right(u.tid, 1)::int, $1 || u.tid, u.merchant, $2, u.active, u.mac, CASE u.mac WHEN 'x919' THEN $3::bytea END, $8
			FROM unnest($4::text[], $5::int[], $6::boolean[], $7::text[]) AS u(tid, merchant, active, mac)`,
			digit, dialect, mak.Bytes(),
			[]string{till, till2, sealed, bound, retired, booth, cart, haunted},
			[]int{1, 1, 1, 1, 1, 2, 3, 4},
			[]bool{true, true, true, true, false, true, true, true},
			[]string{"none", "none", "x919", "none", "none", "none", "none", "none"}, pik.Bytes())
	}
	b.Queue(`INSERT INTO bin_ranges (low, high, network, route) VALUES ('6217120000000000000', '6217129999999999999', 'onus', 'onus')`)
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
	return seedCards(ctx, c, v)
}

func seedCards(ctx context.Context, c *pgx.Conn, v *vault.Vault) error {
	b := &pgx.Batch{}
	for i := range cards {
		pan, currency, loaded, status := cardNumber(i), money.CNY, int64(opened), ledger.CardActive
		switch i {
		case blocked:
			status = ledger.CardBlocked
		case lost:
			status = ledger.CardLost
		case stolen:
			status = ledger.CardStolen
		case frozen:
			status = ledger.CardFrozen
		case closed:
			status = ledger.CardClosed
		case euro:
			currency = money.EUR
		case broke:
			loaded = 10_00
		}
		token := v.Token(pan)
		reference, err := hsm.NewSoftware(v, v.FirstDataKeys()).ReferenceClearPIN(everyPIN, token)
		if err != nil {
			return err
		}
		b.Queue(`INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, status, balance_minor, pin_reference)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			i+1, token[:], pan.Masked(), expiryOf(i), int16(currency), int16(status), loaded, reference)
		j := ledger.Journal{ID: uuid.New(), Date: ledger.MakeDate(2026, 3, 10), Currency: currency}
		j.Post(ledger.KindLoad, ledger.Account(ledger.RoleBankSettlement, 0), ledger.Account(ledger.RoleCard, int64(i+1)), loaded)
		ledger.QueueTransfers(b, 0, j.Transfers)
		b.Queue(`INSERT INTO card_loads VALUES ($1, 'opening', $2, 0, $3, $4, now())`, i+1, loaded, j.Date.Time(), j.ID)
	}
	return c.SendBatch(ctx, b).Close()
}

// available of a card.
func (w *town) available(i int) int64 {
	w.t.Helper()
	return one[int64](w, `SELECT balance_minor - held_minor FROM card_accounts WHERE card_id = $1`, i+1)
}

// spent asserts how much of a card's money is gone.
func (w *town) spent(i int, want int64) {
	w.t.Helper()
	if got := opened - w.available(i); got != want {
		w.t.Fatalf("card %d: %d spent, want %d", i, got, want)
	}
}

// rows counts what a conversation may leave behind. Who was not let in is apart:
// see TestConversationDenied.
type rows struct {
	transactions, transfers, holds, keys, batches, exceptions, audits int64
}

func (w *town) stored() rows {
	w.t.Helper()
	var r rows
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM transfers), (SELECT count(*) FROM holds),
			(SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM batches), (SELECT count(*) FROM exceptions),
			(SELECT count(*) FROM audit_log WHERE kind NOT LIKE 'denied%')`).
			Scan(&r.transactions, &r.transfers, &r.holds, &r.keys, &r.batches, &r.exceptions, &r.audits)
	})
	return r
}

// settle ends a conversation: the ledger verifies, what was approved is in it
// once and nothing else is, and no card data is in the log.
func (w *town) settle() {
	w.t.Helper()
	w.database(func(ctx context.Context, c *pgx.Conn) error {
		v, err := switching.Verify(ctx, c)
		if err != nil {
			return err
		}
		for _, f := range v.Findings {
			w.t.Errorf("ledger: %s: %s: %s", f.Check, f.Subject, f.Detail)
		}
		rows, err := c.Query(ctx, `SELECT lpad(rrn::text, 12, '0') FROM transactions WHERE reason = $1`, int16(switching.Approved))
		if err != nil {
			return err
		}
		rrns, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		slices.Sort(rrns)
		if answered := w.approved.sorted(); !slices.Equal(rrns, answered) {
			w.t.Errorf("approvals in the ledger %v, answered %v", rrns, answered)
		}
		return nil
	})
	w.tellsNoCardData()
	if w.t.Failed() {
		w.t.FailNow()
	}
}

func (w *town) tellsNoCardData() {
	w.t.Helper()
	text := w.log.String()
	for i := range cards {
		if strings.Contains(text, cardNumber(i).Reveal()) {
			w.t.Fatal("a card number is in the log")
		}
	}
	if strings.Contains(text, trackTail) || strings.Contains(text, pinBlock(everyday)) {
		w.t.Fatal("track data or a PIN block is in the log")
	}
	for line := range strings.Lines(text) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil || l["level"] == "ERROR" {
			w.t.Fatalf("the log has an error: %s", line)
		}
	}
}
