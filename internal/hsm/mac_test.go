package hsm_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
)

const exampleMessage = "0200302004C020C0981100000000000000010000010102100006376217000000000000017D30121010000000000F" +
	"313030303030303130303030303030303030303030303131353600000000000000002600000000000000000822000001"

// TestMACKnownAnswers are those of the collection that package mac tests, under keys
// that the module keeps.
func TestMACKnownAnswers(t *testing.T) {
	m := sandbox(t)
	for _, test := range []struct {
		algorithm string
		key       hsm.Algorithm
		clear     string
		want      string
	}{
		{mac.UnionPayECB, hsm.DES, "0123456789ABCDEF", hex.EncodeToString([]byte("E82FE9F9"))},
		{mac.UnionPayECB, hsm.TDES2, doubleKey, hex.EncodeToString([]byte("7ABF3432"))},
		{mac.X919, hsm.TDES2, doubleKey, "cea7046531a718c7"},
		{mac.X99, hsm.DES, "0123456789ABCDEF", "b2fd7ffbe365303c"},
	} {
		algorithm, err := m.MAC(t.Context(), enter(t, m, hsm.UseMAC, test.key, test.clear), test.algorithm)
		if err != nil {
			t.Fatal(err)
		}
		got, err := algorithm.Sum(unhex(t, exampleMessage))
		if err != nil || hex.EncodeToString(got[:]) != test.want || algorithm.Name() != test.algorithm {
			t.Errorf("%s: %x, %v; want %s", algorithm.Name(), got, err, test.want)
		}
	}
}

// TestDUKPTMACKnownAnswers: ANSI X9.24-1:2009 A.4.2's MACs, and AES-CMAC under the
// MAC key of ANSI X9.24-3:2017's supplement.
func TestDUKPTMACKnownAnswers(t *testing.T) {
	m := sandbox(t)
	tdes := enter(t, m, hsm.UseDUKPTBase, hsm.TDES2, doubleKey)
	aes := enter(t, m, hsm.UseDUKPTBase, hsm.AES128, "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	data := []byte("4012345678909D987")
	underKey := func(key string) string {
		t.Helper()
		algorithm, err := mac.New(mac.AESCMAC, unhex(t, key))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := algorithm.Sum(data)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ToUpper(hex.EncodeToString(sum[:]))
	}
	for _, test := range []struct {
		base      hsm.Key
		ksn       string
		direction hsm.Direction
		algorithm string
		want      string
	}{
		{tdes, "FFFF9876543210E00001", hsm.FromTerminal, mac.X919, "9CCC78173FC4FB64"},
		{tdes, "FFFF9876543210E00001", hsm.ToTerminal, mac.X919, "20364223C1FF00FA"},
		{tdes, "FFFF9876543210E00005", hsm.FromTerminal, mac.X919, "0202B96339022058"},
		{aes, "123456789012345600000001", hsm.FromTerminal, mac.AESCMAC, underKey("A2DC23DE6FDE0824A2BC321E08E4B8B7")},
		{aes, "123456789012345600000001", hsm.ToTerminal, mac.AESCMAC, underKey("DBB463945B286C07CD3AD82EE96FD9C9")},
	} {
		algorithm, err := m.DUKPTMAC(t.Context(), test.base, unhex(t, test.ksn), test.direction, test.algorithm)
		if err != nil {
			t.Fatal(err)
		}
		got, err := algorithm.Sum(data)
		if err != nil || strings.ToUpper(hex.EncodeToString(got[:])) != test.want {
			t.Errorf("%s: %X, %v; want %s", test.ksn, got, err, test.want)
		}
	}
	// A terminal of AES DUKPT may have MACs of TDES.
	if _, err := m.DUKPTMAC(t.Context(), aes, unhex(t, "123456789012345600000001"), hsm.FromTerminal, mac.X919); err != nil {
		t.Errorf("X9.19 under an AES base key: %v", err)
	}
}

func TestMACsThatAreRefused(t *testing.T) {
	m := over(t, master(t, 1))
	algorithmsOf := map[string][]hsm.Algorithm{
		mac.UnionPayECB: {hsm.DES, hsm.TDES2},
		mac.X99:         {hsm.DES, hsm.TDES2},
		mac.X919:        {hsm.TDES2},
		mac.AESCMAC:     {hsm.AES128, hsm.AES192, hsm.AES256},
		"none":          nil,
	}
	for name, want := range algorithmsOf {
		for _, a := range algorithms() {
			if !takes(hsm.UseMAC, a) {
				continue
			}
			algorithm, err := m.MAC(t.Context(), generate(t, m, hsm.UseMAC, a), name)
			if slices.Contains(want, a) != (err == nil) || err != nil && (!errors.Is(err, hsm.ErrAlgorithm) || algorithm != nil) {
				t.Errorf("%s with a key of %s: %v", name, a, err)
			}
		}
	}
	for _, use := range uses() {
		if algorithm, err := m.MAC(t.Context(), generate(t, m, use, hsm.TDES2), mac.X919); (use == hsm.UseMAC) != (err == nil) || err != nil && (!errors.Is(err, hsm.ErrUse) || algorithm != nil) {
			t.Errorf("X9.19 with a %s key: %v", use, err)
		}
	}
	base := generate(t, m, hsm.UseDUKPTBase, hsm.TDES2)
	ksn := unhex(t, "FFFF9876543210E00001")
	for name, test := range map[string]struct {
		base      hsm.Key
		ksn       []byte
		algorithm string
		want      error
	}{
		"a MAC key":                 {generate(t, m, hsm.UseMAC, hsm.TDES2), ksn, mac.X919, hsm.ErrUse},
		"no KSN":                    {base, nil, mac.X919, hsm.ErrKSN},
		"a KSN of AES":              {base, make([]byte, dukpt.KSNBytesAES), mac.X919, hsm.ErrKSN},
		"counter 0":                 {base, unhex(t, "FFFF9876543210E00000"), mac.X919, hsm.ErrKSN},
		"a counter that is skipped": {base, unhex(t, "FFFF9876543210EFFE00"), mac.X919, hsm.ErrKSN},
		"AES-CMAC under TDES":       {base, ksn, mac.AESCMAC, hsm.ErrAlgorithm},
		"no MAC":                    {base, ksn, "none", hsm.ErrAlgorithm},
	} {
		if algorithm, err := m.DUKPTMAC(t.Context(), test.base, test.ksn, hsm.FromTerminal, test.algorithm); !errors.Is(err, test.want) || algorithm != nil {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func BenchmarkDUKPTMAC(b *testing.B) {
	m := sandbox(b)
	for name, test := range map[string]struct {
		algorithm          hsm.Algorithm
		ksn, algorithmName string
	}{
		"tdes": {hsm.TDES2, "FFFF9876543210EFF804", mac.X919},
		"aes":  {hsm.AES128, "1234567890123456FFFF0000", mac.AESCMAC},
	} {
		base := generate(b, m, hsm.UseDUKPTBase, test.algorithm)
		ksn := unhex(b, test.ksn)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.DUKPTMAC(b.Context(), base, ksn, hsm.FromTerminal, test.algorithmName); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
