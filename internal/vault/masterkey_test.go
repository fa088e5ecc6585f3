package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
			if err != nil || master.IsSandbox() != test.sandbox || master.IsZero() {
				t.Fatalf("sandbox %t, %v; want %t", master.IsSandbox(), err, test.sandbox)
			}
			if v := mustOpen(t, master); v.IsSandbox() != test.sandbox {
				t.Errorf("the vault says sandbox %t", v.IsSandbox())
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
	if err != nil || !master.IsSandbox() {
		t.Fatalf("the sandbox's key as bytes: sandbox %t, %v", master.IsSandbox(), err)
	}
	before := mustOpen(t, master).KeyID()
	clear(key)
	if mustOpen(t, master).KeyID() != before {
		t.Error("the master key changes with the caller's bytes")
	}
}

func TestOpenWithoutKey(t *testing.T) {
	if v, err := vault.Open(vault.MasterKey{}); !errors.Is(err, vault.ErrMasterKey) || v != nil {
		t.Errorf("Open = %v, %v; want ErrMasterKey", v, err)
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

func TestLoadMasterKey(t *testing.T) {
	want, err := vault.ParseMasterKey(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o400, 0o440} {
		path := writeKeyFile(t, hexKey+"\n", mode)
		got, err := vault.LoadMasterKey(path)
		if err != nil || got.IsSandbox() || mustOpen(t, got).KeyID() != mustOpen(t, want).KeyID() {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	marked, err := vault.LoadMasterKey(writeKeyFile(t, "sandbox:"+hexKey, 0o600))
	if err != nil || !marked.IsSandbox() {
		t.Errorf("a sandbox key: sandbox %t, %v", marked.IsSandbox(), err)
	}
	// Container platforms mount secrets as links.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(writeKeyFile(t, hexKey, 0o440), link); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.LoadMasterKey(link); err != nil {
		t.Errorf("through a link: %v", err)
	}
}

func TestLoadMasterKeyRefusesWideModes(t *testing.T) {
	for _, mode := range []fs.FileMode{0o644, 0o660, 0o601, 0o604, 0o666, 0o700, 0o650, 0o777, 0o404} {
		path := writeKeyFile(t, hexKey, mode)
		master, err := vault.LoadMasterKey(path)
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
			master, err := vault.LoadMasterKey(test.path)
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
