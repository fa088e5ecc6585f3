//go:build unix

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is who runs the server. The zero credential means: whoever we are.
type account struct {
	name       string
	uid, gid   int
	credential *syscall.Credential
}

// anonymousID is nobody's id where the user database does not name it: the value
// Linux and most others reserve for it.
const anonymousID = 65534

// self is the account of this process.
func self() account {
	return account{name: accountName(os.Geteuid()), uid: os.Geteuid(), gid: os.Getegid()}
}

// other is an account that only root can become.
func other(uid, gid int) account {
	return account{
		name: accountName(uid), uid: uid, gid: gid,
		// No supplementary groups: root's must not follow the server.
		credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}
}

func accountName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return fmt.Sprintf("uid %d", uid)
	}

	return u.Username
}

// named reports whether the user database knows the account; initdb insists on
// that (see nameless_linux.go).
func (a account) named() bool {
	_, err := user.LookupId(strconv.Itoa(a.uid))
	return err == nil
}

// unprivileged is the account a new cluster belongs to: ours, or for root the
// account postgres (packages of Postgres make it), else nobody.
func unprivileged() account {
	if os.Geteuid() != 0 {
		return self()
	}

	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}

		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)

		if uidErr != nil || gidErr != nil || uid <= 0 {
			continue
		}

		return other(uid, gid)
	}

	return other(anonymousID, anonymousID)
}

// ownerOf is the account that an existing cluster needs: Postgres serves only a
// directory of its own user.
func ownerOf(dir string) (account, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return account{}, fmt.Errorf("look at the cluster: %w", err)
	}

	uid, gid := ids(info)

	switch {
	case uid == os.Geteuid() && uid != 0:
		return self(), nil
	case os.Geteuid() != 0:
		return account{}, fmt.Errorf("the Postgres cluster %s belongs to %s and this process is %s: "+
			"run as that user or as root, or use another data directory", dir, accountName(uid), accountName(os.Geteuid()))
	case uid == 0:
		// Copied by root, for example out of a backup.
		return unprivileged(), nil
	}

	return other(uid, gid), nil
}

func ids(info os.FileInfo) (uid, gid int) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return os.Geteuid(), os.Getegid()
	}

	return int(stat.Uid), int(stat.Gid)
}

// become checks that this process can run programs as the account at all: root
// of a container with a single user id cannot.
func (a account) become(ctx context.Context) error {
	if a.credential == nil {
		return nil
	}

	if err := a.tryIn(ctx, "/"); err != nil {
		return fmt.Errorf("run a program as %s (Postgres refuses to run as root): %w", a.name, err)
	}

	return nil
}

// reaches reports whether the account may enter dir. It asks the kernel by going
// there, because mode bits do not tell about access lists, mounts or modules.
func (a account) reaches(ctx context.Context, dir string) bool {
	return a.credential == nil || a.tryIn(ctx, dir) == nil
}

func (a account) tryIn(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ":")
	cmd.Dir = dir // entered after the change of user
	cmd.Env = cleanEnvironment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential}

	if err := cmd.Run(); err != nil {
		return fmt.Errorf("enter %s: %w", dir, err)
	}

	return nil
}

// own hands path to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}

	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("hand %s to %s: %w", path, a.name, err)
	}

	return nil
}

// cleanEnvironment is all that Postgres's programs get to see: no PG* variable
// that redirects them, no locale that is not installed, none of our secrets.
func cleanEnvironment() []string {
	env := []string{"LC_ALL=C", "LANG=C", "TZ=UTC", "HOME=/"}

	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}

	return env
}

// isPermission tells a refusal from an absence.
func isPermission(err error) bool {
	return errors.Is(err, os.ErrPermission)
}
