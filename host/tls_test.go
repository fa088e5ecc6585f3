package host

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// secure makes the listener's TLS out of files.
func secure(t *testing.T, files TLSFiles) func(*ListenerConfig) {
	t.Helper()
	config, err := files.Config()
	if err != nil {
		t.Fatalf("TLS configuration: %v", err)
	}
	return func(c *ListenerConfig) { c.TLS = config }
}

func dialTLS(t *testing.T, addr string, config *tls.Config) *peer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return newPeer(t, tls.Client(conn, config))
}

// subject is the name in the certificate the host shows.
func (p *peer) subject() string {
	p.t.Helper()
	conn := p.conn.(*tls.Conn)
	if err := conn.Handshake(); err != nil {
		p.t.Fatalf("handshake: %v", err)
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func trusting(a *authority) *tls.Config {
	return &tls.Config{RootCAs: a.pool(), ServerName: "127.0.0.1"}
}

func TestTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			ca := newAuthority(t, "authority")
			leaf := ca.leaf("host")
			r, addr := start(t, echo, secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)}))
			config := trusting(ca)
			config.MaxVersion = version
			p := dialTLS(t, addr, config)
			p.send("one", "two")
			p.expect("one", "two")
			if got := p.conn.(*tls.Conn).ConnectionState().Version; got != version {
				t.Errorf("version is %s", tls.VersionName(got))
			}
			// Half-close under TLS: the answers still come, then a clean end.
			p.send("three")
			if err := p.conn.(*tls.Conn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			p.expect("three")
			p.expectEnd()
			r.closedWith(ClosePeer)
		})
	}
}

// The host ends TLS with a close_notify: peers other than Go's take its absence
// for a truncation attack.
func TestTLSEndsWithCloseNotify(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	h := func(_ context.Context, m *Message, answer func(Answer)) {
		answer(Answer{Payload: m.Payload, Close: CloseByHandler})
	}
	_, addr := start(t, h, secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)}))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	recording := &recordingConn{Conn: conn}
	config := trusting(ca)
	config.MaxVersion = tls.VersionTLS12 // 1.3 hides the kind of a record
	p := newPeer(t, tls.Client(recording, config))
	p.send("one")
	p.expect("one")
	p.expectEnd()

	var kinds []byte
	for b := recording.read; len(b) >= 5; b = b[5+int(b[3])<<8+int(b[4]):] {
		kinds = append(kinds, b[0])
	}
	const alert = 21
	if len(kinds) == 0 || kinds[len(kinds)-1] != alert {
		t.Errorf("kinds of the records received are %v, want an alert (%d) last", kinds, alert)
	}
}

// recordingConn keeps what it reads.
type recordingConn struct {
	net.Conn

	read []byte
}

func (c *recordingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read = append(c.read, b[:n]...)
	return n, err
}

func TestOldTLSIsRefused(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	r, addr := start(t, echo, secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)}))
	config := trusting(ca)
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	p := dialTLS(t, addr, config)
	err := p.conn.(*tls.Conn).Handshake()
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("handshake with TLS 1.1: %v, want the alert for the protocol version", err)
	}
	_ = p.conn.Close()
	line := r.closedWith(CloseTLSHandshake)
	if line["error"] == nil {
		t.Error("the log does not say why")
	}
}

func TestMutualTLS(t *testing.T) {
	ca, stranger := newAuthority(t, "authority"), newAuthority(t, "stranger")
	leaf := ca.leaf("host")
	d := newDesk(10)
	r, addr := start(t, d.handle, secure(t, TLSFiles{
		Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf), ClientCA: ca.caFile(), RequireClientCertificate: true,
	}))

	config := trusting(ca)
	config.Certificates = []tls.Certificate{ca.leaf("terminal 10000001")}
	p := dialTLS(t, addr, config)
	p.send("hello")
	q := d.take(t)
	if q.message.Certificate == nil || q.message.Certificate.Subject.CommonName != "terminal 10000001" {
		t.Errorf("certificate of the message is %+v", q.message.Certificate)
	}
	q.answer(Answer{Payload: q.message.Payload})
	p.expect("hello")

	for name, certificates := range map[string][]tls.Certificate{
		"no certificate":             nil,
		"certificate of a stranger":  {stranger.leaf("terminal 10000001")},
		"authority's own, as a leaf": {{Certificate: [][]byte{stranger.certificate.Raw}, PrivateKey: stranger.key}},
	} {
		config := trusting(ca)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificates == nil {
				return &tls.Certificate{}, nil
			}
			return &certificates[0], nil
		}
		p := dialTLS(t, addr, config)
		_, _ = p.conn.Write(p.frames("let me in"))
		// In TLS 1.3 the client learns of the refusal on its first read.
		if _, err := p.in.ReadByte(); err == nil {
			t.Errorf("%s: the host answered", name)
		}
		_ = p.conn.Close()
	}
	soon(t, "three handshakes failed", func() bool {
		return r.metric("meridian_closes_total", "reason", string(CloseTLSHandshake)) == 3
	})
	if len(d) != 0 {
		t.Errorf("a message of a refused peer reached the handler")
	}
}

// Where client certificates are optional, one that is given must still verify.
func TestOptionalClientCertificate(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	d := newDesk(10)
	_, addr := start(t, d.handle, secure(t, TLSFiles{
		Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf), ClientCA: ca.caFile(),
	}))
	without := dialTLS(t, addr, trusting(ca))
	without.send("without")
	if q := d.take(t); q.message.Certificate != nil {
		t.Errorf("certificate %s of a peer that gave none", q.message.Certificate.Subject)
	} else {
		q.answer(Answer{})
	}
	config := trusting(ca)
	config.Certificates = []tls.Certificate{ca.leaf("terminal")}
	with := dialTLS(t, addr, config)
	with.send("with")
	if q := d.take(t); q.message.Certificate == nil {
		t.Error("the peer's certificate is not in the message")
	} else {
		q.answer(Answer{})
	}
}

// Peers that do not finish their handshake are closed on its deadline and hold
// up nobody.
func TestHandshakesDoNotBlockAccepting(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	tlsOn := secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)})
	r, addr := start(t, echo, tlsOn, func(c *ListenerConfig) { c.HandshakeTimeout = 500 * time.Millisecond })
	const silent = 20
	var all []*peer
	for range silent {
		all = append(all, dial(t, addr))
	}
	p := dialTLS(t, addr, trusting(ca))
	p.send("hello")
	p.expect("hello")
	for _, s := range all {
		s.expectGone()
		_ = s.conn.Close()
	}
	soon(t, "every silent handshake is counted", func() bool {
		return r.metric("meridian_closes_total", "reason", string(CloseTLSHandshake)) == silent
	})
}

// Handshakes count against the limits.
func TestHandshakesCountAsConnections(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	tlsOn := secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)})
	r, addr := start(t, echo, tlsOn, func(c *ListenerConfig) { c.MaxConnections = 2 })
	silent := []*peer{dial(t, addr), dial(t, addr)}
	soon(t, "both are in", func() bool { return r.metric("meridian_connections") == 2 })
	dial(t, addr).expectGone()
	if got := r.metric("meridian_refusals_total", "reason", string(RefusedListener)); got != 1 {
		t.Errorf("meridian_refusals_total = %v, want 1", got)
	}
	for _, s := range silent {
		_ = s.conn.Close()
	}
}

func TestDrainDuringHandshake(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf := ca.leaf("host")
	r, addr := start(t, echo, secure(t, TLSFiles{Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf)}))
	p := dial(t, addr)
	soon(t, "it is in", func() bool { return r.metric("meridian_connections") == 1 })
	go func() {
		_, _ = io.Copy(io.Discard, p.conn)
		_ = p.conn.Close()
	}()
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.closedWith(CloseDrain)
}

// A renewed certificate is shown from the next handshake on; what stands between
// two good states (a new certificate with the old key, a missing file) changes
// nothing and is reported once.
func TestCertificateRenewal(t *testing.T) {
	ca := newAuthority(t, "authority")
	first, second := ca.leaf("first"), ca.leaf("second")
	reports := make(chan error, 100)
	files := TLSFiles{
		Certificate: ca.certificateFile(first), Key: ca.keyFile(first),
		ReloadFailed: func(err error) { reports <- err },
	}
	_, addr := start(t, echo, secure(t, files))
	shown := func() string {
		t.Helper()
		p := dialTLS(t, addr, trusting(ca))
		p.send("hello")
		p.expect("hello")
		return p.subject()
	}
	old := dialTLS(t, addr, trusting(ca))
	if got := old.subject(); got != "first" {
		t.Fatalf("the host shows %q", got)
	}

	ca.certificateFile(second)
	for range 3 {
		if got := shown(); got != "first" {
			t.Fatalf("half way through the renewal the host shows %q", got)
		}
	}
	if len(reports) != 1 || !strings.Contains((<-reports).Error(), files.Certificate) {
		t.Errorf("the half-done renewal was not reported once with its file")
	}
	ca.keyFile(second)
	if got := shown(); got != "second" {
		t.Fatalf("after the renewal the host shows %q", got)
	}

	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := shown(); got != "second" {
			t.Fatalf("with the key file gone the host shows %q", got)
		}
	}
	if len(reports) != 1 {
		t.Errorf("%d reports of the missing file, want 1", len(reports))
	}
	third := ca.leaf("third")
	ca.certificateFile(third)
	ca.keyFile(third)
	if got := shown(); got != "third" {
		t.Fatalf("after the second renewal the host shows %q", got)
	}
	old.send("connections live on")
	old.expect("connections live on")
}

// An authority taken out of the client CA file is out for the next connection,
// also for a terminal that kept a session.
func TestWithdrawnClientAuthority(t *testing.T) {
	ca, withdrawn := newAuthority(t, "authority"), newAuthority(t, "withdrawn")
	leaf := ca.leaf("host")
	clientCA := withdrawn.caFile()
	r, addr := start(t, echo, secure(t, TLSFiles{
		Certificate: ca.certificateFile(leaf), Key: ca.keyFile(leaf), ClientCA: clientCA, RequireClientCertificate: true,
	}))
	config := trusting(ca)
	config.Certificates = []tls.Certificate{withdrawn.leaf("terminal")}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	for _, resumed := range []bool{false, true} {
		p := dialTLS(t, addr, config)
		p.send("hello")
		p.expect("hello")
		if got := p.conn.(*tls.Conn).ConnectionState().DidResume; got != resumed {
			t.Fatalf("session resumed: %v, want %v", got, resumed)
		}
		_ = p.conn.Close()
	}

	withdrawn.write("ca.pem", "CERTIFICATE", ca.certificate.Raw)
	p := dialTLS(t, addr, config)
	_, _ = p.conn.Write(p.frames("hello again"))
	if _, err := p.in.ReadByte(); err == nil {
		t.Error("the host answered")
	}
	_ = p.conn.Close()
	r.closedWith(CloseTLSHandshake)
}

func TestTLSConfigErrorsNameTheFile(t *testing.T) {
	ca := newAuthority(t, "authority")
	leaf, other := ca.leaf("host"), ca.leaf("other")
	certificate, key, clientCA := ca.certificateFile(leaf), ca.keyFile(leaf), ca.caFile()
	elsewhere := &authority{t: t, dir: t.TempDir()}
	otherKey := elsewhere.keyFile(other)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for name, c := range map[string]struct{ certificate, key, clientCA, want string }{
		"missing certificate": {missing, key, "", missing},
		"missing key":         {certificate, missing, "", missing},
		"missing client CA":   {certificate, key, missing, missing},
		"garbage certificate": {garbage, key, "", garbage},
		"garbage key":         {certificate, garbage, "", garbage},
		"garbage client CA":   {certificate, key, garbage, garbage},
		"another's key":       {certificate, otherKey, "", otherKey},
	} {
		_, err := TLSFiles{Certificate: c.certificate, Key: c.key, ClientCA: c.clientCA}.Config()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one that names %s", name, err, c.want)
		}
	}
	if _, err := (TLSFiles{Certificate: certificate, Key: key, RequireClientCertificate: true}).Config(); err == nil {
		t.Error("client certificates required without an authority: no error")
	}
	config, err := TLSFiles{Certificate: certificate, Key: key, ClientCA: clientCA, RequireClientCertificate: true}.Config()
	if err != nil {
		t.Fatal(err)
	}
	if config.MinVersion != tls.VersionTLS12 {
		t.Errorf("minimum version is %s", tls.VersionName(config.MinVersion))
	}
}

func TestListenRefusesWeakTLS(t *testing.T) {
	r := newRig(t, Options{Handler: HandlerFunc(echo)})
	for name, config := range map[string]*tls.Config{
		"no certificate": {},
		"TLS 1.1":        {Certificates: make([]tls.Certificate, 1), MinVersion: tls.VersionTLS11},
	} {
		if _, err := r.server.Listen(ListenerConfig{Name: "nac", Address: "127.0.0.1:0", TLS: config}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A peer that sends its hello and reads nothing is closed on the handshake's
// deadline: TLS writes there too.
func TestHandshakeWithAPeerThatDoesNotRead(t *testing.T) {
	ca := newAuthority(t, "authority")
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf("host")}}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Handler: HandlerFunc(echo)})
		ln := newPipeListener()
		cfg := mustCheck(t, ListenerConfig{Name: "nac", Framing: testFraming, TLS: config})
		if err := r.server.add(cfg, ln); err != nil {
			t.Fatal(err)
		}
		r.serve()
		client, host := net.Pipe() // no buffer: a write waits for its reader
		ln.conns <- host
		deaf := &deafConn{Conn: client, closed: make(chan struct{})}
		begin := time.Now()
		go func() { _ = tls.Client(deaf, &tls.Config{ServerName: "127.0.0.1"}).Handshake() }()
		r.closedWith(CloseTLSHandshake)
		if got := time.Since(begin); got != DefaultHandshakeTimeout {
			t.Errorf("closed after %s, want %s", got, DefaultHandshakeTimeout)
		}
		close(deaf.closed)
		if err := r.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-r.served
	})
}

// deafConn never reads.
type deafConn struct {
	net.Conn

	closed chan struct{}
}

func (c *deafConn) Read([]byte) (int, error) {
	<-c.closed
	return 0, net.ErrClosed
}
