package wire

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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

// maxCostBytes bounds what any message that fits into a frame may allocate on its
// way through the package: read, refused or packed again, and rendered, which keeps
// a place for each digit while it looks for card numbers, and under the race detector
// is the most of it.
const maxCostBytes = 80 << 10

// checkCost holds a payload to maxCostBytes. What a listener's framing refuses never
// gets here.
func checkCost(tb testing.TB, spec *Spec, payload []byte) {
	tb.Helper()
	if len(payload) > DefaultMaxFrameBytes {
		return
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := spec.Parse(payload)
	if err != nil {
		m = spec.Readable(payload)
	}
	if m != nil {
		_, _ = spec.Pack(m)
		_ = spec.MaskedFields(m)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > maxCostBytes {
		tb.Errorf("%s: %d bytes allocated for a payload of %d, want at most %d", spec.Name(), cost, len(payload), maxCostBytes)
	}
}

// TestCorpusCost takes every input that fuzzing has kept, for whichever dialect,
// and every published message through all dialects.
func TestCorpusCost(t *testing.T) {
	var payloads [][]byte
	for _, v := range loadVectors(t) {
		payloads = append(payloads, v.payload(t))
	}
	files, err := filepath.Glob("testdata/fuzz/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// The form of the go command's corpus files: a version, then a Go literal a line.
		lines := strings.SplitN(string(content), "\n", 3)
		literal := strings.TrimSuffix(strings.TrimPrefix(lines[1], "[]byte("), ")")
		input, err := strconv.Unquote(literal)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		payloads = append(payloads, []byte(input))
	}
	if len(payloads) < 100+len(files) || len(files) < 30 {
		t.Fatalf("%d payloads, %d of them from fuzzing", len(payloads), len(files))
	}
	for _, spec := range builtin() {
		for _, payload := range payloads {
			checkCost(t, spec, payload)
		}
		for _, payload := range costly(t, spec) {
			checkCost(t, spec, payload)
		}
	}
}

// costly are the payloads that make a dialect work hardest: as many fields as fit,
// chip data of as many elements as are walked, and bytes that fail late.
func costly(t *testing.T, spec *Spec) [][]byte {
	t.Helper()
	full := fullMessage(spec)
	packed, err := spec.Pack(full)
	if err != nil {
		t.Fatal(err)
	}
	chip := NewMessage("0200")
	chip.SetBytes(55, bytes.Repeat([]byte{0x8A, 0x00}, min(spec.Describe(55).MaxLength/4, maxTLVs)))
	chips, err := spec.Pack(chip)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{
		packed, append(packed, 0), packed[:len(packed)-1], chips,
		bytes.Repeat([]byte{0xFF}, DefaultMaxFrameBytes), bytes.Repeat([]byte("0"), DefaultMaxFrameBytes), make([]byte, DefaultMaxFrameBytes),
	}
}

// fullMessage has every fixed field and long variable ones, to the size of a frame.
func fullMessage(spec *Spec) *Message {
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
	return m
}

// TestMemoryIsBounded parses the worst payloads that fit into a frame. The bound
// of 8 bytes per byte is what the digits, the fields' table and the copy of the
// payload can take together; moov's own parser takes 275 MB for the first one.
func TestMemoryIsBounded(t *testing.T) {
	const size = DefaultMaxFrameBytes
	full := func(spec *Spec) []byte {
		packed, err := spec.Pack(fullMessage(spec))
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
		"unionpay all ones":   {UnionPay(), append([]byte{2, 0}, bytes.Repeat([]byte{0xFF}, size-2)...)},
		"unionpay all fields": {UnionPay(), append(append([]byte{2, 0}, unhexT(t, bitmapOf(unionPayFields...))...), make([]byte, size-10)...)},
		"unionpay full":       {UnionPay(), full(UnionPay())},
		"nac all zeros":       {NAC(), append([]byte{2, 0}, make([]byte, size-2)...)},
		"nac full":            {NAC(), full(NAC())},
		"ascii full":          {ASCII87(), full(ASCII87())},
		"nac announced":       {NAC(), append([]byte{2, 0}, append(unhexT(t, bitmapOf(48)), 0x09, 0x99)...)},
		"ascii longest":       {ASCII87(), []byte("0200" + bitmapOf(48) + "999")},
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
	used, answer, alg := &Message{}, &Message{}, MACAlgorithm(brokenModule{})
	for name, c := range map[string]struct {
		limit float64
		call  func()
	}{
		"parse":                {5, func() { _, _ = NAC().Parse(payload) }}, // 3 but under the race detector
		"parse again":          {0, func() { _ = NAC().ParseInto(used, payload) }},
		"pack":                 {0, func() { _, _ = NAC().AppendPack(buf, m) }},
		"get":                  {0, func() { _ = m.Get(4) }},
		"view":                 {0, func() { _ = m.View(55) }},
		"wipe and parse again": {0, func() { used.Wipe(); _ = NAC().ParseInto(used, payload) }},
		"verify":               {0, func() { _ = NAC().VerifyMAC(payload, alg) }},
		"answer": {0, func() {
			answer.Reset("0210")
			for _, number := range []int{3, 4, 11, 41, 42} {
				answer.Copy(number, m)
			}
			answer.Set(39, "00")
			_, _ = NAC().AppendPackWithMAC(buf, answer, alg)
		}},
	} {
		if got := testing.AllocsPerRun(100, c.call); got > c.limit {
			t.Errorf("%s: %v allocations, want at most %v", name, got, c.limit)
		}
	}
}
