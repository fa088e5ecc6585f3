package host

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
)

// authority issues certificates for one test.
type authority struct {
	t           *testing.T
	dir         string
	certificate *x509.Certificate
	key         crypto.Signer
	issued      int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	key := a.newKey()
	a.certificate, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, key), key
	return a
}

func (a *authority) newKey() crypto.Signer {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// sign issues a certificate; the authority's own while it has none.
func (a *authority) sign(template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	a.t.Helper()
	a.issued++
	template.SerialNumber = big.NewInt(a.issued)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.certificate, a.key
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
	return certificate
}

// leaf issues a certificate for a server on 127.0.0.1 or a terminal.
func (a *authority) leaf(name string) tls.Certificate {
	a.t.Helper()
	key := a.newKey()
	certificate := a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// caFile writes the authority's certificate.
func (a *authority) caFile() string {
	return a.write("ca.pem", "CERTIFICATE", a.certificate.Raw)
}

// certificateFile and keyFile write the halves of a leaf.
func (a *authority) certificateFile(leaf tls.Certificate) string {
	return a.write("server.pem", "CERTIFICATE", leaf.Certificate[0])
}

func (a *authority) keyFile(leaf tls.Certificate) string {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("server.key", "PRIVATE KEY", der)
}

// write replaces a file by renaming, as careful renewers do.
func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path+".new", block, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
	return path
}
