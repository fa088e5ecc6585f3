package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/internal/config"
	"meridian/internal/pglocal/pgtest"
	"meridian/internal/vault"
	"meridian/migrations"
	"meridian/switch"
)

// diagnose runs doctor and returns what it says about one thing.
func diagnose(t testing.TB, code int, check string, arguments ...string) symptom {
	t.Helper()
	o := call(t, append([]string{"doctor", "-o", "json", "--verify-timeout", "0"}, arguments...)...).want(t, code)
	var e examination
	if err := json.Unmarshal([]byte(o.stdout), &e); err != nil {
		t.Fatalf("%v\n%s\n%s", err, o.stdout, o.stderr)
	}
	for _, s := range e.Symptoms {
		if s.Check == check {
			return s
		}
	}
	t.Fatalf("nothing about %s:\n%s", check, o.stdout)
	return symptom{}
}

func (s symptom) want(t testing.TB, status string, parts ...string) {
	t.Helper()
	if s.Status != status {
		t.Errorf("%s is %s (%s), want %s", s.Check, s.Status, s.Detail, status)
	}
	for _, part := range parts {
		if !strings.Contains(s.Detail+" "+s.Advice, part) {
			t.Errorf("%s: %q, %q do not say %q", s.Check, s.Detail, s.Advice, part)
		}
	}
}

// login makes a login in a database and returns the database's URL with it.
func login(t testing.TB, databaseURL, name string, grants ...string) string {
	t.Helper()
	execSQL(t, databaseURL, `CREATE ROLE `+name+` LOGIN PASSWORD 'test'`)
	t.Cleanup(func() { execSQL(t, databaseURL, `DROP OWNED BY `+name+`; DROP ROLE `+name) })
	for _, grant := range grants {
		execSQL(t, databaseURL, grant)
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, "test")
	return u.String()
}

// A production database as it should be, on a server that loses nothing.
func TestDoctorFindsNothingWrong(t *testing.T) {
	server := pgtest.Server(t, pgtest.Durable())
	if err := migrate(t.Context(), server.URL()); err != nil {
		t.Fatal(err)
	}
	service := login(t, server.URL(), "host_login", `GRANT `+migrations.ServiceRole+` TO host_login`)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	file := write(t, "meridian.yaml", fmt.Sprintf(
		"master_key_file: %s\nops: {address: ''}\nlimits: {max_connections: 10}\nlisteners:\n  - {name: nac, dialect: nac, address: '%s'}\n",
		masterKey(t), address))
	o := call(t, "doctor", "--config", file, "--database-url", service).want(t, 0)
	for line := range strings.Lines(o.stdout) {
		if !strings.HasPrefix(line, "ok  ") {
			t.Errorf("it complains: %s", line)
		}
	}
	for _, check := range []string{"configuration", "database", "durability", "clock", "schema", "privileges", "locks", "login", "master key", "ledger", "open files", "ports"} {
		if !strings.Contains(o.stdout, "ok    "+check) {
			t.Errorf("nothing about %s:\n%s", check, o.stdout)
		}
	}
}

func TestDoctorOnPrivileges(t *testing.T) {
	url := pgtest.Database(t, migrate)
	execSQL(t, url, `SELECT meridian_ensure_partitions('2026-01-01', '2026-01-31')`)
	role := migrations.ServiceRole
	// The test server is not durable, which is a failure of its own: code 1 is the least there is.
	diagnose(t, exitFailure, "privileges", "--database-url", url).want(t, statusOK)
	for _, c := range []struct{ grant, revoke, name string }{
		{`GRANT UPDATE ON transfers TO ` + role, `REVOKE UPDATE ON transfers FROM ` + role, "UPDATE on transfers"},
		{`GRANT UPDATE (amount_minor) ON transfers TO ` + role, `REVOKE UPDATE (amount_minor) ON transfers FROM ` + role, "UPDATE on a column of transfers"},
		{`GRANT DELETE ON transfers_202601 TO ` + role, `REVOKE DELETE ON transfers_202601 FROM ` + role, "DELETE on transfers_202601"},
		{`GRANT UPDATE (amount_minor) ON transfers_202601_1 TO ` + role, `REVOKE UPDATE (amount_minor) ON transfers_202601_1 FROM ` + role, "UPDATE on a column of transfers_202601_1"},
		{`GRANT TRUNCATE ON audit_log TO ` + role, `REVOKE TRUNCATE ON audit_log FROM ` + role, "TRUNCATE on audit_log"},
		{`GRANT ALL ON batches TO ` + role, `REVOKE DELETE, TRUNCATE ON batches FROM ` + role, "DELETE on batches"},
	} {
		execSQL(t, url, c.grant)
		diagnose(t, exitInvariant, "privileges", "--database-url", url).want(t, statusFail, c.name)
		execSQL(t, url, c.revoke)
	}
	diagnose(t, exitFailure, "privileges", "--database-url", url).want(t, statusOK)

	execSQL(t, url, `REVOKE INSERT ON transfers FROM `+role)
	diagnose(t, exitFailure, "privileges", "--database-url", url).want(t, statusFail, "lacks INSERT on transfers", "meridian migrate")
	execSQL(t, url, `GRANT INSERT ON transfers TO `+role)

	diagnose(t, exitFailure, "login", "--database-url", url).want(t, statusWarn, "superuser")
	stranger := login(t, url, "stranger_login", `GRANT SELECT ON ALL TABLES IN SCHEMA public TO stranger_login`)
	diagnose(t, exitFailure, "privileges", "--database-url", stranger).want(t, statusFail, "may not assume", "GRANT "+role)
}

// A login that may read nothing is told what it lacks; one that may do everything is told to be less.
func TestDoctorOnLogins(t *testing.T) {
	url := pgtest.Database(t, migrate)
	role := migrations.ServiceRole
	nobody := login(t, url, "nobody_login")
	diagnose(t, exitFailure, "schema", "--database-url", nobody).want(t, statusFail, "no member of the role "+role, "GRANT "+role)
	call(t, "serve", "--config", hostConfig(t, url), "--database-url", nobody).want(t, exitConfiguration, "GRANT "+role)
	host := login(t, url, "bounded_login", `GRANT `+role+` TO bounded_login`)
	diagnose(t, exitFailure, "login", "--database-url", host).want(t, statusOK, "bounded by "+role)
	owner := login(t, url, "owning_login", `GRANT `+role+` TO owning_login`, `GRANT CREATE ON SCHEMA public TO owning_login`,
		`ALTER TABLE transfers OWNER TO owning_login`)
	t.Cleanup(func() { execSQL(t, url, `ALTER TABLE transfers OWNER TO CURRENT_USER`) })
	diagnose(t, exitFailure, "login", "--database-url", owner).want(t, statusWarn, "the owner of the tables", "only a member of "+role)
}

// Both versions are told where they differ: after an upgrade that was begun, or one that was taken back.
func TestDoctorOnVersions(t *testing.T) {
	url := pgtest.Database(t, migrate)
	newest, err := migrations.Newest()
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("version %d, as this binary needs", newest)
	diagnose(t, exitFailure, "schema", "--database-url", url).want(t, statusOK, own)
	execSQL(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	diagnose(t, exitFailure, "schema", "--database-url", url).want(t, statusOK, fmt.Sprintf("version 9999, newer than this binary's %d", newest))
}

func TestDoctorOnLocks(t *testing.T) {
	diagnose(t, exitFailure, "locks", "--database-url", pgtest.Database(t, migrate)).want(t, statusOK, "a statement over all months")
	e := &examination{}
	compareLocks(e, 1600, 6400)
	compareLocks(e, 1601, 6400)
	e.Symptoms[0].want(t, statusOK)
	e.Symptoms[1].want(t, statusWarn, "1601 of the 6400", "max_locks_per_transaction")
}

func TestDoctorOnKeys(t *testing.T) {
	url := pgtest.Database(t, migrate)
	config := func(keyFile string) string { return write(t, "meridian.yaml", "master_key_file: "+keyFile+"\n") }
	key := masterKey(t)
	look := func(file string) symptom {
		t.Helper()
		return diagnose(t, exitFailure, "master key", "--database-url", url, "--config", file)
	}
	look(config(key)).want(t, statusOK, "readable")
	look(write(t, "meridian.yaml", "")).want(t, statusWarn, "serve needs one")
	look(config("/nonexistent")).want(t, statusFail, "no such file")
	look(config(write(t, "key", "sandbox:"+strings.Repeat("3f", 32)))).want(t, statusFail, "everybody knows")

	masters, err := vault.LoadMasterKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := vault.Open(masters...)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := vault.OpenDataKeys(t.Context(), keys, switching.DataKeyRows{DB: conn}); err != nil {
		t.Fatal(err)
	}
	look(config(key)).want(t, statusOK)
	look(config(write(t, "key", strings.Repeat("5a", 32)))).want(t, statusFail, "does not open the database's keys", "from its backup")

	// Where keys are stored, nobody is told to make a new one.
	for _, missing := range []string{config("/nonexistent"), write(t, "meridian.yaml", ""), config(write(t, "key", "short"))} {
		s := look(missing)
		if !strings.Contains(s.Advice, "put back the key that this database was set up with") || strings.Contains(s.Advice+s.Detail, "openssl") {
			t.Errorf("%s: %s", s.Detail, s.Advice)
		}
	}
}

// seedTerminal puts a merchant with one terminal into a production database.
func seedTerminal(t testing.TB, url string) {
	t.Helper()
	execSQL(t, url, `INSERT INTO calendars (calendar_id, name, time_zone, cutoff, first_date) VALUES (1, 'utc', 'UTC', '23:00', '2026-01-01')`)
	execSQL(t, url, `INSERT INTO policies (policy_id, name) VALUES (1, 'plain')`)
	execSQL(t, url, `INSERT INTO merchants (merchant_id, bucket, mid, name, currency, calendar_id, policy_id)
		VALUES (1, 0, '104110000000001', 'Shop', 156, 1, 1)`)
	execSQL(t, url, `INSERT INTO terminals (terminal_id, tid, merchant_id, dialect) VALUES (1, '10000001', 1, 'nac')`)
}

func TestDoctorOnTheMachine(t *testing.T) {
	url := pgtest.Database(t, migrate)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := write(t, "meridian.yaml", "limits: {max_connections: 1000000}\nlisteners:\n  - {name: nac, dialect: nac, address: '"+taken.Addr().String()+"'}\n")
	arguments := []string{"--database-url", url, "--config", file}
	diagnose(t, exitFailure, "ports", arguments...).want(t, statusWarn, taken.Addr().String(), "while a host runs here")
	diagnose(t, exitFailure, "listeners", "--database-url", url).want(t, statusWarn, "config example")
	diagnose(t, exitFailure, "durability", "--database-url", url).want(t, statusFail, "is off", "outlive a crash")

	e := &examination{}
	limits := config.Default()
	limits.Limits.MaxConnections = 1 << 40
	examineOpenFiles(e, limits)
	limits.Limits.MaxConnections = 1
	examineOpenFiles(e, limits)
	e.Symptoms[0].want(t, statusFail, "ulimit -n")
	e.Symptoms[1].want(t, statusOK)
}

func TestDoctorWithoutDatabase(t *testing.T) {
	diagnose(t, exitUnreachable, "database", "--database-url", "postgres://127.0.0.1:1/x").want(t, statusFail, "refused", "start Postgres")
}

func TestDoctorOnClocks(t *testing.T) {
	before := time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		server, answer time.Duration // after before
		status         string
	}{
		{10 * time.Millisecond, 20 * time.Millisecond, statusOK},
		{-300 * time.Millisecond, 0, statusOK},
		{600 * time.Millisecond, 0, statusWarn},
		{-600 * time.Millisecond, 0, statusWarn},
		{600 * time.Millisecond, time.Second, statusOK}, // a slow answer hides the difference
		{6 * time.Second, 0, statusFail},
		{-time.Hour, time.Second, statusFail},
	} {
		e := &examination{}
		examineClock(e, before, before.Add(c.server), before.Add(c.answer))
		if e.Symptoms[0].Status != c.status {
			t.Errorf("server %s ahead, answer after %s: %s (%s), want %s", c.server, c.answer, e.Symptoms[0].Status, e.Symptoms[0].Detail, c.status)
		}
	}
}

// What is worse has the higher code.
func TestDoctorsCode(t *testing.T) {
	e := &examination{}
	e.okf("a", "fine")
	e.warnf("b", "", "hm")
	if err := e.err(); err != nil {
		t.Errorf("warnings fail: %v", err)
	}
	for _, code := range []int{exitFailure, exitInvariant, exitUnreachable} {
		e.failf(code, "c", "", "bad")
	}
	if got := exitCode(e.err()); got != exitInvariant {
		t.Errorf("code %d, want %d", got, exitInvariant)
	}
}
