package host

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"meridian/host/wire"
)

// Defaults of the limits and deadlines, with their reasons.
const (
	// DefaultMaxInFlight bounds requests at the handler over all connections: at
	// 4 KiB a frame 16 MiB, and some 200 ms of work at 20,000 requests/s, so that
	// what waits is answered before its terminal gives up.
	DefaultMaxInFlight = 4096
	// DefaultMaxInFlightPerConnection is enough to keep a pipelining concentrator
	// busy over a 100 ms round trip, and small enough that it takes many
	// connections to fill the total.
	DefaultMaxInFlightPerConnection = 64
	// DefaultMaxConnections keeps file descriptors and idle memory (under 16 KiB
	// each, so 256 MiB) inside what a small machine has.
	DefaultMaxConnections = 16384
	// DefaultReadTimeout is for one frame of at most a few KiB; a terminal on a
	// bad mobile line needs seconds, never more.
	DefaultReadTimeout = 10 * time.Second
	// DefaultWriteTimeout is for at most writeBatchBytes to reach the peer's
	// socket buffer.
	DefaultWriteTimeout = 10 * time.Second
	// DefaultIdleTimeout is longer than the echo interval of terminals that hold
	// their line open.
	DefaultIdleTimeout = 10 * time.Minute
	// DefaultHandshakeTimeout covers a slow terminal's RSA operation.
	DefaultHandshakeTimeout = 10 * time.Second
)

// ListenerConfig describes one listening address.
type ListenerConfig struct {
	// Name is the listener's name in logs and metrics; unique in a server.
	Name string
	// Address is host:port as in net.Listen; port 0 picks a free one.
	Address string
	// Framing cuts messages out of the stream.
	Framing wire.Framing
	// TLS, when not nil, is served on every connection. See [TLSFiles.Config].
	TLS *tls.Config
	// Allow lists the networks peers may come from; empty allows all.
	Allow []netip.Prefix
	// MaxConnections bounds the listener's connections, handshakes included;
	// 0 leaves it to the server's total.
	MaxConnections int
	// MaxConnectionsPerAddress bounds them per IPv4 address or IPv6 /64 (a single
	// machine commonly owns a whole /64); 0 is no bound of its own.
	MaxConnectionsPerAddress int
	// MaxInFlight bounds the requests of one connection that are not yet answered
	// and written; the reader stops there. DefaultMaxInFlightPerConnection when 0.
	MaxInFlight int
	// ReadTimeout is how long a frame may take from its first byte to its last.
	// DefaultReadTimeout when 0.
	ReadTimeout time.Duration
	// WriteTimeout is how long one write of ready answers may take.
	// DefaultWriteTimeout when 0.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection may be without a frame in either
	// direction while no request is in flight. DefaultIdleTimeout when 0.
	IdleTimeout time.Duration
	// HandshakeTimeout is how long the TLS handshake may take.
	// DefaultHandshakeTimeout when 0.
	HandshakeTimeout time.Duration
}

// Options configure a [Server].
type Options struct {
	// Handler receives every message. Required.
	Handler Handler
	// Logger receives closes, refusals and faults; slog.Default() when nil.
	Logger *slog.Logger
	// Metrics from [NewMetrics]; unregistered ones when nil.
	Metrics *Metrics
	// MaxInFlight bounds the requests at the handler over all connections;
	// DefaultMaxInFlight when 0.
	MaxInFlight int
	// MaxConnections bounds connections over all listeners, handshakes included;
	// DefaultMaxConnections when 0.
	MaxConnections int
	// Now stamps messages; time.Now when nil. Socket deadlines are always real
	// time: a peer does not slow down because a test clock stands still.
	Now func() time.Time
}

// checked returns the configuration with its defaults, or what is wrong with it.
func (c ListenerConfig) checked() (ListenerConfig, error) {
	var problems []error
	if c.Name == "" {
		problems = append(problems, errors.New("name is empty"))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MaxConnections", c.MaxConnections},
		{"MaxConnectionsPerAddress", c.MaxConnectionsPerAddress},
		{"MaxInFlight", c.MaxInFlight},
		{"Framing.MaxBytes", c.Framing.MaxBytes},
	} {
		if n.value < 0 {
			problems = append(problems, fmt.Errorf("%s is negative: %d", n.name, n.value))
		}
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"ReadTimeout", &c.ReadTimeout, DefaultReadTimeout},
		{"WriteTimeout", &c.WriteTimeout, DefaultWriteTimeout},
		{"IdleTimeout", &c.IdleTimeout, DefaultIdleTimeout},
		{"HandshakeTimeout", &c.HandshakeTimeout, DefaultHandshakeTimeout},
	} {
		if *d.value < 0 {
			problems = append(problems, fmt.Errorf("%s is negative: %s", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.Framing.DialMonitor && !c.Framing.Header {
		problems = append(problems, errors.New("Framing.DialMonitor without Framing.Header: that header comes before an application header"))
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultMaxInFlightPerConnection
	}
	for _, p := range c.Allow {
		if !p.IsValid() {
			problems = append(problems, errors.New("the allow-list has an invalid prefix"))
		}
	}
	if err := checkTLS(c.TLS); err != nil {
		problems = append(problems, err)
	}
	return c, errors.Join(problems...)
}

// checkTLS refuses configurations under which no handshake could succeed, and
// those that would accept what PCI DSS forbids.
func checkTLS(c *tls.Config) error {
	if c == nil {
		return nil
	}
	if len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return errors.New("TLS has no certificate")
	}
	if c.MinVersion != 0 && c.MinVersion < tls.VersionTLS12 {
		return fmt.Errorf("TLS minimum version is %s: at least TLS 1.2 is required", tls.VersionName(c.MinVersion))
	}
	return nil
}
