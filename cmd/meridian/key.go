package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"meridian/internal/hsm"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/vault"
	"meridian/switch"
)

func newKeyCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "key",
		Short: "Load, move, check and rewrap the keys of terminals",
		Long: `Handles keys through the security module; none is ever shown, nor taken on the command line. A key is drawn by the module
(generate), arrives in a key block of ASC X9.143 (TR-31) under a transport key (import, load), or as components of two or three
people (components).

Which key: --tid with --use terminal-master, mac or pin; --base-key for one that DUKPT derives keys of; --transport-key for one that
protects key blocks. Check values are the first three bytes of what the key makes of zeros.

The commands need the login that owns the schema, and the configuration of a host for its master key and its security module; over
a sandbox's database they take the sandbox's. Each is in the audit log.`,
	}
	database := newDatabaseFlags(command)
	command.AddCommand(
		newKeyGenerateCommand(g, database),
		newKeyImportCommand(g, database),
		newKeyLoadCommand(g, database),
		newKeyExportCommand(g, database),
		newKeyComponentsCommand(g, database),
		newKeyCheckCommand(g, database),
		newKeyRotateMasterCommand(g, database),
	)
	return command
}

// keyRoom is what commands about keys need: the database, the master key, the module, and the time.
type keyRoom struct {
	pool   *pgxpool.Pool
	vault  *vault.Vault
	data   *vault.DataKeys
	module hsm.Module
	now    time.Time
}

// openKeys opens the room; the caller closes its pool.
func (d *databaseFlags) openKeys(ctx context.Context, g *globals) (_ *keyRoom, err error) {
	loaded, err := d.load(g)
	if err != nil {
		return nil, err
	}
	r := &keyRoom{}
	if r.pool, err = d.open(ctx, g); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.pool.Close()
		}
	}()
	at, err := d.clockOf(ctx, r.pool)
	if err != nil {
		return nil, err
	}
	r.now = at.now
	kind, err := installationKind(ctx, r.pool)
	if err != nil {
		return nil, databaseError(err)
	}
	if kind == kindSandbox {
		r.vault, err = vault.Open(vault.SandboxMasterKey())
	} else if r.vault, err = openVault(loaded); err == nil && r.vault.IsSandbox() {
		err = wrongSetting(loaded, "master_key_file", "is a sandbox's key, and the database is not a sandbox's")
	}
	if err != nil {
		return nil, err
	}
	if r.data, err = vault.OpenDataKeys(ctx, r.vault, switching.DataKeyRows{DB: r.pool}); err != nil {
		return nil, keyError(err)
	}
	if kind == kindSandbox {
		r.module = hsm.NewSoftware(r.vault, r.data)
		return r, nil
	}
	r.module, err = openModule(loaded, r.vault, r.data)
	return r, err
}

// keyError gives an error about keys its exit code.
func keyError(err error) error {
	for _, usage := range []error{switching.ErrKeyTarget, hsm.ErrComponents, hsm.ErrBlock} {
		if errors.Is(err, usage) {
			return withExit(exitUsage, err)
		}
	}
	for _, broken := range []error{vault.ErrOtherKey, vault.ErrUnwrap, vault.ErrNotWrapped, vault.ErrDataKey} {
		if errors.Is(err, broken) {
			return withExit(exitConfiguration, fmt.Errorf("the master key does not open the database's keys: %w", err))
		}
	}
	return changeError(err, err.Error())
}

// targetFlags say which key.
type targetFlags struct{ tid, use, baseKey, transport string }

func (t *targetFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&t.tid, "tid", "", "a key of this terminal (F41), with --use")
	flags.StringVar(&t.use, "use", "", "what the terminal's key is for: terminal-master, mac or pin")
	flags.StringVar(&t.baseKey, "base-key", "", "the base key of this name (DUKPT)")
	flags.StringVar(&t.transport, "transport-key", "", "the transport key of this name (KBPK, ZMK)")
}

// targetUse is how the flags stand in a command's usage line.
const targetUse = "(--tid TID --use USE | --base-key NAME | --transport-key NAME)"

// target is the key that the flags name.
func (t *targetFlags) target() (switching.KeyTarget, error) {
	given := 0
	for _, value := range []string{t.tid, t.baseKey, t.transport} {
		if value != "" {
			given++
		}
	}
	if given != 1 {
		return switching.KeyTarget{}, usagef("say which key, in one of three ways: --tid with --use, --base-key, or --transport-key")
	}
	target := switching.KeyTarget{TID: t.tid, BaseKey: t.baseKey, Transport: t.transport}
	if t.tid == "" {
		if t.use != "" {
			return target, usagef("--use is for keys of terminals (--tid)")
		}
		return target, nil
	}
	use, err := hsm.ParseUse(t.use)
	if err != nil || use != hsm.UseTerminalMaster && use != hsm.UseMAC && use != hsm.UsePIN {
		return target, usagef("--use %q: a terminal's key is for terminal-master, mac or pin", t.use)
	}
	target.Use = use
	return target, nil
}

// registerAlgorithm adds --algorithm, which has a default for each use.
func registerAlgorithm(command *cobra.Command) *string {
	return command.Flags().String("algorithm", "",
		"des, tdes-2, tdes-3, aes-128, aes-192 or aes-256 (default tdes-2 for terminals, aes-128 for base keys, aes-256 for transport keys)")
}

func algorithmOf(name string, target switching.KeyTarget) (hsm.Algorithm, error) {
	if name != "" {
		algorithm, err := cipherkey.Parse(strings.ToLower(name))
		if err != nil {
			return 0, usagef("--algorithm: %w", err)
		}
		return algorithm, nil
	}
	switch target.KeyUse() {
	case hsm.UseDUKPTBase:
		return hsm.AES128, nil
	case hsm.UseKeyBlock:
		return hsm.AES256, nil
	default:
		return hsm.TDES2, nil
	}
}

// loadedKeys tells what was loaded.
func (g *globals) loadedKeys(list []*switching.LoadedKey) error {
	return g.print(list, func(w io.Writer) {
		for _, l := range list {
			writeLoaded(w, l)
		}
	})
}

func writeLoaded(w io.Writer, l *switching.LoadedKey) {
	_, _ = fmt.Fprintf(w, "%s: %s, check value %s", l.Key, l.Algorithm, l.CheckValue)
	if l.Generation != 0 {
		_, _ = fmt.Fprintf(w, ", generation %d: the terminal may change to it when it likes", l.Generation)
	}
	_, _ = fmt.Fprintln(w)
}

func newKeyGenerateCommand(g *globals, database *databaseFlags) *cobra.Command {
	var which targetFlags
	var why change
	command := &cobra.Command{
		Use:   "generate " + targetUse + " --by NAME --reason TEXT",
		Short: "Have the module draw a key, and store it",
		Long: `Draws a key in the security module and stores it. A terminal's MAC or PIN key that has one already becomes its next generation:
the one before is good until the terminal uses the new one, and for a minute after it. Export it to the terminal's key loader.`,
		Example: `  meridian key generate --transport-key zmk-acquirer --by "Ann Lee" --reason "key exchange with the loader"
  meridian key generate --tid 10000002 --use mac --by "Ann Lee" --reason "yearly change"`,
		Args: noArguments,
	}
	which.register(command)
	algorithm := registerAlgorithm(command)
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		target, err := which.target()
		if err != nil {
			return err
		}
		cipher, err := algorithmOf(*algorithm, target)
		if err != nil {
			return err
		}
		if err := why.check(); err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		key, err := room.module.Generate(c.Context(), target.KeyUse(), cipher)
		if err != nil {
			return keyError(err)
		}
		loaded, err := switching.LoadKey(c.Context(), room.pool, room.module, target, key, room.now, why.by, why.reason)
		if err != nil {
			return keyError(err)
		}
		return g.loadedKeys([]*switching.LoadedKey{loaded})
	}
	return command
}
