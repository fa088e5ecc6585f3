package terminal

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Processes of one terminal share its counter: each has a store of its own here, as
// processes have.
func TestNoSTANIsGivenOutTwice(t *testing.T) {
	const workers, each = 8, 25
	dir := t.TempDir()
	var mu sync.Mutex
	seen := map[int]bool{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			s := newStore(dir, "10000001")
			for range each {
				var stan int
				err := s.update(func(st *state) error {
					stan = st.nextSTAN()
					st.add(record{Operation: Sale, Fields: map[int]string{11: sixDigits(strconv.Itoa(stan))}})
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if seen[stan] {
					t.Errorf("STAN %d twice", stan)
				}
				seen[stan] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	st, err := newStore(dir, "10000001").read()
	if err != nil {
		t.Fatal(err)
	}
	if st.STAN != workers*each || st.Serial != workers*each || len(st.Records) != maxRecords {
		t.Errorf("STAN %d, serial %d, %d records", st.STAN, st.Serial, len(st.Records))
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestSTANWraps(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	b.write("terminal-10000001.json", `{"stan": 999998}`)
	for _, want := range []string{"999999", "000001"} {
		if r := b.must(Request{Operation: Sale, Amount: "1"}); r.STAN != want {
			t.Errorf("STAN %s, want %s", r.STAN, want)
		}
	}
}

// A night of echoes and balances does not make the terminal forget its sale.
func TestTheLastSaleStays(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	b.must(Request{Operation: Sale, Amount: "1"})
	for _, operation := range []Operation{Echo, Balance} {
		if _, err := b.runMany(Request{Operation: operation}, Repetition{Count: maxRecords + 1}); err != nil {
			t.Fatal(err)
		}
	}
	b.must(Request{Operation: Void})
	if got := len(b.state("10000001").Records); got != 4 {
		t.Errorf("%d records, want the sale, one echo, one balance, the void", got)
	}
}

func TestDamagedState(t *testing.T) {
	for name, text := range map[string]string{"cut off": `{"stan": 1, "tr`, "no counter": `{"stan": 1000000}`, "negative": `{"stan": -1}`} {
		b := newBench(t, dialectNAC, approve)
		b.write("terminal-10000001.json", text)
		if _, err := b.run(Request{Operation: Echo}); kindOf(t, err) != KindConfiguration {
			t.Errorf("%s: %v", name, err)
		}
		data, err := os.ReadFile(filepath.Join(b.dir, "terminal-10000001.json"))
		if err != nil || string(data) != text {
			t.Errorf("%s: the file was touched: %q, %v", name, data, err)
		}
	}
}

// An error on the way leaves the file as it was.
func TestFailedUpdateChangesNothing(t *testing.T) {
	s := newStore(t.TempDir(), "1")
	if err := s.update(func(st *state) error { st.STAN = 5; return nil }); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	if err := s.update(func(st *state) error { st.STAN = 6; return wrong }); !errors.Is(err, wrong) {
		t.Errorf("error %v", err)
	}
	if st, err := s.read(); err != nil || st.STAN != 5 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A terminal's name makes no path.
func TestStateFileNames(t *testing.T) {
	dir := t.TempDir()
	for _, tid := range []string{"../../x", "a/b", "10 0", ".."} {
		if got := filepath.Dir(newStore(dir, tid).path); got != dir {
			t.Errorf("%q leads to %s", tid, got)
		}
	}
}

// A card of another sandbox in the same place is not taken for the original's.
func TestOtherSandbox(t *testing.T) {
	b := newBench(t, dialectNAC, approve)
	b.must(Request{Operation: Sale, Amount: "1"})
	data, err := os.ReadFile(filepath.Join(b.dir, sandboxName))
	if err != nil {
		t.Fatal(err)
	}
	b.write(sandboxName, string(data[:len(data)-2])+`]}`)
	b.must(Request{Operation: Void})
	expectFields(t, b.host.last(), map[int]string{2: "4111111111111111"})

	b.write(sandboxName, `{"addresses": {"nac": "`+b.host.address()+`"}, "merchants": [{"mid": "104110000000001", "currency": "CNY",
		"terminals": [{"tid": "10000001", "dialect": "nac", "tpdu": "6000030000", "mac": "none"}]}],
		"cards": [{"pan": "5555555555554444"}, {"pan": "5555555555554444", "behaviour": "approve"}]}`)
	b.must(Request{Operation: Void})
	expectFields(t, b.host.last(), map[int]string{2: "", 37: "900000000001"})
	if _, err := b.run(Request{Operation: Sale, Repeat: true}); kindOf(t, err) != KindUsage {
		t.Errorf("error %v", err)
	}
}
