//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// superuser is the role that owns the cluster.
const superuser = "postgres"

// password returns the superuser's password, made before the first cluster.
func (p *place) password(clusterExists bool) (string, error) {
	password, err := readState(p.file("password"))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}

	if password != "" {
		return password, nil
	}

	if clusterExists {
		return "", fmt.Errorf("the password of the Postgres cluster %s is gone: put %s back, or remove both to start afresh",
			p.cluster, p.file("password"))
	}

	password = randomText()

	return password, p.write("password", password+"\n")
}

// initdb makes the cluster. What a crash leaves is a directory with another
// name, which the next start removes.
func (p *place) initdb(ctx context.Context, bin Binaries, password string, unsafe bool, logger *slog.Logger) error {
	began := time.Now()
	parent := filepath.Dir(p.cluster)

	staging, err := os.MkdirTemp(parent, "postgres.init-*") // mode 0700
	if err != nil {
		return fmt.Errorf("make a directory for the new cluster: %w", err)
	}
	defer os.RemoveAll(staging)

	data, passwordFile := filepath.Join(staging, "data"), filepath.Join(staging, "password")

	err = errors.Join(
		os.Mkdir(data, 0o700),
		os.WriteFile(passwordFile, []byte(password+"\n"), 0o600),
		p.runner.own(data), p.runner.own(passwordFile), p.runner.own(staging))
	if err != nil {
		return fmt.Errorf("prepare the new cluster: %w", err)
	}

	args := []string{
		"--pgdata=" + data, "--username=" + superuser, "--pwfile=" + passwordFile,
		"--auth=scram-sha-256",
		// The one locale that is everywhere, and the same order of text everywhere.
		"--encoding=UTF8", "--locale=C", "--locale-provider=libc",
		"--data-checksums",
	}
	if unsafe {
		args = append(args, "--no-sync")
	}

	if err := p.runner.runInitdb(ctx, bin.initdb(), args); err != nil {
		return fmt.Errorf("initialise the Postgres cluster %s: %w", p.cluster, err)
	}

	if err := os.Rename(data, p.cluster); err != nil {
		return fmt.Errorf("put the new cluster in its place: %w", err)
	}

	if err := syncDir(parent); err != nil {
		return err
	}

	logger.Info("initialised a Postgres cluster", "cluster", p.cluster, "version", bin.Version,
		"account", p.runner.name, "seconds", time.Since(began).Seconds())

	return nil
}

const (
	// What an initdb that was killed had started ends when it notices, and until
	// then writes into the directory that is being removed.
	removeAttempts = 50
	removePoll     = 100 * time.Millisecond
)

// removeUnfinished removes what a first start left that did not live to its end.
func (p *place) removeUnfinished(ctx context.Context) error {
	unfinished, err := filepath.Glob(filepath.Join(globQuote(filepath.Dir(p.cluster)), "postgres.init-*"))
	if err != nil {
		return fmt.Errorf("look for unfinished clusters: %w", err)
	}

	for _, dir := range unfinished {
		if err := removeBusy(ctx, dir); err != nil {
			return fmt.Errorf("remove an unfinished cluster: %w", err)
		}
	}

	return nil
}

func removeBusy(ctx context.Context, dir string) error {
	var err error

	for range removeAttempts {
		err = os.RemoveAll(dir)
		if !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			return err
		}

		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(removePoll):
		}
	}

	return err
}

// globQuote makes a path match itself only.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// initdbTimeout is far above the seconds that initdb takes on a slow disk.
const initdbTimeout = 5 * time.Minute

// runInitdb runs initdb as the account, in a session of its own so that it and
// its children end together.
func (a account) runInitdb(ctx context.Context, program string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, initdbTimeout)
	defer cancel()

	output := newTail()

	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/"
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential, Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second

	// initdb has nothing to tidy up that we do not remove.
	dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)

	if !a.named() {
		lendName(cmd.SysProcAttr, a)
	}

	runtime.LockOSThread() // see dieWithParent
	defer runtime.UnlockOSThread()

	err := cmd.Run()
	if err == nil {
		return nil
	}

	if ctx.Err() != nil {
		return fmt.Errorf("initdb: %w", ctx.Err())
	}

	if !a.named() {
		err = fmt.Errorf("%w (the user id %d has no name, and initdb insists on one: add it to /etc/passwd)", err, a.uid)
	}

	if text := output.last(); text != "" {
		return fmt.Errorf("initdb: %w:\n%s", err, text)
	}

	return fmt.Errorf("initdb: %w", err)
}

// version reads the major version that a cluster was made with.
func (p *place) version() (int, error) {
	major, err := readInt(filepath.Join(p.cluster, "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("read the version of the Postgres cluster: %w", err)
	}

	if major == 0 {
		return 0, fmt.Errorf("the Postgres cluster %s has a PG_VERSION that is not a number", p.cluster)
	}

	return major, nil
}

// ownCluster hands a cluster that root copied to the account that runs it.
func (p *place) ownCluster() error {
	if p.runner.credential == nil {
		return nil
	}

	info, err := os.Stat(p.cluster)
	if err != nil {
		return fmt.Errorf("look at the cluster: %w", err)
	}

	if uid, _ := ids(info); uid == p.runner.uid {
		return nil
	}

	return filepath.WalkDir(p.cluster, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		return p.runner.own(path)
	})
}
