package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/money"
	"meridian/internal/pglocal/pgtest"
	"meridian/ledger"
	"meridian/migrations"
	"meridian/sandbox"
)

// noon is the business clock of the sandbox in these tests: a Tuesday.
var noon = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

// world is a running sandbox over a database of the test's own.
type world struct {
	t       testing.TB
	dataDir string
	url     string
	said    transcript
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dataDir: t.TempDir(), url: pgtest.Database(t, seeded)}
	s, err := sandbox.Start(t.Context(), sandboxOptions(w.dataDir, w.url))
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving) }()
	manifest := s.Manifest()
	t.Cleanup(func() {
		w.said.tellsNoSecrets(t, manifest)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("end the sandbox: %v", err)
		}
	})
	return w
}

func sandboxOptions(dataDir, url string) sandbox.Options {
	const anyPort = "127.0.0.1:0"
	return sandbox.Options{
		DataDir: dataDir, DatabaseURL: url, NAC: anyPort, ASCII: anyPort, UnionPay: anyPort, Console: anyPort, Ops: anyPort,
		Now: func() time.Time { return noon }, StoreTimeout: 20 * time.Second, // on a machine busy with tests
	}
}

// seeded is as a sandbox leaves its database that has run for a moment. Databases are copied from it: filling one takes
// longer than most tests.
func seeded(ctx context.Context, url string) error {
	dataDir, err := os.MkdirTemp("", "meridian-seeded-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dataDir)
	s, err := sandbox.Start(ctx, sandboxOptions(dataDir, url))
	if err != nil {
		return err
	}
	over, stop := context.WithCancel(ctx)
	stop()
	return s.Run(over)
}

// call runs a command on the sandbox's data.
func (w *world) call(arguments ...string) outcome {
	w.t.Helper()
	return w.said.add(call(w.t, append(arguments, "--data-dir", w.dataDir)...))
}

// execSQL runs a statement as the database's owner, also while a test cleans up.
func execSQL(t testing.TB, url, statement string, arguments ...any) {
	t.Helper()
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := connection.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	if _, err := connection.Exec(ctx, statement, arguments...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// writeManifest pretends that a sandbox runs over a database.
func writeManifest(t testing.TB, dataDir, databaseURL string) {
	t.Helper()
	content, err := json.Marshal(sandbox.Manifest{Ready: true, DatabaseURL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dataDir, sandbox.ManifestName), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rrns lists the stored transactions' RRNs, the oldest first.
func (w *world) rrns() []string {
	w.t.Helper()
	var list []struct {
		RRN string `json:"rrn"`
		ID  string `json:"transaction_id"`
	}
	o := w.call("transaction", "list", "-o", "json").want(w.t, 0)
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil {
		w.t.Fatal(err)
	}
	var numbers []string
	for _, one := range list {
		numbers = append([]string{one.RRN}, numbers...)
	}
	return numbers
}

func TestTransactionsAndLedger(t *testing.T) {
	w := newWorld(t)
	w.call("ledger", "verify").want(t, 0, "everything holds")
	w.call("transaction", "list", "-o", "json").want(t, 0, "[]")

	w.call("terminal", "sale", "--amount", "12.34").want(t, 0)
	w.call("terminal", "sale", "--amount", "0").want(t, 1)
	w.call("terminal", "cancel", "--rrn", w.rrns()[0]).want(t, 0, "VOID R16")

	t.Run("show", func(t *testing.T) {
		var texts []string
		for _, rrn := range w.rrns() {
			texts = append(texts, w.call("transaction", "show", rrn).want(t, 0).stdout)
		}
		golden(t, "show.txt", steady(strings.Join(texts, "\n")))
		rrn := w.rrns()
		golden(t, "show.json", steady(w.call("transaction", "show", rrn[len(rrn)-1], "-o", "json").want(t, 0).stdout))
	})
	t.Run("list", func(t *testing.T) {
		golden(t, "list.txt", w.call("transaction", "list").want(t, 0).stdout)
		for filter, count := range map[string]int{"--limit=1": 1, "--mid=104110000000001": 3, "--mid=104110000000002": 0, "--merchant=104110000000001": 3} {
			var list []json.RawMessage
			o := w.call("transaction", "list", filter, "-o", "json").want(t, 0)
			if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || len(list) != count {
				t.Errorf("%s: %d transactions (%v), want %d", filter, len(list), err, count)
			}
		}
	})
	t.Run("transfers", func(t *testing.T) {
		account := w.call("ledger", "transfers", "--account", "merchant:1:pending").want(t, 0)
		golden(t, "transfers.txt", account.stdout)
		byRRN := w.call("ledger", "transfers", "--rrn", w.rrns()[0]).want(t, 0, "sale", "card:", "merchant:1:pending", "12.34 CNY")
		if n := strings.Count(byRRN.stdout, "\n"); n != 2 {
			t.Errorf("%d lines, want the header and one transfer:\n%s", n, byRRN.stdout)
		}
		w.call("ledger", "transfers", "--account", "merchant:3:payable", "-o", "json").want(t, 0, "[]")
		w.call("ledger", "transfers", "--rrn", "000000000001").want(t, exitFailure, "no transaction has RRN 000000000001")
	})
	t.Run("accounts", func(t *testing.T) {
		var balance trialBalance
		o := w.call("ledger", "accounts", "-o", "json").want(t, 0)
		if err := json.Unmarshal([]byte(o.stdout), &balance); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, a := range balance.Accounts {
			if a.Code == "merchant:1:pending" {
				found = true
				if a.DebitsPostedMinor != 1234 || a.CreditsPostedMinor != 1234 || a.BalanceMinor != 0 || a.Side != "L" {
					t.Errorf("got %+v", a)
				}
			}
		}
		if !found || len(balance.Totals) < 3 {
			t.Errorf("got %+v", balance)
		}
		w.call("ledger", "accounts").want(t, 0, "ACCOUNT", "merchant:1:pending", "total CNY", "difference 0.00")
	})
	o := w.call("ledger", "verify", "-o", "json").want(t, 0)
	golden(t, "verify.json", strings.NewReplacer("\"transfers\": "+countOf(t, o.stdout), "\"transfers\": <n>").Replace(steady(o.stdout)))

	t.Run("what is off is named", func(t *testing.T) {
		execSQL(t, w.url, `UPDATE transactions SET captured_minor = captured_minor + 1 WHERE amount_minor = 1234 AND kind = 2`)
		rrn := w.rrns()[0]
		o := w.call("ledger", "verify").want(t, exitInvariant, "RRN "+rrn, "captured 1")
		if !strings.Contains(o.stderr, "does not hold") {
			t.Errorf("standard error: %s", o.stderr)
		}
		w.call("ledger", "verify", "-o", "json").want(t, exitInvariant, `"code":5`, rrn)
		w.call("doctor").want(t, exitInvariant, "fail  ledger", "meridian ledger verify", "the sandbox's own")
	})
}

// countOf returns the number of transfers: how many the seeds need is the sandbox's business.
func countOf(t testing.TB, text string) string {
	t.Helper()
	var v struct {
		Transfers json.Number `json:"transfers"`
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v.Transfers.String()
}

func TestTrialBalance(t *testing.T) {
	const cny, jpy = money.CNY, money.Currency(392)
	at := func(role ledger.Role, currency money.Currency, debits, credits, pendingDebits, pendingCredits int64) ledger.Position {
		account := ledger.Account(role, 7)
		return ledger.Position{
			Account: account, Code: account.String(), Currency: currency,
			DebitsPostedMinor: debits, CreditsPostedMinor: credits,
			DebitsPendingMinor: pendingDebits, CreditsPendingMinor: pendingCredits,
		}
	}
	whole := []ledger.Position{
		at(ledger.RoleBankSettlement, jpy, 500, 0, 0, 0), at(ledger.RoleCard, jpy, 100, 500, 50, 0), at(ledger.RoleMerchantPending, jpy, 0, 100, 0, 50),
		at(ledger.RoleBankSettlement, cny, 20, 0, 0, 0), at(ledger.RoleCard, cny, 0, 20, 0, 0),
	}
	balance := newTrialBalance(whole)
	if err := balance.err(); err != nil {
		t.Errorf("it is zero, and yet: %v", err)
	}
	if got := balance.Accounts[0].BalanceMinor; got != 500 {
		t.Errorf("an asset's balance is %d, want 500", got)
	}
	if got := balance.Accounts[1].BalanceMinor; got != 400 {
		t.Errorf("a liability's balance is %d, want 400", got)
	}
	if len(balance.Totals) != 2 || balance.Totals[0].Currency.Alpha() != "CNY" || balance.Totals[1].CreditsMinor != 600 {
		t.Errorf("totals %+v", balance.Totals)
	}
	for _, broken := range [][]ledger.Position{whole[1:], whole[:2]} {
		balance := newTrialBalance(broken)
		if code := exitCode(balance.err()); code != exitInvariant {
			t.Errorf("code %d, want %d", code, exitInvariant)
		}
	}
}

func TestMigrate(t *testing.T) {
	url := pgtest.Database(t, nil)
	for _, line := range []string{"ledger verify", "transaction list", "ledger accounts"} {
		call(t, append(strings.Fields(line), "--database-url", url)...).want(t, exitConfiguration, "run meridian migrate")
	}
	call(t, "doctor", "--database-url", url).want(t, exitFailure, "fail  schema", "run meridian migrate")
	call(t, "migrate", "status", "--database-url", url).want(t, 0, "not yet", "00001_reference.sql")
	// An empty database became no Meridian one by being looked at.
	call(t, "ledger", "verify", "--database-url", url).want(t, exitConfiguration, "run meridian migrate")
	call(t, "migrate", "--database-url", url).want(t, 0, "from version 0 to")
	call(t, "migrate", "up", "--database-url", url).want(t, 0, "nothing to do")
	o := call(t, "migrate", "-o", "json", "--database-url", url).want(t, 0)
	var done migrated
	if err := json.Unmarshal([]byte(o.stdout), &done); err != nil || done.From != done.To || done.To == 0 {
		t.Errorf("got %+v, %v", done, err)
	}
	if o := call(t, "migrate", "status", "--database-url", url).want(t, 0); strings.Contains(o.stdout, "not yet") {
		t.Errorf("something is not applied:\n%s", o.stdout)
	}
	call(t, "ledger", "verify", "--database-url", url).want(t, 0, "0 transactions")
}

// An older binary than the schema was made by says so, and leaves it as it is.
func TestMigrateOnANewerSchema(t *testing.T) {
	url := pgtest.Database(t, migrate)
	execSQL(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	o := call(t, "migrate", "--database-url", url).want(t, exitConfiguration, "newer than this binary", "version 9999", "nothing was changed")
	if o.stdout != "" {
		t.Errorf("it tells of something done: %s", o.stdout)
	}
	call(t, "migrate", "status", "--database-url", url).want(t, 0, "9999", "of a newer version")
}

// A parameter that is misspelt is the server's setting to clients, and not a schema that is missing.
func TestMisspeltDatabaseParameter(t *testing.T) {
	url, separator := pgtest.Database(t, nil), "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	for _, command := range []string{"migrate", "ledger verify"} {
		o := call(t, append(strings.Fields(command), "--database-url", url+separator+"sslmod=disable")...).
			want(t, exitConfiguration, "a parameter that the server does not know", `"sslmod"`)
		if strings.Contains(o.stderr, "run meridian migrate") {
			t.Errorf("%s: it takes it for a schema that is missing: %s", command, o.stderr)
		}
	}
}

// Who may not migrate is told who may, and status, which changes nothing, works under the hosts' login.
func TestMigrateWithoutRights(t *testing.T) {
	url := pgtest.Database(t, nil)
	stranger := login(t, url, "migrate_stranger")
	call(t, "migrate", "status", "--database-url", stranger).want(t, 0, "not yet")
	call(t, "migrate", "--database-url", stranger).want(t, exitConfiguration, "migrate_stranger may not", "the owner's login, ")
	execSQL(t, url, `DO $$ BEGIN IF to_regclass('goose_db_version') IS NOT NULL THEN RAISE 'looking changed the database'; END IF; END $$`)
	if err := migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	host := login(t, url, "migrate_host", `GRANT `+migrations.ServiceRole+` TO migrate_host`)
	o := call(t, "migrate", "status", "--database-url", host).want(t, 0, "00001_reference.sql")
	if strings.Contains(o.stdout, "not yet") {
		t.Errorf("something is not applied:\n%s", o.stdout)
	}
	call(t, "migrate", "status", "--database-url", stranger).want(t, exitConfiguration, "migrate_stranger may not look", "membership of "+migrations.ServiceRole)
	execSQL(t, url, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	call(t, "migrate", "--database-url", host).want(t, exitConfiguration, "migrate_host may not change the schema", "the owner's login, ")
}

// A password that is not escaped as it should be is refused before any part of it is taken for a host or a database.
func TestNoPartOfAPasswordIsShown(t *testing.T) {
	for _, url := range []string{
		"postgres://u:hunt@er2@127.0.0.1:1/db", "postgres://u:hunt@er2/x@127.0.0.1:1/db", "postgres://u:hunt%@er2@127.0.0.1:1/db",
		"host=127.0.0.1 port=1 password=hunt er2@x user=u", "host=er2@127.0.0.1 port=1 password=hunt",
	} {
		for _, line := range []string{"doctor", "migrate", "migrate status", "ledger verify", "serve", "sandbox"} {
			o := call(t, append(strings.Fields(line), "--database-url", url)...).want(t, exitConfiguration, "--database-url")
			if shown := o.stdout + o.stderr; strings.Contains(shown, "hunt") || strings.Contains(shown, "er2") {
				t.Errorf("%s shows some of %s:\n%s", line, url, shown)
			}
		}
	}
}

func TestWhereTheDatabaseComesFrom(t *testing.T) {
	url := pgtest.Database(t, migrate)
	nowhere := "postgres://127.0.0.1:1/x"
	dataDir := t.TempDir()
	writeManifest(t, dataDir, url)
	file := write(t, "meridian.yaml", "database: {url: '"+nowhere+"', connect_timeout: 200ms}\n")
	urlFile := write(t, "url", url+"\n")
	verify := func(environ []string, arguments ...string) outcome {
		t.Helper()
		return callWith(t, environ, "", append([]string{"ledger", "verify"}, arguments...)...)
	}
	away := []string{"MERIDIAN_DATABASE_URL=" + nowhere}
	verify(away, "--database-url", url).want(t, 0)
	verify(away, "--data-dir", dataDir).want(t, 0)
	verify(away).want(t, exitUnreachable)
	verify(away, "--data-dir", dataDir, "--database-url", nowhere).want(t, exitUnreachable)
	verify([]string{"MERIDIAN_DATABASE_URL=" + url}, "--config", file).want(t, 0)
	verify([]string{"MERIDIAN_DATABASE_URL_FILE=" + urlFile}, "--config", file).want(t, 0)
	verify(nil, "--config", file).want(t, exitUnreachable)
	verify(nil, "--config", file, "--data-dir", dataDir).want(t, 0)
	verify(nil, "--data-dir", t.TempDir()).want(t, exitConfiguration, "no sandbox is running", "sandbox.json")
	verify(nil, "--database-url", "localhost").want(t, exitConfiguration, "--database-url: database.url")

	t.Chdir(t.TempDir())
	verify(nil).want(t, exitConfiguration, "no database is given", "--database-url", "MERIDIAN_DATABASE_URL_FILE", ".meridian")
	writeManifest(t, sandbox.DefaultDataDir, url)
	verify(nil).want(t, 0)
}

func TestUnreachableAndRefused(t *testing.T) {
	url := pgtest.Database(t, migrate)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(url, config.Password, "wrong", 1)
	if config.Password == "" || wrong == url {
		t.Fatalf("no password in the test server's URL")
	}
	o := call(t, "ledger", "verify", "--database-url", wrong).want(t, exitConfiguration, "password authentication failed")
	if strings.Contains(o.stderr, "wrong@") {
		t.Errorf("the password is in the error: %s", o.stderr)
	}
	call(t, "ledger", "verify", "--database-url", strings.Replace(url, config.Database, "no_such_database", 1)).
		want(t, exitConfiguration, "does not exist")
	// A server that takes the connection and says nothing is as good as none.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	callWith(t, []string{"MERIDIAN_DATABASE_CONNECT_TIMEOUT=200ms"}, "", "ledger", "verify",
		"--database-url", "postgres://u:p@"+silent.Addr().String()+"/x").want(t, exitUnreachable)
}
