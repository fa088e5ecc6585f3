package hsm_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/vault"
)

// takes is which algorithms a use has, written apart from the module's table.
func takes(use hsm.Use, a hsm.Algorithm) bool {
	switch use {
	case hsm.UseTerminalMaster:
		return a.IsDES()
	case hsm.UseMAC:
		return a.IsAES() || a == hsm.DES || a == hsm.TDES2
	case hsm.UsePIN:
		return true
	case hsm.UseTrack:
		return a == hsm.TDES2 || a == hsm.TDES3
	case hsm.UseKeyBlock:
		return a != hsm.DES
	default:
		return a.IsAES() || a == hsm.TDES2
	}
}

func TestGenerate(t *testing.T) {
	m := over(t, master(t, 1))
	for _, use := range uses() {
		for _, a := range algorithms() {
			k, err := m.Generate(t.Context(), use, a)
			if !takes(use, a) {
				if !errors.Is(err, hsm.ErrAlgorithm) || !k.IsZero() {
					t.Errorf("a %s key of %s: %v, want ErrAlgorithm", use, a, err)
				}
				continue
			}
			if err != nil || k.IsZero() || k.Use != use || k.Algorithm != a {
				t.Fatalf("a %s key of %s: %s, %v", use, a, k, err)
			}
			other := generate(t, m, use, a)
			if checkValue(t, m, k) == checkValue(t, m, other) {
				t.Errorf("two %s keys of %s have the check value %s", use, a, checkValue(t, m, k))
			}
			parsed, err := hsm.ParseKey(k.Bytes(), use)
			if err != nil || checkValue(t, m, parsed) != checkValue(t, m, k) {
				t.Errorf("a stored %s does not come back: %v", k, err)
			}
			if len(k.Bytes()) > hsm.MaxKeyBytes/4 {
				t.Errorf("a stored %s has %d bytes", k, len(k.Bytes()))
			}
			for _, wrong := range uses() {
				if _, err := hsm.ParseKey(k.Bytes(), wrong); wrong != use && !errors.Is(err, hsm.ErrUse) {
					t.Errorf("a stored %s is taken for a %s key: %v", k, wrong, err)
				}
			}
		}
	}
	for _, use := range []hsm.Use{0, 8, 255} {
		if _, err := m.Generate(t.Context(), use, hsm.TDES2); !errors.Is(err, hsm.ErrUse) {
			t.Errorf("%s: %v, want ErrUse", use, err)
		}
	}
	if _, err := m.Generate(t.Context(), hsm.UsePIN, 9); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("algorithm 9: %v, want ErrAlgorithm", err)
	}
}

// TestEveryChangedBitOfAStoredKey: what a key says of itself is part of it.
func TestEveryChangedBitOfAStoredKey(t *testing.T) {
	m := sandbox(t)
	stored := generate(t, m, hsm.UseMAC, hsm.TDES2).Bytes()
	for bit := range len(stored) * 8 {
		changed := bytes.Clone(stored)
		changed[bit/8] ^= 1 << (bit % 8)
		k, err := hsm.ParseKey(changed, hsm.UseMAC)
		if err != nil {
			if !errors.Is(err, hsm.ErrKey) && !errors.Is(err, hsm.ErrUse) {
				t.Errorf("bit %d: %v", bit, err)
			}
			continue
		}
		if _, err := m.CheckValue(t.Context(), k); !errors.Is(err, hsm.ErrKey) {
			t.Errorf("bit %d: opens (%v)", bit, err)
		}
	}
	for length := range stored {
		if k, err := hsm.ParseKey(stored[:length], hsm.UseMAC); err == nil {
			if _, err := m.CheckValue(t.Context(), k); !errors.Is(err, hsm.ErrKey) {
				t.Errorf("cut to %d bytes: %v, want ErrKey", length, err)
			}
		}
	}
	if _, err := hsm.ParseKey(make([]byte, hsm.MaxKeyBytes+1), hsm.UseMAC); !errors.Is(err, hsm.ErrKey) {
		t.Errorf("a kilobyte and more: %v", err)
	}
}

// A key that is given another use, algorithm, mode or exportability stays closed.
func TestKeysAreBound(t *testing.T) {
	m := sandbox(t)
	k := generate(t, m, hsm.UsePIN, hsm.AES128)
	for name, change := range map[string]func(k *hsm.Key){
		"use":           func(k *hsm.Key) { k.Use = hsm.UseMAC },
		"algorithm":     func(k *hsm.Key) { k.Algorithm = hsm.TDES2 },
		"mode":          func(k *hsm.Key) { k.Mode = hsm.ModeAny },
		"exportability": func(k *hsm.Key) { k.Exportability = hsm.Exportable },
		"content":       func(k *hsm.Key) { k.Wrapped = generate(t, m, hsm.UseMAC, hsm.AES128).Wrapped },
		"nothing":       func(k *hsm.Key) { k.Wrapped = nil },
	} {
		changed := k
		change(&changed)
		if _, err := m.CheckValue(t.Context(), changed); !errors.Is(err, hsm.ErrKey) {
			t.Errorf("another %s: %v, want ErrKey", name, err)
		}
		if _, err := m.Rewrap(t.Context(), changed); !errors.Is(err, hsm.ErrKey) {
			t.Errorf("rewrapped with another %s: %v, want ErrKey", name, err)
		}
	}
	if _, err := over(t, master(t, 9)).CheckValue(t.Context(), k); !errors.Is(err, hsm.ErrKey) || !errors.Is(err, vault.ErrOtherKey) {
		t.Errorf("under another master key: %v, want ErrKey and ErrOtherKey", err)
	}
}

func TestRewrap(t *testing.T) {
	old, renewed := master(t, 1), master(t, 2)
	k := generate(t, over(t, old), hsm.UseMAC, hsm.TDES2)
	want := checkValue(t, over(t, old), k)
	both := over(t, renewed, old)
	if !both.NeedsRewrap(k) || over(t, old).NeedsRewrap(k) {
		t.Error("whether the key needs another master key is not told")
	}
	rewrapped, err := both.Rewrap(t.Context(), k)
	if err != nil || both.NeedsRewrap(rewrapped) {
		t.Fatalf("rewrap: %v", err)
	}
	for name, m := range map[string]*hsm.Software{"both": both, "the new one alone": over(t, renewed)} {
		if got := checkValue(t, m, rewrapped); got != want {
			t.Errorf("under %s: check value %s, want %s", name, got, want)
		}
	}
	if _, err := over(t, old).CheckValue(t.Context(), rewrapped); !errors.Is(err, hsm.ErrKey) {
		t.Errorf("under the old one alone: %v, want ErrKey", err)
	}
	if _, err := over(t, renewed).CheckValue(t.Context(), k); !errors.Is(err, hsm.ErrKey) {
		t.Errorf("not rewrapped, under the new one alone: %v, want ErrKey", err)
	}
}

// TestFormKey has sums and check values that were computed apart from this program.
func TestFormKey(t *testing.T) {
	const a, b, c = doubleKey, "A1B2C3D4E5F60718293A4B5C6D7E8F90", "13579BDF02468ACE1122334455667788"
	m := over(t, master(t, 1))
	for _, test := range []struct {
		algorithm  hsm.Algorithm
		components []string
		want       string
	}{
		{hsm.TDES2, []string{a, b}, "781F3552"},
		{hsm.TDES2, []string{b, a}, "781F3552"},
		{hsm.TDES2, []string{a, b, c}, "4BB1F1AD"},
		{hsm.AES128, []string{a, b}, "4E2A0210"},
	} {
		k, err := m.FormKey(t.Context(), hsm.UseKeyBlock, test.algorithm, secrets(t, test.components...)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkValue(t, m, k); got != test.want {
			t.Errorf("check value %s, want %s", got, test.want)
		}
	}
	// Parity bits are those of the custodian's paper, and do not count.
	evened := "00" + a[2:]
	k, err := m.FormKey(t.Context(), hsm.UseKeyBlock, hsm.TDES2, secrets(t, evened, b)...)
	if err != nil || checkValue(t, m, k) != "781F3552" {
		t.Errorf("with another parity: %v", err)
	}
	for component, want := range map[string]string{a: "08D7B4", b: "76CDB5"} {
		value, err := hsm.ComponentCheckValue(hsm.TDES2, vault.NewSecret(unhex(t, component)))
		if err != nil || value.String() != want {
			t.Errorf("check value of a component: %s, %v; want %s", value, err, want)
		}
	}
	if _, err := hsm.ComponentCheckValue(hsm.TDES2, vault.NewSecret(unhex(t, a[:16]))); !errors.Is(err, hsm.ErrComponents) {
		t.Errorf("half a component: %v, want ErrComponents", err)
	}
}

func TestFormedKeyHasOddParity(t *testing.T) {
	m := sandbox(t)
	formed, err := m.FormKey(t.Context(), hsm.UseMAC, hsm.TDES2, secrets(t, doubleKey, "A1B2C3D4E5F60718293A4B5C6D7E8F90")...)
	if err != nil {
		t.Fatal(err)
	}
	tmk := enter(t, m, hsm.UseTerminalMaster, hsm.TDES2, doubleKey)
	got, err := m.Encrypt(t.Context(), tmk, formed)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Encrypt(t.Context(), tmk, enter(t, m, hsm.UseMAC, hsm.TDES2, "A19186B36D5DCBF7D6E6F1C41A2ABC80"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the formed key is another (%v)", err)
	}
}

func TestComponentsThatFormNothing(t *testing.T) {
	const a, b, c = doubleKey, "A1B2C3D4E5F60718293A4B5C6D7E8F90", "13579BDF02468ACE1122334455667788"
	m := over(t, master(t, 1))
	for name, components := range map[string][]string{
		"none":                {},
		"one":                 {a},
		"four":                {a, b, c, "0F1E2D3C4B5A69788796A5B4C3D2E1F0"},
		"a short one":         {a, b[:30]},
		"a long one":          {a, b + "00"},
		"two the same":        {a, a},
		"the same but parity": {a, b, "00" + a[2:]},
		"zeros":               {a, strings.Repeat("00", 16)},
		"ones":                {a, b, strings.Repeat("FF", 16)},
		// Their sum has two equal halves, which makes it a key of single DES.
		"equal halves": {"0123456789ABCDEF0123456789ABCDEF", "FEDCBA9876543210FEDCBA9876543210"},
	} {
		k, err := m.FormKey(t.Context(), hsm.UseKeyBlock, hsm.TDES2, secrets(t, components...)...)
		if !errors.Is(err, hsm.ErrComponents) || !k.IsZero() {
			t.Errorf("%s: %v, want ErrComponents", name, err)
			continue
		}
		for _, component := range components {
			if len(component) > 8 && strings.Contains(strings.ToUpper(err.Error()), component[:8]) {
				t.Errorf("%s: the error has a piece of a component: %v", name, err)
			}
		}
	}
	if _, err := m.FormKey(t.Context(), hsm.UseTrack, hsm.AES128, secrets(t, a, b)...); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("an AES track key: %v, want ErrAlgorithm", err)
	}
}

func secrets(tb testing.TB, components ...string) []vault.Secret {
	tb.Helper()
	all := make([]vault.Secret, len(components))
	for i, component := range components {
		all[i] = vault.NewSecret(unhex(tb, component))
	}
	return all
}

func TestOnlyASandboxTakesClearKeys(t *testing.T) {
	production := over(t, master(t, 1))
	if k, err := production.Enter(hsm.UsePIN, hsm.TDES2, unhex(t, doubleKey)); !errors.Is(err, hsm.ErrSandboxOnly) || !k.IsZero() {
		t.Errorf("a clear key: %v, want ErrSandboxOnly", err)
	}
	if reference, err := production.ReferenceClearPIN("1234", [16]byte{1}); !errors.Is(err, hsm.ErrSandboxOnly) || reference != nil {
		t.Errorf("a clear PIN: %v, want ErrSandboxOnly", err)
	}
	m := sandbox(t)
	content := unhex(t, "A87FA53383C75BB5")
	if k, err := m.Enter(hsm.UsePIN, hsm.DES, content); err != nil || checkValue(t, m, k) != "BFFA61A7" || content[0] != 0xa8 {
		t.Errorf("a sandbox's key: %v", err)
	}
	if _, err := m.Enter(hsm.UsePIN, hsm.TDES2, content); !errors.Is(err, hsm.ErrAlgorithm) {
		t.Errorf("half a key: %v, want ErrAlgorithm", err)
	}
	if m.Name() != hsm.SoftwareName {
		t.Errorf("the module's name is %s", m.Name())
	}
}

func TestNames(t *testing.T) {
	names := map[string]bool{}
	for _, use := range uses() {
		parsed, err := hsm.ParseUse(use.String())
		if err != nil || parsed != use {
			t.Errorf("%s: %s, %v", use, parsed, err)
		}
		names[use.String()] = true
	}
	if len(names) != len(uses()) {
		t.Errorf("names %v", names)
	}
	if _, err := hsm.ParseUse("any"); !errors.Is(err, hsm.ErrUse) {
		t.Errorf("a use called any: %v", err)
	}
	for result, want := range map[hsm.PINResult]string{hsm.PINCorrect: "correct", hsm.PINWrong: "wrong", hsm.PINMalformed: "malformed", 0: "unknown"} {
		if result.String() != want {
			t.Errorf("%d is %s", result, result)
		}
	}
	if got := fmt.Sprint(hsm.Key{}, hsm.Key{Use: hsm.UsePIN, Algorithm: hsm.TDES2, Wrapped: []byte{1}}); got != "no key pin key of tdes-2" {
		t.Errorf("keys show as %q", got)
	}
	if (hsm.Key{}).Bytes() != nil || slices.ContainsFunc([]hsm.Exportability{hsm.NotExportable, hsm.Exportable, hsm.SensitiveExportable}, func(e hsm.Exportability) bool { return !e.Valid() }) {
		t.Error("no key is stored as something, or an exportability is none")
	}
}
