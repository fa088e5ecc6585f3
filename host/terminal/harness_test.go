package terminal

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/host/wire"
	"meridian/internal/hsm/mac"
)

// patience bounds waits for what must happen; it is never waited out when the code is right.
const patience = 30 * time.Second

// testMAK is a published DES test key pair.
const testMAK = "0123456789ABCDEFFEDCBA9876543210"

// secrets must not be seen anywhere but on the wire.
var secrets = []string{
	"4111111111111111", "5555555555554444", "4012888888881881", "6212345678901232", "4222222222222220",
	"11110000123", testMAK, strings.ToLower(testMAK), testTMK, strings.ToLower(testTMK), "604128", "718293",
	cupPIK, cupMAK, cupTDK, strings.ToLower(cupPIK), strings.ToLower(cupMAK), strings.ToLower(cupTDK),
}

// testTMK is the UnionPay terminals' master key.
const testTMK = "1032547698BADCFEEFCDAB8967452301"

const sandboxJSON = `{"ready": true, "addresses": {"nac": %[1]q, "ascii": %[1]q, "unionpay": %[1]q, "ops": "http://127.0.0.1:9580"},
 "database_url": "postgres://x", "something_new": 1,
 "merchants": [
  {"mid": "104110000000001", "name": "Tea House", "currency": "CNY", "time_zone": "Asia/Shanghai", "cutoff": "23:00", "cancel_mode": "auto",
   "terminals": [
    {"tid": "10000001", "dialect": "nac", "tpdu": "6000030000", "batch": 7, "operator": "01", "operator_password": "0000", "tmk": "", "mak": "", "pik": "", "mac": "none"},
    {"tid": "10000002", "dialect": "nac", "tpdu": "6000030000", "batch": 1, "mak": %[2]q, "pik": %[2]q, "mac": "x919"},
    {"tid": "10000003", "dialect": "ascii", "tpdu": "", "batch": 1, "mak": "", "mac": "none"},
    {"tid": "10000004", "dialect": "ascii", "tpdu": "", "batch": 1, "mak": %[2]q, "pik": %[2]q, "mac": "x919"},
    {"tid": "10000005", "dialect": "unionpay", "tpdu": "6000030000", "batch": 1, "tmk": %[3]q, "mak": %[2]q, "pik": %[2]q, "mac": "unionpay-ecb"}]},
  {"mid": "104110000000002", "name": "Ramen", "currency": "JPY", "time_zone": "Asia/Tokyo", "cutoff": "02:30", "cancel_mode": "strict",
   "terminals": [{"tid": "20000001", "dialect": "nac", "tpdu": "6000030000", "batch": 1, "mac": "none"}]}],
 "cards": [
  {"pan": "4222222222222220", "expiry": "3012", "track2": "4222222222222220=301220100001", "pin": "1234", "currency": "EUR", "available": 1, "behaviour": "approve"},
  {"pan": "4111111111111111", "expiry": "3012", "track2": "4111111111111111=30122011110000123", "pin": "604128", "currency": "CNY", "available": 1, "behaviour": "approve"},
  {"pan": "5555555555554444", "expiry": "3011", "track2": "5555555555554444=301120100001", "pin": "1234", "currency": "CNY", "available": 1, "behaviour": "low"},
  {"pan": "6212345678901232", "expiry": "2901", "track2": "not a track", "pin": "1234", "currency": "CNY", "available": 1, "behaviour": "blocked"}]}`

// reply is what the fake host does with a request: it answers with the payload,
// stays silent without one, and may then hang up.
type reply struct {
	payload []byte
	raw     []byte // instead: written as it is, without a frame
	twice   bool
	hangUp  bool
}

// fakeHost is a host on TCP that a test answers for.
type fakeHost struct {
	t       *testing.T
	spec    *wire.Spec
	framing wire.Framing
	mac     wire.MACAlgorithm
	demand  wire.Demand // of its answers
	ln      net.Listener
	reply   func(h *fakeHost, request *wire.Message) reply
	keep    bool // TPDU as it came, not turned round

	mu  sync.Mutex // guards everything above that a test changes, what reply reads, and got
	got []wire.Frame
}

// change lets a test change the host, or what its reply goes by.
func (h *fakeHost) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func newHost(t *testing.T, dialect string, answer func(h *fakeHost, request *wire.Message) reply) *fakeHost {
	t.Helper()
	h := &fakeHost{t: t, spec: wire.NAC(), framing: wire.Framing{TPDU: true}, reply: answer}
	switch dialect {
	case dialectASCII:
		h.spec, h.framing.TPDU = wire.ASCII87(), false
	case dialectUnionPay:
		h.spec, h.framing.Header = wire.UnionPay(), true
	}
	var err error
	if h.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = h.ln.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := h.ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.serve(conn) })
		}
	})
	return h
}

func (h *fakeHost) address() string { return h.ln.Addr().String() }

func (h *fakeHost) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		h.mu.Lock()
		framing := h.framing
		h.mu.Unlock()
		frame, err := framing.ReadFrame(in, nil)
		if err != nil {
			return
		}
		request, err := h.spec.Parse(frame.Payload)
		if err != nil {
			h.t.Errorf("the terminal sent %X: %v", frame.Payload, err)
			return
		}
		h.mu.Lock()
		h.got = append(h.got, frame)
		r := h.reply(h, request)
		keep, demand := h.keep, h.demand
		h.mu.Unlock()
		out := r.raw
		if r.payload != nil {
			answer := frame.Answer(demand, r.payload)
			if keep {
				answer.TPDU = frame.TPDU
			}
			if out, err = framing.AppendFrame(nil, answer); err != nil {
				h.t.Errorf("frame: %v", err)
			}
		}
		if r.twice {
			out = append(out, out...)
		}
		if _, err := conn.Write(out); err != nil || r.hangUp {
			return
		}
	}
}

// frames are the requests so far.
func (h *fakeHost) frames() []wire.Frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]wire.Frame(nil), h.got...)
}

// last is the newest request.
func (h *fakeHost) last() *wire.Message {
	h.t.Helper()
	frames := h.frames()
	if len(frames) == 0 {
		h.t.Fatal("the host received nothing")
	}
	m, err := h.spec.Parse(frames[len(frames)-1].Payload)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// answerTo begins an approval: type, echoed fields, and what the host adds.
func answerTo(request *wire.Message, change ...func(*wire.Message)) *wire.Message {
	mti := request.MTI()
	m := wire.NewMessage(mti[:2] + string(mti[2]+1) + "0")
	for _, field := range []int{3, 4, 11, 24, 41, 42, 49, 70} {
		if request.Has(field) {
			m.Set(field, request.Get(field))
		}
	}
	m.Set(39, "00")
	if mti[1] != '8' {
		m.Set(12, "181112")
		m.Set(13, "1121")
		m.Set(15, "1121")
		m.Set(37, "9000"+"00"+request.Get(11))
		m.Set(38, "A"+request.Get(11)[1:])
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// packed packs an answer, with a MAC where the host has a key.
func (h *fakeHost) packed(m *wire.Message) reply {
	var payload []byte
	var err error
	if h.mac != nil && m.MTI()[1] != '8' && (h.spec.Name() != dialectUnionPay || !strings.Contains("35", m.MTI()[1:2])) {
		payload, err = h.spec.AppendPackWithMAC(nil, m, h.mac)
	} else {
		payload, err = h.spec.Pack(m)
	}
	if err != nil {
		h.t.Errorf("pack answer: %v", err)
	}
	return reply{payload: payload}
}

// approve is the host that says yes.
func approve(h *fakeHost, request *wire.Message) reply { return h.packed(answerTo(request)) }

func set(field int, value string) func(*wire.Message) {
	return func(m *wire.Message) { m.Set(field, value) }
}

func unset(field int) func(*wire.Message) { return func(m *wire.Message) { m.Unset(field) } }

// bench is a data directory with a sandbox.json and everything said so far.
type bench struct {
	t       *testing.T
	dir     string
	dialect string
	host    *fakeHost
	said    strings.Builder
	reports []*Report
}

func newBench(t *testing.T, dialect string, answer func(h *fakeHost, request *wire.Message) reply) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), dialect: dialect, host: newHost(t, dialect, answer)}
	b.write(sandboxName, fmt.Sprintf(sandboxJSON, b.host.address(), testMAK, testTMK))
	t.Cleanup(b.keptSecrets)
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// noon is a fixed clock: 18:11:12 in Shanghai.
func noon() time.Time { return time.Date(2026, 11, 21, 10, 11, 12, 0, time.UTC) }

func (b *bench) options(change ...func(*Options)) Options {
	o := Options{DataDir: b.dir, Dialect: b.dialect, Now: noon, Timeout: patience}
	for _, f := range change {
		f(&o)
	}
	return o
}

// run sends a request and returns the last report.
func (b *bench) run(r Request, change ...func(*Options)) (*Report, error) {
	b.t.Helper()
	return b.runMany(r, Repetition{}, change...)
}

func (b *bench) runMany(r Request, n Repetition, change ...func(*Options)) (*Report, error) {
	b.t.Helper()
	t, err := New(b.options(change...))
	var last *Report
	if err == nil {
		err = t.Run(b.t.Context(), r, n, func(report *Report) error {
			last = report
			b.reports = append(b.reports, report)
			report.WriteText(&b.said)
			return json.NewEncoder(&b.said).Encode(report)
		})
	}
	if err != nil {
		fmt.Fprintf(&b.said, "%s %v %+v %#v\n", err, err, err, err)
	}
	if t != nil {
		fmt.Fprintf(&b.said, "%v %+v %#v\n", t.cards, t.cards, t.cards)
	}
	return last, err
}

// must is run for what has to be approved.
func (b *bench) must(r Request, change ...func(*Options)) *Report {
	b.t.Helper()
	report, err := b.run(r, change...)
	if err != nil {
		b.t.Fatalf("%s: %v", r.Operation, err)
	}
	if report.Outcome != Approved {
		b.t.Fatalf("%s: %s", r.Operation, report.Summary)
	}
	return report
}

// state is the state file of a terminal.
func (b *bench) state(tid string) *state {
	b.t.Helper()
	st, err := newStore(b.dir, tid).read()
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

// keptSecrets searches everything that was said or written.
func (b *bench) keptSecrets() {
	texts := map[string]string{"output": b.said.String()}
	files, err := filepath.Glob(filepath.Join(b.dir, "terminal-*"))
	if err != nil {
		b.t.Error(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			b.t.Error(err)
		}
		texts[path] = string(data)
		info, err := os.Stat(path)
		if err != nil {
			b.t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			b.t.Errorf("%s has mode %v, want 0600", path, info.Mode().Perm())
		}
	}
	for where, text := range texts {
		for _, s := range secrets {
			if strings.Contains(text, s) || strings.Contains(text, hex.EncodeToString([]byte(s))) {
				b.t.Errorf("%s contains %s...:\n%s", where, s[:4], text)
			}
		}
	}
}

func kindOf(t *testing.T, err error) ErrorKind {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	return e.Kind
}

func expectFields(t *testing.T, m *wire.Message, want map[int]string) {
	t.Helper()
	for field, value := range want {
		if got := m.Get(field); got != value || value != "" && !m.Has(field) {
			t.Errorf("F%d is %q, want %q", field, got, value)
		}
	}
}

func x919(t *testing.T) wire.MACAlgorithm {
	t.Helper()
	key, err := hex.DecodeString(testMAK)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := mac.New(mac.X919, key)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

func tid(id string) func(*Options) { return func(o *Options) { o.TID, o.Dialect = id, "" } }
