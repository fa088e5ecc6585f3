//go:build unix

package sandbox

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/migrations"
)

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Up(ctx, url)
	return err
}

func openVault(t *testing.T) *vault.Vault {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func seedAt(t *testing.T, url string, now time.Time) bool {
	t.Helper()
	changed, err := seed(t.Context(), connectTo(t, url), openVault(t), now)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

var monday = time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)

const versionSQL = `SELECT directory_version FROM installation`

// A second start, days later, changes nothing: neither rows nor version nor money.
func TestSeedingAgainChangesNothing(t *testing.T) {
	url := pgtest.Database(t, migrate)
	if !seedAt(t, url, monday) {
		t.Error("the first seeding says that it changed nothing")
	}
	version := value[int64](t, url, versionSQL)
	loads := value[int64](t, url, `SELECT count(*) FROM transfers`)
	if seedAt(t, url, monday.AddDate(0, 0, 40)) {
		t.Error("the second seeding says that it changed something")
	}
	if again := value[int64](t, url, versionSQL); again != version || version < 2 {
		t.Errorf("directory version %d after %d", again, version)
	}
	if again := value[int64](t, url, `SELECT count(*) FROM transfers`); again != loads {
		t.Errorf("%d loads after %d", again, loads)
	}
	if kind := value[string](t, url, `SELECT kind FROM installation`); kind != "sandbox" {
		t.Errorf("the installation is %s", kind)
	}
	verify(t, url)
}

// Every balance is a load in the calendar's business date, bank against card.
func TestOpeningBalancesAreTransfers(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedAt(t, url, monday)
	v := verify(t, url)
	accounts := value[int64](t, url, `SELECT count(*) FROM card_accounts WHERE balance_minor > 0`)
	if v.Transfers != accounts || accounts == 0 {
		t.Errorf("%d loads for %d accounts with money", v.Transfers, accounts)
	}
	for _, m := range merchants() {
		// 12:00 UTC is before the cutoff in Shanghai (23:00 there is 15:00 UTC), Tokyo, Kuwait and New York, and after
		// the one in Berlin.
		want := "2026-11-23"
		if m.zone == "Europe/Berlin" {
			want = "2026-11-24"
		}
		got := value[string](t, url, `SELECT string_agg(DISTINCT business_date::text, ' ') FROM transfers WHERE bucket = 0 AND currency = $1`,
			int16(m.currency))
		if got != want {
			t.Errorf("%s was loaded on %s, want %s", m.currency, got, want)
		}
	}
	positions, err := ledger.Positions(t.Context(), connectTo(t, url))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range positions {
		if p.Account.Role() != ledger.RoleBankSettlement {
			continue
		}
		sum := value[int64](t, url, `SELECT sum(balance_minor)::bigint FROM card_accounts WHERE currency = $1`, int16(p.Currency))
		if p.DebitsPostedMinor != sum || p.CreditsPostedMinor != 0 {
			t.Errorf("bank in %s: %d debited, cards hold %d", p.Currency, p.DebitsPostedMinor, sum)
		}
	}
}

// Keys in the database open to the ones that sandbox.json lists.
func TestKeysInTheDatabaseAreTheListedOnes(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedAt(t, url, monday)
	v := openVault(t)
	module := hsm.NewSoftware(v, v.FirstDataKeys())
	var listed Manifest
	if err := describe(t.Context(), connectTo(t, url), &listed); err != nil {
		t.Fatal(err)
	}
	conn := connectTo(t, url)
	for _, m := range listed.Merchants {
		for _, terminal := range m.Terminals {
			var wrapped [3][]byte
			if err := conn.QueryRow(t.Context(), `SELECT tmk_wrapped, mak_wrapped, pik_wrapped FROM terminals WHERE tid = $1`, terminal.TID).
				Scan(&wrapped[0], &wrapped[1], &wrapped[2]); err != nil {
				t.Fatal(err)
			}
			for i, one := range []struct {
				use hsm.Use
				hex string
			}{
				{hsm.UseTerminalMaster, terminal.TMK}, {hsm.UseMAC, terminal.MAK}, {hsm.UsePIN, terminal.PIK},
			} {
				key, err := hsm.ParseKey(wrapped[i], one.use)
				if err != nil {
					t.Fatal(err)
				}
				stored, err := module.CheckValue(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				if stored != keyCheckValue(t, one.hex) {
					t.Errorf("the %s key of %s is not the listed one", one.use, terminal.TID)
				}
			}
		}
	}
}

func keyCheckValue(t testing.TB, keyHex string) hsm.CheckValue {
	t.Helper()
	key, err := hex.DecodeString(keyHex)
	if err != nil {
		t.Fatal(err)
	}
	value, err := cipherkey.CheckValueOf(hsm.TDES2, key)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A data directory of the version before has keys that do not open and cards
// without PINs. It gets both; what else its user changed stays.
func TestOlderDataDirectoriesGetKeysAndPINs(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedAt(t, url, monday)
	conn := connectTo(t, url)
	old, err := openVault(t).Wrap("mac-key", make([]byte, keyBytes))
	if err != nil {
		t.Fatal(err)
	}
	var other []byte
	if err := conn.QueryRow(t.Context(), `SELECT mak_wrapped FROM terminals WHERE tid = '20000002'`).Scan(&other); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		`UPDATE terminals SET tmk_wrapped = $1, mak_wrapped = $1, pik_wrapped = $1 WHERE tid = '10000002'`,
		`UPDATE terminals SET mak_wrapped = $1 WHERE tid = '10000004'`,
	} {
		if _, err := conn.Exec(t.Context(), change, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), `UPDATE terminals SET mak_wrapped = $1 WHERE tid = '10000006'`, other); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `UPDATE card_accounts SET pin_reference = NULL WHERE card_id = 1001`); err != nil {
		t.Fatal(err)
	}
	if !seedAt(t, url, monday) {
		t.Fatal("seeding an older data directory changed nothing")
	}
	module := hsm.NewSoftware(openVault(t), openVault(t).FirstDataKeys())
	for tid, like := range map[string]string{"10000002": "10000002", "10000004": "10000004", "10000006": "20000002"} {
		var stored []byte
		if err := conn.QueryRow(t.Context(), `SELECT mak_wrapped FROM terminals WHERE tid = $1`, tid).Scan(&stored); err != nil {
			t.Fatal(err)
		}
		key, err := hsm.ParseKey(stored, hsm.UseMAC)
		if err != nil {
			t.Fatal(err)
		}
		value, err := module.CheckValue(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if value != keyCheckValue(t, upperHex(keysOf(like).mak)) {
			t.Errorf("the MAC key of %s is not that of %s", tid, like)
		}
	}
	if n := value[int64](t, url, `SELECT count(*) FROM card_accounts WHERE pin_reference IS NULL`); n != 0 {
		t.Errorf("%d cards have no PIN", n)
	}
	if seedAt(t, url, monday) {
		t.Error("the next start changed something again")
	}
}

// What a killed run had begun is not there.
func TestSeedingIsAllOrNothing(t *testing.T) {
	url := pgtest.Database(t, migrate)
	ctx, cancel := context.WithCancel(t.Context())
	conn := connectTo(t, url)
	_, err := seed(ctx, cancelBeforeCommit{conn, cancel}, openVault(t), monday)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("seeding a connection that breaks: %v", err)
	}
	for _, table := range []string{"merchants", "terminals", "card_accounts", "transfers", "bin_ranges", "calendars"} {
		if n := value[int64](t, url, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
	if kind := value[string](t, url, `SELECT kind FROM installation`); kind != "production" {
		t.Errorf("the installation is %s", kind)
	}
	if !seedAt(t, url, monday) {
		t.Error("the next seeding changed nothing")
	}
	verify(t, url)
}

// cancelBeforeCommit begins transactions that end before they commit.
type cancelBeforeCommit struct {
	ledger.TxBeginner

	cancel context.CancelFunc
}

func (c cancelBeforeCommit) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := c.TxBeginner.Begin(ctx)
	return cancelledTx{tx, c.cancel}, err
}

type cancelledTx struct {
	pgx.Tx

	cancel context.CancelFunc
}

func (c cancelledTx) Commit(ctx context.Context) error {
	c.cancel()
	return c.Tx.Commit(ctx)
}

// Two sandboxes on one database take turns.
func TestSeedingSideBySide(t *testing.T) {
	url := pgtest.Database(t, migrate)
	v := openVault(t)
	var sides sync.WaitGroup
	changes := make([]bool, 4)
	for i := range changes {
		conn := connectTo(t, url)
		sides.Go(func() {
			var err error
			if changes[i], err = seed(t.Context(), conn, v, monday); err != nil {
				t.Error(err)
			}
		})
	}
	sides.Wait()
	changed := 0
	for _, c := range changes {
		if c {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d of them say that they changed something", changed)
	}
	verify(t, url)
}

func perform(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connectTo(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

const somebodysMerchant = `
INSERT INTO calendars VALUES (77, 'theirs', 'Europe/Paris', '22:00', '2026-01-01');
INSERT INTO policies (policy_id, name) VALUES (77, 'theirs');
INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id) VALUES (77, 0, 'THEIRS', 'Theirs', 978, 77, 77)`

// A production database in use is refused, by the first look and by the seeding itself.
func TestProductionIsRefused(t *testing.T) {
	url := pgtest.Database(t, migrate)
	perform(t, url, somebodysMerchant)
	if err := guard(t.Context(), connectTo(t, url)); !errors.Is(err, ErrProduction) {
		t.Errorf("guard: %v", err)
	}
	if _, err := seed(t.Context(), connectTo(t, url), openVault(t), monday); !errors.Is(err, ErrProduction) {
		t.Errorf("seed: %v", err)
	}
	if n := value[int64](t, url, `SELECT count(*) FROM merchants`); n != 1 {
		t.Errorf("%d merchants", n)
	}
	if kind := value[string](t, url, `SELECT kind FROM installation`); kind != "production" {
		t.Errorf("the installation is %s", kind)
	}
}

// An empty database, and one that was migrated and never used, are nobody's.
func TestUnusedDatabasesAreTaken(t *testing.T) {
	for name, url := range map[string]string{"empty": pgtest.Database(t, nil), "migrated": pgtest.Database(t, migrate)} {
		if err := guard(t.Context(), connectTo(t, url)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A sandbox keeps merchants that its user added, and refuses rows in its own's places.
func TestOtherRows(t *testing.T) {
	url := pgtest.Database(t, migrate)
	perform(t, url, `UPDATE installation SET kind = 'sandbox';`+somebodysMerchant)
	seedAt(t, url, monday)
	if n := value[int64](t, url, `SELECT count(*) FROM merchants`); n != int64(len(merchants())+1) {
		t.Errorf("%d merchants", n)
	}
	perform(t, url, `UPDATE terminals SET tid = 'ELSE' WHERE tid = '10000001'`)
	if _, err := seed(t.Context(), connectTo(t, url), openVault(t), monday); !errors.Is(err, ErrOtherRows) {
		t.Errorf("seed: %v", err)
	}
}

// Every merchant has the operator that sandbox.json names, and a supervisor; a
// password that was changed stays changed.
func TestOperators(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedAt(t, url, monday)
	for _, m := range merchants() {
		for number, isSupervisor := range map[string]bool{operator: false, supervisor: true} {
			got := value[bool](t, url, `
				SELECT supervisor FROM operators
				WHERE merchant_id = $1 AND operator_no = $2 AND active AND starts_with(password_hash, '$argon2id$')`, m.id, number)
			if got != isSupervisor {
				t.Errorf("operator %s of %s: supervisor %t", number, m.mid, got)
			}
		}
	}
	perform(t, url, `UPDATE operators SET password_hash = 'changed'; DELETE FROM operators WHERE merchant_id = 1 AND operator_no = '99'`)
	if !seedAt(t, url, monday) {
		t.Error("the missing supervisor was not put back")
	}
	if n := value[int64](t, url, `SELECT count(*) FROM operators WHERE password_hash = 'changed'`); n != int64(2*len(merchants())-1) {
		t.Errorf("%d changed passwords", n)
	}
}

// What a sandbox asks of a database that nobody has analyzed is not compiled: that
// took seconds, at every change of the clock.
func TestTheSandboxsOwnConnectionsDoNotCompile(t *testing.T) {
	conn, err := connect(t.Context(), pgtest.Database(t, migrate))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var jit string
	if err := conn.QueryRow(t.Context(), `SHOW jit`).Scan(&jit); err != nil || jit != "off" {
		t.Errorf("jit is %q: %v", jit, err)
	}
}
