package vault_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/vault"
)

// TestUnwrapKnownAnswer opens a value that was made apart from this program,
// from the package's description: a value in a database has to open for ever.
func TestUnwrapKnownAnswer(t *testing.T) {
	wrapped, err := hex.DecodeString(knownWrapped)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := sandboxVault(t).Unwrap("mac-key", wrapped)
	if err != nil || hex.EncodeToString(plain) != "0123456789abcdeffedcba9876543210" {
		t.Errorf("Unwrap = %x, %v", plain, err)
	}
}

func TestWrapUnwrap(t *testing.T) {
	v := sandboxVault(t)
	usages := []vault.Usage{
		"terminal-master-key", "mac-key", "pin-key", "track-key", "card-number",
	}
	rapid.Check(t, func(t *rapid.T) {
		usage := rapid.SampledFrom(usages).Draw(t, "usage")
		plain := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "plain")
		before := bytes.Clone(plain)
		wrapped, err := v.Wrap(usage, plain)
		if err != nil {
			t.Fatal(err)
		}
		if len(wrapped) != len(plain)+vault.WrapOverhead || !bytes.Equal(plain, before) {
			t.Fatalf("%d bytes became %d; input changed: %t", len(plain), len(wrapped), !bytes.Equal(plain, before))
		}
		if len(plain) >= 4 && bytes.Contains(wrapped, plain) {
			t.Fatal("the plain text is in the wrapped value")
		}
		kept := bytes.Clone(wrapped)
		got, err := v.Unwrap(usage, wrapped)
		if err != nil || !bytes.Equal(got, plain) || !bytes.Equal(wrapped, kept) {
			t.Fatalf("Unwrap = %x, %v; want %x and the input as it was", got, err, plain)
		}
		again, err := v.Wrap(usage, plain)
		if err != nil || bytes.Equal(again, wrapped) {
			t.Fatalf("wrapping twice gave the same bytes (%v)", err)
		}
		other := rapid.SampledFrom(usages).Filter(func(u vault.Usage) bool { return u != usage }).Draw(t, "other usage")
		if got, err := v.Unwrap(other, wrapped); !errors.Is(err, vault.ErrUnwrap) || got != nil {
			t.Fatalf("a %s opens as a %s: %x, %v", usage, other, got, err)
		}
	})
}

func TestUnwrapFindsEveryChangedBit(t *testing.T) {
	v := sandboxVault(t)
	plain := []byte("0123456789abcdef")
	wrapped, err := v.Wrap("pin-key", plain)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(wrapped) * 8 {
		changed := bytes.Clone(wrapped)
		changed[bit/8] ^= 1 << (bit % 8)
		want := vault.ErrUnwrap
		switch {
		case bit/8 == 0:
			want = vault.ErrNotWrapped
		case bit/8 < 5:
			want = vault.ErrOtherKey
		}
		if got, err := v.Unwrap("pin-key", changed); !errors.Is(err, want) || got != nil {
			t.Errorf("bit %d changed: %x, %v; want %v", bit, got, err, want)
		}
	}
	for length := range wrapped {
		if got, err := v.Unwrap("pin-key", wrapped[:length]); err == nil || got != nil {
			t.Errorf("cut to %d bytes: %x, %v", length, got, err)
		}
	}
	if got, err := v.Unwrap("pin-key", append(bytes.Clone(wrapped), 0)); !errors.Is(err, vault.ErrUnwrap) || got != nil {
		t.Errorf("a byte longer: %x, %v", got, err)
	}
}

func TestUnwrapUnderAnotherKey(t *testing.T) {
	other := mustOpen(t, mustMaster(t, bytes.Repeat([]byte{7}, vault.MasterKeyBytes)))
	wrapped, err := other.Wrap("mac-key", []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	v := sandboxVault(t)
	_, err = v.Unwrap("mac-key", wrapped)
	if !errors.Is(err, vault.ErrOtherKey) {
		t.Fatalf("%v, want ErrOtherKey", err)
	}
	for _, id := range []string{v.KeyID(), other.KeyID()} {
		if !strings.Contains(err.Error(), id) {
			t.Errorf("the error does not name key %s: %v", id, err)
		}
	}
	// The header is authenticated: naming the right key does not help.
	own, err := v.Wrap("mac-key", nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(wrapped[:5], own[:5])
	if _, err := v.Unwrap("mac-key", wrapped); !errors.Is(err, vault.ErrUnwrap) {
		t.Errorf("under a forged key id: %v, want ErrUnwrap", err)
	}
}

func TestWrapBounds(t *testing.T) {
	v := sandboxVault(t)
	longest := make([]byte, vault.MaxPlainBytes)
	wrapped, err := v.Wrap("x", longest)
	if err != nil {
		t.Fatalf("the longest content: %v", err)
	}
	if got, err := v.Unwrap("x", wrapped); err != nil || len(got) != len(longest) {
		t.Errorf("the longest content: %d bytes, %v", len(got), err)
	}
	if got, err := v.Wrap("x", make([]byte, vault.MaxPlainBytes+1)); !errors.Is(err, vault.ErrPlainTooLong) || got != nil {
		t.Errorf("a byte more: %v, want ErrPlainTooLong", err)
	}
	if _, err := v.Unwrap("x", make([]byte, 1<<20)); !errors.Is(err, vault.ErrNotWrapped) {
		t.Errorf("a megabyte to unwrap: %v, want ErrNotWrapped", err)
	}
	for _, usage := range []vault.Usage{"", vault.Usage(strings.Repeat("u", 65))} {
		if _, err := v.Wrap(usage, nil); !errors.Is(err, vault.ErrUsage) {
			t.Errorf("Wrap for a usage of %d bytes: %v, want ErrUsage", len(usage), err)
		}
		if _, err := v.Unwrap(usage, wrapped); !errors.Is(err, vault.ErrUsage) {
			t.Errorf("Unwrap for a usage of %d bytes: %v, want ErrUsage", len(usage), err)
		}
	}
	if _, err := v.Unwrap("x", nil); !errors.Is(err, vault.ErrNotWrapped) {
		t.Errorf("nothing to unwrap: %v, want ErrNotWrapped", err)
	}
}

func TestErrorsHoldNoContent(t *testing.T) {
	v := sandboxVault(t)
	secret := []byte("a-key-that-must-not-show")
	wrapped, err := v.Wrap("mac-key", secret)
	if err != nil {
		t.Fatal(err)
	}
	_, wrongUsage := v.Unwrap("pin-key", wrapped)
	_, tooLong := v.Wrap("mac-key", bytes.Repeat(secret, 200))
	for _, err := range []error{wrongUsage, tooLong} {
		if err == nil {
			t.Fatal("no error")
		}
		for _, form := range []string{string(secret), hex.EncodeToString(secret), hex.EncodeToString(wrapped[5:])} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("the error holds content: %v", err)
			}
		}
	}
}

func TestVaultServesManyGoroutines(t *testing.T) {
	v := sandboxVault(t)
	pan := mustPAN(t, "6212345678900012")
	want := v.Token(pan)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				wrapped, err := v.Wrap("card-number", []byte(pan.Reveal()))
				if err != nil {
					t.Error(err)
					return
				}
				plain, err := v.Unwrap("card-number", wrapped)
				if err != nil || string(plain) != pan.Reveal() || v.Token(pan) != want {
					t.Errorf("%d bytes, %v", len(plain), err)
					return
				}
			}
		})
	}
	group.Wait()
}

func FuzzUnwrap(f *testing.F) {
	v := sandboxVault(f)
	known, err := hex.DecodeString(knownWrapped)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("mac-key", known)
	f.Add("pin-key", known)
	f.Add("", []byte{})
	f.Add("mac-key", known[:45])
	f.Add("mac-key", make([]byte, 100))
	f.Fuzz(func(t *testing.T, usage string, wrapped []byte) {
		plain, err := v.Unwrap(vault.Usage(usage), wrapped)
		isKnown := usage == "mac-key" && bytes.Equal(wrapped, known)
		if (err == nil) != isKnown || (err != nil && plain != nil) {
			t.Fatalf("usage %q, %d bytes: %x, %v", usage, len(wrapped), plain, err)
		}
	})
}
