//go:build unix

package pglocal

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// accessRules let in who knows the password, from this machine. There is no line
// for Unix sockets and none that trusts.
const accessRules = `# Written by Meridian at every start.
# TYPE  DATABASE     USER  ADDRESS       METHOD
host    all          all   127.0.0.1/32  scram-sha-256
host    all          all   ::1/128       scram-sha-256
host    replication  all   127.0.0.1/32  scram-sha-256
`

// settings are the server's settings: the defaults, the caller's, and those that
// nobody overrides.
func (o Options) settings(port int) map[string]string {
	settings := map[string]string{
		"shared_buffers":  "128MB", // modest: a laptop runs this next to everything else
		"max_connections": "100",

		"fsync":              "on",
		"full_page_writes":   "on",
		"synchronous_commit": "on",

		"timezone":     "UTC",
		"log_timezone": "UTC",
		"lc_messages":  "C", // the log is read by programs too

		// Values of a row or a parameter never reach the log: terse leaves out the
		// DETAIL that quotes keys, and statements are not repeated on errors.
		"log_min_duration_statement":        "-1",
		"log_statement":                     "none",
		"log_min_error_statement":           "panic",
		"log_error_verbosity":               "terse",
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
		"log_line_prefix":                   "%m [%p] ",
	}

	if o.FastUnsafe {
		// synchronous_commit stays on: a commit is then in the kernel's hands, where
		// it survives the server being killed.
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
	}

	maps.Copy(settings, o.Settings)
	maps.Copy(settings, map[string]string{
		"port":                    fmt.Sprint(port),
		"listen_addresses":        loopback,
		"unix_socket_directories": "", // their paths have a limit of about 100 bytes, data directories have none
		"password_encryption":     "scram-sha-256",
		"logging_collector":       "off", // we are the collector
		"log_destination":         "stderr",
	})

	return settings
}

// configure writes the server's configuration, whole, before every start:
// a setting that was given once does not linger.
func (p *place) configure(o Options, port int) error {
	var conf strings.Builder

	conf.WriteString("# Written by Meridian at every start.\n")

	settings := o.settings(port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(settings[name])
		fmt.Fprintf(&conf, "%s = '%s'\n", name, value)
	}

	for name, content := range map[string]string{
		"postgresql.conf": conf.String(),
		"pg_hba.conf":     accessRules,
	} {
		if err := writeState(filepath.Join(p.cluster, name), content, p.runner.uid, p.runner.gid); err != nil {
			return fmt.Errorf("configure Postgres: %w", err)
		}
	}

	return nil
}
