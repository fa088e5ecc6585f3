package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/host"
	"meridian/host/terminal"
	"meridian/host/wire"
	"meridian/internal/hsm/mac"
)

// terminalPANs are the test cards of these tests: nothing that a command says or writes may hold one.
var terminalPANs = []string{"4111111111111111", "4012888888881881", "5555555555554444"}

const terminalMAK = "0123456789ABCDEFFEDCBA9876543210"

// terminalHost is our own server with a handler that answers by the request's amount: 51 to 0.51, silence to 0.99,
// approvals to everything else, with what a cancel became.
type terminalHost struct {
	t         *testing.T
	server    *host.Server
	addresses map[string]string
	specs     map[string]*wire.Spec
	mac       wire.MACAlgorithm

	mu       sync.Mutex
	payloads []string
}

func startTerminalHost(t *testing.T, secure *tls.Config) *terminalHost {
	t.Helper()
	key, err := hex.DecodeString(terminalMAK)
	if err != nil {
		t.Fatal(err)
	}
	h := &terminalHost{t: t, addresses: map[string]string{}, specs: map[string]*wire.Spec{"nac": wire.NAC(), "ascii": wire.ASCII87()}}
	if h.mac, err = mac.New(mac.X919, key); err != nil {
		t.Fatal(err)
	}
	h.server = host.NewServer(host.Options{Handler: h})
	for name := range h.specs {
		address, err := h.server.Listen(host.ListenerConfig{
			Name: name, Address: "127.0.0.1:0", Framing: wire.Framing{TPDU: name == "nac"}, TLS: secure,
		})
		if err != nil {
			t.Fatal(err)
		}
		h.addresses[name] = address.String()
	}
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return h
}

// Handle answers as a host would.
func (h *terminalHost) Handle(_ context.Context, m *host.Message, answer func(host.Answer)) {
	h.mu.Lock()
	h.payloads = append(h.payloads, string(m.Payload))
	h.mu.Unlock()
	spec := h.specs[m.Listener]
	request, err := spec.Parse(m.Payload)
	if err != nil {
		h.t.Errorf("the terminal sent what cannot be read: %v", err)
		answer(host.Answer{})
		return
	}
	a := wire.NewMessage(request.MTI()[:2] + string(request.MTI()[2]+1) + "0")
	for _, field := range []int{3, 4, 11, 24, 41, 42, 49, 70} {
		if request.Has(field) {
			a.Set(field, request.Get(field))
		}
	}
	authenticated := strings.HasPrefix(request.Get(41), "1000000") && request.Has(64)
	if authenticated {
		if err := spec.VerifyMAC(m.Payload, h.mac); err != nil {
			h.t.Errorf("the terminal's MAC: %v", err)
		}
	}
	a.Set(15, "1122")
	a.Set(37, "632600"+request.Get(11))
	switch {
	case request.Get(4) == "000000000099":
		answer(host.Answer{}) // the place is free again, the terminal hears nothing
		return
	case request.Get(4) == "000000000051":
		a.Set(39, "51")
	default:
		a.Set(39, "00")
		a.Set(38, "004711")
		if request.Get(3) == "020000" {
			a.Set(63, "VOID R16")
		}
	}
	payload, err := spec.Pack(a)
	if authenticated {
		payload, err = spec.AppendPackWithMAC(nil, a, h.mac)
	}
	if err != nil {
		h.t.Errorf("pack: %v", err)
	}
	answer(host.Answer{Payload: payload})
}

// received are the payloads so far.
func (h *terminalHost) received() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.payloads...)
}

// teller runs terminal commands on a data directory and checks that none of them tells a card number.
type teller struct {
	t   *testing.T
	dir string
}

func newTeller(t *testing.T, h *terminalHost) *teller {
	t.Helper()
	s := &teller{t: t, dir: t.TempDir()}
	manifest := fmt.Sprintf(`{"ready": true, "addresses": {"nac": %q, "ascii": %q},
	 "merchants": [{"mid": "104110000000001", "name": "Tea House", "currency": "CNY", "time_zone": "Asia/Shanghai", "terminals": [
	   {"tid": "10000001", "dialect": "nac", "tpdu": "6000010000", "batch": 1, "mac": "none"},
	   {"tid": "10000002", "dialect": "nac", "tpdu": "6000010000", "batch": 1, "mak": %[3]q, "mac": "x919"},
	   {"tid": "10000003", "dialect": "ascii", "tpdu": "", "batch": 1, "mac": "none"},
	   {"tid": "10000004", "dialect": "ascii", "tpdu": "", "batch": 1, "mak": %[3]q, "mac": "x919"}]}],
	 "cards": [{"pan": "4111111111111111", "expiry": "3012", "track2": "4111111111111111=301220100001", "currency": "CNY", "behaviour": "approve"},
	           {"pan": "5555555555554444", "expiry": "3011", "track2": "5555555555554444=301120100001", "currency": "CNY", "behaviour": "low"}]}`,
		h.addresses["nac"], h.addresses["ascii"], terminalMAK)
	if err := os.WriteFile(filepath.Join(s.dir, "sandbox.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *teller) call(line string) outcome {
	s.t.Helper()
	o := call(s.t, append(strings.Fields("terminal "+line), "--data-dir", s.dir)...)
	var all strings.Builder
	all.WriteString(o.stdout + o.stderr)
	files, err := filepath.Glob(filepath.Join(s.dir, "terminal-*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write(data)
	}
	said := all.String()
	for _, secret := range append([]string{"301220100001", terminalMAK}, terminalPANs...) {
		if strings.Contains(said, secret) {
			s.t.Errorf("%q told %s...:\n%s", line, secret[:4], said)
		}
	}
	return o
}

// still takes the time and the ports out of a terminal's output.
func still(text string) string {
	for _, v := range []struct{ pattern, kind string }{
		{`127\.0\.0\.1:[0-9]+`, "<address>"},
		{`after [0-9.]+(ns|µs|ms|s) `, "after <time> "},
		{`("elapsed_us": )[0-9]+`, "${1}<us>"},
		{`(F(?:7|12|13) +(?:Time|Date|Transmission)[a-z, ]+  )[0-9]+`, "${1}<time>"},
		{`("name": "(?:Time|Date|Transmission)[a-z, ]*(?:transaction|time)",\s+"value": ")[0-9]+`, "${1}<time>"},
	} {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.kind)
	}
	return text
}

// The first sale and its void: what a newcomer sees.
func TestTerminalSaleAndVoid(t *testing.T) {
	s := newTeller(t, startTerminalHost(t, nil))
	for _, dialect := range []string{"nac", "ascii"} {
		sale := s.call("sale --amount 12.34 --dialect "+dialect).want(t, 0,
			"sale approved 00, 12.34 CNY, RRN 632600000001, approval 004711, business date 11-22")
		golden(t, "terminal_sale_"+dialect+".txt", still(sale.stdout))
		void := s.call("void --dialect "+dialect).want(t, 0, "RRN 632600000002", "VOID R16")
		golden(t, "terminal_void_"+dialect+".txt", still(void.stdout))
		if sale.stderr+void.stderr != "" {
			t.Errorf("standard error: %s", sale.stderr+void.stderr)
		}
	}
}

func TestTerminalJSON(t *testing.T) {
	s := newTeller(t, startTerminalHost(t, nil))
	o := s.call("sale --amount 20 --cashback 5 --keyed --tid 10000002 --output json").want(t, 0)
	golden(t, "terminal_sale.json", still(o.stdout))
	o = s.call("void --tid 10000002 --output json").want(t, 0)
	golden(t, "terminal_void.json", still(o.stdout))

	// Each repetition is a document of its own, declines and silence are documents, too.
	o = s.call("sale --minor 51 --count 2 --output json").want(t, exitFailure)
	decoder := json.NewDecoder(strings.NewReader(o.stdout))
	for range 2 {
		var report terminal.Report
		if err := decoder.Decode(&report); err != nil {
			t.Fatal(err)
		}
		if report.Outcome != terminal.Declined || report.Code != "51" || report.Meaning != "insufficient funds" {
			t.Errorf("got %+v", report)
		}
	}
	if decoder.More() {
		t.Errorf("more than two reports:\n%s", o.stdout)
	}
	o = s.call("sale --minor 99 --timeout 200ms --output json").want(t, exitUnreachable)
	var report terminal.Report
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Outcome != terminal.Unknown || report.Response != nil || !strings.Contains(report.Problem, "no answer within 200ms") {
		t.Errorf("got %+v", report)
	}
}

func TestTerminalExitCodes(t *testing.T) {
	s := newTeller(t, startTerminalHost(t, nil))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "sandbox.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"echo", 0, "echo approved 00"},
		{"logon --dialect ascii", 0, "logon approved 00"},
		{"sale --amount 1 --tid 10000004", 0, "MAC ok"},
		{"balance --card low", 0, "balance approved 00"},
		{"sale --minor 51", exitFailure, "meridian: the host declined: 51, insufficient funds"},
		{"void --rrn 632600000001 --amount 0.51", exitFailure, "void declined 51: insufficient funds"},
		{"settle", 0, "settle approved 00, batch 000001"},
		{"settle", 0, "settle approved 00, batch 000002"},
		{"settle --totals 12", exitUsage, "15, 30 or 90 digits"},
		{"settle --form 20", exitUsage, "--form 20"},
		{"sale", exitUsage, "--amount"},
		{"sale 4111111111111111", exitUsage, "takes no arguments"},
		{"sale --amount 1 --card 4012888888881881", exitUsage, "no card of sandbox.json"},
		{"refund --unreferenced --cashback 1", exitUsage, "unknown flag"},
		{"sel", exitUsage, "sale"},
		{"echo --dialect unionpay", exitUsage, "--tid"},
		{"echo --ca /nonexistent.pem", exitConfiguration, "/nonexistent.pem"},
		{"echo --address " + nobody, exitUnreachable, "refused"},
		{"sale --minor 99 --timeout 200ms", exitUnreachable, "no answer within 200ms"},
		{"reversal --timeout 200ms", exitUnreachable, "reversal unknown"},
	} {
		t.Run(c.line, func(t *testing.T) {
			o := s.call(c.line)
			o.want(t, c.code, c.want)
		})
	}
	call(t, "terminal", "echo", "--data-dir", broken).want(t, exitConfiguration, "sandbox.json")
	call(t, "terminal", "echo", "--data-dir", t.TempDir()).want(t, exitUnreachable, "no sandbox runs here", "meridian sandbox")
}

func TestTerminalRepeat(t *testing.T) {
	h := startTerminalHost(t, nil)
	s := newTeller(t, h)
	s.call("sale --amount 5 --tid 10000002").want(t, 0)
	s.call("sale --repeat --tid 10000002").want(t, 0, "sale, repeated,")
	s.call("sale --repeat --mark --tid 10000002").want(t, 0, "→ 0201")
	got := h.received()
	if len(got) != 3 || got[0] != got[1] || got[2][:2] != "\x02\x01" {
		t.Errorf("the host received %X", got)
	}
}

// testAuthority issues what a TLS listener and its terminals need, as PEM files of one directory.
type testAuthority struct {
	t      *testing.T
	dir    string
	key    *ecdsa.PrivateKey
	issuer *x509.Certificate
}

func newTestAuthority(t *testing.T) *testAuthority {
	t.Helper()
	a := &testAuthority{t: t, dir: t.TempDir()}
	a.key, a.issuer = a.issue("ca", &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	for i, name := range []string{"host", "terminal"} {
		a.issue(name, &x509.Certificate{
			SerialNumber: big.NewInt(int64(2 + i)), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		})
	}
	return a
}

func (a *testAuthority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *testAuthority) issue(name string, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.issuer, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der},
		name + ".key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(a.file(path), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return key, certificate
}

func TestTerminalTLS(t *testing.T) {
	a := newTestAuthority(t)
	config := func(mutual bool) *tls.Config {
		clients := ""
		if mutual {
			clients = a.file("ca.pem")
		}
		c, err := host.TLSFiles{
			Certificate: a.file("host.pem"), Key: a.file("host.key"), ClientCA: clients, RequireClientCertificate: mutual,
		}.Config()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ca := " --ca " + a.file("ca.pem")
	own := " --cert " + a.file("terminal.pem") + " --key " + a.file("terminal.key")
	t.Run("tls", func(t *testing.T) {
		s := newTeller(t, startTerminalHost(t, config(false)))
		s.call("sale --amount 1"+ca).want(t, 0)
		s.call("sale --amount 1 --dialect ascii --insecure").want(t, 0)
		s.call("sale --amount 1 --tls").want(t, exitUnreachable, "TLS handshake", "certificate")
		s.call("sale --amount 1 --timeout 5s").want(t, exitUnreachable) // plain bytes to a TLS listener
	})
	t.Run("mutual", func(t *testing.T) {
		s := newTeller(t, startTerminalHost(t, config(true)))
		s.call("sale --amount 1"+ca+own).want(t, 0)
		s.call("sale --amount 1"+ca).want(t, exitUnreachable)
		s.call("sale --amount 1"+ca+" --cert "+a.file("terminal.pem")).want(t, exitUsage, "--key")
		s.call("sale --amount 1 --ca "+a.file("host.key")).want(t, exitConfiguration, "holds no certificate")
		s.call("sale --amount 1"+ca+" --cert "+a.file("ca.key")+" --key "+a.file("ca.key")).want(t, exitConfiguration)
	})
}
