package hsm_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
	"meridian/internal/vault"
)

// rows is a table of data keys.
type rows struct{ all []vault.StoredDataKey }

func (r *rows) DataKeys(context.Context) ([]vault.StoredDataKey, error) { return r.all, nil }

func (r *rows) AddDataKey(_ context.Context, k vault.StoredDataKey) error {
	r.all = append(r.all, k)
	return nil
}

// forms are the shapes in which bytes get out of fmt, JSON and logs.
func forms(content []byte) []string {
	spaced := fmt.Sprintf("% x", content)
	return []string{
		string(content), hex.EncodeToString(content), strings.ToUpper(hex.EncodeToString(content)),
		strings.Trim(fmt.Sprintf("%d", content), "[]"), spaced, "0x" + strings.ReplaceAll(spaced, " ", ", 0x"),
		base64.StdEncoding.EncodeToString(content)[:len(content)/3*4],
	}
}

// TestNothingShowsAKey prints what the module gives away in every way there is, and
// looks for the keys and for what is as good as a key.
func TestNothingShowsAKey(t *testing.T) {
	m := sandbox(t)
	aesClear := unhex(t, aesKey)
	aesBlock, err := cipherkey.AES256.Block(aesClear)
	if err != nil {
		t.Fatal(err)
	}
	subkey := make([]byte, 16)
	aesBlock.Encrypt(subkey, subkey)
	secrets := [][]byte{unhex(t, doubleKey), unhex(t, doubleKey)[:8], aesClear, aesClear[:16], subkey, doubled(subkey)}

	tdes, aes := enter(t, m, hsm.UseMAC, hsm.TDES2, doubleKey), enter(t, m, hsm.UseMAC, hsm.AES256, aesKey)
	shown := []any{m, tdes, aes, &tdes, hsm.EncryptedPIN{Key: tdes}, hsm.PINCheck{EncryptedPIN: hsm.EncryptedPIN{Key: aes}}}
	for _, k := range []hsm.Key{tdes, aes} {
		for _, name := range []string{mac.UnionPayECB, mac.X99, mac.X919, mac.AESCMAC} {
			algorithm, err := m.MAC(t.Context(), k, name)
			if err != nil {
				if !errors.Is(err, hsm.ErrAlgorithm) {
					t.Fatal(err)
				}
				continue
			}
			shown = append(shown, algorithm, []any{algorithm}, map[string]any{"mac": algorithm})
		}
	}
	shown = append(shown, cipherkey.NewCMAC(aesBlock), struct{ code *cipherkey.CMAC }{cipherkey.NewCMAC(aesBlock)})
	if len(shown) < 15 {
		t.Fatalf("only %d values are looked at", len(shown))
	}
	var texts []string
	for _, value := range shown {
		for verb := 'A'; verb <= 'z'; verb++ {
			for _, flags := range []string{"", "+", "#", " "} {
				texts = append(texts, fmt.Sprintf("%"+flags+string(verb), value))
			}
		}
		if text, err := json.Marshal(value); err == nil {
			texts = append(texts, string(text))
		}
	}
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			for _, text := range texts {
				if strings.Contains(text, form) {
					t.Fatalf("%q is in %q", form, text)
				}
			}
		}
	}
}

// doubled is CMAC's first subkey, of the encrypted zeros.
func doubled(zeros []byte) []byte {
	out := make([]byte, len(zeros))
	for i := range zeros {
		out[i] = zeros[i] << 1
		if i+1 < len(zeros) {
			out[i] |= zeros[i+1] >> 7
		}
	}
	if zeros[0]&0x80 != 0 {
		out[len(out)-1] ^= 0x87
	}
	return out
}

func TestDecryptTrack(t *testing.T) {
	m := sandbox(t)
	key := enter(t, m, hsm.UseTrack, hsm.TDES2, doubleKey)
	got, err := m.DecryptTrack(t.Context(), key, "1234567890123456789D05"+"4CFC20D6F04568AC"+"2")
	if err != nil || got != "1234567890123456789D0508201781999168302" {
		t.Errorf("%s, %v", got, err)
	}
	for name, test := range map[string]struct {
		key   hsm.Key
		track string
		want  error
	}{
		"a MAC key":   {enter(t, m, hsm.UseMAC, hsm.TDES2, doubleKey), "1234567890123456789D054CFC20D6F04568AC2", hsm.ErrUse},
		"in clear":    {key, "1234567890123456789D0508201781999168302", hsm.ErrTrack},
		"another key": {enter(t, m, hsm.UseTrack, hsm.TDES2, "00112233445566778899AABBCCDDEEFF"), "1234567890123456789D054CFC20D6F04568AC2", hsm.ErrTrack},
		"short":       {key, "1234", hsm.ErrTrack},
	} {
		if got, err := m.DecryptTrack(t.Context(), test.key, test.track); !errors.Is(err, test.want) || got != "" {
			t.Errorf("%s: %s, %v; want %v", name, got, err, test.want)
		} else if strings.Contains(err.Error(), "0820") || strings.Contains(err.Error(), "4CFC") {
			t.Errorf("%s: the error has a piece of the track: %v", name, err)
		}
	}
}
