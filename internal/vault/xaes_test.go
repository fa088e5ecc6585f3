package vault

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestXAESKnownAnswers uses the two vectors of C2SP's XAES-256-GCM. The first
// key has a clear and the second a set top bit in the CMAC subkey's source.
func TestXAESKnownAnswers(t *testing.T) {
	for _, test := range []struct {
		key              byte
		associated, want string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x, err := newXAES(bytes.Repeat([]byte{test.key}, aes256KeyBytes))
		if err != nil {
			t.Fatal(err)
		}
		nonce := [xaesNonceBytes]byte([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"))
		sealed, err := x.sealWith(nonce, nil, []byte("XAES-256-GCM"), []byte(test.associated))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(sealed[xaesNonceBytes:]); got != test.want || !bytes.Equal(sealed[:xaesNonceBytes], nonce[:]) {
			t.Errorf("key %02x: sealed %x, want the nonce and %s", test.key, sealed, test.want)
		}
		plain, err := x.open(sealed, []byte(test.associated))
		if err != nil || string(plain) != "XAES-256-GCM" {
			t.Errorf("key %02x: opened %q, %v", test.key, plain, err)
		}
	}
}

func TestXAESWantsAES256(t *testing.T) {
	if _, err := newXAES(make([]byte, 15)); err == nil {
		t.Error("a key of 15 bytes is taken")
	}
}
