package host

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// TLSFiles names the files of a listener's TLS identity. They are read again
// when they change, so that renewing a certificate needs no restart.
type TLSFiles struct {
	// Certificate is the PEM file of the server's certificate, leaf first.
	Certificate string
	// Key is the PEM file of its private key.
	Key string
	// ClientCA is the PEM file of the authorities that issue the terminals'
	// certificates; empty when clients have none.
	ClientCA string
	// RequireClientCertificate refuses peers without a certificate of ClientCA.
	RequireClientCertificate bool
	// ReloadFailed, when not nil, hears about changed files that cannot be used;
	// the previous ones stay in force. It is called once per change, from a
	// handshake.
	ReloadFailed func(error)
}

// Config reads the files and returns a configuration for TLS 1.2 and 1.3 that
// looks at them again on each handshake. Errors name the file.
func (f TLSFiles) Config() (*tls.Config, error) {
	if f.RequireClientCertificate && f.ClientCA == "" {
		return nil, errors.New("TLS: client certificates are required but no client CA file is given")
	}
	state, err := f.stat()
	if err != nil {
		return nil, err
	}
	current, err := f.load()
	if err != nil {
		return nil, err
	}
	r := &tlsReloader{files: f, state: state, current: current}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return r.config(), nil
		},
	}, nil
}

// load reads the files into a configuration.
func (f TLSFiles) load() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s with key %s: %w", f.Certificate, f.Key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
	}
	if f.ClientCA == "" {
		return config, nil
	}

	pem, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("TLS client CA: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(bytes.TrimSpace(pem)) {
		return nil, fmt.Errorf("TLS client CA %s: no PEM certificate in it", f.ClientCA)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if f.RequireClientCertificate {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// stat tells whether the files have changed since.
func (f TLSFiles) stat() ([]os.FileInfo, error) {
	var state []os.FileInfo
	for _, name := range []string{f.Certificate, f.Key, f.ClientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		state = append(state, info)
	}
	return state, nil
}

// tlsReloader keeps the configuration of the newest usable files.
type tlsReloader struct {
	files TLSFiles

	mu      sync.Mutex
	state   []os.FileInfo // of the last attempt, so that broken files are read once
	missing bool          // the last look found a file missing, which was reported
	current *tls.Config
}

// config is the configuration for a handshake that begins now. Files are
// compared by identity, size and time, which also sees the swapped symbolic link
// of a mounted Kubernetes secret.
func (r *tlsReloader) config() *tls.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	state, err := r.files.stat()
	if err != nil {
		if !r.missing {
			r.missing = true
			r.failed(err)
		}
		return r.current
	}
	r.missing = false
	if slices.EqualFunc(state, r.state, sameFile) {
		return r.current
	}
	r.state = state
	fresh, err := r.files.load()
	if err != nil {
		// Half a renewal: the certificate is new and the key is not yet. The next
		// change is looked at again.
		r.failed(err)
		return r.current
	}
	r.current = fresh
	return r.current
}

func (r *tlsReloader) failed(err error) {
	if r.files.ReloadFailed != nil {
		r.files.ReloadFailed(fmt.Errorf("reload, the previous certificate stays in use: %w", err))
	}
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
