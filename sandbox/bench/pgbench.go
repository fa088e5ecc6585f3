//go:build unix

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"meridian/internal/pglocal"
)

// pgbench drives the yardsticks: Postgres's own TPC-B, and what one approval
// writes, each in a transaction of its own.
type pgbench struct {
	program string
	url     string // of a database beside the ledger's
	single  string // of the copy of the ledger's
	scripts string // folder
	each    time.Duration
}

// yardstickDatabase holds pgbench's tables, singleDatabase a copy of the ledger
// that is written without a host.
const (
	yardstickDatabase = "yardstick"
	singleDatabase    = "single"
)

// scale of TPC-B: more branches than clients, so that they do not wait for each
// other's rows.
const scale = 50

// newPgbench makes the yardstick's tables if anything is measured on them: five
// million rows.
func newPgbench(ctx context.Context, server *pglocal.Server, directory string, each time.Duration, yardstick bool) (*pgbench, error) {
	p := &pgbench{
		program: filepath.Join(server.Binaries().Dir, "pgbench"),
		url:     server.AdminURL(yardstickDatabase), scripts: directory, each: each,
	}
	if _, err := os.Stat(p.program); err != nil {
		return nil, fmt.Errorf("pgbench comes with Postgres's server packages: %w", err)
	}
	if !yardstick {
		return p, nil
	}
	if err := execute(ctx, server.AdminURL("postgres"), "CREATE DATABASE "+yardstickDatabase); err != nil {
		return nil, err
	}
	if out, err := p.command(ctx, "-i", "-q", "-s", strconv.Itoa(scale), p.url).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgbench -i: %w: %s", err, lastLine(out))
	}
	return p, nil
}

func (p *pgbench) command(ctx context.Context, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.program, arguments...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	return c
}

var (
	tpsLine   = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
	countLine = regexp.MustCompile(`(?m)^number of transactions actually processed: ([0-9]+)`)
)

// run tells how many transactions a second there were, and how many in all.
func (p *pgbench) run(ctx context.Context, url string, clients int, arguments ...string) (tps, transactions float64, err error) {
	threads := min(clients, 2)
	arguments = append([]string{
		"-n", "-M", "prepared", "-c", strconv.Itoa(clients), "-j", strconv.Itoa(threads), "-T", strconv.Itoa(max(1, int(p.each.Seconds()))),
	}, arguments...)
	out, err := p.command(ctx, append(arguments, url)...).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("pgbench: %w: %s", err, lastLine(out))
	}
	for line, figure := range map[*regexp.Regexp]*float64{tpsLine: &tps, countLine: &transactions} {
		found := line.FindSubmatch(out)
		if found == nil {
			return 0, 0, fmt.Errorf("pgbench does not say how much it did: %s", out)
		}
		if *figure, err = strconv.ParseFloat(string(found[1]), 64); err != nil {
			return 0, 0, fmt.Errorf("pgbench: %w", err)
		}
	}
	return tps, transactions, nil
}

// tpcb is the best of a few client counts, and how many transactions all of them did.
func (p *pgbench) tpcb(ctx context.Context) (best, transactions float64, err error) {
	for _, n := range []int{8, 16, 32} {
		tps, did, err := p.run(ctx, p.url, n)
		if err != nil {
			return 0, 0, err
		}
		best, transactions = max(best, tps), transactions+did
	}
	return best, transactions, nil
}

// prepareSingle makes the database of the scripts below: a copy of the seeded
// ledger that nobody verifies.
func (p *pgbench) prepareSingle(ctx context.Context, server *pglocal.Server) error {
	p.single = server.AdminURL(singleDatabase)
	if err := execute(ctx, server.AdminURL("postgres"), "CREATE DATABASE "+singleDatabase+" TEMPLATE "+pglocal.DatabaseName); err != nil {
		return err
	}
	return execute(ctx, p.single, singleTablesSQL)
}

const singleTablesSQL = `
CREATE TABLE one_row (id bigserial PRIMARY KEY, filler text);
CREATE SEQUENCE one_approval CACHE 1000;
INSERT INTO batches (bucket, terminal_id, batch_no, opened_at)
SELECT m.bucket, t.terminal_id, 1, now() FROM terminals t JOIN merchants m USING (merchant_id) ON CONFLICT DO NOTHING`

// oneRowScript commits one row at a time: what durability costs by itself.
const oneRowScript = `INSERT INTO one_row (filler) VALUES ('x');
`

// oneApprovalScript is what an approved sale reads and writes, a statement at a
// time: the window and the terminal's batch shared, the key looked for, the card
// locked; key, transaction and transfer inserted, the card changed.
const oneApprovalScript = `\set card random(1, :cards)
\set merchant random(1, :merchants)
\set bucket :merchant % :buckets
\set terminal 10000000 + :merchant * 10
\set stan random(1, 999999)
\set batch random(2, 999999)
BEGIN;
SELECT w.business_date FROM windows w JOIN business_days d USING (calendar_id, business_date)
WHERE w.bucket = :bucket AND w.calendar_id = 1 AND d.opens_at <= now() AND d.closes_at > now() FOR SHARE OF w;
SELECT batch_no FROM batches WHERE bucket = :bucket AND terminal_id = :terminal AND state < 5 FOR SHARE;
SELECT transaction_id FROM idempotency_keys
WHERE bucket = :bucket AND merchant_id = :merchant AND terminal_id = :terminal AND stan = :stan AND batch_no = :batch AND class = 1;
SELECT balance_minor, held_minor FROM card_accounts WHERE card_id = :card FOR UPDATE;
SELECT nextval('one_approval') AS id \gset
INSERT INTO idempotency_keys (bucket, merchant_id, terminal_id, batch_no, stan, class, business_date, transaction_id)
VALUES (:bucket, :merchant, :terminal, :batch, :stan, 1, :day::date, lpad(:id::text, 32, '0')::uuid) ON CONFLICT DO NOTHING;
INSERT INTO transactions (bucket, business_date, transaction_id, accepted_at, rrn, card_id, amount_minor, captured_minor, merchant_id,
	terminal_id, batch_no, stan, calendar_id, currency, asked, kind, state, reason, digest, auth_code, pan_token, pan_masked)
VALUES (:bucket, :day::date, lpad(:id::text, 32, '0')::uuid, now(), :id, :card, 100, 100, :merchant,
	:terminal, 1, :stan, 1, 156, 2, 2, 2, 1, '\x00112233445566778899aabbccddeeff', '123456',
	'\x00112233445566778899aabbccddeeff', '621234*********1234');
INSERT INTO transfers (bucket, business_date, journal_id, leg, kind, phase, currency, debit_account, credit_account, amount_minor)
VALUES (:bucket, :day::date, lpad(:id::text, 32, '0')::uuid, 1, 2, 1, 156, :card, :merchant + 10000000, 100);
UPDATE card_accounts SET balance_minor = balance_minor - 100 WHERE card_id = :card;
COMMIT;
`

// oneAtATime is how many approvals a second come of a transaction each, with
// this many clients.
func (p *pgbench) oneAtATime(ctx context.Context, o *Options, clients int, day string) (tps, transactions float64, err error) {
	path, err := p.script("one-approval.sql", oneApprovalScript)
	if err != nil {
		return 0, 0, err
	}
	return p.run(ctx, p.single, clients, "-f", path,
		"-D", fmt.Sprint("cards=", o.Cards), "-D", fmt.Sprint("merchants=", o.Merchants), "-D", fmt.Sprint("buckets=", buckets()), "-D", "day="+day)
}

// oneRow is how many rows one client commits in a second.
func (p *pgbench) oneRow(ctx context.Context) (tps, transactions float64, err error) {
	path, err := p.script("one-row.sql", oneRowScript)
	if err != nil {
		return 0, 0, err
	}
	return p.run(ctx, p.single, 1, "-f", path)
}

// script writes a script file.
func (p *pgbench) script(name, text string) (string, error) {
	path := filepath.Join(p.scripts, name)
	// Readable to whom Postgres's programs run as; it holds no secret.
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // see above
		return "", fmt.Errorf("write script: %w", err)
	}
	return path, nil
}
