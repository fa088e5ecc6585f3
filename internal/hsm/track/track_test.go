package track_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/track"
)

func key(tb testing.TB) cipher.Block {
	tb.Helper()
	content, err := hex.DecodeString("0123456789ABCDEFFEDCBA9876543210")
	if err != nil {
		tb.Fatal(err)
	}
	block, err := cipherkey.TDES2.Block(content)
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

// TestPublishedPlaces encrypts the blocks that UnionPay's own examples name, TDB2
// 0820178199916830 and TDB3 0000003D00000000; the ciphertexts were computed apart
// from this program.
func TestPublishedPlaces(t *testing.T) {
	track3 := "991234567890123456789D156" + strings.Repeat("0", 61) + "0000003D00000000" + "00"
	for _, test := range []struct{ clear, want string }{
		{"1234567890123456789=0508201781999168302", "1234567890123456789D05" + "4CFC20D6F04568AC" + "2"},
		{"1234567890123456789D05082017819991683020", "1234567890123456789D05" + "4CFC20D6F04568AC" + "20"},
		{track3, track3[:86] + "B95A14C2E036B091" + "00"},
	} {
		got, err := track.Encrypt(key(t), test.clear)
		if err != nil || got != test.want {
			t.Errorf("encrypted to %s, %v; want %s", got, err, test.want)
		}
		back, err := track.Decrypt(key(t), got)
		if err != nil || back != strings.ReplaceAll(test.clear, "=", "D") {
			t.Errorf("decrypted to %s, %v", back, err)
		}
	}
}

func TestEveryTrackComesBack(t *testing.T) {
	block := key(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.StringMatching(`[0-9=D]{17,104}`).Draw(t, "track")
		encrypted, err := track.Encrypt(block, plain)
		if err != nil || len(encrypted) != len(plain) {
			t.Fatalf("%s: %s, %v", plain, encrypted, err)
		}
		got, err := track.Decrypt(block, encrypted)
		if err != nil || got != strings.ReplaceAll(plain, "=", "D") {
			t.Fatalf("%s came back as %s, %v", plain, got, err)
		}
	})
}

func TestTracksThatAreNone(t *testing.T) {
	const good = "1234567890123456789D05082017819991683020"
	for _, plain := range []string{"", good[:16], strings.Repeat("0", 105), "A" + good[1:], good[:25] + "A" + good[26:], good[:39] + "F", good[:25] + "x" + good[26:], good[:25] + "é" + good[27:]} {
		if got, err := track.Encrypt(key(t), plain); !errors.Is(err, track.ErrTrack) || got != "" {
			t.Errorf("encrypt %d characters: %s, %v; want ErrTrack", len(plain), got, err)
		} else if len(plain) > 20 && strings.Contains(err.Error(), plain[10:18]) {
			t.Errorf("the error has a piece of the track: %v", err)
		}
	}
	encrypted, err := track.Encrypt(key(t), good)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]string{
		"in clear":   good, // decrypts to letters
		"lower case": strings.ToLower(encrypted),
		"changed":    encrypted[:30] + "0" + encrypted[31:],
		"short":      encrypted[:16],
	} {
		if got, err := track.Decrypt(key(t), broken); !errors.Is(err, track.ErrTrack) || got != "" {
			t.Errorf("%s: %s, %v; want ErrTrack", name, got, err)
		}
	}
	wrong, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := track.Decrypt(wrong, encrypted); !errors.Is(err, track.ErrTrack) {
		t.Errorf("under AES: %v", err)
	}
}
