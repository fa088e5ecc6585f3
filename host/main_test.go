package host

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when any test leaves a goroutine behind: a leak
// here is a connection that no deadline ends.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
