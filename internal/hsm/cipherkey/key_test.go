package cipherkey_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"

	"meridian/internal/hsm/cipherkey"
)

func all() []cipherkey.Algorithm {
	return []cipherkey.Algorithm{
		cipherkey.DES, cipherkey.TDES2, cipherkey.TDES3, cipherkey.AES128, cipherkey.AES192, cipherkey.AES256,
	}
}

func TestCheckValueKnownAnswers(t *testing.T) {
	content, err := os.ReadFile("../testdata/crypto.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers struct {
		Values []struct {
			Key string `json:"key"`
			KCV string `json:"kcv8"`
		} `json:"key_check_value"`
	}
	if err := json.Unmarshal(content, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers.Values) < 3 {
		t.Fatalf("%d known answers", len(answers.Values))
	}
	for _, a := range answers.Values {
		key := unhex(t, a.Key)
		value, err := cipherkey.CheckValueOf(cipherkey.OfDES(len(key)), key)
		if err != nil || strings.ToUpper(hex.EncodeToString(value[:])) != a.KCV[:8] || value.String() != a.KCV[:6] {
			t.Errorf("check value %X (%s), %v; want the start of %s", value[:], value, err, a.KCV)
		}
	}
	// The CMAC of a block of zeros, computed apart from this program.
	for _, test := range []struct{ key, want string }{
		{"000102030405060708090a0b0c0d0e0f", "be7ed6ae"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "1a0b2df2"},
	} {
		key := unhex(t, test.key)
		value, err := cipherkey.CheckValueOf(cipherkey.OfAES(len(key)), key)
		if err != nil || hex.EncodeToString(value[:]) != test.want {
			t.Errorf("check value %x, %v; want %s", value[:], err, test.want)
		}
	}
	if _, err := cipherkey.CheckValueOf(cipherkey.TDES2, make([]byte, 8)); !errors.Is(err, cipherkey.ErrKey) {
		t.Errorf("a key that is too short: %v, want ErrKey", err)
	}
}

func TestAlgorithms(t *testing.T) {
	for _, a := range all() {
		parsed, err := cipherkey.Parse(a.String())
		if err != nil || parsed != a || !a.Valid() || a.IsDES() == a.IsAES() {
			t.Errorf("%s: parsed as %s, %v", a, parsed, err)
		}
		if of := max(cipherkey.OfDES(a.KeyBytes())*cipherkey.Algorithm(oneIf(a.IsDES())), cipherkey.OfAES(a.KeyBytes())*cipherkey.Algorithm(oneIf(a.IsAES()))); of != a {
			t.Errorf("by its %d bytes %s is %s", a.KeyBytes(), a, of)
		}
		for _, size := range []int{0, 7, a.KeyBytes() - 1, a.KeyBytes() + 1, 64} {
			if block, err := a.Block(make([]byte, size)); !errors.Is(err, cipherkey.ErrKey) || block != nil {
				t.Errorf("%s took a key of %d bytes: %v", a, size, err)
			}
		}
	}
	for _, none := range []cipherkey.Algorithm{0, 7, 255} {
		if none.Valid() || none.IsDES() || none.IsAES() || none.KeyBytes() != 0 || none.String() == "" {
			t.Errorf("%s is an algorithm", none)
		}
		if _, err := none.Block(nil); !errors.Is(err, cipherkey.ErrKey) {
			t.Errorf("%s makes a cipher: %v", none, err)
		}
		if _, err := cipherkey.Generate(none); !errors.Is(err, cipherkey.ErrKey) {
			t.Errorf("%s makes a key: %v", none, err)
		}
	}
	if _, err := cipherkey.Parse("rot13"); err == nil {
		t.Error("rot13 is an algorithm")
	}
	if cipherkey.OfDES(32) != 0 || cipherkey.OfAES(8) != 0 {
		t.Error("a length that no key has belongs to an algorithm")
	}
}

func oneIf(condition bool) int {
	if condition {
		return 1
	}
	return 0
}

// Triple DES under equal parts is DES: what single-length keys become where a
// double-length one is wanted.
func TestEqualPartsAreSingleDES(t *testing.T) {
	single := unhex(t, "0123456789abcdef")
	text := unhex(t, "4e6f772069732074")
	var want [8]byte
	encrypt(t, cipherkey.DES, single, want[:], text)
	if hex.EncodeToString(want[:]) != "3fa40e8a984d4815" { // FIPS 81's example
		t.Errorf("DES gives %x", want)
	}
	for _, a := range []cipherkey.Algorithm{cipherkey.TDES2, cipherkey.TDES3} {
		var got [8]byte
		encrypt(t, a, bytes.Repeat(single, a.KeyBytes()/8), got[:], text)
		if got != want {
			t.Errorf("%s under equal parts gives %x, want %x", a, got, want)
		}
	}
}

func encrypt(tb testing.TB, a cipherkey.Algorithm, key, dst, src []byte) {
	tb.Helper()
	block, err := a.Block(key)
	if err != nil {
		tb.Fatal(err)
	}
	block.Encrypt(dst, src)
}

func TestParity(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	odd := bytes.Clone(every)
	cipherkey.SetOddParity(odd)
	for i := range every {
		if bits.OnesCount8(odd[i])%2 != 1 || odd[i]&^1 != every[i]&^1 {
			t.Errorf("%02x became %02x", every[i], odd[i])
		}
	}
}

func hasOddParity(key []byte) bool {
	return !slices.ContainsFunc(key, func(b byte) bool { return bits.OnesCount8(b)%2 == 0 })
}

func TestGenerate(t *testing.T) {
	for _, a := range all() {
		first, err := cipherkey.Generate(a)
		if err != nil || len(first) != a.KeyBytes() || cipherkey.CheckStrength(a, first) != nil {
			t.Fatalf("%s: %d bytes, %v", a, len(first), err)
		}
		second, err := cipherkey.Generate(a)
		if err != nil || bytes.Equal(first, second) {
			t.Errorf("%s: the same key twice (%v)", a, err)
		}
		if a.IsDES() && !hasOddParity(first) {
			t.Errorf("%s: %x has even parity somewhere", a, first)
		}
	}
}

// Under a weak key encrypting twice gives the text back; under a semi-weak one
// another key of the list does.
func TestWeakKeys(t *testing.T) {
	weak := []string{
		"0101010101010101", "fefefefefefefefe", "e0e0e0e0f1f1f1f1", "1f1f1f1f0e0e0e0e",
		"011f011f010e010e", "1f011f010e010e01", "01e001e001f101f1", "e001e001f101f101",
		"01fe01fe01fe01fe", "fe01fe01fe01fe01", "1fe01fe00ef10ef1", "e01fe01ff10ef10e",
		"1ffe1ffe0efe0efe", "fe1ffe1ffe0efe0e", "e0fee0fef1fef1fe", "fee0fee0fef1fef1",
	}
	good := unhex(t, "0123456789abcdef")
	text := []byte("a block!")
	for i, w := range weak {
		key := unhex(t, w)
		pair := i
		if i >= 4 {
			pair = i ^ 1
		}
		var once, twice [8]byte
		encrypt(t, cipherkey.DES, key, once[:], text)
		encrypt(t, cipherkey.DES, unhex(t, weak[pair]), twice[:], once[:])
		if !bytes.Equal(twice[:], text) {
			t.Errorf("%s is not weak: the test's list is wrong", w)
		}
		evened := bytes.Clone(key)
		evened[3] ^= 1
		for _, k := range [][]byte{key, evened} {
			if err := cipherkey.CheckStrength(cipherkey.DES, k); !errors.Is(err, cipherkey.ErrKey) {
				t.Errorf("%x is taken: %v", k, err)
			}
			if err := cipherkey.CheckStrength(cipherkey.TDES2, slices.Concat(good, k)); !errors.Is(err, cipherkey.ErrKey) {
				t.Errorf("%x is taken as a right half: %v", k, err)
			}
		}
	}
	other := unhex(t, "fedcba9876543210")
	for _, test := range []struct {
		algorithm cipherkey.Algorithm
		key       []byte
		taken     bool
	}{
		{cipherkey.DES, good, true},
		{cipherkey.TDES2, slices.Concat(good, other), true},
		{cipherkey.TDES2, slices.Concat(good, good), false},
		{cipherkey.TDES3, slices.Concat(good, other, good), true}, // two keys, written as three
		{cipherkey.TDES3, slices.Concat(good, good, other), false},
		{cipherkey.TDES3, slices.Concat(good, other, other), false},
		{cipherkey.AES128, slices.Concat(good, good), true},
		{cipherkey.AES128, make([]byte, 16), false},
		{cipherkey.AES256, bytes.Repeat([]byte{7}, 32), false},
		{cipherkey.AES256, good, false},
	} {
		if err := cipherkey.CheckStrength(test.algorithm, test.key); (err == nil) != test.taken {
			t.Errorf("%s %x: %v, taken should be %t", test.algorithm, test.key, err, test.taken)
		}
	}
}
