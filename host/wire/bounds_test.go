package wire

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// allocatedBytes is the mean of what a call allocates.
func allocatedBytes(t *testing.T, call func()) uint64 {
	t.Helper()
	const calls = 100
	var before, after runtime.MemStats
	call() // what is made once and kept
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / calls
}

// TestMemoryIsBounded parses the worst payloads that fit into a frame. The bound
// of 8 bytes per byte is what the digits, the fields' table and the copy of the
// payload can take together; moov's own parser takes 275 MB for the first one.
func TestMemoryIsBounded(t *testing.T) {
	const size = DefaultMaxFrameBytes
	full := func(spec *Spec) []byte {
		m := NewMessage("0200")
		for number := 2; number <= lastField; number++ {
			switch info := spec.Describe(number); {
			case info.Length == Fixed && info.Kind == KindBinary:
				m.SetBytes(number, make([]byte, info.MaxLength))
			case info.Length == Fixed && info.Kind != KindUndefined:
				m.Set(number, strings.Repeat("0", info.MaxLength))
			case info.Length == LLL && number < 50:
				m.Set(number, strings.Repeat("0", min(info.MaxLength, 700)))
			}
		}
		packed, err := spec.Pack(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(packed) > size {
			t.Fatalf("%d bytes do not fit into a frame", len(packed))
		}
		return packed
	}
	for name, c := range map[string]struct {
		spec    *Spec
		payload []byte
	}{
		"nac all ones":   {NAC(), append([]byte{2, 0}, bytes.Repeat([]byte{0xFF}, size-2)...)},
		"ascii all ones": {ASCII87(), append([]byte("0200"), bytes.Repeat([]byte("F"), size-4)...)},
		"nac two bitmaps of ones": {NAC(), append(append([]byte{2, 0}, bytes.Repeat([]byte{0xFF}, 8)...),
			append([]byte{0x7F}, bytes.Repeat([]byte{0xFF}, size-11)...)...)},
		"nac all zeros": {NAC(), append([]byte{2, 0}, make([]byte, size-2)...)},
		"nac full":      {NAC(), full(NAC())},
		"ascii full":    {ASCII87(), full(ASCII87())},
		"nac announced": {NAC(), append([]byte{2, 0}, append(unhexT(t, bitmapOf(48)), 0x09, 0x99)...)},
		"ascii longest": {ASCII87(), []byte("0200" + bitmapOf(48) + "999")},
	} {
		t.Run(name, func(t *testing.T) {
			limit := uint64(8*len(c.payload) + 1024)
			if got := allocatedBytes(t, func() { _, _ = c.spec.Parse(c.payload) }); got > limit {
				t.Errorf("%d bytes for a payload of %d, want at most %d", got, len(c.payload), limit)
			}
		})
	}
}

// TestAllocations keeps the number of allocations for a sale from growing.
func TestAllocations(t *testing.T) {
	m := saleMessage()
	payload, err := NAC().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, DefaultMaxFrameBytes)
	for name, c := range map[string]struct {
		limit float64
		call  func()
	}{
		"parse": {5, func() { _, _ = NAC().Parse(payload) }},
		"pack":  {0, func() { _, _ = NAC().AppendPack(buf, m) }},
		"get":   {0, func() { _ = m.Get(4) }},
	} {
		if got := testing.AllocsPerRun(100, c.call); got > c.limit {
			t.Errorf("%s: %v allocations, want at most %v", name, got, c.limit)
		}
	}
}
