//go:build unix

package sandbox

import (
	"crypto/sha1"
	"encoding/hex"
	"testing"

	"meridian/internal/pglocal/pgtest"
)

// elements reads BER-TLV with two-byte tags by hand; one-byte tags are not used here.
func elements(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for len(b) > 0 {
		if len(b) < 3 || b[0]&0x1F != 0x1F {
			t.Fatalf("no element: % X", b)
		}
		tag, length, from := hex.EncodeToString(b[:2]), int(b[2]), 3
		if b[2] == 0x81 {
			length, from = int(b[3]), 4
		}
		if len(b) < from+length {
			t.Fatalf("element %s is cut", tag)
		}
		found[tag], b = b[from:from+length], b[from+length:]
	}
	return found
}

func TestCataloguesAreSeeded(t *testing.T) {
	for _, k := range publicKeys {
		parameters, err := publicKeyParameters(k.index, k.modulus)
		if err != nil {
			t.Fatal(err)
		}
		e := elements(t, parameters)
		checked := append(append(append(append([]byte{}, e["9f06"]...), e["9f22"]...), e["df02"]...), e["df04"]...)
		if want := sha1.Sum(checked); string(e["df03"]) != string(want[:]) || string(e["df05"]) != "20391231" {
			t.Errorf("key %02X: checksum % X, expires %s", k.index, e["df03"], e["df05"])
		}
	}
	if e := elements(t, applicationParameters([]byte{0xA0, 0, 0, 3, 0x33})); len(e) != 16 || len(e["df11"]) != 5 {
		t.Errorf("application: %d elements, %v", len(e), e)
	}
	url := pgtest.Database(t, migrate)
	seedAt(t, url, monday)
	want := func(counts ...int64) {
		t.Helper()
		for i, sql := range []string{
			`SELECT count(*) FROM terminal_parameters`, `SELECT count(*) FROM public_keys`, `SELECT count(*) FROM chip_applications`,
			`SELECT max(version) FROM catalogues`,
		} {
			if got := value[int64](t, url, sql); got != counts[i] {
				t.Errorf("%s: %d, want %d", sql, got, counts[i])
			}
		}
	}
	want(13, 2, 7, 1)
	// What was removed does not come back.
	perform(t, url, `DELETE FROM public_keys WHERE key_index = 243`)
	seedAt(t, url, monday)
	want(13, 1, 7, 1)
}
