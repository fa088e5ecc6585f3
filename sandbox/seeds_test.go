//go:build unix

package sandbox

import (
	"bytes"
	"crypto/des"
	"encoding/hex"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/internal/card"
)

// What the documents promise of the first three merchants.
func TestMerchantsAsPromised(t *testing.T) {
	promised := []struct{ mid, currency, zone, cutoff, mode string }{
		{"104110000000001", "CNY", "Asia/Shanghai", "23:00", "auto"},
		{"104110000000002", "EUR", "Europe/Berlin", "02:30", "strict"},
		{"104110000000003", "USD", "America/New_York", "17:00", "auto"},
	}
	all := merchants()
	for i, want := range promised {
		m := all[i]
		if m.mid != want.mid || m.currency.Alpha() != want.currency || m.zone != want.zone || m.cutoff != want.cutoff || string(m.mode) != want.mode {
			t.Errorf("merchant %d is %+v, want %+v", i, m, want)
		}
	}
	exponents, modes, buckets := map[int]bool{}, map[string]bool{}, map[int16]bool{}
	for _, m := range all {
		if _, err := time.LoadLocation(m.zone); err != nil {
			t.Error(err)
		}
		exponents[m.currency.Exponent()], modes[string(m.mode)], buckets[m.bucket] = true, true, true
	}
	if len(exponents) != 3 || len(modes) != 3 || len(buckets) != 4 {
		t.Errorf("exponents %v, modes %v, buckets %v: want 0, 2 and 3; all modes; all four buckets", exponents, modes, buckets)
	}
}

func TestTerminalsAsPromised(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range merchants() {
		var kinds []string
		for _, terminal := range m.terminals() {
			if len(terminal.tid) != 8 || seen[terminal.tid] {
				t.Errorf("terminal %q: not 8 characters, or used twice", terminal.tid)
			}
			seen[terminal.tid] = true
			kind := terminal.dialect + " " + terminal.mac
			if terminal.stories {
				kind += " for stories"
			}
			kinds = append(kinds, kind)
		}
		want := []string{
			"nac none", "nac x919", "ascii none", "ascii x919", "unionpay unionpay-ecb", "unionpay unionpay-ecb",
			"nac x919 for stories", "ascii x919 for stories", "unionpay unionpay-ecb for stories",
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("terminals of %s: %v, want %v", m.mid, kinds, want)
		}
	}
	if first := merchants()[0]; first.terminals()[0].tid != "10000001" {
		t.Errorf("the first terminal is %s", first.terminals()[0].tid)
	}
}

func TestKeysAreGoodKeys(t *testing.T) {
	checkValues := map[string]string{}
	for _, m := range merchants() {
		for _, terminal := range m.terminals() {
			k := keysOf(terminal.tid)
			for name, key := range map[string][]byte{"tmk": k.tmk, "mak": k.mak, "pik": k.pik} {
				name = terminal.tid + " " + name
				if len(key) != keyBytes || bytes.Equal(key[:8], key[8:]) {
					t.Errorf("%s: not a double-length key", name)
				}
				for _, b := range key {
					if bits.OnesCount8(b)%2 == 0 {
						t.Errorf("%s: a byte of even parity", name)
					}
				}
				value := checkValue(t, key)
				if other, used := checkValues[value]; used {
					t.Errorf("%s and %s have one check value", name, other)
				}
				checkValues[value] = name
			}
		}
	}
	if !bytes.Equal(keysOf("10000001").mak, keysOf("10000001").mak) {
		t.Error("a terminal's key is another one each time")
	}
}

// checkValue is the start of a block of zeros under the key.
func checkValue(t *testing.T, key []byte) string {
	t.Helper()
	block, err := des.NewTripleDESCipher(append(slices.Clone(key), key[:8]...))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 8)
	block.Encrypt(out, out)
	return hex.EncodeToString(out[:3])
}

func TestCardsAsPromised(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range merchants() {
		list, err := m.cards()
		if err != nil {
			t.Fatal(err)
		}
		behaviours := map[string]int{}
		for _, c := range list {
			behaviours[c.behaviour]++
			name := m.currency.Alpha() + " " + c.behaviour
			if seen[c.pan.Reveal()] {
				t.Errorf("%s: the number is used twice", name)
			}
			seen[c.pan.Reveal()] = true
			if c.pan.LuhnOK() == (c.behaviour == behaviourLuhn) {
				t.Errorf("%s: Luhn %t", name, c.pan.LuhnOK())
			}
			if (c.id != 0) == slices.Contains([]string{behaviourLuhn, behaviourUnknown, behaviourNoSuchIssuer}, c.behaviour) {
				t.Errorf("%s: account %d", name, c.id)
			}
			checkRange(t, name, c)
			track, err := card.ParseTrack2(c.track2())
			if err != nil || len(c.track2()) > 37 {
				t.Errorf("%s: track 2 of %d characters: %v", name, len(c.track2()), err)
			}
			if !track.PAN.Equal(c.pan) || track.Expiry.String() != c.listed || track.ServiceCode != serviceCode {
				t.Errorf("%s: track 2 says %s %s", name, track.Expiry, track.ServiceCode)
			}
			if (c.expiry != c.listed && c.id != 0) != (c.behaviour == behaviourWrongExpiry) {
				t.Errorf("%s: listed with %s, the account has %s", name, c.listed, c.expiry)
			}
		}
		if behaviours[behaviourApprove] < 3 || len(behaviours) != 25 || len(list) < 12 {
			t.Errorf("cards in %s: %v", m.currency, behaviours)
		}
	}
}

// checkRange: a card is in exactly its own merchant's range, or in none.
func checkRange(t *testing.T, name string, c testCard) {
	t.Helper()
	padded := c.pan.Reveal() + strings.Repeat("0", 19-len(c.pan.Reveal()))
	for _, m := range merchants() {
		low, high := m.binRange()
		inside := low <= padded && padded <= high
		want := m.mid == c.merchant.mid && c.behaviour != behaviourNoSuchIssuer
		if inside != want {
			t.Errorf("%s: in the range of %s: %t", name, m.mid, inside)
		}
	}
}
