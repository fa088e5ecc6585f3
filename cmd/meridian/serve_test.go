package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/host"
	"meridian/host/wire"
	"meridian/internal/config"
	"meridian/internal/pglocal/pgtest"
)

// hostConfig is a production host's configuration with one NAC listener.
func hostConfig(t testing.TB, url string) string {
	t.Helper()
	return write(t, "meridian.yaml", fmt.Sprintf(
		"database: {url: '%s'}\nmaster_key_file: %s\nsecurity_module: software\nops: {address: '127.0.0.1:0'}\nshutdown: {drain_timeout: 1m}\n%s", url, masterKey(t), listener))
}

// process is the program as it runs for a user.
type process struct {
	t       testing.TB
	command *exec.Cmd
	lines   chan string // of standard error
	stderr  *lockedBuffer
	ended   chan struct{}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.WriteString(line + "\n")
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs the binary with nothing of this process's environment but what programs need.
func start(t testing.TB, arguments ...string) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(binary(t), arguments...), lines: make(chan string, 1000), stderr: &lockedBuffer{}, ended: make(chan struct{})}
	p.command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	output, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		defer close(p.lines)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			p.stderr.add(scanner.Text())
			select {
			case p.lines <- scanner.Text():
			default: // a test that waits for nothing any more
			}
		}
		_ = p.command.Wait() // the code is asked for by wait
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // it has ended already, or the test has failed
		<-p.ended
	})
	return p
}

// await waits for a line of the log with a message and returns its attributes.
func (p *process) await(message string) map[string]any {
	p.t.Helper()
	for line := range p.lines {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			return entry
		}
	}
	p.t.Fatalf("it ended and never logged %q:\n%s", message, p.stderr)
	return nil
}

// awaitText waits for a line that holds a text.
func (p *process) awaitText(text string) {
	p.t.Helper()
	for line := range p.lines {
		if strings.Contains(line, text) {
			return
		}
	}
	p.t.Fatalf("it ended and never said %q:\n%s", text, p.stderr)
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	<-p.ended
	return p.command.ProcessState.ExitCode()
}

// address of a listener, as the host logs it.
func address(t testing.TB, ready map[string]any, name string) string {
	t.Helper()
	addresses, ok := ready["addresses"].(map[string]any)
	if !ok {
		t.Fatalf("no addresses in %v", ready)
	}
	text, ok := addresses[name].(string)
	if !ok {
		t.Fatalf("no address of %s in %v", name, ready)
	}
	return text
}

// framing is that of the listener under test.
var framing = wire.Framing{TPDU: true}

// sale is a sale of 12.34 CNY at the seeded terminal with a test card that no issuer has.
func sale(t testing.TB) []byte {
	t.Helper()
	return saleWith(t, "000001")
}

// saleWith is that sale under a STAN.
func saleWith(t testing.TB, stan string) []byte {
	t.Helper()
	m := wire.NewMessage("0200")
	for field, value := range map[int]string{
		2: "4111111111111111", 3: "000000", 4: "000000001234", 11: stan, 12: "120000", 13: "1124", 14: "3012", 22: "012", 24: "001",
		25: "00", 41: "10000001", 42: "104110000000001", 49: "156",
	} {
		m.Set(field, value)
	}
	payload, err := wire.NAC().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	framed, err := framing.AppendFrame(nil, wire.Frame{TPDU: wire.TPDU{0x60, 0, 1, 0, 0}, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	return framed
}

func send(t testing.TB, connection net.Conn, framed []byte) {
	t.Helper()
	if _, err := connection.Write(framed); err != nil {
		t.Fatal(err)
	}
}

func answer(t testing.TB, connection net.Conn) *wire.Message {
	t.Helper()
	got, err := framing.ReadFrame(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	m, err := wire.NAC().Parse(got.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// holdUp makes the host's units of work wait until release is called.
func holdUp(t testing.TB, url string) (release func()) {
	t.Helper()
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Exec(ctx, `BEGIN; LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = connection.Close(ctx) }) // ends the transaction
	t.Cleanup(release)
	return release
}

// awaitWaiting returns when a session of the database waits for a lock, so when a request is in flight.
func awaitWaiting(t testing.TB, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.Background())
	for waiting := 0; waiting == 0; {
		err := connection.QueryRow(ctx, `SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
			WHERE NOT l.granted AND d.datname = current_database()`).Scan(&waiting)
		if err != nil {
			t.Fatalf("nobody waits for the lock: %v", err)
		}
	}
}

// The first signal drains: what is in flight is finished and answered, then the host ends well.
func TestFirstSignalDrains(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			url := pgtest.Database(t, migrate)
			seedTerminal(t, url)
			host := start(t, "serve", "--config", hostConfig(t, url))
			ready := host.await("ready")
			address(t, ready, "ops")
			terminal, err := net.Dial("tcp", address(t, ready, "nac"))
			if err != nil {
				t.Fatal(err)
			}
			defer terminal.Close()
			release := holdUp(t, url)
			send(t, terminal, sale(t))
			awaitWaiting(t, url)
			host.signal(signal)
			host.await("draining")
			release()
			if m := answer(t, terminal); m.MTI() != "0210" || m.Get(39) == "" {
				t.Errorf("answered %s with %s", m.MTI(), m.Get(39))
			}
			if code := host.wait(); code != 0 {
				t.Errorf("exit code %d\n%s", code, host.stderr)
			}
			if strings.Contains(host.stderr.String(), "411111111111") {
				t.Error("the card number is in the log")
			}
		})
	}
}

// GNU timeout and process groups send two signals a moment apart: they are one. A later one is the second.
func TestSignalsAtOnceAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, finished := make(chan os.Signal), make(chan struct{})
		var told []string
		ended := make(chan struct{})
		go func() {
			awaitSignals(signals, finished, func() { told = append(told, "drain") }, func() { told = append(told, "end") })
			close(ended)
		}()
		for i, after := range []time.Duration{0, 0, 500 * time.Millisecond, 499 * time.Millisecond, time.Millisecond} {
			time.Sleep(after)
			if synctest.Wait(); i > 0 && !slices.Equal(told, []string{"drain"}) {
				t.Errorf("before signal %d: %v", i, told)
			}
			signals <- syscall.SIGTERM
		}
		<-ended
		if !slices.Equal(told, []string{"drain", "end"}) {
			t.Errorf("in the end: %v", told)
		}
	})
}

// The second signal does not wait for anything.
func TestSecondSignalEnds(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedTerminal(t, url)
	host := start(t, "serve", "--config", hostConfig(t, url))
	terminal, err := net.Dial("tcp", address(t, host.await("ready"), "nac"))
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	holdUp(t, url)
	send(t, terminal, sale(t))
	awaitWaiting(t, url)
	host.signal(syscall.SIGTERM)
	host.await("draining")
	for again := time.NewTicker(100 * time.Millisecond); ; { // until one is no more the same
		select {
		case <-again.C:
			_ = host.command.Process.Signal(syscall.SIGTERM) // it may have ended
			continue
		case <-host.ended:
		}
		again.Stop()
		break
	}
	host.awaitText("ending at once")
	if code := host.wait(); code != exitFailure {
		t.Errorf("exit code %d, want %d\n%s", code, exitFailure, host.stderr)
	}
}

// Who sets drain_timeout to 0 waits for nothing: what is in flight is cut off, and the host says so and ends, as
// nothing was lost that its terminal would not repeat or reverse.
func TestNoDrainTimeoutWaitsForNothing(t *testing.T) {
	url := pgtest.Database(t, migrate)
	seedTerminal(t, url)
	file := hostConfig(t, url)
	file = write(t, "meridian.yaml", strings.Replace(readFile(t, file), "drain_timeout: 1m", "drain_timeout: 0s", 1))
	loaded, err := config.Load(config.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := nodeConfig(loaded, slog.New(slog.DiscardHandler))
	if err != nil || settings.DrainTimeout <= 0 || settings.DrainTimeout > time.Millisecond {
		t.Fatalf("a drain of %s, %v", settings.DrainTimeout, err) // 0 would be the node's default
	}
	host := start(t, "serve", "--config", file)
	terminal, err := net.Dial("tcp", address(t, host.await("ready"), "nac"))
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	holdUp(t, url) // until the test ends: a drain would wait for it
	send(t, terminal, sale(t))
	awaitWaiting(t, url)
	host.signal(syscall.SIGTERM)
	host.await("stopped")
	if code := host.wait(); code != exitFailure {
		t.Errorf("exit code %d, want %d\n%s", code, exitFailure, host.stderr)
	}
	if _, err := terminal.Read(make([]byte, 1)); err == nil {
		t.Error("a request that was cut off was answered")
	}
}

// A command that waits for input ends with the first signal.
func TestSignalEndsAWaitingCommand(t *testing.T) {
	silent, silentEnd, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer silentEnd.Close()
	// A database that takes the connection and never answers: the command certainly runs when it connects.
	database, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	p := start(t, "ledger", "verify", "--database-url", "postgres://u:p@"+database.Addr().String()+"/x?connect_timeout=600&sslmode=disable")
	connection, err := database.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	p.signal(os.Interrupt)
	if code := p.wait(); code != exitFailure || !strings.Contains(p.stderr.String(), "interrupted") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	var stdout, stderr bytes.Buffer
	g := &globals{stdin: silent, stdout: &stdout, stderr: &stderr}
	if code := execute(ctx, g, newRootCommand(g), []string{"decode"}); code != exitFailure || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit code %d\n%s", code, &stderr)
	}
}

func TestExitCodesOfTheBinary(t *testing.T) {
	url := pgtest.Database(t, migrate)
	for _, c := range []struct {
		code int
		args []string
	}{
		{0, []string{"version"}},
		{0, []string{"ledger", "verify", "--database-url", url}},
		{exitFailure, []string{"transaction", "show", "000000000001", "--database-url", url}},
		{exitUsage, nil},
		{exitUsage, []string{"version", "--wrong"}},
		{exitConfiguration, []string{"serve"}},
		{exitUnreachable, []string{"migrate", "--database-url", "postgres://127.0.0.1:1/x"}},
	} {
		if code := start(t, c.args...).wait(); code != c.code {
			t.Errorf("meridian %s: exit code %d, want %d", strings.Join(c.args, " "), code, c.code)
		}
	}
	execSQL(t, url, `INSERT INTO card_accounts (card_id, pan_token, pan_masked, expiry, currency, balance_minor)
		VALUES (1, '\x00112233445566778899aabbccddeeff', '411111******1111', '3012', 156, 1)`)
	if code := start(t, "ledger", "verify", "--database-url", url).wait(); code != exitInvariant {
		t.Errorf("a card with money from nowhere: exit code %d, want %d", code, exitInvariant)
	}
}

// A host does not start where it should not, and says why.
func TestServeRefuses(t *testing.T) {
	url := pgtest.Database(t, migrate)
	good := hostConfig(t, url)
	call(t, "serve").want(t, exitConfiguration, "database.url", "listeners")
	call(t, "serve", "--config", good, "--log-level", "loud").want(t, exitConfiguration, "--log-level", "loud")
	call(t, "serve", "--config", good, "--master-key-file", write(t, "key", "short")).want(t, exitConfiguration, "--master-key-file", "64")
	call(t, "serve", "--config", good, "--master-key-file", write(t, "key", "sandbox:"+strings.Repeat("3f", 32))).
		want(t, exitConfiguration, "--master-key-file", "sandbox")
	call(t, "serve", "--config", good, "--database-url", "postgres://127.0.0.1:1/x").want(t, exitUnreachable, "refused")
	call(t, "serve", "--config", good, "--database-url", pgtest.Database(t, nil)).want(t, exitConfiguration, "run meridian migrate")

	old := pgtest.Database(t, migrate)
	execSQL(t, old, `DELETE FROM goose_db_version WHERE version_id > 1`)
	call(t, "serve", "--config", good, "--database-url", old).want(t, exitConfiguration, "version 1, this binary needs", "run meridian migrate")

	play := pgtest.Database(t, migrate)
	execSQL(t, play, `UPDATE installation SET kind = 'sandbox'`)
	call(t, "serve", "--config", good, "--database-url", play).want(t, exitConfiguration, "--database-url", "sandbox's database")

	wrong := login(t, url, "serve_login", `GRANT SELECT ON ALL TABLES IN SCHEMA public TO serve_login`)
	call(t, "serve", "--config", good, "--database-url", wrong).want(t, exitConfiguration, "meridian_service")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	call(t, "serve", "--config", good, "--ops", taken.Addr().String()).want(t, exitConfiguration, "--ops: ops.address", "in use")
	busy := write(t, "meridian.yaml", strings.Replace(readFile(t, good), "127.0.0.1:0'}\n", taken.Addr().String()+"'}\n", 2))
	busy = write(t, "meridian.yaml", strings.Replace(readFile(t, busy), "ops: {address: '"+taken.Addr().String()+"'}", "ops: {address: ''}", 1))
	call(t, "serve", "--config", busy).want(t, exitConfiguration, "meridian.yaml:7: listeners[0].address", "in use")
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Every setting of the configuration reaches the host.
func TestNodeConfigTakesEverySetting(t *testing.T) {
	path := write(t, "meridian.yaml", `
database: {url: 'postgres://db/x', max_connections: 21, connect_timeout: 3s}
limits: {max_in_flight: 2000, max_connections: 8000}
admission: {terminal_rate: 1, terminal_burst: 2, settlement_rate: 8, settlement_burst: 9, address_rate: 3, address_burst: 4, refusal_rate: 5, refusal_burst: 6, total_refusal_rate: 7,
  concentrators: [192.0.2.0/24], lock_after: 8, lock_within: 9s, lock_for: 10s}
switch: {reply_timeout: 20s, store_timeout: 4s, max_batch: 128, queue: 512}
ops: {address: '127.0.0.1:9000', pprof: true}
shutdown: {drain_timeout: 40s}
listeners:
  - {name: one, dialect: nac, address: '127.0.0.1:1', length: bcd, max_frame_bytes: 2048, allow: [10.0.0.0/8], max_connections: 5,
     max_connections_per_address: 6, max_in_flight: 7, read_timeout: 8s, write_timeout: 9s, idle_timeout: 10s, handshake_timeout: 11s,
     unknown_reversal: decline}
  - {name: two, dialect: ascii, address: '127.0.0.1:2', length: ascii}
`)
	loaded, err := config.Load(config.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	c, err := nodeConfig(loaded, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL != "postgres://db/x" || c.MaxDatabaseConnections != 21 || c.ConnectTimeout != 3*time.Second ||
		c.MaxInFlight != 2000 || c.MaxConnections != 8000 || c.OpsAddress != "127.0.0.1:9000" || !c.PProf || c.DrainTimeout != 40*time.Second ||
		c.Switch.AnswerTimeout != 20*time.Second || c.Switch.StoreTimeout != 4*time.Second || c.Switch.MaxBatch != 128 || c.Switch.Queue != 512 {
		t.Errorf("got %+v", c)
	}
	want := host.AdmissionLimits{
		PerTerminal: host.Rate{PerSecond: 1, Burst: 2}, Settlements: host.Rate{PerSecond: 8, Burst: 9}, PerAddress: host.Rate{PerSecond: 3, Burst: 4},
		Refusals: host.Rate{PerSecond: 5, Burst: 6}, RefusalsTotal: host.Rate{PerSecond: 7, Burst: 7},
		Concentrators: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, LockAfter: 8, LockWithin: 9 * time.Second, LockFor: 10 * time.Second,
	}
	if !reflect.DeepEqual(c.Admission, want) {
		t.Errorf("admission %+v", c.Admission)
	}
	if admissionLimits(config.Admission{}).LockAfter >= 0 {
		t.Error("lock_after 0 locks")
	}
	one, two := c.Listeners[0], c.Listeners[1]
	if one.Name != "one" || one.Dialect != "nac" || one.Address != "127.0.0.1:1" || one.Framing != (wire.Framing{Length: wire.LengthBCD, TPDU: true, MaxBytes: 2048}) ||
		len(one.Allow) != 1 || one.MaxConnections != 5 || one.MaxConnectionsPerAddress != 6 || one.MaxInFlight != 7 || one.ReadTimeout != 8*time.Second ||
		one.WriteTimeout != 9*time.Second || one.IdleTimeout != 10*time.Second || one.HandshakeTimeout != 11*time.Second || !one.DeclineUnknownReversal {
		t.Errorf("got %+v", one)
	}
	if two.Dialect != "ascii" || two.Framing != (wire.Framing{Length: wire.LengthASCII, MaxBytes: 4096}) || two.DeclineUnknownReversal || two.TLS != nil {
		t.Errorf("got %+v", two)
	}
}

// UnionPay's frames have an application header, and a dial-monitor header where the listener takes one.
func TestFramings(t *testing.T) {
	for _, c := range []struct {
		listener config.Listener
		want     wire.Framing
	}{
		{config.Listener{Dialect: config.DialectNAC, MaxFrameBytes: 100}, wire.Framing{TPDU: true, MaxBytes: 100}},
		{config.Listener{Dialect: config.DialectASCII}, wire.Framing{}},
		{config.Listener{Dialect: config.DialectUnionPay}, wire.Framing{Header: true}},
		{config.Listener{Dialect: config.DialectUnionPay, DialMonitor: true}, wire.Framing{Header: true, DialMonitor: true}},
	} {
		if got := framingOf(c.listener, wire.LengthBinary); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.listener.Dialect, got, c.want)
		}
	}
}

// min_version 1.3 holds although the configuration of each handshake is made anew.
func TestMinimumTLSVersion(t *testing.T) {
	certificate, key := selfSigned(t)
	for _, c := range []struct {
		least string
		most  uint16
		ok    bool
	}{
		{"1.2", tls.VersionTLS12, true},
		{"1.3", tls.VersionTLS13, true},
		{"1.3", tls.VersionTLS12, false},
	} {
		l := config.DefaultListener()
		l.TLS = config.TLS{Certificate: certificate, Key: key, MinVersion: c.least}
		server, err := listenerTLS(l, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		a, b := net.Pipe()
		served := make(chan error, 1)
		go func() {
			served <- tls.Server(a, server).HandshakeContext(t.Context())
			_ = a.Close() // the client may still wait for an alert
		}()
		client := tls.Client(b, &tls.Config{MaxVersion: c.most, InsecureSkipVerify: true})
		err = client.HandshakeContext(t.Context())
		if err == nil {
			go io.Copy(io.Discard, client) // session tickets come after a handshake of TLS 1.3
		}
		if serverErr := <-served; (err == nil && serverErr == nil) != c.ok {
			t.Errorf("least %s, client up to %x: %v, %v", c.least, c.most, err, serverErr)
		}
		_ = b.Close()
	}
}

// selfSigned writes a certificate and its key.
func selfSigned(t testing.TB) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "host.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))),
		write(t, "host.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

func TestLogger(t *testing.T) {
	for _, c := range []struct {
		settings config.Log
		want     string
	}{
		{config.Log{Level: "info", Format: "json"}, `{"time"`},
		{config.Log{Level: "info", Format: "auto"}, `{"time"`}, // a buffer is no terminal
		{config.Log{Level: "info", Format: "text"}, "time="},
		{config.Log{Level: "warn", Format: "text"}, ""},
	} {
		var text bytes.Buffer
		log, err := newLogger(&text, c.settings)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("hello")
		if !strings.HasPrefix(text.String(), c.want) || (text.Len() == 0) != (c.want == "") {
			t.Errorf("%+v: %q", c.settings, text.String())
		}
	}
	if _, err := newLogger(io.Discard, config.Log{Level: "loud"}); exitCode(err) != exitConfiguration {
		t.Errorf("got %v", err)
	}
}

// awaitFile waits until the program has written a file.
func (p *process) awaitFile(path string) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // a file announces nothing
		if _, err := os.Stat(path); err == nil {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("it ended and never wrote %s:\n%s", path, p.stderr)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("it has not written %s:\n%s", path, p.stderr)
		}
	}
}
