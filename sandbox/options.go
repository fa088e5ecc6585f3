//go:build unix

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"syscall"
	"time"
)

// Default addresses: this machine only, because everything behind them is public.
const (
	DefaultDataDir  = ".meridian"
	DefaultNAC      = "127.0.0.1:8583"
	DefaultASCII    = "127.0.0.1:8584"
	DefaultUnionPay = "127.0.0.1:8585"
	DefaultConsole  = "127.0.0.1:8580"
	DefaultOps      = "127.0.0.1:9580"
)

// Options of a sandbox. Empty values take the defaults beside them.
type Options struct {
	// DataDir keeps the database, and sandbox.json while the sandbox runs.
	// Empty is [DefaultDataDir], or a temporary directory when Ephemeral.
	DataDir string
	// Ephemeral leaves nothing behind: the database is new and removed at the
	// end. A database that DataDir already holds is not used and not touched.
	Ephemeral bool
	// DatabaseURL is used in place of a private Postgres; with Ephemeral a
	// database of its own is made on that server.
	DatabaseURL string

	// Addresses as host:port; port 0 picks a free one.
	NAC      string
	ASCII    string
	UnionPay string
	Console  string
	Ops      string

	// VerifyEvery is how often the ledger is verified beside the traffic: a minute,
	// because what an integrator tries out is small, and is to show soon.
	VerifyEvery time.Duration
	// StoreTimeout is how long a request waits for the database before it is refused, and
	// half of how long one whose outcome is unknown does; 0 is a host's own patience.
	StoreTimeout time.Duration
	// Documents are Markdown files that the console shows; nil shows none.
	Documents fs.FS

	Logger  *slog.Logger
	Version string
	// Now is the business clock.
	Now func() time.Time

	// after holds scenarios' answers back; nil is the real time.
	after func(d time.Duration, f func())
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value    *string
		fallback string
	}{
		{&o.NAC, DefaultNAC},
		{&o.ASCII, DefaultASCII},
		{&o.UnionPay, DefaultUnionPay},
		{&o.Console, DefaultConsole},
		{&o.Ops, DefaultOps},
	} {
		if *d.value == "" {
			*d.value = d.fallback
		}
	}
	if o.DataDir == "" && !o.Ephemeral {
		o.DataDir = DefaultDataDir
	}
	if o.VerifyEvery == 0 {
		o.VerifyEvery = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// AddressError is an address of the options that cannot be listened on.
type AddressError struct {
	Flag    string // such as --nac
	Address string
	Err     error
}

func (e *AddressError) Error() string {
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("%s %s: another program listens there; stop it, or choose another address (port 0 picks a free one)",
			e.Flag, e.Address)
	}
	return fmt.Sprintf("%s %s: %v", e.Flag, e.Address, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// Malformed tells whether the address could not even be read.
func (e *AddressError) Malformed() bool {
	_, isSyntax := errors.AsType[*net.AddrError](e.Err)
	return isSyntax
}

type flagAddress struct{ flag, address string }

// listened are the addresses that something listens on.
func (o *Options) listened() []flagAddress {
	return []flagAddress{{"--nac", o.NAC}, {"--ascii", o.ASCII}, {"--unionpay", o.UnionPay}, {"--console", o.Console}, {"--ops", o.Ops}}
}

// checkAddresses finds out before anything is started what listening would
// find out at the end: a user who mistyped a port should not wait for Postgres.
func (o *Options) checkAddresses() error {
	for _, a := range o.listened() {
		if err := checkSyntax(a.address); err != nil {
			return &AddressError{Flag: a.flag, Address: a.address, Err: err}
		}
	}
	for _, a := range o.listened() {
		listener, err := net.Listen("tcp", a.address) //nolint:noctx // nothing to wait for
		if err != nil {
			return &AddressError{Flag: a.flag, Address: a.address, Err: err}
		}
		if err := listener.Close(); err != nil {
			return &AddressError{Flag: a.flag, Address: a.address, Err: err}
		}
	}
	return nil
}

func checkSyntax(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err //nolint:wrapcheck // an AddrError, wrapped by the caller
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return &net.AddrError{Err: "port is not 0 to 65535", Addr: address}
	} else if n > 65535 {
		return &net.AddrError{Err: "port is not 0 to 65535", Addr: address}
	}
	return nil
}

// nameAddress finds the flag behind an error of listening: between the check
// and the listening another program may have been quicker.
func (o *Options) nameAddress(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "listen" || op.Addr == nil {
		return err
	}
	for _, a := range o.listened() {
		if resolved, lookup := net.ResolveTCPAddr("tcp", a.address); lookup == nil && resolved.String() == op.Addr.String() {
			return &AddressError{Flag: a.flag, Address: a.address, Err: err}
		}
	}
	return err
}
