//go:build unix

package node_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"meridian/internal/pglocal"
	"meridian/internal/pglocal/pgtest"
	"meridian/switch"
)

// restoration is a host whose database is backed up by base backup and archived log,
// with the settings and commands of the page that operators have.
type restoration struct {
	*world

	page string // docs/how-to/back-up-and-restore.md
	dir  string // what is /backup there
	path string // where its programs are
}

const (
	backupPage = "../../docs/how-to/back-up-and-restore.md"
	// What the page has for this test to say otherwise.
	pageBackup, pageCluster, pageLost, pageMoment, pageNow = "/backup", "/var/lib/postgresql/15/main", "/var/lib/postgresql/15/lost",
		"2026-03-10 14:59:00+00", "now()"
)

func newRestoration(t *testing.T) *restoration {
	t.Helper()
	text, err := os.ReadFile(backupPage)
	if err != nil {
		t.Fatal(err)
	}
	r := &restoration{page: string(text), dir: t.TempDir()}
	wal := filepath.Join(r.dir, "wal")
	// Postgres may run as another account than this test, and writes there.
	if err := os.Mkdir(wal, 0o700); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]os.FileMode{filepath.Dir(r.dir): 0o711, r.dir: 0o711, wal: 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	r.world = newWorld(t, r.settings()...)
	r.path = r.server.Binaries().Dir + ":" + os.Getenv("PATH") // packages link some of its programs elsewhere, and some not
	for _, tool := range []string{"bash", "psql", "pg_basebackup", "pg_verifybackup"} {
		if command := exec.Command("/bin/sh", "-c", "command -v "+tool); !runs(command, r.path) {
			t.Skipf("the commands of %s need %s, which this machine does not have", backupPage, tool)
		}
	}
	return r
}

func runs(command *exec.Cmd, path string) bool {
	command.Env = []string{"PATH=" + path}
	return command.Run() == nil
}

// settings are the page's, of the first block of language conf.
func (r *restoration) settings() []pgtest.Option {
	var options []pgtest.Option
	for _, setting := range regexp.MustCompile(`(?m)^([a-z_]+) = '?(.*?)'?$`).FindAllStringSubmatch(r.block("conf", "archive_command"), -1) {
		options = append(options, pgtest.Setting(setting[1], strings.ReplaceAll(setting[2], pageBackup, r.dir)))
	}
	return options
}

// block is the page's one block of a language that names something.
func (r *restoration) block(language, naming string) string {
	for _, block := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(r.page, -1) {
		if block[1] == language && strings.Contains(block[2], naming) {
			return block[2]
		}
	}
	panic(fmt.Sprintf("%s has no block of language %s with %q", backupPage, language, naming))
}

// run the page's block of commands that names something; what the page says and what
// it is here come in pairs.
func (r *restoration) run(language, naming string, here ...string) {
	r.t.Helper()
	commands := strings.NewReplacer(append(here, pageBackup, r.dir)...).Replace(r.block(language, naming))
	command := exec.CommandContext(r.t.Context(), "bash", "-c", "set -euo pipefail\n"+commands)
	command.Env = append(os.Environ(), "PATH="+r.path, "BACKUP_URL="+r.url, "MERIDIAN_DATABASE_URL="+r.url)
	if output, err := command.CombinedOutput(); err != nil {
		r.t.Fatalf("%v\n%s\nsaid:\n%s", err, commands, output)
	}
}

// approvalsNow are those that terminals have answers of.
func (b *book) approvalsNow() map[approval]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.approvals)
}

// archive has everything so far archived, and returns what terminals have answers of.
func (r *restoration) archive() map[approval]string {
	r.t.Helper()
	known := r.book.approvalsNow()
	var segment string
	r.must(r.pool.QueryRow(r.t.Context(), `SELECT pg_walfile_name(pg_switch_wal())`).Scan(&segment))
	r.until("the log to be archived", func() bool {
		_, err := os.Stat(filepath.Join(r.dir, "wal", segment))
		return err == nil
	})
	return known
}

// restored starts a server on the base backup, as the page has it, and waits until it
// has become an ordinary one.
func (r *restoration) restored(more func(cluster string)) *pglocal.Server {
	r.t.Helper()
	server := pgtest.Restored(r.t, r.server, func(cluster string) {
		r.run("bash", "recovery.signal", pageCluster, cluster)
		more(cluster)
	})
	r.pool.Reset()
	r.until("the end of the recovery", func() bool {
		recovering := true
		r.must(r.pool.QueryRow(r.t.Context(), `SELECT pg_is_in_recovery()`).Scan(&recovering))
		return !recovering
	})
	return server
}

// wantServing verifies what was restored, looks for approvals in it, and has a host
// approve a sale over it, under an RRN far from all that were handed out.
func (r *restoration) wantServing(known map[approval]string) {
	r.t.Helper()
	v, err := switching.Verify(r.t.Context(), r.pool)
	r.must(err)
	if len(v.Findings) > 0 || v.Transactions < int64(len(known)) {
		r.t.Errorf("of %d transactions, verification finds %+v", v.Transactions, v.Findings)
	}
	found := approvalsIn(r.t.Context(), r.t, r.pool)
	for a, rrn := range known {
		if found[a] != rrn {
			r.t.Errorf("%+v was approved under RRN %s before the end of what is restored, which has %q", a, rrn, found[a])
		}
	}
	r.run("sh", "rrn_days", pageNow, "timestamptz '"+r.now().UTC().Format("2006-01-02 15:04:05Z07:00")+"'")
	h := r.start()
	defer h.stop()
	till := newTerminal(r.world, h, tills()[crowdUnderFault+1])
	defer till.close()
	answer, err := till.once(0, till.sale(0, 100).request)
	r.must(err)
	sequence, _ := strconv.Atoi(strings.TrimPrefix(answer.Field(37), "6069"))
	if answer.Code() != "00" || sequence < 1_000_000 {
		r.t.Errorf("a sale after the restore was answered %q under RRN %q", answer.Code(), answer.Field(37))
	}
}

// TestFaultDatabaseLost kills the database under load and gives its machine up: it is
// restored to a moment, to the end of the archive, and to the end of the log that was
// on its disk, from one base backup that was taken beside sales.
func TestFaultDatabaseLost(t *testing.T) {
	t.Parallel()
	r := newRestoration(t)
	h := r.spawn()
	crowd := r.terminals(h, crowdUnderFault/2, true)
	witness := newTerminal(r.world, h, tills()[crowdUnderFault])
	sell := func() approval {
		sale := witness.sale(0, 100)
		witness.do(0, sale)
		witness.want(sale, "00")
		witness.moved(sale, -100, 0)
		return approval{witness.till.tid, sale.stan, false}
	}
	b := r.open(crowd)
	b.goOn(100)
	r.run("bash", "pg_basebackup")
	b.goOn(100)
	before := sell()
	beforeMoment := r.book.approvalsNow()
	var moment string
	r.must(r.pool.QueryRow(t.Context(), `SELECT clock_timestamp()::text`).Scan(&moment))
	mistake := sell()
	b.goOn(100)
	archived := r.archive()
	lost := sell()
	b.goOn(50)
	r.must(r.server.Kill())
	_ = h.signal(syscall.SIGKILL)
	if beforeMoment[before] == "" || archived[mistake] == "" {
		t.Fatal("the witness's sales are not among the approvals")
	}

	server := r.restored(func(cluster string) { r.run("bash", "recovery_target_time", pageCluster, cluster, pageMoment, moment) })
	r.wantServing(beforeMoment)
	r.wantAbsent("the moment", mistake, lost)
	r.must(server.Destroy(context.Background()))
	// A base backup that was taken after a restore to a moment has that moment in its settings.
	settings, err := os.OpenFile(filepath.Join(r.dir, "base", "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	r.must(err)
	_, err = fmt.Fprintf(settings, "recovery_target_time = '%s'\n", moment)
	r.must(errors.Join(err, settings.Close()))

	server = r.restored(func(string) {})
	r.wantServing(archived)
	r.wantAbsent("the end of the archive", lost)
	r.must(server.Destroy(context.Background()))

	r.restored(func(cluster string) { r.run("bash", "pg_wal", pageCluster, cluster, pageLost, r.server.Dir()) })
	h.respawn()
	b.goOn(100)
	b.close()
	witness.close()
	h.wantSound()
	if err := h.signal(syscall.SIGTERM); err != nil {
		t.Errorf("the host did not drain: %v", err)
	}
	r.wantSoundBooks()
}

// wantAbsent wants that what came after an end is not there: it was the end.
func (r *restoration) wantAbsent(end string, approvals ...approval) {
	r.t.Helper()
	found := approvalsIn(r.t.Context(), r.t, r.pool)
	for _, a := range approvals {
		if rrn := found[a]; rrn != "" {
			r.t.Errorf("%+v came after %s and was restored, under RRN %s", a, end, rrn)
		}
	}
}
