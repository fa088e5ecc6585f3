package vault

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

// MasterKeyBytes is the size of a master key: AES-256's, and as many as
// HKDF-SHA256 can make use of.
const MasterKeyBytes = 32

// sandboxPrefix marks a key in a file as one that production refuses.
const sandboxPrefix = "sandbox:"

// sandboxKey is public: it is in this repository.
const sandboxKey = "meridian-sandbox-key-not-secret!"

// ErrMasterKey is in the chain of every error about a master key. Such errors
// name the file and never contain any part of its content.
var ErrMasterKey = errors.New("not a master key")

// MasterKey is the key that everything at rest depends on, and whether it is a
// key for sandboxes. The zero value opens no vault.
type MasterKey struct {
	key     Secret
	sandbox bool
}

// NewMasterKey takes [MasterKeyBytes] bytes. The sandbox's own key is a sandbox
// key however it arrives.
func NewMasterKey(key []byte) (MasterKey, error) {
	if len(key) != MasterKeyBytes {
		return MasterKey{}, fmt.Errorf("%w: %d bytes, want %d", ErrMasterKey, len(key), MasterKeyBytes)
	}
	secret := NewSecret(key)
	return MasterKey{key: secret, sandbox: secret.Equal(NewSecret([]byte(sandboxKey)))}, nil
}

// SandboxMasterKey returns the well-known key of sandboxes. Whatever is wrapped
// or turned into tokens under it is public.
func SandboxMasterKey() MasterKey {
	return MasterKey{key: NewSecret([]byte(sandboxKey)), sandbox: true}
}

// IsZero reports whether there is no key.
func (m MasterKey) IsZero() bool { return m.key.IsZero() }

// ParseMasterKey reads 64 hexadecimal characters, or "sandbox:" and 64
// hexadecimal characters for a key that production refuses. Space around them,
// such as the newline at a file's end, is allowed.
func ParseMasterKey(text string) (MasterKey, error) {
	digits, sandbox := strings.CutPrefix(strings.TrimSpace(text), sandboxPrefix)
	if want := hex.EncodedLen(MasterKeyBytes); len(digits) != want {
		return MasterKey{}, fmt.Errorf("%w: %d characters, want %d hexadecimal ones", ErrMasterKey, len(digits), want)
	}
	key, err := hex.DecodeString(digits)
	if err != nil { // err quotes the offending character
		return MasterKey{}, fmt.Errorf("%w: a character is not hexadecimal", ErrMasterKey)
	}
	master, err := NewMasterKey(key)
	if err != nil {
		return MasterKey{}, err
	}
	master.sandbox = master.sandbox || sandbox
	return master, nil
}

// ParseMasterKeys reads master keys as [ParseMasterKey] does, the newest first,
// with space, newlines or commas between them: the content of a file or of an
// environment variable. It fails with [ErrMasterKey] for none and for more than
// [MaxMasterKeys].
func ParseMasterKeys(text string) ([]MasterKey, error) {
	if len(text) > maxMasterKeyFile {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMasterKey, maxMasterKeyFile)
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(words) == 0 || len(words) > MaxMasterKeys {
		return nil, fmt.Errorf("%w: there are %d, want 1 to %d", ErrMasterKey, len(words), MaxMasterKeys)
	}
	masters := make([]MasterKey, len(words))
	for i, word := range words {
		var err error
		if masters[i], err = ParseMasterKey(word); err != nil {
			return nil, fmt.Errorf("key %d of %d: %w", i+1, len(words), err)
		}
	}
	return masters, nil
}

// maxMasterKeyFile is a few times what the content needs, so that a wrong path
// is refused without reading what it leads to.
const maxMasterKeyFile = 1024

// allowedMode is the widest mode of a master key file: its owner reads and
// writes it, its group reads it, as container platforms mount secrets.
const allowedMode fs.FileMode = 0o640

// LoadMasterKeys reads files with the text of [ParseMasterKeys], the file of the
// newest key first. It refuses a file that is not regular, is longer than its
// keys could be, or has a mode wider than 0640.
//
// To rotate: put the new key before the old one and restart the hosts, rewrap what
// [Vault.NeedsRewrap], then remove the old one.
func LoadMasterKeys(paths ...string) ([]MasterKey, error) {
	if len(paths) > MaxMasterKeys {
		return nil, fmt.Errorf("load master keys: %w: %d files, at most %d", ErrMasterKey, len(paths), MaxMasterKeys)
	}
	var all []MasterKey
	for _, path := range paths {
		masters, err := loadMasterKeys(path)
		if err != nil {
			return nil, fmt.Errorf("load master key from %s: %w", path, err)
		}
		all = append(all, masters...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("load master keys: %w: no file is named", ErrMasterKey)
	}
	return all, nil
}

func loadMasterKeys(path string) ([]MasterKey, error) {
	// Looked at before it is opened, since opening a pipe waits for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a regular file", ErrMasterKey)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	// Looked at again through the handle: the path may lead elsewhere by now.
	if info, err = file.Stat(); err != nil {
		return nil, withoutPath(err)
	}
	if mode := info.Mode().Perm(); mode&^allowedMode != 0 {
		return nil, fmt.Errorf("%w: its mode %04o is wider than %04o: chmod 600 it", ErrMasterKey, mode, allowedMode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxMasterKeyFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	return ParseMasterKeys(string(text))
}

// withoutPath unpacks the system's reason: the path is said once.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pathError.Op, pathError.Err)
	}
	return err
}
