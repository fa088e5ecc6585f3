package host

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestStatementsOfASale keeps what a sale has the host do from growing, unlike a clock the
// same way on every machine: the statements of our own code that it executes, as counters of
// coverage have it. (Instructions would count what is inlined and what the standard library
// does, too; few machines that build this let a program count them.) The difference between
// two runs is what so many more sales are.
func TestStatementsOfASale(t *testing.T) {
	t.Parallel()
	const fewer, more = 500, 1500
	program := filepath.Join(t.TempDir(), "counted")
	command := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "-covermode=count",
		"-coverpkg=meridian/host,meridian/host/wire,meridian/host/dialect,meridian/internal/hsm/mac,meridian/internal/card", ".")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		benchmark string
		limit     int // a few hundredths above what it is
	}{
		{"BenchmarkCodecSale", 2450},    // parsed, verified, answered and sealed, but for the MACs
		{"BenchmarkPipelineSale", 3500}, // all that a host does, but for sockets, the decision and the ledger
	} {
		got := (statements(t, program, c.benchmark, more) - statements(t, program, c.benchmark, fewer)) / (more - fewer)
		if got < c.limit/2 || got > c.limit {
			t.Errorf("%s: %d statements, want at most %d, and something is wrong with fewer than half of that", c.benchmark, got, c.limit)
		}
	}
}

// statements that so many rounds of a benchmark execute.
func statements(t *testing.T, program, benchmark string, rounds int) (sum int) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile")
	command := exec.CommandContext(t.Context(), program, "-test.run=^$", "-test.bench=^"+benchmark+"$",
		fmt.Sprintf("-test.benchtime=%dx", rounds), "-test.coverprofile="+profile)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := os.Open(profile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// A line for each block: FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS TIMES.
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "mode: ") {
			continue
		}
		var block string
		var count, times int
		if _, err := fmt.Sscan(lines.Text(), &block, &count, &times); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		sum += count * times
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return sum
}
