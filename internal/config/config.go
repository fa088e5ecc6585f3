package config

import (
	"net/netip"
	"time"
)

// Config is what an operator can set.
//
// Tags: yaml is the key; range the least and greatest value, both included; oneof the values that a text may have; path
// marks the name of a file, which is relative to the configuration file when it stands there; required a text that may
// not be empty.
type Config struct {
	Database Database `yaml:"database"`
	// MasterKeyFile holds the keys that wrap all others at rest, the newest first.
	MasterKeyFile string `path:"file" yaml:"master_key_file"`
	// SecurityModule is where keys and PINs are in clear.
	SecurityModule string     `oneof:"none software" yaml:"security_module"`
	Listeners      []Listener `yaml:"listeners"`
	Limits         Limits     `yaml:"limits"`
	Admission      Admission  `yaml:"admission"`
	Switch         Switch     `yaml:"switch"`
	Ops            Ops        `yaml:"ops"`
	Console        Console    `yaml:"console"`
	Log            Log        `yaml:"log"`
	Shutdown       Shutdown   `yaml:"shutdown"`
}

// The security modules.
const (
	SecurityModuleNone = "none"
	// SecurityModuleSoftware keeps keys in the process's memory.
	SecurityModuleSoftware = "software"
)

// Database says where Postgres is.
type Database struct {
	// URL is a postgres:// URL or a libpq connection string.
	URL DatabaseURL `yaml:"url"`
	// URLFile is read for URL: the way to keep a password out of the environment and of the file.
	URLFile string `path:"file" yaml:"url_file"`
	// MaxConnections bounds the connections of one host.
	MaxConnections int `range:"2..1000" yaml:"max_connections"`
	// ConnectTimeout bounds one attempt to connect.
	ConnectTimeout time.Duration `range:"100ms..1m" yaml:"connect_timeout"`
}

// Dialect is the form of ISO 8583 that a listener's terminals speak.
type Dialect string

// The dialects.
const (
	DialectNAC      Dialect = "nac"
	DialectASCII    Dialect = "ascii"
	DialectUnionPay Dialect = "unionpay"
)

// Length is how the length in front of a frame is written.
type Length string

// The forms of a length; none counts itself.
const (
	LengthBinary Length = "binary" // two bytes, most significant first
	LengthBCD    Length = "bcd"    // two bytes, four decimal digits
	LengthASCII  Length = "ascii"  // four ASCII digits
)

// UnknownReversal is the answer to a reversal whose original never came. Either way the reversal is kept, and an
// original that comes after it is declined.
type UnknownReversal string

// The answers to a reversal without original; hosts in the field do either.
const (
	UnknownReversalApprove UnknownReversal = "approve"
	UnknownReversalDecline UnknownReversal = "decline"
)

// Listener is one address that terminals connect to.
type Listener struct {
	// Name is the listener's name in logs and metrics; unique.
	Name    string  `required:"true"           yaml:"name"`
	Dialect Dialect `oneof:"nac ascii unionpay" required:"true" yaml:"dialect"`
	// Address is host:port; without a host it is every address of the machine, port 0 picks a free one.
	Address       string `required:"true"          yaml:"address"`
	Length        Length `oneof:"binary bcd ascii" yaml:"length"`
	MaxFrameBytes int    `range:"64..65535"        yaml:"max_frame_bytes"`
	// DialMonitor takes the dial-monitor header that dial-up access networks put before UnionPay's application header.
	DialMonitor bool `yaml:"dial_monitor"`
	// Profile is how the host that UnionPay's terminals expect decides where hosts differ.
	Profile string `oneof:"cup posp spp" yaml:"profile"`
	// AcquirerID is our institution in UnionPay's answers.
	AcquirerID string `yaml:"acquirer_id"`
	// SpecFile replaces the dialect's field table by a JSON specification in moov-io/iso8583's form.
	SpecFile string `path:"file" yaml:"spec_file"`
	TLS      TLS    `yaml:"tls"`
	// Allow lists the networks that may connect; empty allows all.
	Allow []netip.Prefix `yaml:"allow"`
	// MaxConnections bounds this listener's connections; 0 leaves it to limits.max_connections.
	MaxConnections int `range:"0..1000000" yaml:"max_connections"`
	// MaxConnectionsPerAddress bounds those from one IPv4 address or IPv6 /64; 0 is no bound of its own.
	MaxConnectionsPerAddress int `range:"0..1000000" yaml:"max_connections_per_address"`
	// MaxInFlight bounds one connection's requests that are not answered yet.
	MaxInFlight int `range:"1..10000" yaml:"max_in_flight"`
	// ReadTimeout is how long a frame may take from its first byte to its last.
	ReadTimeout time.Duration `range:"100ms..5m" yaml:"read_timeout"`
	// WriteTimeout is how long an answer may take to leave.
	WriteTimeout time.Duration `range:"100ms..5m" yaml:"write_timeout"`
	// IdleTimeout is how long a connection may be silent.
	IdleTimeout time.Duration `range:"1s..168h" yaml:"idle_timeout"`
	// HandshakeTimeout is how long the TLS handshake may take.
	HandshakeTimeout time.Duration   `range:"100ms..5m"      yaml:"handshake_timeout"`
	UnknownReversal  UnknownReversal `oneof:"approve decline" yaml:"unknown_reversal"`
}

// TLS protects a listener; it is on when a certificate is named.
type TLS struct {
	// Certificate is a PEM file: the listener's certificate and those between it and the root.
	Certificate string `path:"file" yaml:"certificate"`
	// Key is the certificate's private key, in PEM.
	Key string `path:"file" yaml:"key"`
	// ClientCA is a PEM file with the roots that terminals' certificates are checked against.
	ClientCA string `path:"file" yaml:"client_ca"`
	// RequireClientCertificate refuses terminals without a certificate.
	RequireClientCertificate bool   `yaml:"require_client_certificate"`
	MinVersion               string `oneof:"1.2 1.3"                   yaml:"min_version"`
}

// Enabled tells whether the listener speaks TLS.
func (t TLS) Enabled() bool { return t.Certificate != "" }

// Limits bound what all listeners together take in.
type Limits struct {
	// MaxInFlight bounds the requests that are not answered yet.
	MaxInFlight int `range:"1..1000000" yaml:"max_in_flight"`
	// MaxConnections bounds the connections.
	MaxConnections int `range:"1..1000000" yaml:"max_connections"`
}

// Admission is how much is taken from whom, and when a terminal is locked. A rate of 0 is no limit.
type Admission struct {
	// TerminalRate is how many messages a second one terminal may send, TerminalBurst how many at once.
	TerminalRate  int `range:"0..1000000" yaml:"terminal_rate"`
	TerminalBurst int `range:"1..1000000" yaml:"terminal_burst"`
	// SettlementRate and SettlementBurst are the same of what settles (05xx), which carries no MAC and has its merchants' sales wait.
	SettlementRate  int `range:"0..1000000" yaml:"settlement_rate"`
	SettlementBurst int `range:"1..1000000" yaml:"settlement_burst"`
	// AddressRate and AddressBurst are the same of one IPv4 address or IPv6 /64.
	AddressRate  int `range:"0..1000000" yaml:"address_rate"`
	AddressBurst int `range:"1..1000000" yaml:"address_burst"`
	// RefusalRate and RefusalBurst bound the answers to unknown terminals, per address, and to locked ones, and the rows
	// about refused messages in the audit log; TotalRefusalRate bounds them over all.
	RefusalRate      int `range:"0..1000000" yaml:"refusal_rate"`
	RefusalBurst     int `range:"1..1000000" yaml:"refusal_burst"`
	TotalRefusalRate int `range:"0..1000000" yaml:"total_refusal_rate"`
	// Concentrators lists networks whose addresses stand for many terminals: no rate of terminals and addresses is for them.
	Concentrators []netip.Prefix `yaml:"concentrators"`
	// LockAfter wrong MACs in a row within LockWithin lock a terminal for LockFor; 0 locks none.
	LockAfter  int           `range:"0..1000"  yaml:"lock_after"`
	LockWithin time.Duration `range:"1s..24h"  yaml:"lock_within"`
	LockFor    time.Duration `range:"1s..720h" yaml:"lock_for"`
}

// Switch bounds the way of a request from its terminal to the ledger and back.
type Switch struct {
	// ReplyTimeout is when a request is answered at the latest, also where it is not known whether its commit was done.
	ReplyTimeout time.Duration `range:"100ms..2m" yaml:"reply_timeout"`
	// StoreTimeout is when a request that still waits is given up: from then on it is not approved.
	StoreTimeout time.Duration `range:"100ms..1m" yaml:"store_timeout"`
	// MaxBatch bounds the requests of one unit of work.
	MaxBatch int `range:"1..10000" yaml:"max_batch"`
	// Queue bounds the requests that wait for one lane.
	Queue int `range:"1..1000000" yaml:"queue"`
}

// Ops is where operators and their tools look in.
type Ops struct {
	// Address serves metrics and health; empty serves none.
	Address string `yaml:"address"`
	// Pprof adds Go's profiles, which show memory and are for trusted networks.
	Pprof bool `yaml:"pprof"`
}

// Console is where people look in, with a token each.
type Console struct {
	// Address serves the web console; empty serves none.
	Address string `yaml:"address"`
	// Certificate is a PEM file: the console's certificate and those between it and the root. Without one the console
	// is for this machine alone.
	Certificate string `path:"file" yaml:"certificate"`
	// Key is the certificate's private key, in PEM.
	Key string `path:"file" yaml:"key"`
}

// Log is what is logged, and how.
type Log struct {
	Level string `oneof:"debug info warn error" yaml:"level"`
	// Format is json, text, or auto: text on a terminal and JSON elsewhere.
	Format string `oneof:"json text auto" yaml:"format"`
}

// Shutdown bounds the way out.
type Shutdown struct {
	// DrainTimeout is how long requests in flight may take to finish.
	DrainTimeout time.Duration `range:"0s..10m" yaml:"drain_timeout"`
}
