package wire_test

import (
	"slices"
	"testing"

	"meridian/host/wire"
)

// TestReadableStopsAtTheFault cuts and damages a message at every byte: what is
// read before the fault is what the whole message has there.
func TestReadableStopsAtTheFault(t *testing.T) {
	for _, spec := range []*wire.Spec{wire.NAC(), wire.ASCII87()} {
		t.Run(spec.Name(), func(t *testing.T) {
			m := wire.NewMessage("0200")
			for field, value := range map[int]string{
				2: "6217120000000001", 3: "000000", 4: "000000001234", 11: "000007", 24: "003",
				35: "6217120000000001=3012201", 41: "10000001", 42: "104110000000001", 49: "156", 70: "301",
			} {
				m.Set(field, value)
			}
			payload, err := spec.Pack(m)
			if err != nil {
				t.Fatal(err)
			}
			if got := spec.Readable(payload); !slices.Equal(got.Fields(), m.Fields()) {
				t.Fatalf("whole message read as fields %v", got.Fields())
			}
			if got := spec.Readable(append(slices.Clone(payload), 0)); !slices.Equal(got.Fields(), m.Fields()) {
				t.Fatalf("message with a trailing byte read as fields %v", got.Fields())
			}
			grown := 0
			for end := range payload {
				got := spec.Readable(payload[:end])
				if got == nil {
					continue
				}
				if got.MTI() != "0200" || !slices.Equal(got.Fields(), m.Fields()[:len(got.Fields())]) {
					t.Fatalf("cut at %d: %s with fields %v", end, got.MTI(), got.Fields())
				}
				if len(got.Fields()) < grown {
					t.Fatalf("cut at %d: fewer fields than before: %v", end, got.Fields())
				}
				grown = len(got.Fields())
				for _, field := range got.Fields() {
					if got.Get(field) != m.Get(field) {
						t.Fatalf("cut at %d: field %d differs", end, field)
					}
				}
				if _, err := spec.Pack(got); err != nil {
					t.Fatalf("cut at %d: cannot be packed again: %v", end, err)
				}
			}
			if grown != len(m.Fields())-1 {
				t.Fatalf("at most %d fields were read of a message without its last byte", grown)
			}
			if got := spec.Readable([]byte("?")); got != nil {
				t.Fatalf("read %s out of nothing", got.MTI())
			}
		})
	}
}
