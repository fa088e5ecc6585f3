//go:build unix

package sandbox

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"meridian/internal/hsm/mac"
	"meridian/internal/pglocal/pgtest"
	"meridian/sandbox/scenario"
)

// From nothing to answers in both dialects, to a sale that the next start still
// knows.
func TestSandbox(t *testing.T) {
	dir := dataDir(t)
	s := start(t, options(dir))
	m := readManifest(t, dir)
	if !reflect.DeepEqual(m, s.Manifest()) {
		t.Error("sandbox.json is not what the sandbox says of itself")
	}
	if status := get(t, m.Addresses.Console); status != http.StatusOK {
		t.Errorf("console: %d", status)
	}
	echo(t, m)
	if status := get(t, m.Addresses.Ops+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d", status)
	}

	sell(t, m, "CNY", 1, 12_34, "00")
	sellSealed(t, m)
	before := m.card(t, "CNY", behaviourApprove).Available
	verify(t, m.DatabaseURL)
	s.stop()
	if _, err := ReadManifest(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end sandbox.json is still there: %v", err)
	}

	again := start(t, options(dir))
	m = again.Manifest()
	if got := m.card(t, "CNY", behaviourApprove).Available; got != before-12_34 {
		t.Errorf("available %d, want %d less 1234", got, before)
	}
	// The same request is a repeat: the stored answer, and no second sale.
	sell(t, m, "CNY", 1, 12_34, "00")
	verify(t, m.DatabaseURL)
	again.stop()
}

func readManifest(t *testing.T, dir string) *Manifest {
	t.Helper()
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func echo(t *testing.T, m *Manifest) {
	t.Helper()
	for dialect, fields := range map[string]map[int]string{
		"nac":   {3: "990000", 11: "000001"},
		"ascii": {7: "1123120000", 11: "000001", 70: "301"},
	} {
		merchant, terminal := m.find(t, "CNY", dialect, "none")
		fields[41], fields[42] = terminal.TID, merchant.MID
		line := dial(t, m, dialect)
		answer := line.ask("0800", fields, nil)
		line.hangUp()
		if answer.MTI() != "0810" || answer.Get(39) != "00" {
			t.Errorf("%s: echo answered by %s with %s", dialect, answer.MTI(), answer.Get(39))
		}
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode
}

// sell sells with the currency's first card at its first NAC terminal.
func sell(t *testing.T, m *Manifest, currency string, stan int, minor int64, want string) {
	t.Helper()
	merchant, terminal := m.find(t, currency, "nac", "none")
	line := dial(t, m, "nac")
	defer line.hangUp()
	answer := line.ask("0200", request(merchant, terminal, m.card(t, currency, behaviourApprove), stan, minor), nil)
	if got := answer.Get(39); got != want {
		t.Errorf("sale of %d in %s: %s, want %s", minor, currency, got, want)
	}
}

// sellSealed sells at a terminal whose messages carry a MAC under its listed key.
func sellSealed(t *testing.T, m *Manifest) {
	t.Helper()
	merchant, terminal := m.find(t, "EUR", "ascii", "x919")
	key, err := hex.DecodeString(terminal.MAK)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := mac.New(mac.X919, key)
	if err != nil {
		t.Fatal(err)
	}
	fields := request(merchant, terminal, m.card(t, "EUR", behaviourApprove), 7, 500)
	line := dial(t, m, "ascii")
	defer line.hangUp()
	if got := line.ask("0200", fields, mac).Get(39); got != "00" {
		t.Errorf("sale with a MAC: %s", got)
	}
	fields[11] = "000008"
	if got := line.ask("0200", fields, nil).Get(39); got != "63" {
		t.Errorf("sale without the MAC it needs: %s", got)
	}
}

// Every card does what its behaviour says, at a merchant of its currency.
func TestCardsBehave(t *testing.T) {
	s := start(t, Options{
		DatabaseURL: pgtest.Database(t, migrate), DataDir: dataDir(t), NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort,
	})
	m := s.Manifest()
	codes := map[string]string{
		behaviourApprove: "00", behaviourHigh: "00", behaviourLow: "00", behaviourZero: "51", behaviourBlocked: "62",
		behaviourLost: "41", behaviourStolen: "43", behaviourFrozen: "62", behaviourClosed: "62", behaviourExpired: "54",
		behaviourWrongExpiry: "54", behaviourLuhn: "14", behaviourUnknown: "14", behaviourNoSuchIssuer: "15",
		scenario.CardBehaviour: "00", // with an amount that means nothing
	}
	line := dial(t, m, "nac")
	for i, c := range m.Cards {
		if slices.Contains(scenario.Behaviours(), scenario.Behaviour(c.Behaviour)) {
			continue // TestAnswersGoAstray
		}
		merchant, terminal := m.find(t, c.Currency, "nac", "none")
		answer := line.ask("0200", request(merchant, terminal, c, i+1, 700), nil)
		if want, known := codes[c.Behaviour]; answer.Get(39) != want || !known {
			t.Errorf("%s card in %s: %s, want %s", c.Behaviour, c.Currency, answer.Get(39), want)
		}
	}
	for i, currency := range []string{"CNY", "JPY", "KWD"} {
		merchant, terminal := m.find(t, currency, "nac", "none")
		for j, over := range []struct {
			behaviour string
			minor     int64
			want      string
		}{
			{behaviourLow, lowMinor, "51"}, // 700 are gone
			{behaviourApprove, balanceMinor + 1, "51"},
			{behaviourHigh, maxAmountMinor + 1, "61"},
			{behaviourHigh, maxAmountMinor, "00"},
		} {
			answer := line.ask("0200", request(merchant, terminal, m.card(t, currency, over.behaviour), 1000+10*i+j, over.minor), nil)
			if answer.Get(39) != over.want {
				t.Errorf("%d on the %s card in %s: %s, want %s", over.minor, over.behaviour, currency, answer.Get(39), over.want)
			}
		}
	}
	verify(t, m.DatabaseURL)
}

// sandbox.json has the keys that are documented, and no others.
func TestManifestShape(t *testing.T) {
	dir := dataDir(t)
	o := options(dir)
	o.DatabaseURL = pgtest.Database(t, nil)
	start(t, o)
	content, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v: others could read keys and the password", info.Mode())
	}
	var document struct {
		Addresses map[string]string
		Merchants []map[string]any
		Cards     []map[string]any
		Scenarios []map[string]any
	}
	var top map[string]any
	for _, into := range []any{&top, &document} {
		if err := json.Unmarshal(content, into); err != nil {
			t.Fatal(err)
		}
	}
	wantKeys(t, top, "addresses", "cards", "database_url", "merchants", "ready", "scenarios")
	wantKeys(t, document.Addresses, "ascii", "console", "nac", "ops", "unionpay")
	for _, m := range document.Merchants {
		wantKeys(t, m, "cancel_mode", "currency", "cutoff", "mid", "name", "terminals", "time_zone")
		for _, terminal := range m["terminals"].([]any) {
			shape := terminal.(map[string]any)
			delete(shape, "stories") // of those that stories are played at alone
			wantKeys(t, shape, "batch", "dialect", "mac", "mak", "operator", "operator_password", "pik", "tid", "tmk", "tpdu")
		}
	}
	for _, e := range document.Scenarios {
		if e["code"] == nil {
			wantKeys(t, e, "amount_ends", "card", "do", "name", "what")
		} else {
			wantKeys(t, e, "amount_ends", "code", "do", "name", "what")
		}
	}
	for _, c := range document.Cards {
		wantKeys(t, c, "available", "behaviour", "currency", "expiry", "pan", "pin", "track2")
	}
	if top["ready"] != true || len(document.Merchants) < 3 || len(document.Cards) < 12*len(document.Merchants) {
		t.Errorf("ready %v, %d merchants, %d cards", top["ready"], len(document.Merchants), len(document.Cards))
	}
	if names := listing(t, dir); !slices.Equal(names, []string{ManifestName, lockName}) {
		t.Errorf("the data directory holds %v", names)
	}
}

func wantKeys[V any](t *testing.T, object map[string]V, want ...string) {
	t.Helper()
	var got []string
	for key := range object {
		got = append(got, key)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
}

// Postgres is killed and comes back by itself; what was answered in between is
// in the ledger, once, and nothing else is.
func TestPostgresDies(t *testing.T) {
	o := options(dataDir(t))
	events := make(messages, 100)
	o.Logger = slog.New(events)
	s := start(t, o)
	events.await(t, "Postgres is ready")
	m := s.Manifest()
	merchant, terminal := m.find(t, "USD", "nac", "none")
	card := m.card(t, "USD", behaviourApprove)
	line := dial(t, m, "nac")
	stan, approved := 0, int64(0)
	sell := func() string {
		stan++
		code := line.ask("0200", request(merchant, terminal, card, stan, 100), nil).Get(39)
		switch code {
		case "00":
			approved++
		case "91", "96":
		default:
			t.Fatalf("while the database is away: %s", code)
		}
		return code
	}
	sell()
	if err := syscall.Kill(s.database.server.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	events.await(t, "Postgres ended by itself; starting it again")
	sell() // by a connection that outlived the postmaster, or not at all
	events.await(t, "Postgres is ready")
	for deadline := time.Now().Add(patience); sell() != "00"; {
		if time.Now().After(deadline) {
			t.Fatal("the host does not recover")
		}
	}
	verify(t, m.DatabaseURL)
	// What the host had to answer before it knew the outcome, it undoes by itself.
	const availableNow = `SELECT balance_minor - held_minor FROM card_accounts WHERE pan_masked = $1 AND currency = 840`
	masked, want := card.PAN[:6]+"******"+card.PAN[12:], card.Available-100*approved
	for deadline := time.Now().Add(patience); ; {
		got := value[int64](t, m.DatabaseURL, availableNow, masked)
		if got == want {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d approvals of 100, available %d of %d", approved, got, card.Available)
		}
	}
	verify(t, m.DatabaseURL)
}

// A data directory is one sandbox's, with whichever database.
func TestSecondSandboxIsRefused(t *testing.T) {
	dir := dataDir(t)
	o := options(dir)
	o.DatabaseURL = pgtest.Database(t, migrate)
	s := start(t, o)
	for name, o := range map[string]Options{
		"same":      options(dir),
		"ephemeral": {DataDir: dir, Ephemeral: true, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort},
		"database":  {DataDir: dir, DatabaseURL: s.Manifest().DatabaseURL, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort},
	} {
		_, err := Start(t.Context(), o)
		inUse, ok := errors.AsType[*InUseError](err)
		if !ok || inUse.Dir != dir || inUse.Owner == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	echo(t, readManifest(t, dir)) // the first one's file and port are as they were
}

// An ephemeral sandbox leaves nothing, in a directory of its own or in the one it was given.
func TestEphemeralLeavesNothing(t *testing.T) {
	given := filepath.Join(dataDir(t), "made", "for", "it")
	temporary := temporaryDirectory(t)
	for _, dir := range []string{"", given} {
		o := options(dir)
		o.Ephemeral = true
		s := start(t, o)
		m := readManifest(t, s.DataDir())
		echo(t, m)
		if dir != "" && s.DataDir() != dir {
			t.Errorf("sandbox.json is in %s", s.DataDir())
		}
		// What a test terminal keeps there goes as well.
		if err := os.WriteFile(filepath.Join(s.DataDir(), "terminal-10000001.json"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.stop()
		if left := listing(t, temporary); len(left) > 0 {
			t.Errorf("left in the temporary directory: %v", left)
		}
	}
	if _, err := os.Stat(filepath.Dir(filepath.Dir(given))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directories that were made are still there: %v", err)
	}
}

// An ephemeral sandbox on a server of others makes its own database there, beside
// one that is in production, and drops it.
func TestEphemeralDatabase(t *testing.T) {
	production := pgtest.Database(t, migrate)
	perform(t, production, somebodysMerchant)
	temporary := temporaryDirectory(t)
	s := start(t, Options{Ephemeral: true, DatabaseURL: production, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort})
	own := value[string](t, s.Manifest().DatabaseURL, `SELECT current_database()`)
	if !strings.HasPrefix(own, databasePrefix) {
		t.Errorf("it works in the database %s", own)
	}
	sell(t, s.Manifest(), "KWD", 1, 1_500, "00")
	s.stop()
	if value[bool](t, production, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, own) {
		t.Error("its database is still there")
	}
	if n := value[int64](t, production, `SELECT count(*) FROM merchants`); n != 1 {
		t.Errorf("the production database has %d merchants", n)
	}
	if left := listing(t, temporary); len(left) > 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
}

// A production database is left as it is, even unmigrated.
func TestSandboxRefusesProduction(t *testing.T) {
	url := pgtest.Database(t, migrate)
	perform(t, url, somebodysMerchant)
	dir := dataDir(t)
	o := options(dir)
	o.DatabaseURL = url
	if _, err := Start(t.Context(), o); !errors.Is(err, ErrProduction) {
		t.Errorf("start: %v", err)
	}
	if _, err := ReadManifest(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("it left a file: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	for _, c := range []struct {
		flag, address string
		set           func(*Options, string)
		malformed     bool
	}{
		{"--nac", busy, func(o *Options, a string) { o.NAC = a }, false},
		{"--ascii", busy, func(o *Options, a string) { o.ASCII = a }, false},
		{"--unionpay", busy, func(o *Options, a string) { o.UnionPay = a }, false},
		{"--console", busy, func(o *Options, a string) { o.Console = a }, false},
		{"--ops", busy, func(o *Options, a string) { o.Ops = a }, false},
		{"--nac", "8583", func(o *Options, a string) { o.NAC = a }, true},
		{"--ops", "127.0.0.1:65536", func(o *Options, a string) { o.Ops = a }, true},
		{"--unionpay", "127.0.0.1:http", func(o *Options, a string) { o.UnionPay = a }, true},
		{"--console", "nowhere", func(o *Options, a string) { o.Console = a }, true},
	} {
		dir := filepath.Join(t.TempDir(), "not-made")
		o := options(dir)
		c.set(&o, c.address)
		_, err := Start(t.Context(), o)
		address, ok := errors.AsType[*AddressError](err)
		if !ok || address.Flag != c.flag || address.Address != c.address || address.Malformed() != c.malformed {
			t.Errorf("%s %s: %v", c.flag, c.address, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s %s: the data directory was made", c.flag, c.address)
		}
	}
}

// A port that is lost between the check and the listening is named as well.
func TestAddressLostLater(t *testing.T) {
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o := options("")
	o.ASCII = taken.Addr().String()
	_, listening := net.Listen("tcp", o.ASCII)
	address, ok := errors.AsType[*AddressError](o.nameAddress(errors.Join(errors.New("start node"), listening)))
	if !ok || address.Flag != "--ascii" || !strings.Contains(address.Error(), "another program listens there") {
		t.Errorf("%v", o.nameAddress(listening))
	}
}

func TestUnreachableDatabase(t *testing.T) {
	closed, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for _, ephemeral := range []bool{false, true} {
		o := options("")
		o.DatabaseURL, o.Ephemeral = "postgres://someone:hush-hush@"+closed.Addr().String()+"/db", ephemeral
		o.DataDir = dataDir(t)
		_, err = Start(t.Context(), o)
		if _, ok := errors.AsType[*UnreachableError](err); !ok || strings.Contains(err.Error(), "hush") {
			t.Errorf("ephemeral %t: %v", ephemeral, err)
		}
	}
}

func TestOnSameServer(t *testing.T) {
	for given, want := range map[string]string{
		"postgres://u:p@h:5/db?sslmode=disable": "postgres://u:p@h:5/new?sslmode=disable",
		"postgresql://h/db?dbname=other":        "postgresql://h/new",
		"host=h user=u dbname=db":               "host=h user=u dbname=db dbname=new",
	} {
		got, err := onSameServer(given, "new")
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", given, got, err, want)
		}
	}
}

// A start that is interrupted gives everything back.
func TestInterruptedStart(t *testing.T) {
	dir := dataDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := options(dir)
	o.Now = func() time.Time { cancel(); return monday } // while it seeds
	if s, err := Start(ctx, o); err == nil {
		t.Error("it started", s.Close())
	}
	start(t, options(dir)) // nothing holds the directory
}
