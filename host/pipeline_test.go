package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meridian/host/dialect"
	"meridian/host/wire"
	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/hsm/mac"
	"meridian/internal/vault"
	"meridian/ledger"
	"meridian/switch"
)

const (
	openTID   = "10000001" // has no MAC
	sealedTID = "10000002" // has X9.19
	brokenTID = "10000003" // has a key that nobody can open
	oddTID    = "10000004" // has an algorithm that does not take its key
	asciiTID  = "10000005" // has X9.19 and speaks ascii

	pipelinePAN   = "6217120000000000013"
	pipelineTrack = pipelinePAN + "=30122010000012345"
)

// stubSwitch stands for the switch: it keeps what was submitted and answers what
// a test says.
type stubSwitch struct {
	module    hsm.Module
	terminals map[string]*switching.Terminal
	respond   func(*switching.Request) switching.Response
	submitted []*switching.Request
}

func (s *stubSwitch) Submit(r *switching.Request, done func(switching.Response)) {
	s.submitted = append(s.submitted, r)
	done(s.respond(r))
}

func (s *stubSwitch) Terminal(tid string) *switching.Terminal { return s.terminals[tid] }

func (s *stubSwitch) Network(pan card.PAN) string {
	if strings.HasPrefix(pan.Reveal(), "62") {
		return "unionpay"
	}
	return ""
}

func (s *stubSwitch) Keys(t *switching.Terminal, _ *switching.KeySet, use func(*switching.KeySet, bool, error)) {
	use(switching.NewKeySet(s.module, time.Now, t), true, nil)
}

// stubRecorder stands for the audit log. It holds done back until written is called.
type stubRecorder struct {
	entries []switching.AuditEntry
	waiting []func()
}

func (s *stubRecorder) Record(e switching.AuditEntry, done func()) {
	s.entries, s.waiting = append(s.entries, e), append(s.waiting, done)
}

func (s *stubRecorder) written() {
	for _, done := range s.waiting {
		done()
	}
	s.waiting = nil
}

// pipelineRig is a pipeline between stubs.
type pipelineRig struct {
	t        testing.TB
	pipeline *Pipeline
	sw       *stubSwitch
	audit    *stubRecorder
	log      *logBook
	registry *prometheus.Registry
	mac      wire.MACAlgorithm // of the terminals that have one
	module   *hsm.Software
}

func approveAll(*switching.Request) switching.Response {
	return switching.Response{
		Reason: switching.Approved, RRN: 606900000042, AuthCode: "012345",
		BusinessDate: ledger.MakeDate(2026, 3, 10), HasBusinessDate: true,
		AcceptedAt: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC),
	}
}

func newPipelineRig(t testing.TB, dialects ...dialect.Dialect) *pipelineRig {
	t.Helper()
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("0123456789abcdef")
	r := &pipelineRig{
		t: t, audit: &stubRecorder{}, log: newLogBook(), registry: prometheus.NewRegistry(),
		module: hsm.NewSoftware(v, v.FirstDataKeys()),
	}
	r.sw = &stubSwitch{module: r.module, respond: approveAll}
	if r.mac, err = mac.New(mac.X919, key); err != nil {
		t.Fatal(err)
	}
	r.sw.terminals = map[string]*switching.Terminal{
		openTID:   {ID: 1, TID: openTID, Dialect: "nac", MACAlgorithm: "none"},
		sealedTID: {ID: 2, TID: sealedTID, Dialect: "nac", MACAlgorithm: "x919", TerminalKeys: r.keys(key)},
		brokenTID: {ID: 3, TID: brokenTID, Dialect: "nac", MACAlgorithm: "x919", TerminalKeys: switching.TerminalKeys{MAK: []byte("nothing that opens")}},
		oddTID:    {ID: 4, TID: oddTID, Dialect: "nac", MACAlgorithm: "aes-cmac", TerminalKeys: r.keys(key)},
		asciiTID:  {ID: 5, TID: asciiTID, Dialect: "ascii", MACAlgorithm: "x919", TerminalKeys: r.keys(key)},
	}
	if len(dialects) == 0 {
		for _, name := range []string{"nac", "ascii"} {
			d, err := dialect.New(name, dialect.Options{Token: func(card.PAN) [16]byte { return [16]byte{1} }})
			if err != nil {
				t.Fatal(err)
			}
			dialects = append(dialects, d)
		}
	}
	byName := map[string]dialect.Dialect{}
	for _, d := range dialects {
		byName[d.Name()] = d
	}
	r.pipeline = NewPipeline(PipelineOptions{
		Switch: r.sw, Dialects: byName, Guard: r.sentry(),
		Logger: slog.New(slog.NewJSONHandler(r.log, nil)), Registerer: r.registry,
	})
	return r
}

// sentry lets everybody in and locks nobody.
func (r *pipelineRig) sentry() *Sentry {
	now := func() time.Time { return time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC) }
	return NewSentry(SentryOptions{
		Limits: AdmissionLimits{LockAfter: -1}, Recorder: r.audit, Locks: &lockStub{held: map[int32]time.Time{}},
		Logger: slog.New(slog.DiscardHandler), Registerer: r.registry, Now: now, Real: now,
	})
}

// keys of a terminal with a MAC key.
func (r *pipelineRig) keys(mak []byte) switching.TerminalKeys {
	r.t.Helper()
	key, err := r.module.Enter(hsm.UseMAC, hsm.TDES2, mak)
	if err != nil {
		r.t.Fatal(err)
	}
	return switching.TerminalKeys{Scheme: switching.SchemeStatic, MAK: key.Bytes()}
}

func (r *pipelineRig) spec(listener string) *wire.Spec {
	return r.pipeline.o.Dialects[listener].Spec()
}

// sale of a terminal, changed field by field; an empty value removes one.
func sale(mti, tid string, change map[int]string) *wire.Message {
	m := wire.NewMessage(mti)
	values := map[int]string{
		2: pipelinePAN, 3: "000000", 4: "000000001234", 11: "000007", 14: "3012", 35: pipelineTrack,
		41: tid, 42: "104110000000001", 52: "1122334455667788",
	}
	maps.Copy(values, change)
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if values[field] != "" {
			m.Set(field, values[field])
		}
	}
	return m
}

func (r *pipelineRig) pack(listener string, m *wire.Message, mac wire.MACAlgorithm) []byte {
	r.t.Helper()
	var payload []byte
	var err error
	if mac == nil {
		payload, err = r.spec(listener).Pack(m)
	} else {
		payload, err = r.spec(listener).AppendPackWithMAC(nil, m, mac)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return payload
}

// handle hands a payload in and returns every answer given so far.
func (r *pipelineRig) handle(listener string, payload []byte, change ...func(*Message)) []Answer {
	r.t.Helper()
	m := &Message{
		Listener: listener, Conn: 1, Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Payload: payload,
		Received: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC),
	}
	for _, c := range change {
		c(m)
	}
	var answers []Answer
	r.pipeline.Handle(context.Background(), m, func(a Answer) { answers = append(answers, a) })
	r.audit.written()
	return answers
}

// answered expects one answer and returns it parsed; nil when it is empty.
func (r *pipelineRig) answered(listener string, payload []byte, change ...func(*Message)) *wire.Message {
	r.t.Helper()
	answers := r.handle(listener, payload, change...)
	if len(answers) != 1 {
		r.t.Fatalf("%d answers, want one", len(answers))
	}
	if answers[0].Payload == nil {
		return nil
	}
	m, err := r.spec(listener).Parse(answers[0].Payload)
	if err != nil {
		r.t.Fatalf("the answer does not parse: %v", err)
	}
	return m
}

// sealed checks the answer's MAC.
func (r *pipelineRig) sealed(listener string, m *wire.Message, want bool) {
	r.t.Helper()
	if got := m.Has(64) || m.Has(128); got != want {
		r.t.Fatalf("answer %s %s: MAC there %t, want %t", m.MTI(), m.Get(39), got, want)
	}
	if !want {
		return
	}
	payload, err := r.spec(listener).Pack(m)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.spec(listener).VerifyMAC(payload, r.mac); err != nil {
		r.t.Fatalf("answer %s %s: %v", m.MTI(), m.Get(39), err)
	}
}

func (r *pipelineRig) count(name string, labels ...string) float64 {
	server := &rig{registry: r.registry}
	if t, ok := r.t.(*testing.T); ok {
		server.t = t
	}
	return server.metric(name, labels...)
}

func TestPipelineSubmitsAndAnswers(t *testing.T) {
	for _, listener := range []string{"nac", "ascii"} {
		t.Run(listener, func(t *testing.T) {
			r := newPipelineRig(t)
			payload := r.pack(listener, sale("0201", openTID, nil), nil)
			answer := r.answered(listener, payload, func(m *Message) { m.Certificate = &x509.Certificate{Raw: []byte("leaf")} })
			if answer.MTI() != "0210" || answer.Get(39) != "00" || answer.Get(37) != "606900000042" || answer.Get(11) != "000007" {
				t.Fatalf("answer %s, fields %v", answer.MTI(), answer.Fields())
			}
			r.sealed(listener, answer, false)
			if len(r.sw.submitted) != 1 {
				t.Fatalf("%d requests submitted", len(r.sw.submitted))
			}
			got := r.sw.submitted[0]
			if got.Kind != switching.KindSale || got.Dialect != listener || !got.Repeat || got.PAN.Reveal() != pipelinePAN ||
				got.Token != [16]byte{1} || got.CertificateSHA256 != sha256.Sum256([]byte("leaf")) || got.Received.IsZero() {
				t.Fatalf("submitted %+v", got)
			}
			for _, secret := range []string{pipelinePAN, pipelineTrack, "1122334455667788"} {
				if strings.Contains(r.log.text(), secret) {
					t.Fatalf("the log tells card data: %s", r.log.text())
				}
			}
		})
	}
}

func TestPipelineWithoutCertificate(t *testing.T) {
	r := newPipelineRig(t)
	r.answered("nac", r.pack("nac", sale("0200", openTID, nil), nil))
	if got := r.sw.submitted[0].CertificateSHA256; got != [32]byte{} {
		t.Errorf("a peer without certificate has the fingerprint %x", got)
	}
}

// TestPipelineTellsNothingWhenNothingIsKnown: the host is stopping and does not
// know the outcome.
func TestPipelineTellsNothingWhenNothingIsKnown(t *testing.T) {
	r := newPipelineRig(t)
	r.sw.respond = func(*switching.Request) switching.Response { return switching.Response{} }
	if answer := r.answered("nac", r.pack("nac", sale("0200", openTID, nil), nil)); answer != nil {
		t.Errorf("answered %s %s", answer.MTI(), answer.Get(39))
	}
}

// TestPipelineMAC: 01xx, 02xx and 04xx of a terminal that has a MAC carry one, and
// so do their answers; the rest does not.
func TestPipelineMAC(t *testing.T) {
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		t.Run(listener, func(t *testing.T) {
			r := newPipelineRig(t)
			for _, mti := range []string{"0100", "0200", "0201", "0220", "0400", "0421"} {
				for _, secondary := range []string{"", "301"} { // F64, or F128 behind a field above 64
					answer := r.answered(listener, r.pack(listener, sale(mti, tid, map[int]string{70: secondary}), r.mac))
					if answer.Get(39) != "00" {
						t.Fatalf("%s answered %s", mti, answer.Get(39))
					}
					r.sealed(listener, answer, true)
				}
			}
			logon := wire.NewMessage("0800")
			logon.Set(3, "920000")
			logon.Set(41, tid)
			r.sealed(listener, r.answered(listener, r.pack(listener, logon, nil)), false)
			// Neither in a class that has none, whatever was sent along.
			r.sealed(listener, r.answered(listener, r.pack(listener, sale("0600", tid, nil), r.mac)), false)
			// A refusal is an answer like any other.
			refused := r.answered(listener, r.pack(listener, sale("0200", tid, map[int]string{4: ""}), r.mac))
			if refused.Get(39) != "30" {
				t.Fatalf("a sale without amount answered %s", refused.Get(39))
			}
			r.sealed(listener, refused, true)
			if len(r.audit.entries) != 0 {
				t.Fatalf("audited %+v", r.audit.entries)
			}
		})
	}
}

// TestPipelineMACRefused: a wrong or missing MAC is answered 63 under a MAC, has
// one row in the audit log, and nothing else happens.
func TestPipelineMACRefused(t *testing.T) {
	other, err := mac.New(mac.X919, []byte("fedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		for problem, mac := range map[string]wire.MACAlgorithm{"wrong": other, "missing": nil} {
			for _, mti := range []string{"0100", "0200", "0221", "0400"} {
				t.Run(listener+" "+problem+" "+mti, func(t *testing.T) {
					r := newPipelineRig(t)
					payload := r.pack(listener, sale(mti, tid, nil), mac)
					var answers []Answer
					r.pipeline.Handle(t.Context(), &Message{
						Listener: listener, Payload: payload, Remote: netip.MustParseAddrPort("192.0.2.7:4000"),
					}, func(a Answer) { answers = append(answers, a) })
					if len(answers) != 0 || len(r.audit.entries) != 1 {
						t.Fatalf("%d answers before the audit log's %d entries were written", len(answers), len(r.audit.entries))
					}
					r.audit.written()
					if len(answers) != 1 {
						t.Fatalf("%d answers", len(answers))
					}
					answer, err := r.spec(listener).Parse(answers[0].Payload)
					if err != nil {
						t.Fatal(err)
					}
					if answer.Get(39) != "63" || answer.Get(11) != "000007" || answer.Has(37) || answer.Has(15) {
						t.Fatalf("answered %s with fields %v", answer.Get(39), answer.Fields())
					}
					r.sealed(listener, answer, true)
					want := switching.AuditEntry{
						At: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC), Kind: "mac_failure",
						Subject: "terminal " + tid, Detail: "MAC " + problem + " in " + mti + " from 192.0.2.7",
					}
					if r.audit.entries[0] != want {
						t.Fatalf("audited %+v, want %+v", r.audit.entries[0], want)
					}
					if len(r.sw.submitted) != 0 {
						t.Fatalf("submitted %+v", r.sw.submitted[0])
					}
					if n := r.count("meridian_mac_failures_total", "listener", listener, "problem", problem); n != 1 {
						t.Fatalf("counted %v", n)
					}
				})
			}
		}
	}
}

// TestPipelineMACIsOverTheRawBytes: every byte that is changed on the way is
// found, before any field is believed.
func TestPipelineMACIsOverTheRawBytes(t *testing.T) {
	r := newPipelineRig(t)
	payload := r.pack("nac", sale("0200", sealedTID, map[int]string{2: "", 35: "", 52: "", 62: "000009"}), r.mac)
	for at := range payload {
		changed := bytes.Clone(payload)
		changed[at] ^= 0x01
		if !bytes.Contains(changed, []byte(sealedTID)) {
			continue // another terminal's message now
		}
		for _, answer := range r.handle("nac", changed) {
			if answer.Payload == nil {
				continue
			}
			m, err := r.spec("nac").Parse(answer.Payload)
			if err != nil {
				t.Fatal(err)
			}
			switch code := m.Get(39); {
			case code == "63", code == "30":
			case code == "40" && m.MTI() == "0310":
				// a type now that has no MAC, and does nothing
			default:
				t.Fatalf("byte %d changed: %s answered %s", at, m.MTI(), code)
			}
		}
	}
	if len(r.sw.submitted) != 0 {
		t.Fatalf("submitted with a changed byte: %+v", r.sw.submitted[0])
	}
}

// TestPipelineMACOfAnotherDialect: a terminal has no business, and no MAC, on
// another dialect's listener; the switch refuses it.
func TestPipelineMACOfAnotherDialect(t *testing.T) {
	r := newPipelineRig(t)
	r.sealed("nac", r.answered("nac", r.pack("nac", sale("0200", asciiTID, nil), nil)), false)
	if len(r.sw.submitted) != 1 || len(r.audit.entries) != 0 {
		t.Fatalf("%d submitted, %d audited", len(r.sw.submitted), len(r.audit.entries))
	}
}

func TestPipelineMACKeyThatCannotBeUsed(t *testing.T) {
	for _, tid := range []string{brokenTID, oddTID} {
		r := newPipelineRig(t)
		for range 2 { // the second time from the cache
			answer := r.answered("nac", r.pack("nac", sale("0200", tid, nil), r.mac))
			if answer.Get(39) != "96" || len(r.sw.submitted) != 0 {
				t.Fatalf("%s answered %s, submitted %d", tid, answer.Get(39), len(r.sw.submitted))
			}
			r.sealed("nac", answer, false)
		}
		if n := r.log.count(func(l map[string]any) bool { return l["level"] == "ERROR" && l["tid"] == tid }); n != 2 {
			t.Errorf("%s: %d errors in the log", tid, n)
		}
	}
}

// TestPipelineTakesNewKeys: what is cached is left when the directory has
// something else.
func TestPipelineTakesNewKeys(t *testing.T) {
	r := newPipelineRig(t)
	answer := func() *wire.Message {
		return r.answered("nac", r.pack("nac", sale("0200", sealedTID, nil), r.mac))
	}
	r.sealed("nac", answer(), true)

	key := []byte("fedcba9876543210")
	changed := *r.sw.terminals[sealedTID]
	changed.TerminalKeys = r.keys(key)
	r.sw.terminals[sealedTID] = &changed
	if code := answer().Get(39); code != "63" {
		t.Fatalf("the old key is answered %s", code)
	}
	var err error
	if r.mac, err = mac.New(mac.X919, key); err != nil {
		t.Fatal(err)
	}
	r.sealed("nac", answer(), true)

	odd := changed
	odd.MACAlgorithm = "aes-cmac"
	r.sw.terminals[sealedTID] = &odd
	if code := answer().Get(39); code != "96" {
		t.Fatalf("another algorithm under the same key is answered %s", code)
	}
}

// TestPipelineIgnoresWhatIsNoRequest: answers and other versions' messages are not
// answered, not submitted and no MAC failures.
func TestPipelineIgnoresWhatIsNoRequest(t *testing.T) {
	for _, mti := range []string{"0110", "0210", "0230", "0410", "0810", "1200", "2200", "0900", "0000", "0240", "0206"} {
		r := newPipelineRig(t)
		if answer := r.answered("nac", r.pack("nac", sale(mti, sealedTID, nil), nil)); answer != nil {
			t.Errorf("%s answered %s", mti, answer.MTI())
		}
		if len(r.sw.submitted)+len(r.audit.entries) != 0 {
			t.Errorf("%s: %d submitted, %d audited", mti, len(r.sw.submitted), len(r.audit.entries))
		}
		if n := r.count("meridian_refused_messages_total", "listener", "nac", "reason", "not_a_request"); n != 1 {
			t.Errorf("%s: counted %v", mti, n)
		}
		// Nor when it cannot be read to its end.
		payload := r.pack("nac", sale(mti, sealedTID, nil), nil)
		if answer := r.answered("nac", payload[:len(payload)-1]); answer != nil {
			t.Errorf("%s cut short answered %s", mti, answer.MTI())
		}
	}
}

func TestPipelineRefuses(t *testing.T) {
	r := newPipelineRig(t)
	for _, test := range []struct {
		message *wire.Message
		code    string
		reason  string
	}{
		{sale("0200", openTID, map[int]string{11: ""}), "30", "format_error"},
		{sale("0200", openTID, map[int]string{35: "6217120000000000021=3012201"}), "30", "format_error"},
		{sale("0200", openTID, map[int]string{3: "010000"}), "40", "function_not_supported"},
		{sale("0600", openTID, nil), "40", "function_not_supported"},
		{sale("0200", openTID, map[int]string{14: "3011"}), "54", "wrong_expiry"},
	} {
		before := r.count("meridian_refused_messages_total", "reason", test.reason)
		answer := r.answered("nac", r.pack("nac", test.message, nil))
		if answer.Get(39) != test.code || answer.Get(41) != openTID {
			t.Errorf("answered %s with fields %v, want %s", answer.Get(39), answer.Fields(), test.code)
		}
		if n := r.count("meridian_refused_messages_total", "reason", test.reason); n != before+1 {
			t.Errorf("%s: counted %v after %v", test.reason, n, before)
		}
	}
	if len(r.sw.submitted) != 0 {
		t.Errorf("submitted %+v", r.sw.submitted[0])
	}
	r.log.await(t, func(l map[string]any) bool {
		return l["msg"] == "message refused" && l["field"] == 11.0 && l["problem"] == "missing" && l["remote"] == "192.0.2.7:4000" && l["stan"] == ""
	})
	r.log.await(t, func(l map[string]any) bool { // which message of whom; of no field in particular
		_, field := l["field"]
		return l["msg"] == "message refused" && l["mti"] == "0600" && l["tid"] == openTID && len(l["stan"].(string)) == 6 && !field
	})
	r.tellsNoCardData(t)
}

func (r *pipelineRig) tellsNoCardData(t *testing.T) {
	t.Helper()
	text := strings.ToUpper(r.log.text())
	for _, secret := range []string{pipelinePAN, "6217120000000000021", "30122010000012345", "1122334455667788"} {
		for _, form := range []string{secret, strings.ToUpper(hex.EncodeToString([]byte(secret)))} {
			if strings.Contains(text, form) {
				t.Fatalf("the log tells card data: %s", text)
			}
		}
	}
}

// TestPipelineUnparsable: a message that breaks off or goes on too long is
// answered 30 with what stands before the fault, so that its terminal knows what
// was refused; under its MAC, as soon as the terminal could be read.
func TestPipelineUnparsable(t *testing.T) {
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		t.Run(listener, func(t *testing.T) {
			r := newPipelineRig(t)
			whole := r.pack(listener, sale("0201", tid, nil), r.mac)
			spec := r.spec(listener)
			sawField, sawMAC := false, false
			for end := range whole {
				r.pipeline.lines = newLines(r.pipeline.log, messageLines) // every line is looked at
				answers := r.handle(listener, bytes.Clone(whole[:end]))
				if len(answers) != 1 {
					t.Fatalf("cut at %d: %d answers", end, len(answers))
				}
				readable := spec.Readable(whole[:end])
				if readable == nil {
					if answers[0].Payload != nil {
						t.Fatalf("cut at %d: answered without a type", end)
					}
					continue
				}
				answer, err := spec.Parse(answers[0].Payload)
				if err != nil {
					t.Fatalf("cut at %d: %v", end, err)
				}
				if readable.MTI() != "0201" || answer.MTI() != "0210" || answer.Get(39) != "30" {
					t.Fatalf("cut at %d: answered %s %s", end, answer.MTI(), answer.Get(39))
				}
				for _, field := range []int{3, 4, 11, 41, 42} {
					if answer.Has(field) != readable.Has(field) {
						t.Fatalf("cut at %d: field %d answered %t, read %t", end, field, answer.Has(field), readable.Has(field))
					}
				}
				r.sealed(listener, answer, readable.Has(41))
				sawField, sawMAC = sawField || readable.Has(11), sawMAC || readable.Has(41)
			}
			if !sawField || !sawMAC {
				t.Fatal("no cut left anything to repeat")
			}
			trailing := r.answered(listener, append(bytes.Clone(whole), '0'))
			if trailing.Get(39) != "30" || trailing.Get(42) != "104110000000001" {
				t.Fatalf("trailing byte answered %s with fields %v", trailing.Get(39), trailing.Fields())
			}
			if len(r.sw.submitted)+len(r.audit.entries) != 0 {
				t.Fatalf("%d submitted, %d audited", len(r.sw.submitted), len(r.audit.entries))
			}
			if n := r.count("meridian_parse_errors_total", "listener", listener); n != float64(len(whole)+1) {
				t.Fatalf("counted %v of %d", n, len(whole)+1)
			}
			r.log.await(t, func(l map[string]any) bool {
				return l["msg"] == "message cannot be parsed" && l["mti"] == "0201" && l["field"] == 35.0 && l["offset"] != 0.0 && l["reason"] != ""
			})
			r.tellsNoCardData(t)
		})
	}
}

func TestPipelineUnparsableOfATerminalWithABrokenKey(t *testing.T) {
	r := newPipelineRig(t)
	whole := r.pack("nac", sale("0200", brokenTID, nil), nil)
	if code := r.answered("nac", whole[:len(whole)-1]).Get(39); code != "96" {
		t.Errorf("answered %s", code)
	}
}

// oddDialect gives answers that nobody can send.
type oddDialect struct {
	dialect.Dialect

	answer func(*wire.Message)
}

func (d oddDialect) Answer(answer, _ *wire.Message, _ *switching.Response) bool {
	d.answer(answer)
	return true
}

// TestPipelineContainsFaultsOfAnswers: the lane that answers goes on, and the
// message's place is free again.
func TestPipelineContainsFaultsOfAnswers(t *testing.T) {
	base, err := dialect.New("nac", dialect.Options{Token: func(card.PAN) [16]byte { return [16]byte{1} }})
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(*wire.Message){
		"panics":          func(*wire.Message) { panic(pipelinePAN) },
		"cannot be built": func(m *wire.Message) { m.Reset("0210"); m.Set(39, "one") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newPipelineRig(t, oddDialect{base, answer})
			if answer := r.answered("nac", r.pack("nac", sale("0200", openTID, nil), nil)); answer != nil {
				t.Errorf("answered %s", answer.MTI())
			}
			if n := r.log.count(func(l map[string]any) bool { return l["level"] == "ERROR" }); n != 1 {
				t.Errorf("%d errors in the log", n)
			}
			r.tellsNoCardData(t)
		})
	}
}

// TestPipelineRequestOutlivesItsMessage: a lane may hold a request long after its
// message's memory has become another's.
func TestPipelineRequestOutlivesItsMessage(t *testing.T) {
	r := newPipelineRig(t)
	texts := func(q *switching.Request) string {
		return strings.Join([]string{
			q.TID, q.MID, q.Dialect, q.Expiry, q.Invoice, string(q.Echo), q.PAN.Reveal(),
			q.Original.Invoice, q.OperatorNo, q.OperatorPassword,
		}, "|")
	}
	want := map[string]string{}
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		r.handle(listener, r.pack(listener, sale("0200", tid, map[int]string{7: "0310120000", 62: "000042"}), r.mac))
		want[listener] = texts(r.sw.submitted[len(r.sw.submitted)-1])
		if !strings.HasPrefix(want[listener], tid+"|104110000000001|"+listener+"|3012|") || !strings.Contains(want[listener], "|"+pipelinePAN+"|") {
			t.Fatalf("%s: read as %s", listener, want[listener])
		}
	}
	first := slices.Clone(r.sw.submitted)
	const otherPAN = "6217129999999999994"
	for listener, tid := range map[string]string{"nac": sealedTID, "ascii": asciiTID} {
		for range 3 {
			r.handle(listener, r.pack(listener, sale("0200", tid, map[int]string{
				2: otherPAN, 7: "1231235959", 14: "2901", 35: otherPAN + "=29012010000099999", 42: "999999999999999", 62: "999999",
			}), r.mac))
		}
	}
	for _, q := range first {
		if got := texts(q); got != want[q.Dialect] {
			t.Errorf("%s: the request became %s, was %s", q.Dialect, got, want[q.Dialect])
		}
	}
}
