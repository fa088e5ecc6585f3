package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/switch"
)

// profileFlags are how a terminal speaks and proves that it is itself.
type profileFlags struct {
	profile     switching.TerminalProfile
	scheme      string
	ksn         string
	certificate string
}

func (f *profileFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.profile.TPDU, "tpdu", "", "TPDU as the terminal sends it, ten hex digits; for people, hosts answer to any")
	flags.StringVar(&f.profile.MAC, "mac", "none", "how its messages are authenticated: none, x919, x9.9, unionpay-ecb or aes-cmac")
	flags.StringVar(&f.scheme, "scheme", string(switching.SchemeStatic),
		"where its keys come from: static (people load them), session (unionpay: it signs in), dukpt-tdes or dukpt-aes")
	flags.StringVar(&f.profile.BaseKey, "base-key", "", "the base key that DUKPT derives its keys of")
	flags.StringVar(&f.ksn, "ksn", "", "DUKPT: its key serial number, 20 hex digits of dukpt-tdes with a counter of zero, the first 16 of dukpt-aes")
	flags.StringVar(&f.profile.PINFormat, "pin-format", "iso-0", "form of PIN blocks that do not say theirs: iso-0, iso-1, iso-3 or iso-4")
	flags.StringVar(&f.certificate, "certificate", "", "PEM file of the only certificate that it may connect with; none for any")
}

// read makes of the flags what the profile takes.
func (f *profileFlags) read() (err error) {
	f.profile.Scheme = switching.KeyScheme(f.scheme)
	if f.ksn != "" {
		if f.profile.InitialKSN, err = hex.DecodeString(f.ksn); err != nil {
			return usagef("--ksn: %q is not hexadecimal", f.ksn)
		}
	}
	if f.certificate != "" && f.certificate != noValue {
		f.profile.Certificate, err = certificateHash(f.certificate)
	}
	return err
}

// apply changes a profile by the flags that are given.
func (f *profileFlags) apply(c *cobra.Command, p *switching.TerminalProfile) {
	for flag, set := range map[string]func(){
		"tpdu": func() { p.TPDU = f.profile.TPDU }, "mac": func() { p.MAC = f.profile.MAC }, "scheme": func() { p.Scheme = f.profile.Scheme },
		"base-key": func() { p.BaseKey = f.profile.BaseKey }, "ksn": func() { p.InitialKSN = f.profile.InitialKSN },
		"pin-format": func() { p.PINFormat = f.profile.PINFormat }, "certificate": func() { p.Certificate = f.profile.Certificate },
	} {
		if c.Flags().Changed(flag) {
			set()
		}
	}
}

// maxCertificateBytes of a PEM file: a certificate with a long chain behind it.
const maxCertificateBytes = 1 << 20

// certificateHash is the SHA-256 of the first certificate in a PEM file.
func certificateHash(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("--certificate: %w", err))
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxCertificateBytes))
	if err != nil {
		return nil, withExit(exitConfiguration, fmt.Errorf("--certificate: %w", err))
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, usagef("--certificate: %s holds no certificate in PEM", path)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, usagef("--certificate: %s: %s", path, err)
		}
		hash := sha256.Sum256(block.Bytes)
		return hash[:], nil
	}
}

func newTerminalsAddCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var f profileFlags
	var n switching.NewTerminal
	command := &cobra.Command{
		Use:   "add TID --mid MID --dialect DIALECT --by NAME --reason TEXT",
		Short: "Add a terminal to a merchant",
		Long: `Adds a terminal. It is suspended until meridian terminals activate, unless --active lets it in at once, as one needs that has no MAC.

Keys go to a terminal that is there (meridian key components, load or generate), and a MAC needs its key: add the terminal, load the
key, then meridian terminals set --mac, and activate it. A terminal of dialect unionpay is given its master key, then
--scheme session --mac unionpay-ecb. One whose keys are derived (DUKPT) is complete at once.`,
		Example: `  meridian terminals add 50000001 --mid 500000000000001 --dialect nac --tpdu 6000010000 --by "Ann Lee" --reason "new terminal"
  meridian terminals add 50000002 --mid 500000000000001 --dialect ascii --scheme dukpt-tdes --base-key shops --ksn FFFF9876543210E00000 \
    --mac x919 --active --by "Ann Lee" --reason "new terminal"`,
		Args: oneArgument("TID"),
	}
	flags := command.Flags()
	flags.StringVar(&n.MID, "mid", "", "the merchant (F42)")
	flags.StringVar(&n.Dialect, "dialect", "", "what it speaks: nac, ascii or unionpay")
	flags.BoolVar(&n.Active, "active", false, "let it in at once")
	f.register(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		if err := f.read(); err != nil {
			return err
		}
		n.TID, n.TerminalProfile = arguments[0], f.profile
		pool, _, err := database.enrolling(c, g, &why, "mid", "dialect")
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := switching.AddTerminal(c.Context(), pool, n, why.by, why.reason); err != nil {
			return enrolError(c, err, "")
		}
		state := map[bool]string{true: "active", false: "suspended until meridian terminals activate"}[n.Active]
		return g.doneWithTerminal(c.Context(), pool, database, n.TID, fmt.Sprintf("terminal %s of merchant %s is added, %s", n.TID, n.MID, state), why)
	}
	return command
}

func newTerminalsSetCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	var f profileFlags
	command := &cobra.Command{
		Use:   "set TID [--mac NAME] [--scheme NAME] [--tpdu HEX] … --by NAME --reason TEXT",
		Short: "Change how a terminal is authenticated and where its keys come from",
		Long: `Changes what is given; the rest stays. A MAC is refused whose key is not loaded, or which takes no such key. TID, merchant and dialect
stay for good: add another terminal, and suspend this one.`,
		Example: `  meridian terminals set 50000001 --mac x919 --by "Ann Lee" --reason "new terminal"
  meridian terminals set 50000003 --scheme session --mac unionpay-ecb --by "Ann Lee" --reason "new terminal"`,
		Args: oneArgument("TID"),
	}
	f.register(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, arguments []string) error {
		tid := arguments[0]
		if err := f.read(); err != nil {
			return err
		}
		given := false
		for _, flag := range []string{"tpdu", "mac", "scheme", "base-key", "ksn", "pin-format", "certificate"} {
			given = given || c.Flags().Changed(flag)
		}
		if !given {
			return usagef("say what is to change: --mac, --scheme, --base-key, --ksn, --pin-format, --certificate or --tpdu")
		}
		pool, _, err := database.enrolling(c, g, &why)
		if err != nil {
			return err
		}
		defer pool.Close()
		change := func(p *switching.TerminalProfile) { f.apply(c, p) }
		if err := switching.SetTerminal(c.Context(), pool, tid, change, why.by, why.reason); err != nil {
			return enrolError(c, err, fmt.Sprintf("terminal %s is so already", tid))
		}
		return g.doneWithTerminal(c.Context(), pool, database, tid, fmt.Sprintf("terminal %s is changed", tid), why)
	}
	return command
}

// doneWithTerminal tells about a change of a terminal, and shows it as it is now.
func (g *globals) doneWithTerminal(ctx context.Context, pool *pgxpool.Pool, database *databaseFlags, tid, what string, why change) error {
	at, err := database.clockOf(ctx, pool)
	if err != nil {
		return err
	}
	t, err := switching.FindTerminal(ctx, pool, tid)
	if err != nil {
		return databaseError(err)
	}
	v := viewOf(t, at.now)
	return g.doneEnrolling(what, why, enrolled{Terminal: &v})
}
