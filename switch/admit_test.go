package switching_test

import (
	"testing"

	"meridian/switch"
)

// A message that nobody could verify, because its terminal was not known when it
// came, is refused though the terminal is known by now.
func TestStrangersAreNotAdmitted(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []switching.Kind{switching.KindSale, switching.KindEcho, switching.KindReversal} {
		w.do(switching.UnknownTerminal, w.request(kind, 10_00, func(r *switching.Request) { r.Credentials.Stranger = true }))
	}
	w.do(switching.Approved, w.request(switching.KindSale, 10_00))
}
