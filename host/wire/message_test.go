package wire

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestMessageFields(t *testing.T) {
	m := NewMessage("0200")
	for _, number := range []int{41, 3, 128, 11, 2} {
		m.Set(number, "1")
	}
	m.Set(3, "2")
	m.Unset(11)
	m.Unset(12)
	if got := m.Fields(); !slices.Equal(got, []int{2, 3, 41, 128}) {
		t.Errorf("fields %v", got)
	}
	if m.Get(3) != "2" || m.Get(11) != "" || m.Has(11) || !m.Has(128) {
		t.Errorf("F3 %q, F11 %q, F128 present: %v", m.Get(3), m.Get(11), m.Has(128))
	}
	m.Set(0, "0210")
	if m.MTI() != "0210" || m.Get(0) != "0210" {
		t.Errorf("MTI %q", m.MTI())
	}
}

func TestMessageBytes(t *testing.T) {
	chip := []byte{0x9F, 0x26, 0x01, 0xAB}
	m := NewMessage("0200")
	m.SetBytes(55, chip)
	m.Set(39, "00")
	if m.Get(55) != "9F2601AB" || !bytes.Equal(m.Bytes(55), chip) {
		t.Errorf("F55 %q, %X", m.Get(55), m.Bytes(55))
	}
	if string(m.Bytes(39)) != "00" || m.Bytes(40) != nil {
		t.Errorf("F39 %q, F40 %v", m.Bytes(39), m.Bytes(40))
	}
	chip[0] = 0
	m.Bytes(55)[1] = 0
	if m.Get(55) != "9F2601AB" {
		t.Error("the message shares memory with its caller")
	}
	// Chip data set as bytes or as hex is the same message in both dialects, and
	// comes back as the same bytes.
	asHex := NewMessage("0200")
	asHex.Set(55, "9F2601AB")
	asHex.Set(39, "00")
	for _, spec := range builtin() {
		a, err := spec.Pack(m)
		if err != nil {
			t.Fatal(err)
		}
		b, err := spec.Pack(asHex)
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: from bytes %X, from hex %X (%v)", spec.Name(), a, b, err)
		}
		parsed, err := spec.Parse(a)
		if err != nil || parsed.Get(55) != "9F2601AB" || !bytes.Equal(parsed.Bytes(55), []byte{0x9F, 0x26, 0x01, 0xAB}) {
			t.Errorf("%s: F55 %q, %X (%v)", spec.Name(), parsed.Get(55), parsed.Bytes(55), err)
		}
		// A message of one dialect packs in the other.
		for _, other := range builtin() {
			if packed, err := other.Pack(parsed); err != nil {
				t.Errorf("%s message in %s: %v", spec.Name(), other.Name(), err)
			} else if again, err := other.Parse(packed); err != nil || again.Get(55) != "9F2601AB" {
				t.Errorf("%s message in %s: %v", spec.Name(), other.Name(), err)
			}
		}
	}
}

// TestParseOwnsItsMemory: the buffer a frame was read into is used again while
// the message lives.
func TestParseOwnsItsMemory(t *testing.T) {
	payload, err := ASCII87().Pack(saleMessage())
	if err != nil {
		t.Fatal(err)
	}
	m, err := ASCII87().Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	clear(payload)
	if m.Get(41) != "10000001" || m.Get(2) != "4761739001010119" {
		t.Error("the message changed with the buffer")
	}
}

// TestChipDataThatIsNotHex: an ASCII peer may put text into F55; it is passed
// through and gives no bytes.
func TestChipDataThatIsNotHex(t *testing.T) {
	payload := []byte("0200" + bitmapOf(55) + "005hello")
	m, err := ASCII87().Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.Get(55) != "hello" || m.Bytes(55) != nil {
		t.Errorf("F55 %q, %X", m.Get(55), m.Bytes(55))
	}
	if packed, err := ASCII87().Pack(m); err != nil || !bytes.Equal(packed, payload) {
		t.Errorf("packs to %q (%v)", packed, err)
	}
}

// TestAmendedMessage: fields that were not touched keep the way they came.
func TestAmendedMessage(t *testing.T) {
	payload := message(t, "x:0200"+bitmapOf(2, 3)+"03 123F 000000")
	m, err := NAC().Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	m.Set(39, "00")
	want := message(t, "x:0200"+bitmapOf(2, 3, 39)+"03 123F 000000", "00")
	if packed, err := NAC().Pack(m); err != nil || !bytes.Equal(packed, want) {
		t.Errorf("packs to %X (%v), want %X", packed, err, want)
	}
	m.Unset(39)
	m.Set(2, "123")
	want = message(t, "x:0200"+bitmapOf(2, 3)+"03 1230 000000")
	if packed, err := NAC().Pack(m); err != nil || !bytes.Equal(packed, want) {
		t.Errorf("packs to %X (%v), want %X", packed, err, want)
	}
}

// TestFreedomStaysInItsDialect: how a value was written in one dialect says
// nothing about another.
func TestFreedomStaysInItsDialect(t *testing.T) {
	fromNAC, err := NAC().Parse(message(t, "x:0200"+bitmapOf(2)+"03 123F"))
	if err != nil {
		t.Fatal(err)
	}
	if packed, err := ASCII87().Pack(fromNAC); err != nil || string(packed) != "0200"+bitmapOf(2)+"03123" {
		t.Errorf("PAN in ASCII: %q (%v)", packed, err)
	}
	fromASCII, err := ASCII87().Parse([]byte("0200" + bitmapOf(52) + "00aabbccddeeff11"))
	if err != nil {
		t.Fatal(err)
	}
	want := message(t, "x:0200"+bitmapOf(52)+"00AABBCCDDEEFF11")
	if packed, err := NAC().Pack(fromASCII); err != nil || !bytes.Equal(packed, want) {
		t.Errorf("PIN block in NAC: %X (%v), want %X", packed, err, want)
	}
}

// TestViewIsOfTheMessage: a view costs nothing and is the message's memory; copies
// outlive it.
func TestViewIsOfTheMessage(t *testing.T) {
	payload, err := NAC().Pack(saleMessage())
	if err != nil {
		t.Fatal(err)
	}
	m, err := NAC().Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	view, get, copied := m.View(41), m.Get(41), m.Bytes(41)
	if string(view) != "10000001" || m.View(40) != nil || m.View(0) != nil || m.View(129) != nil {
		t.Errorf("F41 %q, F40 %v", view, m.View(40))
	}
	if track := m.View(35); len(track) != cap(track) {
		t.Error("a view can be appended to, over its neighbour")
	}
	m.Wipe()
	if string(view) == "10000001" || get != "10000001" || string(copied) != "10000001" {
		t.Errorf("after Wipe: view %q, Get %q, Bytes %q", view, get, copied)
	}
	if m.MTI() != "" || len(m.Fields()) != 0 || m.Has(41) || m.Get(41) != "" {
		t.Errorf("a wiped message is %s with fields %v", m.MTI(), m.Fields())
	}
}

// TestWipeLeavesNothing looks through all of a used message's memory, what a longer
// message or one that was refused has left there included.
func TestWipeLeavesNothing(t *testing.T) {
	payload, err := NAC().Pack(saleMessage())
	if err != nil {
		t.Fatal(err)
	}
	var m Message
	if err := NAC().ParseInto(&m, payload); err != nil {
		t.Fatal(err)
	}
	if err := NAC().ParseInto(&m, payload[:len(payload)-1]); err == nil {
		t.Fatal("a message without its last byte was taken")
	}
	m.Reset("0800")
	m.Set(11, "000001")
	m.Wipe()
	for i, b := range m.memory[:cap(m.memory)] {
		if b != 0 {
			t.Fatalf("byte %d of %d is %#x", i, cap(m.memory), b)
		}
	}
}

// TestMisfit: a field that no bitmap has keeps a message from being packed.
func TestMisfit(t *testing.T) {
	for _, number := range []int{-1, 1, 65, 129, 1000} {
		m := macMessage(false)
		m.Set(number, "1")
		var packErr *PackError
		if _, err := NAC().Pack(m); !errors.As(err, &packErr) || packErr.Field != number {
			t.Errorf("field %d: %v", number, err)
		}
		m.Unset(number)
		if _, err := NAC().Pack(m); err != nil {
			t.Errorf("without field %d: %v", number, err)
		}
	}
}

// TestCopy: a copied value is written as its own dialect writes it.
func TestCopy(t *testing.T) {
	from, err := NAC().Parse(message(t, "x:0200"+bitmapOf(2, 3, 52)+"03 123F 000000 1122334455667788"))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMessage("0210")
	for _, number := range []int{2, 3, 4, 52} {
		m.Copy(number, from)
	}
	from.Wipe()
	want := message(t, "x:0210"+bitmapOf(2, 3, 52)+"03 1230 000000 1122334455667788")
	if packed, err := NAC().Pack(m); err != nil || !bytes.Equal(packed, want) {
		t.Errorf("packs to %X (%v), want %X", packed, err, want)
	}
}
