package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"meridian/internal/hsm"
	"meridian/switch"
)

// maxBlockBytes bounds what is read as a key block: four digits announce its length.
const maxBlockBytes = 9999

// readBlock reads a key block from a file, or from standard input for -.
func (g *globals) readBlock(file string) (string, error) {
	from := g.stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return "", withExit(exitConfiguration, fmt.Errorf("read the key block: %w", err))
		}
		defer opened.Close()
		from = opened
	}
	text, err := io.ReadAll(io.LimitReader(from, maxBlockBytes+1))
	if err != nil {
		return "", fmt.Errorf("read the key block: %w", err)
	}
	block := strings.TrimSpace(string(text))
	if block == "" || len(text) > maxBlockBytes {
		return "", usagef("the key block has %d characters: it has up to %d", len(block), maxBlockBytes)
	}
	return block, nil
}

// importBlock opens a key block under a transport key.
func (r *keyRoom) importBlock(ctx context.Context, under, block string, want hsm.Use) (hsm.Key, error) {
	transport, err := r.transport(ctx, under)
	if err != nil {
		return hsm.Key{}, err
	}
	key, err := r.module.ImportBlock(ctx, transport, block, want)
	if err != nil {
		return hsm.Key{}, keyError(err)
	}
	return key, nil
}

// transport finds the key that protects key blocks.
func (r *keyRoom) transport(ctx context.Context, name string) (hsm.Key, error) {
	if name == "" {
		return hsm.Key{}, usagef("--under is missing: the name of the transport key that protects the key block")
	}
	key, err := switching.TargetKey(ctx, r.pool, switching.KeyTarget{Transport: name})
	if errors.Is(err, switching.ErrNoKey) {
		return hsm.Key{}, fmt.Errorf("there is no transport key %s (meridian key check lists them)", name)
	}
	if err != nil {
		return hsm.Key{}, keyError(err)
	}
	return key, nil
}

func newKeyImportCommand(g *globals, database *databaseFlags) *cobra.Command {
	var which targetFlags
	var why change
	command := &cobra.Command{
		Use:   "import " + targetUse + " --under NAME --block FILE --by NAME --reason TEXT",
		Short: "Take a key from a key block (TR-31), and store it",
		Long: `Opens a key block of ASC X9.143 (TR-31), version B or D, under a transport key, and stores its key. The block has to say that its
key is for this use; one that was changed, or is under another key, is refused.`,
		Example: `  meridian key import --tid 10000002 --use mac --under zmk-acquirer --block mak.txt --by "Ann Lee" --reason "first key"`,
		Args:    noArguments,
	}
	which.register(command)
	under := command.Flags().String("under", "", "transport key that protects the block")
	file := command.Flags().String("block", "", "file with the key block; - is standard input")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		target, err := which.target()
		if err != nil {
			return err
		}
		if err := why.check(); err != nil {
			return err
		}
		if *file == "" {
			return usagef("--block is missing: a file with the key block, or - for standard input")
		}
		block, err := g.readBlock(*file)
		if err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		key, err := room.importBlock(c.Context(), *under, block, target.KeyUse())
		if err != nil {
			return err
		}
		loaded, err := switching.LoadKey(c.Context(), room.pool, room.module, target, key, room.now, why.by, why.reason)
		if err != nil {
			return keyError(err)
		}
		return g.loadedKeys([]*switching.LoadedKey{loaded})
	}
	return command
}

func newKeyLoadCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "load --tid TID --under NAME [--mac-block FILE] [--pin-block FILE] --by NAME --reason TEXT",
		Short: "Load a terminal's next MAC and PIN keys together, without losing a message",
		Long: `Takes a terminal's MAC key, its PIN key, or both from key blocks, as one generation. The terminal goes on with the keys before until
its first message under the new ones; a minute later those before are over. A key that is not given stays.`,
		Example: `  meridian key load --tid 10000002 --under zmk-acquirer --mac-block mak.txt --pin-block pik.txt --by "Ann Lee" --reason "yearly change"`,
		Args:    noArguments,
	}
	flags := command.Flags()
	tid := flags.String("tid", "", "the terminal (F41)")
	under := flags.String("under", "", "transport key that protects the blocks")
	macFile := flags.String("mac-block", "", "file with the MAC key's block; - is standard input")
	pinFile := flags.String("pin-block", "", "file with the PIN key's block; - is standard input")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case *tid == "":
			return usagef("--tid is missing: whose keys they are")
		case *macFile == "" && *pinFile == "":
			return usagef("give --mac-block, --pin-block, or both")
		case *macFile == "-" && *pinFile == "-":
			return usagef("--mac-block and --pin-block cannot both be standard input")
		}
		if err := why.check(); err != nil {
			return err
		}
		blocks := map[hsm.Use]string{}
		for use, file := range map[hsm.Use]string{hsm.UseMAC: *macFile, hsm.UsePIN: *pinFile} {
			if file == "" {
				continue
			}
			var err error
			if blocks[use], err = g.readBlock(file); err != nil {
				return err
			}
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		var keys []hsm.Key
		for _, use := range []hsm.Use{hsm.UseMAC, hsm.UsePIN} {
			if blocks[use] == "" {
				continue
			}
			key, err := room.importBlock(c.Context(), *under, blocks[use], use)
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		loaded, err := switching.LoadGeneration(c.Context(), room.pool, room.module, *tid, keys, room.now, why.by, why.reason)
		if err != nil {
			return keyError(err)
		}
		return g.loadedKeys(loaded)
	}
	return command
}

// exportedKey is a key on its way to another module.
type exportedKey struct {
	Key        string `json:"key"`
	Algorithm  string `json:"algorithm"`
	CheckValue string `json:"check_value"`
	Under      string `json:"under"`
	Block      string `json:"block"`
}

func newKeyExportCommand(g *globals, database *databaseFlags) *cobra.Command {
	var which targetFlags
	var why change
	command := &cobra.Command{
		Use:   "export " + targetUse + " --under NAME --by NAME --reason TEXT",
		Short: "Print a key as a key block (TR-31) under a transport key",
		Long: `Prints a key block of ASC X9.143 (TR-31): version B under a transport key of TDES, D under one of AES. Of a terminal that derives its
keys, --initial exports its initial key instead (IPEK, IK).

The block says what may be done with the key on the other side: --exportability N lets it go nowhere from there, E lets it go on in
key blocks. Nobody but a holder of the transport key can open the block.`,
		Example: `  meridian key export --tid 10000002 --use mac --under zmk-loader --by "Ann Lee" --reason "load the terminal" > mak.txt
  meridian key export --tid 20000007 --initial --under zmk-loader --by "Ann Lee" --reason "load the terminal"`,
		Args: noArguments,
	}
	which.register(command)
	under := command.Flags().String("under", "", "transport key to protect the block")
	initial := command.Flags().Bool("initial", false, "the initial key of the terminal --tid, which derives its keys")
	exportability := command.Flags().String("exportability", "N", "N: it goes nowhere from there; E: on in key blocks")
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if *initial && (which.tid == "" || which.use != "") {
			return usagef("--initial is with --tid and without --use: a terminal has one initial key")
		}
		var target switching.KeyTarget
		if !*initial {
			var err error
			if target, err = which.target(); err != nil {
				return err
			}
		}
		if *exportability != "N" && *exportability != "E" {
			return usagef("--exportability %q: it is N or E", *exportability)
		}
		if err := why.check(); err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		out := &exportedKey{Key: target.String(), Under: *under}
		var key hsm.Key
		if *initial {
			out.Key = "initial key of terminal " + which.tid
			key, err = room.initialKey(c.Context(), which.tid)
		} else if key, err = switching.TargetKey(c.Context(), room.pool, target); err != nil {
			err = keyError(err)
		}
		if err != nil {
			return err
		}
		if err := room.export(c.Context(), out, key, hsm.Exportability((*exportability)[0]), why); err != nil {
			return err
		}
		return g.print(out, func(w io.Writer) {
			_, _ = fmt.Fprintf(g.stderr, "%s: %s, check value %s\n", out.Key, out.Algorithm, out.CheckValue)
			_, _ = fmt.Fprintln(w, out.Block) // alone, so that it can be kept in a file
		})
	}
	return command
}

// initialKey derives what a terminal's keys are derived of.
func (r *keyRoom) initialKey(ctx context.Context, tid string) (hsm.Key, error) {
	base, ksn, err := switching.InitialSerial(ctx, r.pool, tid)
	if errors.Is(err, switching.ErrNoTerminal) {
		return hsm.Key{}, noTerminal(tid)
	}
	if err != nil {
		return hsm.Key{}, keyError(err)
	}
	key, err := r.module.InitialKey(ctx, base, ksn)
	if err != nil {
		return hsm.Key{}, keyError(err)
	}
	return key, nil
}

// export makes the block, and has it in the audit log before anybody sees it.
func (r *keyRoom) export(ctx context.Context, out *exportedKey, key hsm.Key, exportability hsm.Exportability, why change) error {
	transport, err := r.transport(ctx, out.Under)
	if err != nil {
		return err
	}
	check, err := r.module.CheckValue(ctx, key)
	if err != nil {
		return keyError(err)
	}
	if out.Block, err = r.module.ExportBlock(ctx, transport, key, exportability); err != nil {
		return keyError(err)
	}
	out.Algorithm, out.CheckValue = key.Algorithm.String(), check.String()
	if err := switching.RecordKeyExport(ctx, r.pool, r.now, out.Key, out.Under, out.CheckValue, why.by, why.reason); err != nil {
		return keyError(err)
	}
	return nil
}
