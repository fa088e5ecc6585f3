//go:build unix

package pglocal

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asUser runs tests of this binary as another user, in an environment as bare as
// a container's: no home, no locale, a private temporary directory, and a umask
// that gives nothing to others.
func asUser(t *testing.T, uid int, run string) (output string, err error) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("these tests run as an ordinary user already")
	}

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	base := openDir(t)
	private := filepath.Join(base, "private")

	if err := os.MkdirAll(private, 0o700); err != nil {
		t.Fatal(err)
	}

	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}

	copied := filepath.Join(base, "tests") // go test keeps its own where only root can enter

	// By another process: a program that is open for writing cannot be run, and a
	// child forked by another test at the wrong moment would hold it open.
	if out, err := exec.Command("cp", program, copied).CombinedOutput(); err != nil {
		t.Fatalf("copy: %v: %s", err, out)
	}

	for _, path := range []string{private, copied} {
		if err := os.Lchown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}

	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `umask 077; exec "$0" "$@"`,
		copied, "-test.run="+run, "-test.v", "-test.timeout=60s")
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + private,
		// What a user of Postgres may have set must not reach ours.
		"PGHOST=/nowhere", "PGPORT=1", "PGDATA=/nowhere", "PGUSER=nobody", "PGPASSWORD=wrong",
		"LC_ALL=xx_XX.UTF-8",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}

	out, err := cmd.CombinedOutput()

	return string(out), err
}

func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()

	output, err := asUser(t, anonymousID, "^Test(StoppedServerKeepsItsDataAndAddress|OnlyThePasswordLetsIn|"+
		"KilledServerLosesNothing|DoneTellsAnEndThatNobodyAskedFor|OneOwner|OwnerKilledLosesNothing|"+
		"ServerWithoutOwnerIsStopped|StalePostmasterFile|DataDirectoriesThatCannotBe|TakenPortIsChosenAgain)$")
	if err != nil {
		t.Errorf("%v:\n%s", err, output)
	}

	if passed := strings.Count(output, "\n--- PASS: Test"); err == nil && passed != 10 {
		t.Errorf("%d tests passed of 10:\n%s", passed, output)
	}
}

func TestAsUserWithoutName(t *testing.T) {
	t.Parallel()

	const uid = 43210

	output, err := asUser(t, uid, "^TestDestroyLeavesAnEmptyDataDirectory$")

	// Kernels may forbid what it takes to lend it a name.
	refused := strings.Contains(output, "has no name, and initdb insists on one")
	if err != nil && (runtime.GOOS == "linux" && !refused) {
		t.Errorf("%v:\n%s", err, output)
	}

	if err == nil && !strings.Contains(output, "\n--- PASS: TestDestroy") {
		t.Errorf("nothing ran:\n%s", output)
	}
}
