package mac_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/mac"
)

type answers struct {
	ECB []struct {
		MAK     string `json:"mak"`
		Message string `json:"message_without_field64"`
		MAC     string `json:"mac_ascii"`
	} `json:"unionpay_ecb_mac"`
	Retail []struct {
		Key       string `json:"key"`
		DataASCII string `json:"data_ascii"`
		DataHex   string `json:"data_hex"`
		MAC       string `json:"mac"`
	} `json:"iso9797_1_alg3_retail_mac"`
	CBC []struct {
		Key     string `json:"key"`
		DataHex string `json:"data_hex"`
		MAC     string `json:"mac"`
	} `json:"x9_9_cbc_mac"`
}

func knownAnswers(tb testing.TB) answers {
	tb.Helper()
	content, err := os.ReadFile("../testdata/crypto.json")
	if err != nil {
		tb.Fatal(err)
	}
	var a answers
	if err := json.Unmarshal(content, &a); err != nil {
		tb.Fatal(err)
	}
	if len(a.ECB) < 3 || len(a.Retail) < 2 || len(a.CBC) < 1 {
		tb.Fatal("known answers are missing")
	}
	return a
}

func TestKnownAnswers(t *testing.T) {
	known := knownAnswers(t)
	for _, a := range known.ECB {
		got := sum(t, mac.UnionPayECB, unhex(t, a.MAK), unhex(t, a.Message))
		if string(got[:]) != a.MAC {
			t.Errorf("unionpay-ecb under %s: %s, want %s", a.MAK, got, a.MAC)
		}
	}
	for _, a := range known.Retail {
		got := sum(t, mac.X919, unhex(t, a.Key), append([]byte(a.DataASCII), unhex(t, a.DataHex)...))
		if hex.EncodeToString(got[:]) != strings.ToLower(a.MAC) {
			t.Errorf("x919: %x, want %s", got, a.MAC)
		}
	}
	for _, a := range known.CBC {
		got := sum(t, mac.X99, unhex(t, a.Key), unhex(t, a.DataHex))
		if hex.EncodeToString(got[:]) != strings.ToLower(a.MAC) {
			t.Errorf("x9.9: %x, want %s", got, a.MAC)
		}
	}
	// RFC 4493, §4, examples 1 to 4.
	key := unhex(t, "2b7e151628aed2a6abf7158809cf4f3c")
	message := unhex(t, "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for length, want := range map[int]string{0: "bb1d6929e9593728", 16: "070a16b46b4d4144", 40: "dfa66747de9ae630", 64: "51f0bebf7e3b9d92"} {
		if got := sum(t, mac.AESCMAC, key, message[:length]); hex.EncodeToString(got[:]) != want {
			t.Errorf("aes-cmac of %d bytes: %x, want %s", length, got, want)
		}
	}
}

func sum(tb testing.TB, name string, key, data []byte) [mac.Bytes]byte {
	tb.Helper()
	a, err := mac.New(name, key)
	if err != nil {
		tb.Fatal(err)
	}
	if a.Name() != name {
		tb.Errorf("%s is called %s", name, a.Name())
	}
	code, err := a.Sum(data)
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

// TestAgainstTheStandardLibrary computes the codes again from crypto/cipher's CBC
// mode and from the published steps, over data of any length.
func TestAgainstTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")
		data := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data")
		padded := append(bytes.Clone(data), make([]byte, (8-len(data)%8)%8)...)
		if len(padded) == 0 {
			padded = make([]byte, 8)
		}
		left, right, double := block(t, cipherkey.DES, key[:8]), block(t, cipherkey.DES, key[8:]), block(t, cipherkey.TDES2, key)

		single := cbc(left, padded)
		retail := make([]byte, 8)
		right.Decrypt(retail, single)
		left.Encrypt(retail, retail)
		folded := make([]byte, 8)
		for i, b := range padded {
			folded[i%8] ^= b
		}
		text := []byte(strings.ToUpper(hex.EncodeToString(folded)))
		e := make([]byte, 8)
		double.Encrypt(e, text[:8])
		for i := range e {
			e[i] ^= text[8+i]
		}
		double.Encrypt(e, e)

		for _, test := range []struct {
			name      string
			key, want []byte
		}{
			{mac.X99, key[:8], single},
			{mac.X99, key, cbc(double, padded)},
			{mac.X919, key, retail},
			{mac.X919, append(bytes.Clone(key[:8]), key[:8]...), single}, // equal halves
			{mac.UnionPayECB, key, []byte(strings.ToUpper(hex.EncodeToString(e[:4])))},
		} {
			a, err := mac.New(test.name, test.key)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Sum(data)
			if err != nil || !bytes.Equal(got[:], test.want) {
				t.Fatalf("%s of %x: %x, %v; want %x", test.name, data, got, err, test.want)
			}
			if again, err := a.Sum(padded); err != nil || again != got {
				t.Fatalf("%s: padding changes the code: %x, %v", test.name, again, err)
			}
		}
	})
}

func block(t *rapid.T, a cipherkey.Algorithm, key []byte) cipher.Block {
	b, err := a.Block(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func cbc(b cipher.Block, padded []byte) []byte {
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(b, make([]byte, 8)).CryptBlocks(out, padded)
	return out[len(out)-8:]
}

func TestKeysThatAreRefused(t *testing.T) {
	takes := map[string][]int{mac.UnionPayECB: {8, 16}, mac.X99: {8, 16}, mac.X919: {16}, mac.AESCMAC: {16, 24, 32}}
	for name, sizes := range takes {
		for size := range 40 {
			want := false
			for _, s := range sizes {
				want = want || s == size
			}
			a, err := mac.New(name, bytes.Repeat([]byte{0x5a}, size))
			if want != (err == nil) || !want && (a != nil || !errors.Is(err, mac.ErrAlgorithm) || strings.Contains(err.Error(), "5a")) {
				t.Errorf("%s with a key of %d bytes: %v", name, size, err)
			}
		}
	}
	if a, err := mac.New("none", make([]byte, 16)); !errors.Is(err, mac.ErrAlgorithm) || a != nil {
		t.Errorf("there is a MAC called none: %v", err)
	}
	if mac.KeyAlgorithm(mac.AESCMAC, 16) != cipherkey.AES128 || mac.KeyAlgorithm(mac.X919, 16) != cipherkey.TDES2 {
		t.Error("a key's algorithm is not told by what it is for")
	}
}

func TestSumFromManyGoroutines(t *testing.T) {
	for _, name := range []string{mac.UnionPayECB, mac.X99, mac.X919, mac.AESCMAC} {
		a, err := mac.New(name, []byte("0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := a.Sum([]byte("some data"))
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 200 {
					if got, err := a.Sum([]byte("some data")); err != nil || got != want {
						t.Errorf("%s: %x, %v; want %x", name, got, err, want)
						return
					}
				}
			})
		}
		group.Wait()
	}
}

func BenchmarkSum(b *testing.B) {
	data := make([]byte, 200)
	for _, name := range []string{mac.UnionPayECB, mac.X99, mac.X919, mac.AESCMAC} {
		a, err := mac.New(name, []byte("0123456789abcdef"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Sum(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
