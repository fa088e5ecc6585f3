package terminal

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
)

// TLS says how the connection is protected. Naming a file switches it on.
type TLS struct {
	Enabled bool
	// CA is a PEM file of the authorities that may have issued the host's
	// certificate; the system's where empty.
	CA string
	// Certificate and Key are PEM files of the terminal's own certificate.
	Certificate, Key string
	// Insecure accepts whatever certificate the host shows.
	Insecure bool
}

func (o TLS) enabled() bool {
	return o.Enabled || o.CA != "" || o.Certificate != "" || o.Key != "" || o.Insecure
}

// config reads the files; nil where the connection is plain.
func (o TLS) config(address string) (*tls.Config, error) {
	if !o.enabled() {
		return nil, nil //nolint:nilnil // no TLS is not an error
	}
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errorf(KindUsage, "--address: %w", err)
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         name,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // a test terminal, and only when asked for
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, errorf(KindConfiguration, "read CA: %w", err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errorf(KindConfiguration, "CA %s holds no certificate", o.CA)
		}
	}
	if (o.Certificate == "") != (o.Key == "") {
		return nil, errorf(KindUsage, "--cert and --key belong together")
	}
	if o.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, errorf(KindConfiguration, "read the terminal's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
