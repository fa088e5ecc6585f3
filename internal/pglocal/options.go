//go:build unix

package pglocal

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// Options say where a server lives and how it is run.
type Options struct {
	// DataDir holds everything that belongs to this server (see the package
	// documentation). It is made when it is missing. Required.
	DataDir string

	// Logger receives what happens to the server; nil discards it. The server's
	// own log goes to DataDir/postgres.log.
	Logger *slog.Logger

	// Settings are additional postgresql.conf settings, by name. They win over
	// the package's own, except for those that say where the server listens and
	// whom it lets in.
	Settings map[string]string

	// CacheDir is where downloaded binaries are kept; empty means the user's
	// cache directory, or /var/cache/meridian for root.
	CacheDir string

	// FastUnsafe does not wait for the disk: commits survive the server being
	// killed, but not a crash of the machine. For tests only.
	FastUnsafe bool
}

// reserved settings decide where the server listens and whom it trusts: a value
// from outside would break the promises of the package documentation.
func reserved(name string) bool {
	switch name {
	case "port", "listen_addresses", "unix_socket_directories", "hba_file", "ident_file",
		"data_directory", "password_encryption", "logging_collector", "log_destination",
		"external_pid_file", "include", "include_dir", "include_if_exists":
		return true
	}

	return false
}

func (o Options) validate() error {
	if o.DataDir == "" {
		return errors.New("pglocal: no data directory given")
	}

	settingName := regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

	for name, value := range o.Settings {
		switch {
		case !settingName.MatchString(name):
			return fmt.Errorf("pglocal: %q is not the name of a Postgres setting", name)
		case reserved(name):
			return fmt.Errorf("pglocal: the Postgres setting %s is not for callers to choose", name)
		case strings.ContainsAny(value, "\n\r\x00"):
			return fmt.Errorf("pglocal: the value of the Postgres setting %s has a line break in it", name)
		}
	}

	return nil
}

func (o Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}

	return o.Logger
}
