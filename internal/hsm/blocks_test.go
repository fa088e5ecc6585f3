package hsm_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"meridian/internal/hsm"
	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/dukpt"
)

type importedBlock struct {
	name       string
	algorithm  hsm.Algorithm // of the protection key
	kbpk       string
	block      string
	use        hsm.Use
	want       hsm.Algorithm
	mode       hsm.Mode
	export     hsm.Exportability
	checkValue string
}

// importedBlocks are those of package keyblock's tests whose key this module has a
// use for. The check values of AES keys are CMACs.
func importedBlocks() []importedBlock {
	return []importedBlock{
		{
			"TR-31 A.7.2.2", hsm.TDES2, "DD7515F2BFC17F85CE48F3CA25CB21F6",
			"B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
			hsm.UsePIN, hsm.TDES2, hsm.ModeEncrypt, hsm.Exportable, "57C409",
		},
		{
			"TR-31 A.7.3.2", hsm.TDES2, "1D22BF32387C600AD97F9B97A51311AC",
			"B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E248719E24B433627",
			hsm.UseDUKPTBase, hsm.TDES2, hsm.ModeDerive, hsm.SensitiveExportable, "9A4212",
		},
		{
			"TR-31 A.7.4", hsm.AES256, "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
			"D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA05F7425509593D03A457DC34",
			hsm.UsePIN, hsm.AES128, hsm.ModeEncrypt, hsm.Exportable, "08793E",
		},
		{
			"payShield, a key-encrypting key", hsm.TDES2, "EFE0853B256B583D868F251CE99EA1D9",
			"B0080K0TN00N00001C414014375212C24995E405B5EE052CB92B67F455EA2680F6751088F9F1C228",
			hsm.UseTerminalMaster, hsm.TDES2, hsm.ModeAny, hsm.NotExportable, "5C9405",
		},
		{
			"payShield, a base key", hsm.AES256, strings.Repeat("41", 32),
			"D0112B0TN00N000037DB9B046B7B0048785690759580ABC3B9842AB4BB7717B49E92528E575785D8123559376A2553B27BE94F054F4E971C",
			hsm.UseDUKPTBase, hsm.TDES2, hsm.ModeAny, hsm.NotExportable, "FF5087",
		},
	}
}

func TestImportPublishedBlocks(t *testing.T) {
	m := sandbox(t)
	for _, b := range importedBlocks() {
		t.Run(b.name, func(t *testing.T) {
			kbpk := enter(t, m, hsm.UseKeyBlock, b.algorithm, b.kbpk)
			k, err := m.ImportBlock(t.Context(), kbpk, b.block, b.use)
			if err != nil {
				t.Fatal(err)
			}
			if k.Use != b.use || k.Algorithm != b.want || k.Mode != b.mode || k.Exportability != b.export {
				t.Errorf("%s, mode %c, exportability %c", k, k.Mode, k.Exportability)
			}
			if got := checkValue(t, m, k); got[:6] != b.checkValue {
				t.Errorf("check value %s, want %s", got, b.checkValue)
			}
			for _, use := range uses() {
				if other, err := m.ImportBlock(t.Context(), kbpk, b.block, use); use != b.use && (!errors.Is(err, hsm.ErrBlockUse) || !other.IsZero()) {
					t.Errorf("imported as a %s key: %v, want ErrBlockUse", use, err)
				}
			}
			for name, wrong := range map[string]hsm.Key{
				"another key block key": generate(t, m, hsm.UseKeyBlock, b.algorithm),
			} {
				if k, err := m.ImportBlock(t.Context(), wrong, b.block, b.use); !errors.Is(err, hsm.ErrBlockMAC) || !k.IsZero() {
					t.Errorf("under %s: %v, want ErrBlockMAC", name, err)
				}
			}
			if _, err := m.ImportBlock(t.Context(), generate(t, m, hsm.UseTerminalMaster, hsm.TDES2), b.block, b.use); !errors.Is(err, hsm.ErrUse) {
				t.Errorf("under a terminal master key: %v, want ErrUse", err)
			}
		})
	}
}

// TestEveryChangedBitOfABlock: each error is typed, and none says anything of a key.
func TestEveryChangedBitOfABlock(t *testing.T) {
	m := sandbox(t)
	for _, b := range importedBlocks()[1:3] { // one of each version, one with an optional block
		kbpk := enter(t, m, hsm.UseKeyBlock, b.algorithm, b.kbpk)
		for bit := range len(b.block) * 8 {
			changed := []byte(b.block)
			changed[bit/8] ^= 1 << (bit % 8)
			k, err := m.ImportBlock(t.Context(), kbpk, string(changed), b.use)
			if !errors.Is(err, hsm.ErrBlock) && !errors.Is(err, hsm.ErrBlockMAC) || !k.IsZero() {
				t.Fatalf("%s, bit %d: %v", b.name, bit, err)
			}
		}
	}
}

// A block whose header is authentic, and not of a key that this module would keep.
func TestBlocksThatAreRefused(t *testing.T) {
	m := sandbox(t)
	iso20038 := enter(t, m, hsm.UseKeyBlock, hsm.AES256, "3235362D62697420414553207772617070696E67202849534F20323030333829")
	payShield := enter(t, m, hsm.UseKeyBlock, hsm.AES256, strings.Repeat("41", 32))
	for _, test := range []struct {
		name  string
		kbpk  hsm.Key
		block string
		use   hsm.Use
		want  error
	}{
		{
			"a key that only verifies", iso20038,
			"D0112M3TV16N000018462FA5903B8D2B82FEE26B29713C0BE7ED81601087F12252093D06FC0A012C1CF769AD0E3E9E4877166AB013FC22B4",
			hsm.UseMAC, hsm.ErrBlockUse,
		},
		{
			"data encryption with AES", payShield,
			"D0144D0AN00N0000127862F945C2DED04530FAF7CDBC8B0BA10C7AA79BD5E0C2C5D6AC173BF588E4B19ACF1357178D50EA0AB193228E13958304FC6149632DFDCADF3A5B3D57E814",
			hsm.UseTrack, hsm.ErrAlgorithm,
		},
		{"version A", payShield, "A0072P0TE00E0000F5161ED902807AF26F1D62263644BD24192FDB3193C730301CEE8701", hsm.UsePIN, hsm.ErrBlock},
		{"nothing", payShield, "", hsm.UsePIN, hsm.ErrBlock},
		{"no use", iso20038, "D0112M3TV16N000018462FA5903B8D2B82FEE26B29713C0BE7ED81601087F12252093D06FC0A012C1CF769AD0E3E9E4877166AB013FC22B4", 0, hsm.ErrBlockUse},
	} {
		if k, err := m.ImportBlock(t.Context(), test.kbpk, test.block, test.use); !errors.Is(err, test.want) || !k.IsZero() {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestExportImport(t *testing.T) {
	here, there := sandbox(t), over(t, master(t, 1))
	for _, protection := range []hsm.Algorithm{hsm.TDES2, hsm.TDES3, hsm.AES128, hsm.AES192, hsm.AES256} {
		components := secrets(t, "A1B2C3D4E5F60718293A4B5C6D7E8F90A1C2E3F405162738495A6B7C8D9EAFB0"[:2*protection.KeyBytes()],
			"0F1E2D3C4B5A69781133557799BBDDFF8796A5B4C3D2E1F02244668800AACCEE"[:2*protection.KeyBytes()])
		ours, err := here.FormKey(t.Context(), hsm.UseKeyBlock, protection, components...)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := there.FormKey(t.Context(), hsm.UseKeyBlock, protection, components...)
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range uses() {
			for _, a := range algorithms() {
				if !takes(use, a) {
					continue
				}
				k := generate(t, here, use, a)
				block, err := here.ExportBlock(t.Context(), ours, k, hsm.NotExportable)
				if protection < a {
					if !errors.Is(err, hsm.ErrAlgorithm) || block != "" {
						t.Errorf("%s under %s: %v, want ErrAlgorithm", k, protection, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s under %s: %v", k, protection, err)
				}
				got, err := there.ImportBlock(t.Context(), theirs, block, use)
				if err != nil {
					t.Fatalf("%s under %s: %v", k, protection, err)
				}
				if got.Use != use || got.Algorithm != a || got.Mode != k.Mode || got.Exportability != hsm.NotExportable ||
					checkValue(t, there, got) != checkValue(t, here, k) {
					t.Errorf("%s became %s", k, got)
				}
				if again, err := there.ExportBlock(t.Context(), theirs, got, hsm.NotExportable); !errors.Is(err, hsm.ErrExportability) || again != "" {
					t.Errorf("%s is exported again: %v, want ErrExportability", got, err)
				}
			}
		}
	}
}

// Nothing leaves with more freedom than it has.
func TestExportability(t *testing.T) {
	m := over(t, master(t, 1))
	kbpk := generate(t, m, hsm.UseKeyBlock, hsm.AES256)
	tmk := generate(t, m, hsm.UseTerminalMaster, hsm.TDES2)
	order := []hsm.Exportability{hsm.NotExportable, hsm.Exportable, hsm.SensitiveExportable}
	original := generate(t, m, hsm.UseMAC, hsm.TDES2)
	for has, exportability := range order {
		block, err := m.ExportBlock(t.Context(), kbpk, original, exportability)
		if err != nil {
			t.Fatal(err)
		}
		k, err := m.ImportBlock(t.Context(), kbpk, block, hsm.UseMAC)
		if err != nil {
			t.Fatal(err)
		}
		for asked, as := range order {
			_, err := m.ExportBlock(t.Context(), kbpk, k, as)
			if allowed := exportability != hsm.NotExportable && asked <= has; allowed != (err == nil) || !allowed && !errors.Is(err, hsm.ErrExportability) {
				t.Errorf("a key with %c exported as %c: %v", exportability, as, err)
			}
		}
		cryptogram, err := m.Encrypt(t.Context(), tmk, k)
		if allowed := exportability == hsm.SensitiveExportable; allowed != (err == nil) || !allowed && (!errors.Is(err, hsm.ErrExportability) || cryptogram != nil) {
			t.Errorf("a key with %c outside of a key block: %v", exportability, err)
		}
	}
	if _, err := m.ExportBlock(t.Context(), kbpk, original, 'X'); !errors.Is(err, hsm.ErrExportability) {
		t.Errorf("as nothing there is: %v", err)
	}
	if _, err := m.ExportBlock(t.Context(), tmk, original, hsm.NotExportable); !errors.Is(err, hsm.ErrUse) {
		t.Errorf("under a terminal master key: %v, want ErrUse", err)
	}
}

// TestEncryptWorkingKeys: the first is a published sign-in; the others are decrypted
// again as a terminal does.
func TestEncryptWorkingKeys(t *testing.T) {
	m := sandbox(t)
	tmk := enter(t, m, hsm.UseTerminalMaster, hsm.DES, "10213A4B5C6D7E8F")
	got, err := m.Encrypt(t.Context(), tmk, enter(t, m, hsm.UsePIN, hsm.DES, "A87FA53383C75BB5"))
	if err != nil || strings.ToUpper(hex.EncodeToString(got)) != "EC9DF695353FA075" {
		t.Errorf("cryptogram %X, %v", got, err)
	}
	for _, master := range []struct {
		algorithm hsm.Algorithm
		key       string
	}{
		{hsm.TDES2, "11223344556677889900AABBCCDDEEFF"},
		{hsm.TDES3, "11223344556677889900AABBCCDDEEFF0123456789ABCDEF"},
	} {
		tmk := enter(t, m, hsm.UseTerminalMaster, master.algorithm, master.key)
		for _, use := range []hsm.Use{hsm.UsePIN, hsm.UseMAC, hsm.UseTrack} {
			for algorithm, key := range map[hsm.Algorithm]string{hsm.DES: "A87FA53383C75BB5", hsm.TDES2: doubleKey} {
				if !takes(use, algorithm) {
					continue
				}
				cryptogram, err := m.Encrypt(t.Context(), tmk, enter(t, m, use, algorithm, key))
				if err != nil {
					t.Fatal(err)
				}
				block, err := master.algorithm.Block(unhex(t, master.key))
				if err != nil {
					t.Fatal(err)
				}
				for at := 0; at < len(cryptogram); at += 8 {
					block.Decrypt(cryptogram[at:], cryptogram[at:])
				}
				if !bytes.Equal(cryptogram, unhex(t, key)) {
					t.Errorf("a %s key of %s: the terminal has %X", use, algorithm, cryptogram)
				}
			}
		}
	}
}

func TestWhatIsNotEncrypted(t *testing.T) {
	m := over(t, master(t, 1))
	single, double := generate(t, m, hsm.UseTerminalMaster, hsm.DES), generate(t, m, hsm.UseTerminalMaster, hsm.TDES2)
	for _, test := range []struct {
		name   string
		tmk, k hsm.Key
		want   error
	}{
		{"a terminal master key", double, double, hsm.ErrUse},
		{"a base key", double, generate(t, m, hsm.UseDUKPTBase, hsm.TDES2), hsm.ErrUse},
		{"a key block key", double, generate(t, m, hsm.UseKeyBlock, hsm.TDES2), hsm.ErrUse},
		{"under a PIN key", generate(t, m, hsm.UsePIN, hsm.TDES2), generate(t, m, hsm.UsePIN, hsm.TDES2), hsm.ErrUse},
		{"a longer key under a shorter one", single, generate(t, m, hsm.UsePIN, hsm.TDES2), hsm.ErrAlgorithm},
		{"a triple-length key", generate(t, m, hsm.UseTerminalMaster, hsm.TDES3), generate(t, m, hsm.UsePIN, hsm.TDES3), hsm.ErrAlgorithm},
		{"an AES key", double, generate(t, m, hsm.UsePIN, hsm.AES128), hsm.ErrAlgorithm},
	} {
		if cryptogram, err := m.Encrypt(t.Context(), test.tmk, test.k); !errors.Is(err, test.want) || cryptogram != nil {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestInitialKey has ANSI X9.24's examples.
func TestInitialKey(t *testing.T) {
	m := sandbox(t)
	for _, test := range []struct {
		algorithm          hsm.Algorithm
		base, ksn, initial string
	}{
		{hsm.TDES2, doubleKey, "FFFF9876543210E00000", "6AC292FAA1315B4D858AB3A3D7D5933A"},
		{hsm.TDES2, doubleKey, "FFFF9876543210EFFFFF", "6AC292FAA1315B4D858AB3A3D7D5933A"}, // the counter does not matter
		{hsm.AES128, "FEDCBA9876543210F1F1F1F1F1F1F1F1", "123456789012345600000000", "1273671EA26AC29AFA4D1084127652A1"},
	} {
		k, err := m.InitialKey(t.Context(), enter(t, m, hsm.UseDUKPTBase, test.algorithm, test.base), unhex(t, test.ksn))
		if err != nil {
			t.Fatal(err)
		}
		want, err := cipherkey.CheckValueOf(test.algorithm, unhex(t, test.initial))
		if err != nil || k.Use != hsm.UseDUKPTInitial || k.Exportability != hsm.Exportable || checkValue(t, m, k)[:6] != want.String() {
			t.Errorf("%s with check value %s, want %s (%v)", k, checkValue(t, m, k), want, err)
		}
	}
	base := generate(t, m, hsm.UseDUKPTBase, hsm.TDES2)
	if _, err := m.InitialKey(t.Context(), base, make([]byte, dukpt.KSNBytesAES)); !errors.Is(err, hsm.ErrKSN) {
		t.Errorf("a KSN of AES: %v, want ErrKSN", err)
	}
	if _, err := m.InitialKey(t.Context(), generate(t, m, hsm.UseMAC, hsm.TDES2), make([]byte, dukpt.KSNBytesTDES)); !errors.Is(err, hsm.ErrUse) {
		t.Errorf("from a MAC key: %v, want ErrUse", err)
	}
}
