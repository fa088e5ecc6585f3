//go:build unix

package pgtest

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"meridian/internal/pglocal"
)

// Restored starts a server over a cluster that restore puts where it is told, out of
// a base backup of another server: at the other one's address, which must have ended,
// and with its password. It is removed when the test ends.
func Restored(t testing.TB, of *pglocal.Server, restore func(cluster string), options ...Option) *pglocal.Server {
	t.Helper()

	address, err := url.Parse(of.URL())
	if err != nil {
		t.Fatalf("pgtest: the address of the server that is restored: %v", err)
	}

	password, _ := address.User.Password()

	return own(t, func(dataDir string) error {
		if err := os.Mkdir(dataDir, 0o711); err != nil { // to be passed through, see baseDir
			return err
		}

		for name, content := range map[string]string{"postgres.password": password, "postgres.port": address.Port()} {
			if err := os.WriteFile(filepath.Join(dataDir, name), []byte(content+"\n"), 0o600); err != nil {
				return err
			}
		}

		restore(filepath.Join(dataDir, "postgres"))

		return nil
	}, options)
}
