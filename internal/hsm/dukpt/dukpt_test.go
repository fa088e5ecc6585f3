package dukpt_test

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
	"meridian/internal/hsm/pinblock"
)

type answers struct {
	TDES struct {
		BaseKey      string `json:"base_key"`
		InitialKey   string `json:"initial_key"`
		Transactions []struct {
			KSN            string `json:"ksn"`
			TransactionKey string `json:"transaction_key"`
			PINBlock       string `json:"pin_block"`
			MACRequest     string `json:"mac_request"`
			MACResponse    string `json:"mac_response"`
			DataRequest    string `json:"data_request"`
			DataResponse   string `json:"data_response"`
		} `json:"transactions"`
	} `json:"tdes"`
	AES struct {
		Bases []struct {
			Algorithm    string `json:"algorithm"`
			BaseKey      string `json:"base_key"`
			InitialKey   string `json:"initial_key"`
			Transactions []struct {
				KSN      string                       `json:"ksn"`
				Keys     map[string]map[string]string `json:"keys"`
				PINBlock string                       `json:"pin_block"`
			} `json:"transactions"`
		} `json:"bases"`
	} `json:"aes"`
}

func known(tb testing.TB) answers {
	tb.Helper()
	content, err := os.ReadFile("testdata/answers.json")
	if err != nil {
		tb.Fatal(err)
	}
	var a answers
	if err := json.Unmarshal(content, &a); err != nil {
		tb.Fatal(err)
	}
	if len(a.TDES.Transactions) != 34 || len(a.AES.Bases) != 3 {
		tb.Fatal("known answers are missing")
	}
	return a
}

// The standard's examples encrypt data and compute MACs with the characters of a
// track, padded with zeros.
const exampleData = "4012345678909D987"

func TestKnownAnswersOfTDES(t *testing.T) {
	all := known(t).TDES
	base, pan := unhex(t, all.BaseKey), mustPAN(t, "4012345678909")
	for _, a := range all.Transactions {
		ksn := parse(t, cipherkey.TDES2, a.KSN)
		initial, err := dukpt.InitialKey(cipherkey.TDES2, base, ksn)
		if err != nil || upper(initial) != all.InitialKey {
			t.Fatalf("initial key %X, %v", initial, err)
		}
		pinKey := working(t, cipherkey.TDES2, initial, ksn, dukpt.PIN, cipherkey.TDES2)
		variant := unhex(t, a.TransactionKey)
		variant[7] ^= 0xff
		variant[15] ^= 0xff
		if !bytes.Equal(pinKey, variant) {
			t.Errorf("%s: PIN key %X, want %X", a.KSN, pinKey, variant)
		}
		pin, err := pinblock.Decrypt(pinblock.Format0, block(t, cipherkey.TDES2, pinKey), unhex(t, a.PINBlock), pan)
		if err != nil || string(pin.Reveal()) != "1234" {
			t.Errorf("%s: PIN %q, %v", a.KSN, pin.Reveal(), err)
		}
		for purpose, want := range map[dukpt.Purpose]string{dukpt.MACRequest: a.MACRequest, dukpt.MACResponse: a.MACResponse} {
			if want == "" {
				continue
			}
			code, err := mac.New(mac.X919, working(t, cipherkey.TDES2, initial, ksn, purpose, cipherkey.TDES2))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := code.Sum([]byte(exampleData)); err != nil || upper(got[:]) != want {
				t.Errorf("%s: MAC %X, %v; want %s", a.KSN, got, err, want)
			}
		}
		for purpose, want := range map[dukpt.Purpose]string{dukpt.DataRequest: a.DataRequest, dukpt.DataResponse: a.DataResponse} {
			if want == "" {
				continue
			}
			data := append([]byte(exampleData), make([]byte, 24-len(exampleData))...)
			cipher.NewCBCEncrypter(block(t, cipherkey.TDES2, working(t, cipherkey.TDES2, initial, ksn, purpose, cipherkey.TDES2)), make([]byte, 8)).
				CryptBlocks(data, data)
			if upper(data) != want {
				t.Errorf("%s: data %X, want %s", a.KSN, data, want)
			}
		}
	}
}

func TestKnownAnswersOfAES(t *testing.T) {
	purposes := map[string]dukpt.Purpose{
		"pin": dukpt.PIN, "mac_request": dukpt.MACRequest, "mac_response": dukpt.MACResponse,
		"data_request": dukpt.DataRequest, "data_response": dukpt.DataResponse,
	}
	for _, b := range known(t).AES.Bases {
		algorithm := mustAlgorithm(t, b.Algorithm)
		for _, a := range b.Transactions {
			ksn := parse(t, algorithm, a.KSN)
			initial, err := dukpt.InitialKey(algorithm, unhex(t, b.BaseKey), ksn)
			if err != nil || upper(initial) != b.InitialKey {
				t.Fatalf("%s: initial key %X, %v", algorithm, initial, err)
			}
			if len(a.Keys) < 2 {
				t.Fatal("known answers are missing")
			}
			for name, keys := range a.Keys {
				for purpose, want := range keys {
					if got := working(t, algorithm, initial, ksn, purposes[purpose], mustAlgorithm(t, name)); upper(got) != want {
						t.Errorf("%s %s: %s key for %s %X, want %s", algorithm, a.KSN, name, purpose, got, want)
					}
				}
			}
			if a.PINBlock == "" {
				continue
			}
			pinKey := block(t, algorithm, working(t, algorithm, initial, ksn, dukpt.PIN, algorithm))
			pin, err := pinblock.Decrypt(pinblock.Format4, pinKey, unhex(t, a.PINBlock), mustPAN(t, "4111111111111111"))
			if err != nil || string(pin.Reveal()) != "1234" {
				t.Errorf("%s: PIN %q, %v", a.KSN, pin.Reveal(), err)
			}
		}
	}
}

func TestKSN(t *testing.T) {
	for _, test := range []struct {
		algorithm      cipherkey.Algorithm
		ksn, terminal  string
		counter        uint32
		next           string
		lastOfTerminal bool
	}{
		{cipherkey.TDES2, "FFFF9876543210E00001", "FFFF9876543210E00000", 1, "FFFF9876543210E00002", false},
		{cipherkey.TDES2, "FFFF9876543210EFF800", "FFFF9876543210E00000", 0xff800, "FFFF9876543210EFF801", false},
		{cipherkey.TDES2, "FFFF9876543210EFF801", "FFFF9876543210E00000", 0xff801, "FFFF9876543210EFF802", false},
		{cipherkey.TDES2, "FFFF9876543210EFF802", "FFFF9876543210E00000", 0xff802, "FFFF9876543210EFF804", false},
		{cipherkey.TDES2, "FFFF9876543210EFFC00", "FFFF9876543210E00000", 0xffc00, "FFFF9876543210F00000", false},
		{cipherkey.TDES2, "FFFF9876543210FFF000", "FFFF9876543210E00000", 0x1ff000, "FFFF9876543210FFF001", false},
		{cipherkey.TDES2, "FFFF9876543210FFF800", "FFFF9876543210E00000", 0x1ff800, "", true},
		{cipherkey.AES128, "123456789012345600000001", "1234567890123456", 1, "123456789012345600000002", false},
		{cipherkey.AES256, "12345678901234560001FFFE", "1234567890123456", 0x1fffe, "123456789012345600020000", false},
		{cipherkey.AES192, "1234567890123456FFFE8000", "1234567890123456", 0xfffe8000, "1234567890123456FFFF0000", false},
		{cipherkey.AES128, "1234567890123456FFFF0000", "1234567890123456", 0xffff0000, "", true},
	} {
		k := parse(t, test.algorithm, test.ksn)
		if k.Counter() != test.counter || k.Terminal() != test.terminal || k.String() != test.ksn || !bytes.Equal(k.Bytes(), unhex(t, test.ksn)) {
			t.Errorf("%s: counter %x of %s (%s, %X)", test.ksn, k.Counter(), k.Terminal(), k, k.Bytes())
		}
		next, err := k.Next()
		if test.lastOfTerminal {
			if !errors.Is(err, dukpt.ErrKSN) {
				t.Errorf("%s is followed by %s, %v", test.ksn, next, err)
			}
			continue
		}
		if err != nil || next.String() != test.next {
			t.Errorf("%s is followed by %s, %v; want %s", test.ksn, next, err, test.next)
		}
	}
}

func TestKSNsThatAreNone(t *testing.T) {
	for _, test := range []struct {
		algorithm cipherkey.Algorithm
		ksn       string
	}{
		{cipherkey.TDES2, ""},
		{cipherkey.TDES2, "FFFF9876543210E000"},
		{cipherkey.TDES2, "FFFF9876543210E0000100"},
		{cipherkey.TDES2, "123456789012345600000001"}, // of AES
		{cipherkey.TDES2, "FFFF9876543210E00000"},     // counter 0
		{cipherkey.TDES2, "FFFF9876543210EFFE00"},     // eleven ones
		{cipherkey.TDES2, "FFFF9876543210FFFFFF"},
		{cipherkey.AES128, "FFFF9876543210E00001"}, // of TDES
		{cipherkey.AES128, "123456789012345600000000"},
		{cipherkey.AES128, "12345678901234560001FFFF"}, // seventeen ones
		{cipherkey.AES256, "1234567890123456FFFFFFFF"},
		{cipherkey.DES, "FFFF9876543210E00001"},
		{cipherkey.TDES3, "FFFF9876543210E00001"},
		{0, "FFFF9876543210E00001"},
	} {
		if k, err := dukpt.Parse(test.algorithm, unhex(t, test.ksn)); !errors.Is(err, dukpt.ErrKSN) {
			t.Errorf("%s %s: %s, %v; want ErrKSN", test.algorithm, test.ksn, k, err)
		}
	}
}

func TestFirst(t *testing.T) {
	for algorithm, ksns := range map[cipherkey.Algorithm][2]string{
		cipherkey.TDES2:  {"FFFF9876543210E00000", "FFFF9876543210E00001"},
		cipherkey.AES128: {"123456789012345600000007", "123456789012345600000001"},
	} {
		if got, err := dukpt.First(algorithm, unhex(t, ksns[0])); err != nil || got.String() != ksns[1] {
			t.Errorf("%s, %v; want %s", got, err, ksns[1])
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 11)} {
		if _, err := dukpt.First(cipherkey.TDES2, b); !errors.Is(err, dukpt.ErrKSN) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

// A terminal walks its counter as a host may check it: always up, never with too
// many ones, and leaving nothing out that has few enough.
func TestNextLeavesNothingOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		algorithm := rapid.SampledFrom([]cipherkey.Algorithm{cipherkey.TDES2, cipherkey.AES128}).Draw(t, "algorithm")
		length := dukpt.KSNBytesAES
		if algorithm.IsDES() {
			length = dukpt.KSNBytesTDES
		}
		ksn := rapid.SliceOfN(rapid.Byte(), length, length).Filter(func(b []byte) bool {
			_, err := dukpt.Parse(algorithm, b)
			return err == nil
		}).Draw(t, "KSN")
		k, err := dukpt.Parse(algorithm, ksn)
		if err != nil {
			t.Fatal(err)
		}
		next, err := k.Next()
		if err != nil {
			return
		}
		if again, err := dukpt.Parse(algorithm, next.Bytes()); err != nil || again != next || next.Counter() <= k.Counter() || next.Terminal() != k.Terminal() {
			t.Fatalf("%s is followed by %s (%v)", k, next, err)
		}
		const few = 5000
		for c := k.Counter() + 1; c < next.Counter() && c < k.Counter()+few; c++ {
			b := next.Bytes()
			b[len(b)-1], b[len(b)-2] = byte(c), byte(c>>8)
			b[len(b)-3] = b[len(b)-3]&0xe0 | byte(c>>16)&0x1f
			if !algorithm.IsDES() {
				b[len(b)-3], b[len(b)-4] = byte(c>>16), byte(c>>24)
			}
			if left, err := dukpt.Parse(algorithm, b); err == nil {
				t.Fatalf("between %s and %s is %s", k, next, left)
			}
		}
	})
}

func TestKeysThatCannotBeDerived(t *testing.T) {
	tdes, aes := parse(t, cipherkey.TDES2, "FFFF9876543210E00001"), parse(t, cipherkey.AES128, "123456789012345600000001")
	for _, test := range []struct {
		algorithm cipherkey.Algorithm
		keyBytes  int
		ksn       dukpt.KSN
	}{
		{cipherkey.TDES2, 8, tdes},
		{cipherkey.TDES2, 16, aes},
		{cipherkey.TDES2, 16, dukpt.KSN{}},
		{cipherkey.TDES3, 24, tdes},
		{cipherkey.DES, 8, tdes},
		{cipherkey.AES128, 16, tdes},
		{cipherkey.AES256, 16, aes},
		{0, 0, tdes},
	} {
		if key, err := dukpt.InitialKey(test.algorithm, make([]byte, test.keyBytes), test.ksn); !errors.Is(err, dukpt.ErrKey) || key != nil {
			t.Errorf("initial key from %s of %d bytes: %v, want ErrKey", test.algorithm, test.keyBytes, err)
		}
		if key, err := dukpt.WorkingKey(test.algorithm, make([]byte, test.keyBytes), test.ksn, dukpt.PIN, cipherkey.TDES2); !errors.Is(err, dukpt.ErrKey) || key != nil {
			t.Errorf("working key from %s of %d bytes: %v, want ErrKey", test.algorithm, test.keyBytes, err)
		}
	}
	all := []cipherkey.Algorithm{0, cipherkey.DES, cipherkey.TDES2, cipherkey.TDES3, cipherkey.AES128, cipherkey.AES192, cipherkey.AES256}
	for initial, allowed := range map[cipherkey.Algorithm][]cipherkey.Algorithm{
		cipherkey.TDES2:  {cipherkey.TDES2},
		cipherkey.AES128: {cipherkey.TDES2, cipherkey.AES128},
		cipherkey.AES192: {cipherkey.TDES2, cipherkey.AES128, cipherkey.AES192},
		cipherkey.AES256: {cipherkey.TDES2, cipherkey.AES128, cipherkey.AES192, cipherkey.AES256},
	} {
		ksn := aes
		if initial.IsDES() {
			ksn = tdes
		}
		for _, to := range all {
			key, err := dukpt.WorkingKey(initial, make([]byte, initial.KeyBytes()), ksn, dukpt.PIN, to)
			if want := slices.Contains(allowed, to); want != (err == nil) || want != (len(key) == to.KeyBytes() && to != 0) {
				t.Errorf("%s from %s: %d bytes, %v", to, initial, len(key), err)
			}
		}
	}
	for _, purpose := range []dukpt.Purpose{0, 6} {
		if _, err := dukpt.WorkingKey(cipherkey.TDES2, make([]byte, 16), tdes, purpose, cipherkey.TDES2); !errors.Is(err, dukpt.ErrKey) {
			t.Errorf("purpose %d: %v", purpose, err)
		}
	}
}

// Deriving leaves what it was given.
func TestDerivingChangesNothing(t *testing.T) {
	key := unhex(t, "6AC292FAA1315B4D858AB3A3D7D5933A")
	ksn := parse(t, cipherkey.TDES2, "FFFF9876543210E00003")
	before, ksnBefore := bytes.Clone(key), ksn
	for purpose := dukpt.PIN; purpose <= dukpt.DataResponse; purpose++ {
		working(t, cipherkey.TDES2, key, ksn, purpose, cipherkey.TDES2)
	}
	if !bytes.Equal(key, before) || ksn != ksnBefore {
		t.Error("the initial key or the KSN is another")
	}
}

func parse(tb testing.TB, a cipherkey.Algorithm, ksn string) dukpt.KSN {
	tb.Helper()
	k, err := dukpt.Parse(a, unhex(tb, ksn))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func working(tb testing.TB, a cipherkey.Algorithm, key []byte, ksn dukpt.KSN, purpose dukpt.Purpose, to cipherkey.Algorithm) []byte {
	tb.Helper()
	derived, err := dukpt.WorkingKey(a, key, ksn, purpose, to)
	if err != nil {
		tb.Fatal(err)
	}
	return derived
}

func block(tb testing.TB, a cipherkey.Algorithm, key []byte) cipher.Block {
	tb.Helper()
	b, err := a.Block(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustPAN(tb testing.TB, digits string) card.PAN {
	tb.Helper()
	p, err := card.ParsePAN(digits)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func mustAlgorithm(tb testing.TB, name string) cipherkey.Algorithm {
	tb.Helper()
	a, err := cipherkey.Parse(name)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
