package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"meridian/host"
	"meridian/host/node"
	"meridian/host/wire"
	"meridian/internal/config"
	"meridian/switch"
)

// checkServe tells whether a host could start with a configuration, as far as that can be told without a database.
func checkServe(loaded *config.Loaded) error {
	var problems []config.Problem
	for _, check := range []func() error{loaded.ReadyToServe, loaded.CheckFiles} {
		if err := check(); err != nil {
			configError, ok := errors.AsType[*config.Error](err)
			if !ok {
				return err
			}
			problems = append(problems, configError.Problems...)
		}
	}
	if len(problems) > 0 {
		return withExit(exitConfiguration, fmt.Errorf("configuration: %w", &config.Error{Problems: problems}))
	}
	if _, err := nodeConfig(loaded, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := checkConsole(loaded); err != nil {
		return err
	}
	keys, err := openVault(loaded)
	if err != nil {
		return err
	}
	_, err = openModule(loaded, keys, keys.FirstDataKeys())
	return err
}

// nodeConfig turns a configuration into a node's, without its vault. It reads field tables and certificates.
func nodeConfig(loaded *config.Loaded, log *slog.Logger) (node.Config, error) {
	c := loaded.Config
	settings := node.Config{
		DatabaseURL:            c.Database.URL.Reveal(),
		MaxDatabaseConnections: c.Database.MaxConnections,
		ConnectTimeout:         c.Database.ConnectTimeout,
		OpsAddress:             c.Ops.Address,
		PProf:                  c.Ops.Pprof,
		MaxInFlight:            c.Limits.MaxInFlight,
		MaxConnections:         c.Limits.MaxConnections,
		Admission:              admissionLimits(c.Admission),
		Switch: switching.Options{
			MaxBatch:      c.Switch.MaxBatch,
			Queue:         c.Switch.Queue,
			StoreTimeout:  c.Switch.StoreTimeout,
			AnswerTimeout: c.Switch.ReplyTimeout,
		},
		DrainTimeout: max(c.Shutdown.DrainTimeout, time.Nanosecond), // who sets 0 waits for nothing
		Logger:       log,
		Version:      version,
	}
	for i := range c.Listeners {
		listener, err := nodeListener(loaded, i, log)
		if err != nil {
			return node.Config{}, err
		}
		settings.Listeners = append(settings.Listeners, listener)
	}
	return settings, nil
}

// admissionLimits are the limits of a configuration. Over all senders refusals come in no larger bursts than a second's, or than one sender's.
func admissionLimits(a config.Admission) host.AdmissionLimits {
	rate := func(perSecond, burst int) host.Rate { return host.Rate{PerSecond: float64(perSecond), Burst: burst} }
	lockAfter := a.LockAfter
	if lockAfter == 0 {
		lockAfter = -1
	}
	return host.AdmissionLimits{
		PerTerminal: rate(a.TerminalRate, a.TerminalBurst), Settlements: rate(a.SettlementRate, a.SettlementBurst), PerAddress: rate(a.AddressRate, a.AddressBurst),
		Refusals: rate(a.RefusalRate, a.RefusalBurst), RefusalsTotal: rate(a.TotalRefusalRate, max(a.TotalRefusalRate, a.RefusalBurst)),
		Concentrators: a.Concentrators, LockAfter: lockAfter, LockWithin: a.LockWithin, LockFor: a.LockFor,
	}
}

// nodeListener turns the listener at an index into a node's.
func nodeListener(loaded *config.Loaded, index int, log *slog.Logger) (node.Listener, error) {
	l := loaded.Config.Listeners[index]
	wrong := func(key string, err error) (node.Listener, error) {
		return node.Listener{}, wrongSetting(loaded, fmt.Sprintf("listeners[%d].%s", index, key), err.Error())
	}
	length, err := wire.ParseLengthFormat(string(l.Length))
	if err != nil {
		return wrong("length", err)
	}
	spec, err := customSpec(l.SpecFile)
	if err != nil {
		return wrong("spec_file", err)
	}
	identity, err := listenerTLS(l, log)
	if err != nil {
		return wrong("tls", err)
	}
	return node.Listener{
		ListenerConfig: host.ListenerConfig{
			Name:                     l.Name,
			Address:                  l.Address,
			Framing:                  framingOf(l, length),
			TLS:                      identity,
			Allow:                    l.Allow,
			MaxConnections:           l.MaxConnections,
			MaxConnectionsPerAddress: l.MaxConnectionsPerAddress,
			MaxInFlight:              l.MaxInFlight,
			ReadTimeout:              l.ReadTimeout,
			WriteTimeout:             l.WriteTimeout,
			IdleTimeout:              l.IdleTimeout,
			HandshakeTimeout:         l.HandshakeTimeout,
		},
		Dialect:                string(l.Dialect),
		Spec:                   spec,
		DeclineUnknownReversal: l.UnknownReversal == config.UnknownReversalDecline,
		Profile:                l.Profile, AcquirerID: l.AcquirerID,
	}, nil
}

// framingOf is how a dialect's messages are cut out of the stream: a TPDU comes before them where an NAC stands between,
// and before UnionPay's an application header too.
func framingOf(l config.Listener, length wire.LengthFormat) wire.Framing {
	return wire.Framing{
		Length: length, MaxBytes: l.MaxFrameBytes,
		TPDU: l.Dialect == config.DialectNAC, Header: l.Dialect == config.DialectUnionPay, DialMonitor: l.DialMonitor,
	}
}

// customSpec reads a field table, or returns nil for none.
func customSpec(path string) (*wire.Spec, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no file is no spec of its own
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	spec, err := wire.LoadSpec("", file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spec, nil
}

// listenerTLS reads a listener's certificates, or returns nil for a listener without.
func listenerTLS(l config.Listener, log *slog.Logger) (*tls.Config, error) {
	if !l.TLS.Enabled() {
		return nil, nil //nolint:nilnil // no certificate is no TLS
	}
	files := host.TLSFiles{
		Certificate: l.TLS.Certificate, Key: l.TLS.Key,
		ClientCA: l.TLS.ClientCA, RequireClientCertificate: l.TLS.RequireClientCertificate,
		ReloadFailed: func(err error) {
			log.Error("changed certificate files cannot be used, the previous ones stay", "listener", l.Name, "error", err)
		},
	}
	identity, err := files.Config()
	if err != nil {
		return nil, err
	}
	if l.TLS.MinVersion == "1.3" {
		requireTLS13(identity)
	}
	return identity, nil
}

// requireTLS13 refuses clients that do not offer TLS 1.3. The configuration of a handshake is made anew from the files, so
// its own bound is out of reach here.
func requireTLS13(identity *tls.Config) {
	forClient := identity.GetConfigForClient
	identity.MinVersion = tls.VersionTLS13
	identity.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
			return nil, errors.New("the client does not offer TLS 1.3, which tls.min_version asks for")
		}
		return forClient(hello)
	}
}
