//go:build unix

package pgtest_test

import (
	"testing"

	"go.uber.org/goleak"

	"meridian/internal/pglocal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }

func TestServerComesBackAfterKill(t *testing.T) {
	server := pgtest.Server(t)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}

	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}
