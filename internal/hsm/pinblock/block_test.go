package pinblock_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
)

// clearCipher lets a test see the clear block.
type clearCipher int

func (c clearCipher) BlockSize() int          { return int(c) }
func (c clearCipher) Encrypt(dst, src []byte) { copy(dst, src) }
func (c clearCipher) Decrypt(dst, src []byte) { copy(dst, src) }

func clearFor(f pinblock.Format) cipher.Block { return clearCipher(f.BlockBytes()) }

func formats() []pinblock.Format {
	return []pinblock.Format{pinblock.Format0, pinblock.Format1, pinblock.Format3, pinblock.Format4, pinblock.FormatNoPAN}
}

func TestKnownAnswersOfFormat0(t *testing.T) {
	content, err := os.ReadFile("../testdata/crypto.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers struct {
		Blocks []struct {
			PIK   string `json:"pik"`
			PAN   string `json:"pan"`
			PIN   string `json:"pin"`
			Clear string `json:"clear"`
			Block string `json:"block"`
		} `json:"pin_block_iso0"`
	}
	if err := json.Unmarshal(content, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers.Blocks) < 2 {
		t.Fatal("no known answers")
	}
	for _, a := range answers.Blocks {
		for _, test := range []struct {
			key  cipher.Block
			want string
		}{{block(t, cipherkey.TDES2, a.PIK), a.Block}, {clearCipher(8), a.Clear}} {
			got, err := pinblock.Encrypt(pinblock.Format0, test.key, secret(a.PIN), pan(t, a.PAN))
			if err != nil || strings.ToUpper(hex.EncodeToString(got)) != test.want {
				t.Errorf("block %X, %v; want %s", got, err, test.want)
			}
			pin, err := pinblock.Decrypt(pinblock.Format0, test.key, got, pan(t, a.PAN))
			if err != nil || string(pin.Reveal()) != a.PIN {
				t.Errorf("the PIN comes back as %q, %v", pin.Reveal(), err)
			}
		}
	}
}

// Blocks that were made elsewhere: formats 0, 1 and 3 in clear, format 4 from ANSI
// X9.24-3:2017's supplement and from an independent implementation.
func TestPublishedBlocks(t *testing.T) {
	const examplePAN = "43219876543210987"
	for _, test := range []struct {
		format          pinblock.Format
		key             cipher.Block
		pan, block, pin string
	}{
		{pinblock.Format0, clearCipher(8), examplePAN, "0412AC89ABCDEF67", "1234"},
		{pinblock.Format1, clearCipher(8), examplePAN, "141234FF9BCF1EF7", "1234"},
		{pinblock.Format3, clearCipher(8), examplePAN, "3412ACDAFFEFDF72", "1234"},
		{pinblock.FormatNoPAN, clearCipher(8), "", "06111111FFFFFFFF", "111111"}, // unionpay's own example
		{pinblock.Format4, block(t, cipherkey.AES128, "AF8CB133A78F8DC2D1359F18527593FB"), "4111111111111111", "A912150391AB65A67E52883D81CE2D15", "1234"},
		{pinblock.Format4, block(t, cipherkey.AES128, "0123456789ABCDEF0123456789ABCDEF"), examplePAN, "D3B650140FE182DA3D814D7F52615064", "87654321"},
	} {
		var p card.PAN
		if test.pan != "" {
			p = pan(t, test.pan)
		}
		got, err := pinblock.Decrypt(test.format, test.key, unhex(t, test.block), p)
		if err != nil || string(got.Reveal()) != test.pin {
			t.Errorf("%s %s: %q, %v; want %s", test.format, test.block, got.Reveal(), err, test.pin)
		}
	}
}

func TestEveryPINComesBack(t *testing.T) {
	keys := map[int]cipher.Block{
		8:  block(t, cipherkey.TDES2, "0123456789ABCDEFFEDCBA9876543210"),
		16: block(t, cipherkey.AES256, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
	}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(formats()).Draw(t, "format")
		digits := rapid.StringMatching(`[0-9]{4,12}`).Draw(t, "PIN")
		number, err := card.ParsePAN(rapid.StringMatching(`[0-9]{12,19}`).Draw(t, "PAN"))
		if err != nil {
			t.Fatal(err)
		}
		key := keys[f.BlockBytes()]
		encrypted, err := pinblock.Encrypt(f, key, secret(digits), number)
		if err != nil || len(encrypted) != f.BlockBytes() {
			t.Fatalf("%x, %v", encrypted, err)
		}
		before := bytes.Clone(encrypted)
		got, err := pinblock.Decrypt(f, key, encrypted, number)
		if err != nil || string(got.Reveal()) != digits || !bytes.Equal(before, encrypted) {
			t.Fatalf("%s: %q, %v; want %s and the block as it was", f, got.Reveal(), err, digits)
		}
	})
}

// Format 4's binding is under the cipher, so every card number but the own one
// gives no PIN; with formats 0 and 3 one that differs in its last digits moves the
// PIN's end and the fill: here by 8, of which format 3's A to F never make another's.
func TestBlocksAreBoundToTheCard(t *testing.T) {
	own, other := pan(t, "6217000000000000012"), pan(t, "6217008888888888884")
	for _, f := range formats() {
		encrypted, err := pinblock.Encrypt(f, clearFor(f), secret("1234"), own)
		if err != nil {
			t.Fatal(err)
		}
		_, err = pinblock.Decrypt(f, clearFor(f), encrypted, other)
		if f.Bound() == (err == nil) {
			t.Errorf("%s with another card number: %v", f, err)
		}
	}
	block := block(t, cipherkey.AES128, "0123456789ABCDEF0123456789ABCDEF")
	encrypted, err := pinblock.Encrypt(pinblock.Format4, block, secret("123456"), own)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range "6217000000000000012" {
		changed := []byte("6217000000000000012")
		changed[i] = '0' + byte(d-'0'+1)%10
		if _, err := pinblock.Decrypt(pinblock.Format4, block, encrypted, pan(t, string(changed))); !errors.Is(err, pinblock.ErrBlock) {
			t.Errorf("digit %d of the card number is not bound: %v", i, err)
		}
	}
}

func TestFill(t *testing.T) {
	number := pan(t, "6217000000000000012")
	seen := map[pinblock.Format]map[string]bool{}
	letters := map[rune]int{}
	for _, f := range formats() {
		seen[f] = map[string]bool{}
		for range 200 {
			encrypted, err := pinblock.Encrypt(f, clearFor(f), secret("1234"), number)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.ToUpper(hex.EncodeToString(encrypted))
			seen[f][text] = true
			if f == pinblock.Format3 { // the card number's digits there are zeros up to the last
				for _, letter := range text[6:14] {
					letters[letter]++
				}
			}
		}
	}
	for f, random := range map[pinblock.Format]bool{
		pinblock.Format0: false, pinblock.FormatNoPAN: false, pinblock.Format1: true, pinblock.Format3: true, pinblock.Format4: true,
	} {
		if got := len(seen[f]); random != (got > 190) || !random && got != 1 {
			t.Errorf("%s: %d different blocks of 200", f, got)
		}
	}
	if len(letters) != 6 {
		t.Errorf("the fill of format 3 is drawn from %v", letters)
	}
	for letter := 'A'; letter <= 'F'; letter++ {
		if letters[letter] < 150 { // of 1600, 267 are expected
			t.Errorf("the fill of format 3 has %c %d times of 1600", letter, letters[letter])
		}
	}
}

func TestBlocksThatAreNone(t *testing.T) {
	number := pan(t, "000000000000") // nothing to see of it in a block
	for _, test := range []struct {
		format pinblock.Format
		blocks []string
	}{
		{pinblock.Format0, []string{
			"141234FFFFFFFFFF", "341234FFFFFFFFFF", "F41234FFFFFFFFFF", // control
			"03123FFFFFFFFFFF", "0D12345678901234", "0F12345678901234", "00FFFFFFFFFFFFFF", // length
			"04123AFFFFFFFFFF", "041234FFFFFFFFF0", "0412340FFFFFFFFF", "051234FFFFFFFFFF", // digits and fill
			"041234FFFFFFFF", "041234FFFFFFFFFFFF", "", // size
		}},
		{pinblock.Format1, []string{"041234FFFFFFFFFF", "13123FFFFFFFFFFF", "14123A0000000000", "1D12345678901234"}},
		{pinblock.Format3, []string{"341234FFFFFFFFF9", "3412340FFFFFFFFF", "041234FFFFFFFFFF", "34123FFFFFFFFFFF"}},
		{pinblock.Format4, []string{
			"441234AAAAAAAAAB0000000000000000", "44123AAAAAAAAAAA0000000000000000", "341234AAAAAAAAAA0000000000000000",
			"43123AAAAAAAAAAA0000000000000000", "441234AAAAAAAAAA00000000000000", "441234AAAAAAAAAA",
		}},
		{pinblock.FormatNoPAN, []string{"16111111FFFFFFFF", "06111111FFFFFFF0", "0611111AFFFFFFFF"}},
	} {
		for _, text := range test.blocks {
			got, err := pinblock.Decrypt(test.format, clearFor(test.format), unhex(t, text), number)
			if err != pinblock.ErrBlock || !got.IsZero() { //nolint:errorlint // nothing may be added to it
				t.Errorf("%s %s: %q, %v; want ErrBlock itself", test.format, text, got.Reveal(), err)
			}
		}
	}
}

func TestWhatCannotBeEncrypted(t *testing.T) {
	number := pan(t, "6217000000000000012")
	for _, digits := range []string{"", "123", "1234567890123", "12a4", "12 4", "１２３４"} {
		got, err := pinblock.Encrypt(pinblock.Format0, clearCipher(8), secret(digits), number)
		if !errors.Is(err, pinblock.ErrPIN) || got != nil || digits != "" && strings.Contains(err.Error(), digits) {
			t.Errorf("a PIN of %d bytes: %x, %v", len(digits), got, err)
		}
	}
	for _, test := range []struct {
		format pinblock.Format
		key    clearCipher
		number card.PAN
	}{
		{0, 8, number},
		{99, 8, number},
		{pinblock.Format0, 16, number},
		{pinblock.Format4, 8, number},
		{pinblock.Format0, 8, card.PAN{}},
		{pinblock.Format3, 8, card.PAN{}},
		{pinblock.Format4, 16, card.PAN{}},
	} {
		if got, err := pinblock.Encrypt(test.format, test.key, secret("1234"), test.number); !errors.Is(err, pinblock.ErrFormat) || got != nil {
			t.Errorf("%s with a cipher of %d: %v, want ErrFormat", test.format, test.key, err)
		}
		if got, err := pinblock.Decrypt(test.format, test.key, make([]byte, test.key), test.number); !errors.Is(err, pinblock.ErrFormat) || !got.IsZero() {
			t.Errorf("decrypt %s with a cipher of %d: %v, want ErrFormat", test.format, test.key, err)
		}
	}
}

func TestFormatNames(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range formats() {
		seen[f.String()] = true
		if !f.Valid() || f.BlockBytes() == 0 {
			t.Errorf("%s is no format", f)
		}
	}
	if len(seen) != len(formats()) || pinblock.Format(0).Valid() || pinblock.Format(9).Valid() || pinblock.Format(9).BlockBytes() != 0 {
		t.Errorf("names %v", seen)
	}
	if fmt.Sprint(pinblock.Format(9)) == "" {
		t.Error("an unknown format has no text")
	}
}

// FuzzDecrypt: what is taken for a PIN block encrypts to one that reads the same.
func FuzzDecrypt(f *testing.F) {
	f.Add(uint8(pinblock.Format0), unhex(f, "041234FFFFFFFFFE"))
	f.Add(uint8(pinblock.Format1), unhex(f, "141234FF9BCF1EF7"))
	f.Add(uint8(pinblock.Format3), unhex(f, "341234ABCDEFABCD"))
	f.Add(uint8(pinblock.Format4), unhex(f, "441234AAAAAAAAAA0123456789ABCDEF"))
	f.Add(uint8(pinblock.FormatNoPAN), unhex(f, "06111111FFFFFFFF"))
	number := pan(f, "6217000000000000012")
	f.Fuzz(func(t *testing.T, format uint8, content []byte) {
		p := pinblock.Format(format)
		key := clearCipher(max(p.BlockBytes(), 8))
		pin, err := pinblock.Decrypt(p, key, content, number)
		if err != nil {
			if !pin.IsZero() {
				t.Fatal("an error and a PIN")
			}
			return
		}
		if !p.Valid() || pin.Len() < pinblock.MinDigits || pin.Len() > pinblock.MaxDigits {
			t.Fatalf("%s has a PIN of %d digits", p, pin.Len())
		}
		again, err := pinblock.Encrypt(p, key, pin, number)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pinblock.Decrypt(p, key, again, number)
		if err != nil || !back.Equal(pin) {
			t.Fatalf("it does not come back: %v", err)
		}
	})
}

func secret(digits string) vault.Secret { return vault.NewSecret([]byte(digits)) }

func pan(tb testing.TB, digits string) card.PAN {
	tb.Helper()
	p, err := card.ParsePAN(digits)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func block(tb testing.TB, a cipherkey.Algorithm, key string) cipher.Block {
	tb.Helper()
	b, err := a.Block(unhex(tb, key))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
