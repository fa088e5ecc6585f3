package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"meridian/switch"
)

func newKeyCheckCommand(g *globals, database *databaseFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "check",
		Short: "Open every stored key and print its check value; exit with 5 when one does not open",
		Args:  noArguments,
	}
	tid := command.Flags().String("tid", "", "only keys of this terminal")
	command.RunE = func(c *cobra.Command, _ []string) error {
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		list := []switching.CheckedKey{} // an empty list, not null
		broken := 0
		err = switching.CheckKeys(c.Context(), room.pool, room.module, *tid, func(k switching.CheckedKey) {
			list = append(list, k)
			if k.Problem != "" {
				broken++
			}
		})
		if err != nil {
			return keyError(err)
		}
		if len(list) == 0 && *tid != "" { // who checks a terminal means one that has keys
			if err := knownParties(c.Context(), room.pool, "", *tid); err != nil {
				return err
			}
			return fmt.Errorf("terminal %s has no keys: nothing was checked", *tid)
		}
		if err := g.print(list, func(w io.Writer) { writeCheckedKeys(w, list) }); err != nil {
			return err
		}
		if broken > 0 {
			return withExit(exitInvariant, fmt.Errorf("%d of %d keys do not open", broken, len(list)))
		}
		return nil
	}
	return command
}

func writeCheckedKeys(w io.Writer, list []switching.CheckedKey) {
	rows := make([][]string, 0, len(list))
	for _, k := range list {
		state := "opens"
		if k.Problem != "" {
			state = "does not open: " + printable(k.Problem)
		}
		rows = append(rows, []string{k.Key, orDash(k.Algorithm), orDash(k.CheckValue), state})
	}
	table(w, []string{"KEY", "ALGORITHM", "CHECK VALUE", "STATE"}, rows)
}

func newKeyRotateMasterCommand(g *globals, database *databaseFlags) *cobra.Command {
	var why change
	command := &cobra.Command{
		Use:   "rotate-master --by NAME --reason TEXT",
		Short: "Put every stored key under the newest master key, beside running hosts",
		Long: `Puts every stored key under the newest master key. Before it, the new key goes in front of the old one in the master key file of
every host and of this command, and the hosts are restarted; after it the old one can go. It can be stopped and run again at any
time, and exits with 5 when keys do not open: the old master key has to stay for those.`,
		Example: `  (openssl rand -hex 32; cat master.key) > new.key && chmod 600 new.key && mv new.key master.key   # on every host, then restart
  meridian key rotate-master --config meridian.yaml --by "Ann Lee" --reason "yearly change"`,
		Args: noArguments,
	}
	why.register(command)
	command.RunE = func(c *cobra.Command, _ []string) error {
		if err := why.check(); err != nil {
			return err
		}
		room, err := database.openKeys(c.Context(), g)
		if err != nil {
			return err
		}
		defer room.pool.Close()
		done, err := switching.RewrapKeys(c.Context(), room.pool, room.module, room.vault, why.by, why.reason)
		if err != nil {
			return keyError(err)
		}
		result := rotated{MasterKey: room.vault.KeyID(), Rewrapped: done}
		if err := g.print(&result, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "master key %s: %d keys put under it, %d were\n", result.MasterKey, done.Keys, done.Current)
			_, _ = io.WriteString(w, strings.Join(append(done.Broken, ""), "\n"))
		}); err != nil {
			return err
		}
		if len(done.Broken) > 0 {
			return withExit(exitInvariant, fmt.Errorf("%d keys do not open: keep the old master key", len(done.Broken)))
		}
		return nil
	}
	return command
}

// rotated is what a rotation has done.
type rotated struct {
	MasterKey string `json:"master_key"` // its name, which says nothing about it

	*switching.Rewrapped
}
