package hsm_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/pinblock"
	"meridian/internal/vault"
)

const testPAN = "6217000000000000012"

func formats() []hsm.PINFormat {
	return []hsm.PINFormat{hsm.PINFormat0, hsm.PINFormat1, hsm.PINFormat3, hsm.PINFormat4, hsm.PINFormatNoPAN}
}

// pinKey is what a terminal has, and the same key as the module keeps it.
func pinKey(tb testing.TB, m *hsm.Software, f hsm.PINFormat) (hsm.Algorithm, string, hsm.Key) {
	tb.Helper()
	algorithm, clearKey := hsm.TDES2, doubleKey
	if f == hsm.PINFormat4 {
		algorithm, clearKey = hsm.AES256, aesKey
	}
	return algorithm, clearKey, enter(tb, m, hsm.UsePIN, algorithm, clearKey)
}

// terminalBlock is a PIN as a terminal encrypts it.
func terminalBlock(tb testing.TB, f hsm.PINFormat, algorithm hsm.Algorithm, key []byte, pin, pan string) []byte {
	tb.Helper()
	block, err := algorithm.Block(key)
	if err != nil {
		tb.Fatal(err)
	}
	encrypted, err := pinblock.Encrypt(f, block, vault.NewSecret([]byte(pin)), mustPAN(tb, pan))
	if err != nil {
		tb.Fatal(err)
	}
	return encrypted
}

func entered(tb testing.TB, m *hsm.Software, f hsm.PINFormat, pin, pan string) hsm.EncryptedPIN {
	tb.Helper()
	algorithm, clearKey, k := pinKey(tb, m, f)
	return hsm.EncryptedPIN{Key: k, Format: f, Block: terminalBlock(tb, f, algorithm, unhex(tb, clearKey), pin, pan), PAN: mustPAN(tb, pan)}
}

func token() (t [vault.TokenBytes]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	return t
}

// TestReferenceKnownAnswer was computed apart from this program, from the form that
// software_pin.go describes: references are stored, and must verify for ever.
func TestReferenceKnownAnswer(t *testing.T) {
	const want = "0101a6b2ef9987957c64b41553f1741f60810d8af3c4f648adf436c667af0bf34b76"
	m := sandbox(t)
	got, err := m.ReferenceClearPIN("123456", token())
	if err != nil || hex.EncodeToString(got) != want || len(got) != hsm.ReferenceBytes {
		t.Errorf("reference %x, %v; want %s", got, err, want)
	}
	for _, f := range formats() {
		got, err := m.ReferencePIN(t.Context(), entered(t, m, f, "123456", testPAN), token())
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: reference %x, %v; want %s", f, got, err, want)
		}
	}
	for _, pin := range []string{"", "123", "1234567890123", "12a4"} {
		if got, err := m.ReferenceClearPIN(pin, token()); !errors.Is(err, hsm.ErrPINBlock) || got != nil {
			t.Errorf("%q is a PIN: %v", pin, err)
		}
	}
}

func TestVerifyPIN(t *testing.T) {
	m := sandbox(t)
	reference, err := m.ReferenceClearPIN("123456", token())
	if err != nil {
		t.Fatal(err)
	}
	otherToken := token()
	otherToken[15] ^= 1
	for _, f := range formats() {
		right := hsm.PINCheck{EncryptedPIN: entered(t, m, f, "123456", testPAN), Token: token(), Reference: reference}
		check := func(name string, want hsm.PINResult, change func(c *hsm.PINCheck)) {
			t.Helper()
			c := right
			c.Block, c.Reference = bytes.Clone(c.Block), bytes.Clone(c.Reference)
			change(&c)
			if got, err := m.VerifyPIN(t.Context(), c); err != nil || got != want {
				t.Errorf("%s, %s: %s, %v; want %s", f, name, got, err, want)
			}
		}
		check("the PIN", hsm.PINCorrect, func(*hsm.PINCheck) {})
		for _, wrong := range []string{"123457", "12345", "1234560", "023456", "000000"} {
			check("another PIN", hsm.PINWrong, func(c *hsm.PINCheck) { c.EncryptedPIN = entered(t, m, f, wrong, testPAN) })
		}
		check("another card's token", hsm.PINWrong, func(c *hsm.PINCheck) { c.Token = otherToken })
		check("a changed reference", hsm.PINWrong, func(c *hsm.PINCheck) { c.Reference[20] ^= 1 })
		check("half a block", hsm.PINMalformed, func(c *hsm.PINCheck) { c.Block = c.Block[:4] })
		check("no block", hsm.PINMalformed, func(c *hsm.PINCheck) { c.Block = nil })
		if f.Bound() {
			// Its digits differ by 8 under the fill, of which ISO-3's A to F never make another's.
			check("another card", hsm.PINMalformed, func(c *hsm.PINCheck) { c.PAN = mustPAN(t, "6217008888888888884") })
		}
		if f != hsm.PINFormat1 { // of which every sixteenth block or so is one
			check("a changed block", hsm.PINMalformed, func(c *hsm.PINCheck) { c.Block[1] ^= 1 })
			check("another key", hsm.PINMalformed, func(c *hsm.PINCheck) {
				c.Key = enter(t, m, hsm.UsePIN, c.Key.Algorithm, strings.Repeat("0F1E2D3C4B5A6978", c.Key.Algorithm.KeyBytes()/8))
			})
		}
	}
}

// TestVerifyDUKPTPIN: the standards' own blocks of PIN 1234.
func TestVerifyDUKPTPIN(t *testing.T) {
	m := sandbox(t)
	reference, err := m.ReferenceClearPIN("1234", token())
	if err != nil {
		t.Fatal(err)
	}
	tdes := enter(t, m, hsm.UseDUKPTBase, hsm.TDES2, doubleKey)
	aes := enter(t, m, hsm.UseDUKPTBase, hsm.AES128, "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	for _, test := range []struct {
		base            hsm.Key
		ksn, block, pan string
		format          hsm.PINFormat
		want            hsm.PINResult
	}{
		{tdes, "FFFF9876543210E00001", "1B9C1845EB993A7A", "4012345678909", hsm.PINFormat0, hsm.PINCorrect},
		{tdes, "FFFF9876543210EFF800", "33365F5CC6F23C35", "4012345678909", hsm.PINFormat0, hsm.PINCorrect},
		{tdes, "FFFF9876543210E00002", "1B9C1845EB993A7A", "4012345678909", hsm.PINFormat0, hsm.PINMalformed},
		{aes, "123456789012345600000001", "A912150391AB65A67E52883D81CE2D15", "4111111111111111", hsm.PINFormat4, hsm.PINCorrect},
		{aes, "123456789012345600000003", "A5A27E82B43A9A866A93D7ABE89CEF93", "4111111111111111", hsm.PINFormat4, hsm.PINCorrect},
		{aes, "123456789012345600000002", "A912150391AB65A67E52883D81CE2D15", "4111111111111111", hsm.PINFormat4, hsm.PINMalformed},
	} {
		got, err := m.VerifyPIN(t.Context(), hsm.PINCheck{
			EncryptedPIN: hsm.EncryptedPIN{Key: test.base, KSN: unhex(t, test.ksn), Format: test.format, Block: unhex(t, test.block), PAN: mustPAN(t, test.pan)},
			Token:        token(), Reference: reference,
		})
		if err != nil || got != test.want {
			t.Errorf("%s %s: %s, %v; want %s", test.ksn, test.block, got, err, test.want)
		}
	}
	// A terminal of AES DUKPT may have a PIN pad of TDES.
	ksn, err := dukpt.Parse(hsm.AES128, unhex(t, "123456789012345600000001"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := dukpt.WorkingKey(hsm.AES128, unhex(t, "1273671EA26AC29AFA4D1084127652A1"), ksn, dukpt.PIN, hsm.TDES2)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.VerifyPIN(t.Context(), hsm.PINCheck{
		EncryptedPIN: hsm.EncryptedPIN{
			Key: aes, KSN: ksn.Bytes(), Format: hsm.PINFormat0, Block: terminalBlock(t, hsm.PINFormat0, hsm.TDES2, key, "1234", testPAN), PAN: mustPAN(t, testPAN),
		},
		Token: token(), Reference: reference,
	})
	if err != nil || got != hsm.PINCorrect {
		t.Errorf("format 0 under AES DUKPT: %s, %v", got, err)
	}
}

func TestPINQuestionsThatAreRefused(t *testing.T) {
	m := sandbox(t)
	reference, err := m.ReferenceClearPIN("123456", token())
	if err != nil {
		t.Fatal(err)
	}
	right := hsm.PINCheck{EncryptedPIN: entered(t, m, hsm.PINFormat0, "123456", testPAN), Token: token(), Reference: reference}
	for name, test := range map[string]struct {
		change func(c *hsm.PINCheck)
		want   error
	}{
		"a MAC key":              {func(c *hsm.PINCheck) { c.Key = generate(t, m, hsm.UseMAC, hsm.TDES2) }, hsm.ErrUse},
		"a key of nobody":        {func(c *hsm.PINCheck) { c.Key = hsm.Key{} }, hsm.ErrUse},
		"a key that was changed": {func(c *hsm.PINCheck) { c.Key.Wrapped = bytes.Repeat([]byte{1}, 61) }, hsm.ErrKey},
		"a KSN with a PIN key":   {func(c *hsm.PINCheck) { c.KSN = make([]byte, 10) }, hsm.ErrKSN},
		"a base key without KSN": {func(c *hsm.PINCheck) { c.Key = generate(t, m, hsm.UseDUKPTBase, hsm.TDES2) }, hsm.ErrKSN},
		"no format":              {func(c *hsm.PINCheck) { c.Format = 0 }, hsm.ErrPINFormat},
		"format 4 under TDES":    {func(c *hsm.PINCheck) { c.Format = hsm.PINFormat4 }, hsm.ErrPINFormat},
		"format 0 under AES":     {func(c *hsm.PINCheck) { c.Key = generate(t, m, hsm.UsePIN, hsm.AES128) }, hsm.ErrPINFormat},
		"no card number":         {func(c *hsm.PINCheck) { c.PAN = mustPAN(t, testPAN); c.PAN = (hsm.EncryptedPIN{}).PAN }, hsm.ErrPINFormat},
		"no reference":           {func(c *hsm.PINCheck) { c.Reference = nil }, hsm.ErrReference},
		"half a reference":       {func(c *hsm.PINCheck) { c.Reference = c.Reference[:20] }, hsm.ErrReference},
		"another form":           {func(c *hsm.PINCheck) { c.Reference[0] = 2 }, hsm.ErrReference},
		"another key's":          {func(c *hsm.PINCheck) { c.Reference[1] = 7 }, hsm.ErrReference},
	} {
		c := right
		c.Reference = bytes.Clone(c.Reference)
		test.change(&c)
		if got, err := m.VerifyPIN(t.Context(), c); !errors.Is(err, test.want) || got != 0 {
			t.Errorf("%s: %s, %v; want %v", name, got, err, test.want)
		} else if strings.Contains(err.Error(), "123456") {
			t.Errorf("%s: the error has the PIN: %v", name, err)
		}
	}
	malformed := right.EncryptedPIN
	malformed.Block = make([]byte, 8)
	if got, err := m.ReferencePIN(t.Context(), malformed, token()); !errors.Is(err, hsm.ErrPINBlock) || got != nil {
		t.Errorf("the reference of a malformed block: %v, want ErrPINBlock", err)
	}
}

func TestTranslatePIN(t *testing.T) {
	m := sandbox(t)
	reference, err := m.ReferenceClearPIN("123456", token())
	if err != nil {
		t.Fatal(err)
	}
	targets := map[hsm.Algorithm]hsm.Key{
		hsm.TDES2: enter(t, m, hsm.UsePIN, hsm.TDES2, "00112233445566778899AABBCCDDEEFF"), hsm.AES256: generate(t, m, hsm.UsePIN, hsm.AES256),
	}
	unbound := []hsm.PINFormat{hsm.PINFormat1, hsm.PINFormatNoPAN}
	for _, from := range formats() {
		e := entered(t, m, from, "123456", testPAN)
		for _, to := range formats() {
			target := hsm.PINTarget{Key: targets[hsm.TDES2], Format: to}
			if to == hsm.PINFormat4 {
				target.Key = targets[hsm.AES256]
			}
			block, err := m.TranslatePIN(t.Context(), e, target)
			if !slices.Contains(unbound, from) && slices.Contains(unbound, to) {
				if !errors.Is(err, hsm.ErrPINFormat) || block != nil {
					t.Errorf("from %s to %s, which nothing binds to the card: %v, want ErrPINFormat", from, to, err)
				}
				continue
			}
			if err != nil || len(block) != to.BlockBytes() {
				t.Errorf("from %s to %s: %x, %v", from, to, block, err)
				continue
			}
			got, err := m.VerifyPIN(t.Context(), hsm.PINCheck{
				EncryptedPIN: hsm.EncryptedPIN{Key: target.Key, Format: to, Block: block, PAN: e.PAN}, Token: token(), Reference: reference,
			})
			if err != nil || got != hsm.PINCorrect {
				t.Errorf("from %s to %s the PIN is %s, %v", from, to, got, err)
			}
		}
	}
	e := entered(t, m, hsm.PINFormat0, "123456", testPAN)
	for name, test := range map[string]struct {
		from hsm.EncryptedPIN
		to   hsm.PINTarget
		want error
	}{
		"to a MAC key":         {e, hsm.PINTarget{Key: generate(t, m, hsm.UseMAC, hsm.TDES2), Format: hsm.PINFormat0}, hsm.ErrUse},
		"to a base key":        {e, hsm.PINTarget{Key: generate(t, m, hsm.UseDUKPTBase, hsm.TDES2), Format: hsm.PINFormat0}, hsm.ErrUse},
		"to no format":         {e, hsm.PINTarget{Key: targets[hsm.TDES2]}, hsm.ErrPINFormat},
		"to AES in format 0":   {e, hsm.PINTarget{Key: targets[hsm.AES256], Format: hsm.PINFormat0}, hsm.ErrPINFormat},
		"a malformed block":    {hsm.EncryptedPIN{Key: e.Key, Format: e.Format, Block: make([]byte, 8), PAN: e.PAN}, hsm.PINTarget{Key: targets[hsm.TDES2], Format: hsm.PINFormat0}, hsm.ErrPINBlock},
		"a key that is no key": {hsm.EncryptedPIN{Key: hsm.Key{}, Format: e.Format, Block: e.Block, PAN: e.PAN}, hsm.PINTarget{Key: targets[hsm.TDES2], Format: hsm.PINFormat0}, hsm.ErrUse},
	} {
		if block, err := m.TranslatePIN(t.Context(), test.from, test.to); !errors.Is(err, test.want) || block != nil {
			t.Errorf("%s: %x, %v; want %v", name, block, err, test.want)
		}
	}
}

// A key that may only encrypt, as another module sent it, does not open PINs.
func TestPINKeyModes(t *testing.T) {
	m := sandbox(t)
	b := importedBlocks()[0]
	onlyEncrypts, err := m.ImportBlock(t.Context(), enter(t, m, hsm.UseKeyBlock, b.algorithm, b.kbpk), b.block, b.use)
	if err != nil {
		t.Fatal(err)
	}
	e := entered(t, m, hsm.PINFormat0, "123456", testPAN)
	block, err := m.TranslatePIN(t.Context(), e, hsm.PINTarget{Key: onlyEncrypts, Format: hsm.PINFormat3})
	if err != nil {
		t.Fatalf("to a key that encrypts: %v", err)
	}
	_, err = m.TranslatePIN(t.Context(), hsm.EncryptedPIN{Key: onlyEncrypts, Format: hsm.PINFormat3, Block: block, PAN: e.PAN}, hsm.PINTarget{Key: e.Key, Format: hsm.PINFormat0})
	if !errors.Is(err, hsm.ErrUse) {
		t.Errorf("from a key that only encrypts: %v, want ErrUse", err)
	}
}

// References outlive a new master key, and one of an older data key still verifies.
func TestReferencesOutliveKeys(t *testing.T) {
	v, err := vault.Open(vault.SandboxMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	store := &rows{}
	keys, err := vault.OpenDataKeys(t.Context(), v, store)
	if err != nil {
		t.Fatal(err)
	}
	before, err := hsm.NewSoftware(v, keys).ReferenceClearPIN("1234", token())
	if err != nil {
		t.Fatal(err)
	}
	second := vault.StoredDataKey{Purpose: vault.PurposePINReference, Version: 2}
	if second.Wrapped, err = v.Wrap(second.Usage(), bytes.Repeat([]byte{2}, 32)); err != nil {
		t.Fatal(err)
	}
	store.all = append(store.all, second)
	if keys, err = vault.OpenDataKeys(t.Context(), v, store); err != nil {
		t.Fatal(err)
	}
	m := hsm.NewSoftware(v, keys)
	after, err := m.ReferenceClearPIN("1234", token())
	if err != nil || after[1] != 2 || bytes.Equal(before[2:], after[2:]) {
		t.Fatalf("under the second key: %x, %v", after, err)
	}
	for _, reference := range [][]byte{before, after} {
		for pin, want := range map[string]hsm.PINResult{"1234": hsm.PINCorrect, "1235": hsm.PINWrong} {
			got, err := m.VerifyPIN(t.Context(), hsm.PINCheck{EncryptedPIN: entered(t, m, hsm.PINFormat0, pin, testPAN), Token: token(), Reference: reference})
			if err != nil || got != want {
				t.Errorf("reference of version %d: %s, %v; want %s", reference[1], got, err, want)
			}
		}
	}
}

// TestManyAtOnce has the race detector look at a module.
func TestManyAtOnce(t *testing.T) {
	m := sandbox(t)
	reference, err := m.ReferenceClearPIN("123456", token())
	if err != nil {
		t.Fatal(err)
	}
	check := hsm.PINCheck{EncryptedPIN: entered(t, m, hsm.PINFormat4, "123456", testPAN), Token: token(), Reference: reference}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if got, err := m.VerifyPIN(t.Context(), check); err != nil || got != hsm.PINCorrect {
					t.Errorf("%s, %v", got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkVerifyPIN(b *testing.B) {
	m := sandbox(b)
	reference, err := m.ReferenceClearPIN("123456", token())
	if err != nil {
		b.Fatal(err)
	}
	check := hsm.PINCheck{EncryptedPIN: entered(b, m, hsm.PINFormat0, "123456", testPAN), Token: token(), Reference: reference}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.VerifyPIN(b.Context(), check); err != nil {
			b.Fatal(err)
		}
	}
}
