package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meridian/host"
)

// authority issues the certificates of one test.
type authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         crypto.Signer
	issued      int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.certificate, a.key = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "terminals"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue signs a certificate; the authority's own while it has none.
func (a *authority) issue(template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.issued++
	template.SerialNumber = big.NewInt(a.issued)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, crypto.Signer(key)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate, key
}

// leaf is a certificate of a terminal, or of the host on 127.0.0.1.
func (a *authority) leaf(name string) tls.Certificate {
	a.t.Helper()
	certificate, key := a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

// listener for mutual TLS whose certificates are in files, as in production.
func (a *authority) listener(dialect string, required bool) Listener {
	a.t.Helper()
	dir := a.t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			a.t.Fatal(err)
		}
		return path
	}
	server := a.leaf("host")
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	config, err := host.TLSFiles{
		Certificate: write("host.pem", "CERTIFICATE", server.Certificate[0]), Key: write("host.key", "PRIVATE KEY", key),
		ClientCA: write("ca.pem", "CERTIFICATE", a.certificate.Raw), RequireClientCertificate: required,
	}.Config()
	if err != nil {
		a.t.Fatal(err)
	}
	l := Listener{Dialect: dialect}
	l.Name, l.Address, l.Framing, l.TLS = dialect+"-tls", "127.0.0.1:0", framings[dialect], config
	if !required {
		l.Name += "-optional"
	}
	return l
}

// terminalWith connects with these certificates, of which there may be none.
func (w *town) terminalWith(a *authority, listener, dialect, tid string, certificates ...tls.Certificate) *terminal {
	w.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	conn, err := tls.Dial("tcp", w.node.Addresses()[listener], &tls.Config{
		RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12,
	})
	w.must(err)
	return w.terminalOn(conn, dialect, tid, shop)
}

// TestConversationMutualTLS: a terminal that is bound to its certificate is nobody
// without it; one that is bound to none may come with any of the authority's.
func TestConversationMutualTLS(t *testing.T) {
	for _, dialect := range []string{"nac", "ascii"} {
		t.Run(dialect, func(t *testing.T) {
			a := newAuthority(t)
			own, others := a.leaf("terminal 4"), a.leaf("terminal 9")
			w := newTownWith(t, func(w *town) {
				fingerprint := sha256.Sum256(own.Certificate[0])
				w.sql(`UPDATE terminals SET certificate_sha256 = $1 WHERE right(tid, 7) = $2`, fingerprint[:], bound)
			}, a.listener(dialect, true), a.listener(dialect, false))

			x := w.terminalWith(a, dialect+"-tls", dialect, bound, own)
			x.do("00", "0800", fields{3: "920000"})
			sale := x.do("00", "0200", amount(10_00), typed(everyday))
			x.repeat(sale)
			w.spent(everyday, 10_00)

			before := w.stored()
			for name, y := range map[string]*terminal{
				"another certificate":      w.terminalWith(a, dialect+"-tls", dialect, bound, others),
				"no certificate":           w.terminalWith(a, dialect+"-tls-optional", dialect, bound),
				"a listener without TLS":   w.terminal(dialect, bound, shop),
				"another one, not needing": w.terminalWith(a, dialect+"-tls-optional", dialect, bound, others),
			} {
				y.stan = 500
				if got := y.ask("0800", fields{3: "920000"}); got.answer.Get(39) != "63" {
					t.Errorf("%s: logon answered %s", name, got.answer.Get(39))
				}
				y.do("63", "0200", amount(10_00), typed(everyday))
				// Nor is a stored answer told to anybody else.
				if got := y.transmit("0200", sale.fields); got.answer.Get(39) != "63" || got.answer.Has(37) {
					t.Errorf("%s: repeat answered %s with RRN %q", name, got.answer.Get(39), got.answer.Get(37))
				}
			}
			x.nothingStored(before)
			w.spent(everyday, 10_00)

			w.terminalWith(a, dialect+"-tls", dialect, till, others).do("00", "0200", amount(5_00), typed(everyday))
			w.terminalWith(a, dialect+"-tls-optional", dialect, bound, own).do("00", "0200", amount(5_00), typed(everyday), fields{11: "000600"})
			w.spent(everyday, 20_00)
		})
	}
}

// TestConversationStrangersCertificate: the handshake fails, and the listener
// goes on.
func TestConversationStrangersCertificate(t *testing.T) {
	a, strangers := newAuthority(t), newAuthority(t)
	w := newTownWith(t, func(*town) {}, a.listener("nac", true))
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "a stranger's": {strangers.leaf("terminal 4")}} {
		conn, err := tls.Dial("tcp", w.node.Addresses()["nac-tls"], &tls.Config{
			RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12,
		})
		if err == nil { // TLS 1.3 tells the client with its first read
			w.must(conn.SetDeadline(time.Now().Add(patience)))
			_, err = conn.Read(make([]byte, 1))
			w.must(conn.Close())
		}
		if err == nil {
			t.Errorf("%s: the handshake went through", name)
		}
	}
	w.terminalWith(a, "nac-tls", "nac", till, a.leaf("terminal 1")).do("00", "0800", fields{70: "301"})
}
