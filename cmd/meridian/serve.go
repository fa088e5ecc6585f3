package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"

	"github.com/spf13/cobra"

	"meridian/host"
	"meridian/host/node"
	"meridian/internal/config"
	"meridian/internal/hsm"
	"meridian/internal/vault"
	"meridian/migrations"
)

func newServeCommand(g *globals) *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run a host",
		Long: `Runs a host: takes terminals' messages on the configured listeners and keeps the ledger in the configured database.

The first SIGINT or SIGTERM drains: no new connections, what is in flight is answered. The second ends the host at once.
What goes on is logged to standard error. Unless GOGC or GOMEMLIMIT is set, the heap grows to five times what lives in it
between two collections.`,
		Example: `  meridian config example > meridian.yaml
  meridian config check meridian.yaml
  meridian serve --config meridian.yaml`,
		Args: noArguments,
	}
	var flags []config.Flag
	set := func(name, key, usage string) {
		command.Flags().Func(name, usage+" ("+key+")", func(value string) error {
			flags = append(flags, config.Flag{Name: "--" + name, Key: key, Value: value})
			return nil
		})
	}
	set("database-url", "database.url", "the database, as postgres://…")
	set("master-key-file", "master_key_file", "file with the key that wraps all others")
	set("security-module", "security_module", "where keys and PINs are in clear: software")
	set("ops", "ops.address", "address of metrics and health; empty serves none")
	set("console", "console.address", "address of the web console; empty serves none")
	set("log-level", "log.level", "debug, info, warn or error")
	set("log-format", "log.format", "json, text or auto")
	command.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := g.load(flags...)
		if err != nil {
			return err
		}
		return serve(c.Context(), g, loaded)
	}
	return command
}

// serve runs a host until ctx ends.
func serve(ctx context.Context, g *globals, loaded *config.Loaded) error {
	log, err := newLogger(g.stderr, loaded.Config.Log)
	if err != nil {
		return err
	}
	if err := checkServe(loaded); err != nil {
		return err
	}
	keys, err := openVault(loaded)
	if err != nil {
		return err
	}
	if keys.IsSandbox() {
		return wrongSetting(loaded, "master_key_file", "is a sandbox's key, which everybody knows: make one with openssl rand -hex 32")
	}
	if err := lookAtDatabase(ctx, loaded, log); err != nil {
		return err
	}
	settings, err := nodeConfig(loaded, log)
	if err != nil {
		return err
	}
	tuneCollector()
	settings.Vault = keys
	var tap *host.Tap
	if loaded.Config.Console.Address != "" {
		tap = host.NewTap()
	}
	settings.Tap = tap
	settings.Module = func(data *vault.DataKeys) (hsm.Module, error) { return openModule(loaded, keys, data) }
	running, err := node.Start(ctx, settings)
	if err != nil {
		return startError(loaded, err)
	}
	addresses := running.Addresses()
	if tap != nil {
		console, err := startConsole(ctx, loaded, running, tap, log)
		if err != nil {
			return errors.Join(err, running.Shutdown())
		}
		defer console.close()
		addresses["console"] = console.server.Address()
	}
	attributes := make([]any, 0, len(addresses))
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		attributes = append(attributes, slog.String(name, addresses[name]))
	}
	log.Info("ready", slog.String("version", version), slog.String("master_key", keys.KeyID()), slog.Group("addresses", attributes...))
	return running.Run(ctx)
}

// startError gives an error of a host's start its exit code.
func startError(loaded *config.Loaded, err error) error {
	if errors.Is(err, node.ErrSchema) {
		return withExit(exitConfiguration, err)
	}
	if errors.Is(err, vault.ErrOtherKey) {
		return wrongSetting(loaded, "master_key_file", "is not the key that this database was set up with: "+err.Error())
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "listen" {
		return wrongSetting(loaded, addressKey(loaded.Config, op.Addr), err.Error())
	}
	// What the server says, such as a wrong password, is more than that it was not reached.
	if err = databaseError(err); errors.Is(err, node.ErrUnreachable) {
		return withExit(exitUnreachable, err)
	}
	return err
}

// addressKey is the key of the address that could not be listened on: of its listener, else of the ops address.
func addressKey(c config.Config, failed net.Addr) string {
	for i, l := range c.Listeners {
		if resolved, err := net.ResolveTCPAddr("tcp", l.Address); err == nil && failed != nil && resolved.String() == failed.String() {
			return fmt.Sprintf("listeners[%d].address", i)
		}
	}
	return "ops.address"
}

// openVault reads the master key.
func openVault(loaded *config.Loaded) (*vault.Vault, error) {
	if loaded.Config.MasterKeyFile == "" {
		return nil, wrongSetting(loaded, "master_key_file", fmt.Sprintf(
			"is missing: name a file with the key that wraps all others, by %s or --master-key-file too (openssl rand -hex 32 makes one for a new database)",
			config.Variable("master_key_file")))
	}
	masters, err := vault.LoadMasterKeys(loaded.Config.MasterKeyFile)
	if err != nil {
		return nil, wrongSetting(loaded, "master_key_file", err.Error())
	}
	keys, err := vault.Open(masters...)
	if err != nil {
		return nil, wrongSetting(loaded, "master_key_file", err.Error())
	}
	return keys, nil
}

// openModule opens the security module that the configuration allows.
func openModule(loaded *config.Loaded, keys *vault.Vault, data *vault.DataKeys) (hsm.Module, error) {
	if loaded.Config.SecurityModule == config.SecurityModuleSoftware {
		return hsm.NewSoftware(keys, data), nil
	}
	return nil, wrongSetting(loaded, "security_module", fmt.Sprintf(
		"is %s: a host cannot do without. Write %s where your rules allow keys and PINs in this program's memory, by %s or --security-module too",
		loaded.Config.SecurityModule, config.SecurityModuleSoftware, config.Variable("security_module")))
}

// lookAtDatabase keeps a host from a database whose cards, keys and clock are for play, and tells of a login that may do more
// than a host's. It goes on with such a one, as a small installation may have no other.
func lookAtDatabase(ctx context.Context, loaded *config.Loaded, log *slog.Logger) error {
	pool, err := connect(ctx, loaded.Config.Database, commandConnections)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := checkSchema(ctx, pool); err != nil {
		return err
	}
	kind, err := installationKind(ctx, pool)
	if err != nil {
		return databaseError(err)
	}
	if kind == kindSandbox {
		return wrongSetting(loaded, "database.url", "is a sandbox's database, whose keys everybody knows: meridian sandbox serves it")
	}
	why, err := tooMighty(ctx, pool)
	if err != nil {
		return databaseError(err)
	}
	if why != "" {
		log.Warn("the database's login may do more than a host's needs to", "login", why, "enough", migrations.ServiceRole)
	}
	return nil
}

// wrongSetting is an error about a key of the configuration, at the place where it was set.
func wrongSetting(loaded *config.Loaded, key, reason string) error {
	origin := loaded.Origin(key)
	if origin.Source == config.SourceDefault && loaded.File != "" {
		origin = config.Origin{Source: config.SourceFile, Name: loaded.File} // where it is missing
	}
	problem := &config.Error{Problems: []config.Problem{{Origin: origin, Key: key, Reason: reason}}}
	return withExit(exitConfiguration, fmt.Errorf("configuration: %w", problem))
}
