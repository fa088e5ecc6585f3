//go:build unix

package pglocal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// place is a data directory we own and the cluster that belongs to it.
type place struct {
	dataDir  string  // absolute, without symbolic links
	cluster  string  // usually dataDir/postgres
	runner   account // who runs the server
	uid, gid int     // who owns dataDir: root leaves behind what that user can use
	locks    []*lock
}

func (p *place) file(suffix string) string {
	return filepath.Join(p.dataDir, "postgres."+suffix)
}

func (p *place) write(suffix, content string) error {
	return writeState(p.file(suffix), content, p.uid, p.gid)
}

// elsewhere reports whether the cluster lives outside the data directory.
func (p *place) elsewhere() bool { return filepath.Dir(p.cluster) != p.dataDir }

func (p *place) release() {
	for _, l := range p.locks {
		l.release()
	}

	p.locks = nil
}

// settle makes the data directory ours and decides where the cluster is. The
// caller releases the place.
func settle(ctx context.Context, dataDir string, logger *slog.Logger) (*place, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}

	if err := makeDir(dataDir); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}

	dataDir, err = filepath.EvalSymlinks(dataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}

	info, err := os.Stat(dataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}

	if !info.IsDir() {
		return nil, fmt.Errorf("data directory: %s is not a directory", dataDir)
	}

	p := &place{dataDir: dataDir}
	p.uid, p.gid = ids(info)

	held, err := acquire(ctx, p.file("lock"), dataDir)
	if err != nil {
		if isPermission(err) {
			return nil, fmt.Errorf("%w (the data directory belongs to %s, this process is %s)",
				err, accountName(p.uid), accountName(os.Geteuid()))
		}

		return nil, err
	}

	p.locks = append(p.locks, held)

	if err := give(p.file("lock"), p.uid, p.gid); err != nil {
		p.release()
		return nil, fmt.Errorf("lock file: %w", err)
	}

	if err := p.locate(ctx, logger); err != nil {
		p.release()
		return nil, err
	}

	return p, nil
}

// locate finds the cluster's place and the account that runs it.
func (p *place) locate(ctx context.Context, logger *slog.Logger) error {
	recorded, err := readState(p.file("location"))
	if err != nil {
		return fmt.Errorf("read where the cluster is: %w", err)
	}

	if recorded != "" && !filepath.IsAbs(recorded) {
		return fmt.Errorf("%s does not hold an absolute path: %.80q", p.file("location"), recorded)
	}

	p.cluster = filepath.Join(p.dataDir, "postgres")
	if recorded != "" {
		p.cluster = recorded
	}

	exists, err := p.occupied()
	if err != nil {
		return err
	}

	if p.runner, err = p.chooseRunner(exists); err != nil {
		return err
	}

	if err := p.runner.become(ctx); err != nil {
		return err
	}

	switch {
	case recorded != "":
		return p.enterRecorded(ctx)
	case p.runner.reaches(ctx, p.dataDir):
		return nil
	case exists:
		return fmt.Errorf("%s, who owns the Postgres cluster %s, cannot enter %s: let others enter it and every "+
			"directory above it (chmod o+x), or use another data directory", p.runner.name, p.cluster, p.dataDir)
	}

	return p.moveOut(ctx, logger)
}

// chooseRunner chooses the account. Root in the data directory of somebody else
// makes a cluster that its owner can use without root.
func (p *place) chooseRunner(exists bool) (account, error) {
	if exists {
		return ownerOf(p.cluster)
	}

	if os.Geteuid() == 0 && p.uid != 0 {
		if owner := other(p.uid, p.gid); owner.named() {
			return owner, nil
		}
	}

	return unprivileged(), nil
}

func (p *place) enterRecorded(ctx context.Context) error {
	base := filepath.Dir(p.cluster)
	if err := makeDir(base); err != nil {
		return fmt.Errorf("make the directory of the cluster that %s names: %w", p.file("location"), err)
	}

	if !p.runner.reaches(ctx, base) {
		return fmt.Errorf("%s cannot enter %s, where %s says that the Postgres cluster is",
			p.runner.name, base, p.file("location"))
	}

	return p.lockBase(ctx, base)
}

// lockBase guards a cluster that lives elsewhere against a copy of its data
// directory, which names the same place.
func (p *place) lockBase(ctx context.Context, base string) error {
	held, err := acquire(ctx, filepath.Join(base, "postgres.lock"), base)
	if err != nil {
		return err
	}

	p.locks = append(p.locks, held)

	return nil
}

// moveOut gives the cluster a place that its account can enter, when the data
// directory is not one: root's home, for example, which only root may enter. The
// place follows from the data directory's path and is recorded there.
func (p *place) moveOut(ctx context.Context, logger *slog.Logger) error {
	sum := sha256.Sum256([]byte(p.dataDir))
	name := "cluster-" + hex.EncodeToString(sum[:8])

	var refusals []error

	// /var/lib and /var/tmp keep their files over a restart of the machine.
	for _, parent := range []string{"/var/lib/meridian", "/var/tmp/meridian", filepath.Join(os.TempDir(), "meridian")} {
		base := filepath.Join(parent, name)

		err := claim(base)
		if err == nil && !p.runner.reaches(ctx, base) {
			err = fmt.Errorf("%s cannot enter %s", p.runner.name, base)
		}

		if err != nil {
			refusals = append(refusals, err)
			continue
		}

		return p.adopt(ctx, base, logger)
	}

	return fmt.Errorf("%s cannot enter %s, and no other place for the Postgres cluster was found: %w",
		p.runner.name, p.dataDir, errors.Join(refusals...))
}

// claim makes a directory under a parent that others may be able to write to, so
// it takes only what is its own.
func claim(base string) error {
	if err := makeDir(base); err != nil {
		return err
	}

	for _, dir := range []string{filepath.Dir(base), base} {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}

		if uid, _ := ids(info); !info.IsDir() || uid != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("%s is not a directory that only %s can write to", dir, accountName(os.Geteuid()))
		}
	}

	return nil
}

func (p *place) adopt(ctx context.Context, base string, logger *slog.Logger) error {
	if err := p.lockBase(ctx, base); err != nil {
		return err
	}

	p.cluster = filepath.Join(base, "postgres")

	if err := p.setAside(ctx, logger); err != nil {
		return err
	}

	// Recorded before anything is in it: a crash from here on finds it again.
	if err := p.write("location", p.cluster+"\n"); err != nil {
		return err
	}

	logger.Info("the Postgres cluster lives outside the data directory, which its account cannot enter",
		"data_dir", p.dataDir, "account", p.runner.name, "cluster", p.cluster)

	return nil
}

// setAside moves away a cluster whose data directory was deleted: who deletes
// the data directory expects to start afresh. One such cluster is kept.
func (p *place) setAside(ctx context.Context, logger *slog.Logger) error {
	exists, err := p.occupied()
	if err != nil || !exists {
		return err
	}

	if err := stopLeftover(ctx, p.cluster, logger); err != nil {
		return err
	}

	aside := p.cluster + ".orphan"
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("remove an old cluster: %w", err)
	}

	if err := os.Rename(p.cluster, aside); err != nil {
		return fmt.Errorf("set aside the cluster of a deleted data directory: %w", err)
	}

	logger.Warn("set aside the cluster of a data directory that was deleted", "cluster", aside)

	return nil
}

// occupied reports whether a whole cluster is in place. An empty directory is
// none and is removed; anything else there is not ours to touch.
func (p *place) occupied() (bool, error) {
	_, err := os.Stat(filepath.Join(p.cluster, "PG_VERSION"))
	if err == nil {
		return true, nil
	}

	if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for the Postgres cluster: %w", err)
	}

	err = os.Remove(p.cluster)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}

	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) || errors.Is(err, syscall.ENOTDIR) {
		return false, fmt.Errorf("%s is there but is not a Postgres cluster (it has no PG_VERSION): "+
			"move it away, or use another data directory", p.cluster)
	}

	return false, fmt.Errorf("look for the Postgres cluster: %w", err)
}
