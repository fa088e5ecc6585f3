package vault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"meridian/internal/vault"
)

const hexKey = "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100"

func TestParseMasterKey(t *testing.T) {
	for _, test := range []struct {
		name, text string
		sandbox    bool
	}{
		{"hex", hexKey, false},
		{"newline", hexKey + "\n", false},
		{"spaces", " \t" + hexKey + "\r\n", false},
		{"sandbox", "sandbox:" + hexKey, true},
		{"sandbox with newline", "sandbox:" + hexKey + "\n", true},
		{"the sandbox's own key, unmarked", "6d6572696469616e2d73616e64626f782d6b65792d6e6f742d73656372657421", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			master, err := vault.ParseMasterKey(test.text)
			if err != nil || master.IsZero() {
				t.Fatalf("no key, %v", err)
			}
			if v := mustOpen(t, master); v.IsSandbox() != test.sandbox {
				t.Errorf("sandbox %t, want %t", v.IsSandbox(), test.sandbox)
			}
		})
	}
}

func TestSandboxMarkDoesNotChangeTheKey(t *testing.T) {
	plain, err := vault.ParseMasterKey(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	marked, err := vault.ParseMasterKey("sandbox:" + hexKey)
	if err != nil {
		t.Fatal(err)
	}
	if mustOpen(t, plain).KeyID() != mustOpen(t, marked).KeyID() {
		t.Error("the mark changes the key")
	}
	if mustOpen(t, plain).KeyID() == sandboxVault(t).KeyID() {
		t.Error("two keys have one id")
	}
}

func TestParseMasterKeyRefuses(t *testing.T) {
	for _, text := range []string{
		"", "\n", hexKey[:63], hexKey + "0", hexKey[:62], hexKey + hexKey, "Sandbox:" + hexKey, "sandbox: " + hexKey, "sandbox:",
		"sandbox:sandbox:" + hexKey, "production:" + hexKey, "0x" + hexKey[:62], hexKey[:63] + "g", hexKey[:32] + "\n" + hexKey[32:], strings.Repeat("ab", 1_000_000),
	} {
		master, err := vault.ParseMasterKey(text)
		if !errors.Is(err, vault.ErrMasterKey) || !master.IsZero() {
			t.Errorf("ParseMasterKey(%.80q): %v; want ErrMasterKey", text, err)
			continue
		}
		assertHidesContent(t, err, text)
	}
}

// assertHidesContent fails when the error repeats a piece of the key's text.
func assertHidesContent(tb testing.TB, err error, text string) {
	tb.Helper()
	const telling = 6
	for i := 0; i+telling <= len(text) && i < 200; i++ {
		if piece := text[i : i+telling]; strings.Trim(piece, "sandbox: ") != "" && strings.Contains(err.Error(), piece) {
			tb.Fatalf("the error repeats %q: %v", piece, err)
		}
	}
}

func TestNewMasterKey(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33, 64} {
		if _, err := vault.NewMasterKey(make([]byte, size)); !errors.Is(err, vault.ErrMasterKey) {
			t.Errorf("%d bytes: %v, want ErrMasterKey", size, err)
		}
	}
	key := []byte("meridian-sandbox-key-not-secret!")
	master, err := vault.NewMasterKey(key)
	if err != nil || !mustOpen(t, master).IsSandbox() {
		t.Fatalf("the sandbox's key as bytes is none of a sandbox, %v", err)
	}
	before := mustOpen(t, master).KeyID()
	clear(key)
	if mustOpen(t, master).KeyID() != before {
		t.Error("the master key changes with the caller's bytes")
	}
}

func TestOpenWithoutKey(t *testing.T) {
	one := vault.SandboxMasterKey()
	for name, masters := range map[string][]vault.MasterKey{
		"none": nil, "a zero one": {{}}, "a zero one behind": {one, {}}, "one twice": {one, one}, "too many": slices.Repeat([]vault.MasterKey{one}, vault.MaxMasterKeys+1),
	} {
		if v, err := vault.Open(masters...); !errors.Is(err, vault.ErrMasterKey) || v != nil {
			t.Errorf("%s: Open = %v, %v; want ErrMasterKey", name, v, err)
		}
	}
}

func writeKeyFile(tb testing.TB, text string, mode fs.FileMode) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "master.key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // apart from the umask
		tb.Fatal(err)
	}
	return path
}

// loadOne loads a file that has one key.
func loadOne(path string) (vault.MasterKey, error) {
	masters, err := vault.LoadMasterKeys(path)
	if err != nil {
		return vault.MasterKey{}, err
	}
	if len(masters) != 1 {
		return vault.MasterKey{}, fmt.Errorf("%d keys", len(masters))
	}
	return masters[0], nil
}

func TestLoadMasterKeysOfSeveralFiles(t *testing.T) {
	other := strings.Repeat("ab", vault.MasterKeyBytes)
	newest, older := writeKeyFile(t, other+"\n", 0o600), writeKeyFile(t, hexKey+"\nsandbox:"+strings.Repeat("cd", vault.MasterKeyBytes), 0o600)
	masters, err := vault.LoadMasterKeys(newest, older)
	if err != nil || len(masters) != 3 {
		t.Fatalf("%d keys, %v", len(masters), err)
	}
	v, err := vault.Open(masters...)
	if err != nil {
		t.Fatal(err)
	}
	first, err := vault.ParseMasterKey(other)
	if err != nil {
		t.Fatal(err)
	}
	if v.KeyID() != mustOpen(t, first).KeyID() || len(v.KeyIDs()) != 3 || !v.IsSandbox() {
		t.Errorf("the newest is %s of %v, sandbox %t", v.KeyID(), v.KeyIDs(), v.IsSandbox())
	}
	missing := filepath.Join(t.TempDir(), "none")
	for name, paths := range map[string][]string{"no file": {}, "one missing": {newest, missing}, "too many": slices.Repeat([]string{newest}, 9)} {
		if masters, err := vault.LoadMasterKeys(paths...); err == nil || masters != nil {
			t.Errorf("%s: %d keys, %v", name, len(masters), err)
		}
	}
}

func TestParseMasterKeys(t *testing.T) {
	other := strings.Repeat("ab", vault.MasterKeyBytes)
	for _, text := range []string{hexKey + "," + other, hexKey + "\n" + other + "\n", " " + hexKey + " , sandbox:" + other, hexKey + "\r\n\r\n" + other} {
		masters, err := vault.ParseMasterKeys(text)
		if err != nil || len(masters) != 2 || mustOpen(t, masters[0]).IsSandbox() {
			t.Errorf("%d keys, %v", len(masters), err)
		}
	}
	for name, text := range map[string]string{
		"none": "", "separators": " ,\n", "a short one": hexKey + "," + other[1:], "nine": strings.Repeat(hexKey+"\n", 9), "long": strings.Repeat(" ", 2000) + hexKey,
	} {
		masters, err := vault.ParseMasterKeys(text)
		if !errors.Is(err, vault.ErrMasterKey) || masters != nil {
			t.Errorf("%s: %d keys, %v; want ErrMasterKey", name, len(masters), err)
			continue
		}
		assertHidesContent(t, err, text)
	}
}

func TestLoadMasterKey(t *testing.T) {
	want, err := vault.ParseMasterKey(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o400, 0o440} {
		path := writeKeyFile(t, hexKey+"\n", mode)
		got, err := loadOne(path)
		if err != nil || mustOpen(t, got).IsSandbox() || mustOpen(t, got).KeyID() != mustOpen(t, want).KeyID() {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	marked, err := loadOne(writeKeyFile(t, "sandbox:"+hexKey, 0o600))
	if err != nil || !mustOpen(t, marked).IsSandbox() {
		t.Errorf("a sandbox key is none, %v", err)
	}
	// Container platforms mount secrets as links.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(writeKeyFile(t, hexKey, 0o440), link); err != nil {
		t.Fatal(err)
	}
	if _, err := loadOne(link); err != nil {
		t.Errorf("through a link: %v", err)
	}
}

func TestLoadMasterKeyRefusesWideModes(t *testing.T) {
	for _, mode := range []fs.FileMode{0o644, 0o660, 0o601, 0o604, 0o666, 0o700, 0o650, 0o777, 0o404} {
		path := writeKeyFile(t, hexKey, mode)
		master, err := loadOne(path)
		if !errors.Is(err, vault.ErrMasterKey) || !master.IsZero() || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v; want a refusal that names the file and the remedy", mode, err)
		}
	}
}

func TestLoadMasterKeyRefuses(t *testing.T) {
	directory := t.TempDir()
	pipe := filepath.Join(directory, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		want       error
	}{
		{"missing", filepath.Join(directory, "none"), fs.ErrNotExist},
		{"directory", directory, vault.ErrMasterKey},
		{"pipe, without waiting for a writer", pipe, vault.ErrMasterKey},
		{"device", os.DevNull, vault.ErrMasterKey},
		{"empty", writeKeyFile(t, "", 0o600), vault.ErrMasterKey},
		{"short", writeKeyFile(t, hexKey[:60], 0o600), vault.ErrMasterKey},
		{"not hex", writeKeyFile(t, hexKey[:60]+"zzzz", 0o600), vault.ErrMasterKey},
		{"large", writeKeyFile(t, strings.Repeat(hexKey, 1000), 0o600), vault.ErrMasterKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			master, err := loadOne(test.path)
			if !errors.Is(err, test.want) || !master.IsZero() {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if strings.Count(err.Error(), test.path) != 1 {
				t.Errorf("the error does not name the file once: %v", err)
			}
			assertHidesContent(t, err, hexKey)
		})
	}
}
