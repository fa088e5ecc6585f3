package keyblock_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/keyblock"
)

// published are blocks of other implementations: ANSI TR-31:2018 A.7.2.2, A.7.3.2
// and A.7.4, a payShield 10K, and ISO 20038:2017 B.3, whose key is the one that its
// own MAC input shows.
var published = []struct {
	name       string
	protection cipherkey.Algorithm
	kbpk       string
	block      string
	key        string
	checkValue string
	optional   []keyblock.Optional
}{
	{
		"TR-31 A.7.2.2", cipherkey.TDES2, "DD7515F2BFC17F85CE48F3CA25CB21F6",
		"B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
		"3F419E1CB7079442AA37474C2EFBF8B8", "57C409", nil,
	},
	{
		"TR-31 A.7.3.2", cipherkey.TDES2, "1D22BF32387C600AD97F9B97A51311AC",
		"B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627",
		"E8BC63E5479455E26577F715D587FE68", "9A4212",
		[]keyblock.Optional{{ID: "KS", Data: "00604B120F9292800000"}},
	},
	{
		"TR-31 A.7.4", cipherkey.AES256, "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
		"D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34",
		"3F419E1CB7079442AA37474C2EFBF8B8", "08793E", nil,
	},
	{
		"payShield B", cipherkey.TDES2, "EFE0853B256B583D868F251CE99EA1D9",
		"B0080K0TN00N00001C414014375212C24995E405B5EE052CB92B67F455EA2680F6751088F9F1C228",
		"5DB50B454F8389ADCE573BE50861F2BF", "5C9405", nil,
	},
	{
		"payShield D, TDES", cipherkey.AES256, strings.Repeat("41", 32),
		"D0112B0TN00N000037DB9B046B7B0048785690759580ABC3B9842AB4BB7717B49E92528E575785D8123559376A2553B27BE94F054F4E971C",
		"1FA1F7CEC798D91545DA8AE0C7796BD9", "FF5087", nil,
	},
	{
		"payShield D, AES", cipherkey.AES256, strings.Repeat("41", 32),
		"D0144D0AN00N0000127862F945C2DED04530FAF7CDBC8B0BA10C7AA79BD5E0C2C5D6AC173BF588E4B19ACF1357178D50EA0AB193228E13958304FC6149632DFDCADF3A5B3D57E814",
		"BE19E6A07A760F10EF8E83A226B63AAD141F463FDDD4F47DB244B4023EC3CACC", "0A00E3", nil,
	},
	{
		"ISO 20038 B.3", cipherkey.AES256, "3235362D62697420414553207772617070696E67202849534F20323030333829",
		"D0112M3TV16N000018462FA5903B8D2B82FEE26B29713C0BE7ED81601087F12252093D06FC0A012C1CF769AD0E3E9E4877166AB013FC22B4",
		"767361707064642032454552206B6479", "B29D42", nil,
	},
}

func TestPublishedBlocks(t *testing.T) {
	for _, p := range published {
		t.Run(p.name, func(t *testing.T) {
			h, key, err := keyblock.Open(p.protection, unhexT(t, p.kbpk), p.block)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ToUpper(hex.EncodeToString(key)); got != p.key {
				t.Errorf("key %s, want %s", got, p.key)
			}
			want := keyblock.Header{
				Usage: p.block[5:7], Algorithm: p.block[7], Mode: p.block[8], KeyVersion: p.block[9:11], Exportability: p.block[11],
				Optional: p.optional,
			}
			if !equal(h, want) {
				t.Errorf("header %+v, want %+v", h, want)
			}
			algorithm := cipherkey.OfDES(len(key))
			if h.Algorithm == 'A' {
				algorithm = cipherkey.OfAES(len(key))
			}
			if h.Algorithm == 'T' { // the AES ones of a payShield have another check value
				if value, err := cipherkey.CheckValueOf(algorithm, key); err != nil || value.String() != p.checkValue {
					t.Errorf("check value %s, %v; want %s", value, err, p.checkValue)
				}
			}
		})
	}
}

// TestEveryChangedBit: a block has one spelling, and the MAC covers all of it.
func TestEveryChangedBit(t *testing.T) {
	for _, p := range published[:4] {
		kbpk := unhexT(t, p.kbpk)
		encrypted := 16
		for _, o := range p.optional {
			encrypted += 4 + len(o.Data)
		}
		for bit := range len(p.block) * 8 {
			changed := []byte(p.block)
			changed[bit/8] ^= 1 << (bit % 8)
			h, key, err := keyblock.Open(p.protection, kbpk, string(changed))
			if !errors.Is(err, keyblock.ErrMAC) && !errors.Is(err, keyblock.ErrFormat) || key != nil || h.Usage != "" {
				t.Fatalf("%s, bit %d changed to %s: %v", p.name, bit, changed, err)
			}
			if bit/8 >= encrypted && isHex(changed[bit/8]) && !errors.Is(err, keyblock.ErrMAC) {
				t.Fatalf("%s, bit %d: %v; a hexadecimal character that changed is for the MAC to find", p.name, bit, err)
			}
			assertHides(t, err, p.key, p.block)
		}
		for bit := range len(kbpk) * 8 {
			if p.protection.IsDES() && bit%8 == 0 {
				continue // a bit of parity, which the cipher does not look at
			}
			changed := bytes.Clone(kbpk)
			changed[bit/8] ^= 1 << (bit % 8)
			if _, key, err := keyblock.Open(p.protection, changed, p.block); !errors.Is(err, keyblock.ErrMAC) || key != nil {
				t.Fatalf("%s, under a key with bit %d changed: %v, want ErrMAC", p.name, bit, err)
			}
		}
	}
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// assertHides fails when an error has a piece of the key, or of what it is encrypted in.
func assertHides(tb testing.TB, err error, key, block string) {
	tb.Helper()
	text := strings.ToUpper(err.Error())
	for _, secret := range []string{key, block[len(block)-48:]} {
		for i := 0; i+6 <= len(secret); i++ {
			if strings.Contains(text, secret[i:i+6]) {
				tb.Fatalf("the error has a piece of the key or the block: %v", err)
			}
		}
	}
}

func TestSealOpen(t *testing.T) {
	protections := []cipherkey.Algorithm{cipherkey.TDES2, cipherkey.TDES3, cipherkey.AES128, cipherkey.AES192, cipherkey.AES256}
	keys := []cipherkey.Algorithm{cipherkey.DES, cipherkey.TDES2, cipherkey.TDES3, cipherkey.AES128, cipherkey.AES192, cipherkey.AES256}
	for _, protection := range protections {
		kbpk := generate(t, protection)
		for _, algorithm := range keys {
			key := generate(t, algorithm)
			for _, optional := range [][]keyblock.Optional{
				nil,
				{{ID: "KS", Data: "00604B120F9292800000"}},
				{{ID: "LB", Data: "a label"}, {ID: "TS", Data: "2026-01-02T03:04:05Z"}},
				{{ID: "LB", Data: "x"}}, // leaves less than an optional block's header to fill
				{{ID: "LB", Data: strings.Repeat("l", 251)}},
			} {
				h := keyblock.Header{Usage: "P0", Algorithm: 'T', Mode: 'B', KeyVersion: "00", Exportability: 'E', Optional: optional}
				block, err := keyblock.Seal(protection, kbpk, h, key)
				if err != nil {
					t.Fatalf("%s under %s: %v", algorithm, protection, err)
				}
				if strings.Contains(block, strings.ToUpper(hex.EncodeToString(key))) || block[0] != keyblock.VersionFor(protection) {
					t.Fatalf("%s under %s: %s", algorithm, protection, block)
				}
				got, opened, err := keyblock.Open(protection, kbpk, block)
				if err != nil || !bytes.Equal(opened, key) {
					t.Fatalf("%s under %s: %X, %v; want %X", algorithm, protection, opened, err, key)
				}
				if n := len(got.Optional); n > len(optional) && got.Optional[n-1].ID == "PB" {
					got.Optional = got.Optional[:n-1]
				}
				if !equal(got, h) {
					t.Errorf("header %+v became %+v", h, got)
				}
				again, err := keyblock.Seal(protection, kbpk, h, key)
				if err != nil || again == block {
					t.Errorf("sealed twice to the same block (%v)", err)
				}
				if _, other, err := keyblock.Open(protection, generate(t, protection), block); !errors.Is(err, keyblock.ErrMAC) || other != nil {
					t.Errorf("opened under another key: %v", err)
				}
			}
		}
	}
}

// A block of the published header and key is as long as the published one.
func TestSealedLength(t *testing.T) {
	for _, p := range published[:5] {
		h, key, err := keyblock.Open(p.protection, unhexT(t, p.kbpk), p.block)
		if err != nil {
			t.Fatal(err)
		}
		block, err := keyblock.Seal(p.protection, unhexT(t, p.kbpk), h, key)
		if err != nil || len(block) != len(p.block) || block[:16] != p.block[:16] {
			t.Errorf("%s: %s, %v", p.name, block, err)
		}
	}
}

func TestBlocksThatAreNone(t *testing.T) {
	kbpk := unhexT(t, published[0].kbpk)
	good := published[0].block
	for name, block := range map[string]string{
		"nothing":                             "",
		"a header":                            "B0016P0TE00E0000",
		"half a header":                       good[:15],
		"version A":                           "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701",
		"version C":                           "C0072K0TN00N0000C9B875FF7A5316BF221C09ED52080DE0B45632A4EA9CE87699CB565E",
		"version E":                           "E0084B0TV16N0000B2AE5E26BBA7F246E84D5EA24167E208A6B66EF2E27E55A52DB52F0AEACB94C57547",
		"version D":                           published[2].block,
		"a character less":                    good[:79],
		"a character more":                    good + "0",
		"another length":                      "B0081" + good[5:] + "0",
		"a signed length":                     "B+080" + good[5:],
		"lower case":                          strings.ToLower(good),
		"lower case hexadecimal":              good[:16] + strings.ToLower(good[16:]),
		"not hexadecimal":                     good[:79] + "G",
		"a newline":                           good[:79] + "\n",
		"a byte above ASCII":                  good[:78] + "é",
		"half a cipher's block":               "B0072P0TE00E0000" + good[16:72],
		"only a MAC":                          "B0032P0TE00E0000" + good[16:32],
		"reserved characters":                 good[:14] + "01" + good[16:],
		"99 optional blocks":                  good[:12] + "99" + good[14:],
		"no number of blocks":                 good[:12] + "0A" + good[14:],
		"an optional block that is not there": "B0080P0TE00E0100" + good[16:],
		"an unknown optional block":           "B0088P0TE00E0100ZZ080000" + good[16:],
		"one that restricts":                  "B0088P0TE00E0100DA080000" + good[16:],
		"one that is too long":                "B0088P0TE00E0100KS990000" + good[16:],
		"one in the long form":                "B0088P0TE00E0100KS000204" + good[16:],
		"one shorter than itself":             "B0088P0TE00E0100KS030000" + good[16:],
		"lower case length":                   "B0090P0TE00E0100KS0a000000" + good[16:],
		"no whole block":                      "B0086P0TE00E0100KS0600" + good[16:],
		"padding first":                       "B0096P0TE00E0200PB080000KS080000" + good[16:],
		"one twice":                           "B0096P0TE00E0200KS080000KS080000" + good[16:],
		"long":                                "B9999" + strings.Repeat("0", 9994),
	} {
		h, key, err := keyblock.Open(cipherkey.TDES2, kbpk, block)
		if !errors.Is(err, keyblock.ErrFormat) || key != nil || h.Usage != "" {
			t.Errorf("%s: %v, want ErrFormat", name, err)
			continue
		}
		if len(err.Error()) > 160 {
			t.Errorf("%s: a long error: %v", name, err)
		}
	}
	if _, _, err := keyblock.Open(cipherkey.TDES2, kbpk[:8], good); !errors.Is(err, keyblock.ErrFormat) {
		t.Errorf("a short protection key: %v", err)
	}
}

func TestWhatCannotBeSealed(t *testing.T) {
	kbpk, key := generate(t, cipherkey.TDES2), generate(t, cipherkey.TDES2)
	good := keyblock.Header{Usage: "P0", Algorithm: 'T', Mode: 'B', KeyVersion: "00", Exportability: 'E'}
	change := func(change func(h *keyblock.Header)) keyblock.Header {
		h := good
		change(&h)
		return h
	}
	for name, h := range map[string]keyblock.Header{
		"a long usage":        change(func(h *keyblock.Header) { h.Usage = "P01" }),
		"no version":          change(func(h *keyblock.Header) { h.KeyVersion = "" }),
		"an unprintable mode": change(func(h *keyblock.Header) { h.Mode = 0 }),
		"own padding":         change(func(h *keyblock.Header) { h.Optional = []keyblock.Optional{{ID: "PB"}} }),
		"an unknown block":    change(func(h *keyblock.Header) { h.Optional = []keyblock.Optional{{ID: "XX"}} }),
		"a long block":        change(func(h *keyblock.Header) { h.Optional = []keyblock.Optional{{ID: "LB", Data: strings.Repeat("l", 252)}} }),
		"many blocks":         change(func(h *keyblock.Header) { h.Optional = make([]keyblock.Optional, 17) }),
		"more than a block has": change(func(h *keyblock.Header) {
			for _, id := range []string{"AL", "BI", "IK", "KC", "KP", "KS", "LB"} {
				h.Optional = append(h.Optional, keyblock.Optional{ID: id, Data: strings.Repeat("0", 251)})
			}
		}),
	} {
		if block, err := keyblock.Seal(cipherkey.TDES2, kbpk, h, key); !errors.Is(err, keyblock.ErrFormat) || block != "" {
			t.Errorf("%s: %q, %v; want ErrFormat", name, block, err)
		}
	}
	for name, test := range map[string]struct {
		protection cipherkey.Algorithm
		kbpk, key  []byte
	}{
		"no key":                 {cipherkey.TDES2, kbpk, nil},
		"a long key":             {cipherkey.TDES2, kbpk, make([]byte, 33)},
		"single DES protects":    {cipherkey.DES, kbpk[:8], key},
		"nothing protects":       {0, nil, key},
		"a short protection key": {cipherkey.TDES2, kbpk[:8], key},
	} {
		if block, err := keyblock.Seal(test.protection, test.kbpk, good, test.key); !errors.Is(err, keyblock.ErrFormat) || block != "" {
			t.Errorf("%s: %q, %v; want ErrFormat", name, block, err)
		}
	}
}

// FuzzOpen: whatever opens is what was sealed, character by character.
func FuzzOpen(f *testing.F) {
	for _, p := range published {
		f.Add(p.block, unhexT(f, p.kbpk))
	}
	f.Add("B0096P0TE00E0200KS080000PB080000", make([]byte, 16))
	f.Fuzz(func(t *testing.T, block string, kbpk []byte) {
		for _, protection := range []cipherkey.Algorithm{cipherkey.OfDES(len(kbpk)), cipherkey.OfAES(len(kbpk))} {
			h, key, err := keyblock.Open(protection, kbpk, block)
			if err != nil {
				if key != nil || h.Usage != "" || h.Optional != nil {
					t.Fatal("an error and a key")
				}
				continue
			}
			known := false
			for _, p := range published {
				known = known || p.block == block
			}
			if !known {
				t.Fatalf("%q opens, and nobody sealed it", block)
			}
		}
	})
}

func generate(tb testing.TB, a cipherkey.Algorithm) []byte {
	tb.Helper()
	key, err := cipherkey.Generate(a)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func equal(a, b keyblock.Header) bool {
	if len(a.Optional) != len(b.Optional) {
		return false
	}
	for i := range a.Optional {
		if a.Optional[i] != b.Optional[i] {
			return false
		}
	}
	return a.Usage == b.Usage && a.Algorithm == b.Algorithm && a.Mode == b.Mode && a.KeyVersion == b.KeyVersion && a.Exportability == b.Exportability
}

func unhexT(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}
