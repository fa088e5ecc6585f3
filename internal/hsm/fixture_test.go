package hsm_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"meridian/internal/card"
	"meridian/internal/hsm"
	"meridian/internal/vault"
)

const (
	doubleKey = "0123456789ABCDEFFEDCBA9876543210"
	aesKey    = "603DEB1015CA71BE2B73AEF0857D77811F352C073B6108D72D9810A30914DFF4"
)

func uses() []hsm.Use {
	return []hsm.Use{
		hsm.UseTerminalMaster, hsm.UseMAC, hsm.UsePIN, hsm.UseTrack, hsm.UseKeyBlock, hsm.UseDUKPTBase, hsm.UseDUKPTInitial,
	}
}

func algorithms() []hsm.Algorithm {
	return []hsm.Algorithm{hsm.DES, hsm.TDES2, hsm.TDES3, hsm.AES128, hsm.AES192, hsm.AES256}
}

// sandbox returns a module that takes clear keys.
func sandbox(tb testing.TB) *hsm.Software {
	tb.Helper()
	return over(tb, vault.SandboxMasterKey())
}

func over(tb testing.TB, masters ...vault.MasterKey) *hsm.Software {
	tb.Helper()
	v, err := vault.Open(masters...)
	if err != nil {
		tb.Fatal(err)
	}
	return hsm.NewSoftware(v, v.FirstDataKeys())
}

func master(tb testing.TB, fill byte) vault.MasterKey {
	tb.Helper()
	content := make([]byte, vault.MasterKeyBytes)
	for i := range content {
		content[i] = fill + byte(i)
	}
	m, err := vault.NewMasterKey(content)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func enter(tb testing.TB, m *hsm.Software, use hsm.Use, algorithm hsm.Algorithm, key string) hsm.Key {
	tb.Helper()
	k, err := m.Enter(use, algorithm, unhex(tb, key))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func generate(tb testing.TB, m hsm.Module, use hsm.Use, algorithm hsm.Algorithm) hsm.Key {
	tb.Helper()
	k, err := m.Generate(tb.Context(), use, algorithm)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func checkValue(tb testing.TB, m hsm.Module, k hsm.Key) string {
	tb.Helper()
	value, err := m.CheckValue(tb.Context(), k)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.ToUpper(hex.EncodeToString(value[:]))
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
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
