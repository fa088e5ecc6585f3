package vault_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"

	"meridian/internal/vault"
)

// table is a table of data keys. What happens before an insert is a race with
// another host.
type table struct {
	lock         sync.Mutex
	rows         []vault.StoredDataKey
	before       func()
	readErr, err error
	deaf         bool // an insert that says it worked and keeps nothing
}

func (s *table) DataKeys(context.Context) ([]vault.StoredDataKey, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return slices.Clone(s.rows), s.readErr
}

func (s *table) AddDataKey(_ context.Context, key vault.StoredDataKey) error {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.err != nil || s.deaf {
		return s.err
	}
	taken := slices.ContainsFunc(s.rows, func(k vault.StoredDataKey) bool { return k.Purpose == key.Purpose && k.Version == key.Version })
	if !taken {
		s.rows = append(s.rows, key)
	}
	return nil
}

const testPAN = "6212345678900012"

func TestDataKeysOutliveTheMasterKey(t *testing.T) {
	old, err := vault.ParseMasterKey(hexKey)
	if err != nil {
		t.Fatal(err)
	}
	renewed := mustMaster(t, bytes.Repeat([]byte{9}, vault.MasterKeyBytes))
	pan := mustPAN(t, testPAN)
	store := &table{}

	first := openDataKeys(t, mustOpen(t, old), store)
	if len(store.rows) != 2 || first.Token(pan) != mustOpen(t, old).Token(pan) {
		t.Fatalf("%d rows; a database that had tokens before it had data keys must keep them", len(store.rows))
	}

	both, err := vault.Open(renewed, old)
	if err != nil {
		t.Fatal(err)
	}
	if got := openDataKeys(t, both, store); got.Token(pan) != first.Token(pan) {
		t.Error("a new master key changes tokens")
	}
	for i, row := range store.rows {
		if !both.NeedsRewrap(row.Wrapped) {
			t.Errorf("%s is not said to need the old key", row.Purpose)
		}
		if store.rows[i].Wrapped, err = both.Rewrap(row.Usage(), row.Wrapped); err != nil {
			t.Fatal(err)
		}
		if both.NeedsRewrap(store.rows[i].Wrapped) {
			t.Errorf("%s still needs the old key", row.Purpose)
		}
	}
	got := openDataKeys(t, mustOpen(t, renewed), store)
	if got.Token(pan) != first.Token(pan) || hmacOf(t, got, 1) != hmacOf(t, first, 1) {
		t.Error("without the old master key, tokens and references are others")
	}
	if _, err := vault.OpenDataKeys(t.Context(), mustOpen(t, old), store); !errors.Is(err, vault.ErrOtherKey) {
		t.Errorf("with the retired key alone: %v, want ErrOtherKey", err)
	}
}

func openDataKeys(tb testing.TB, v *vault.Vault, store vault.DataKeyStore) *vault.DataKeys {
	tb.Helper()
	keys, err := vault.OpenDataKeys(tb.Context(), v, store)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func hmacOf(tb testing.TB, keys *vault.DataKeys, version int16) string {
	tb.Helper()
	sum, err := keys.HMAC(vault.PurposePINReference, version, []byte("one"), []byte("two"))
	if err != nil {
		tb.Fatal(err)
	}
	return hex.EncodeToString(sum[:])
}

func TestDataKeysOfAnotherHostWin(t *testing.T) {
	v := sandboxVault(t)
	other := mustOpen(t, mustMaster(t, bytes.Repeat([]byte{5}, vault.MasterKeyBytes)))
	both, err := vault.Open(vault.SandboxMasterKey(), mustMaster(t, bytes.Repeat([]byte{5}, vault.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	store := &table{}
	store.before = func() { openDataKeys(t, v, store) }
	pan := mustPAN(t, testPAN)
	if got := openDataKeys(t, both, store); got.Token(pan) != v.Token(pan) || got.Token(pan) == other.Token(pan) {
		t.Error("the host that came second goes on with its own key")
	}
}

func TestDataKeyVersions(t *testing.T) {
	v := sandboxVault(t)
	store := &table{}
	openDataKeys(t, v, store)
	for _, purpose := range []vault.Purpose{vault.PurposeToken, vault.PurposePINReference} {
		for _, version := range []int16{12, 2} {
			row := furtherDataKey(t, v, purpose, version)
			store.rows = append([]vault.StoredDataKey{row}, store.rows...)
		}
	}
	keys := openDataKeys(t, v, store)
	pan := mustPAN(t, testPAN)
	if got := keys.Token(pan); keys.TokenVersion() != 12 || got[0] != 12 || keys.NewestVersion(vault.PurposePINReference) != 12 {
		t.Errorf("token %x of version %d; want 12", got, keys.TokenVersion())
	}
	seen := map[[vault.TokenBytes]byte]bool{}
	for _, version := range []int16{1, 2, 12} {
		got, err := keys.TokenAt(version, pan)
		if err != nil || got[0] != byte(version) {
			t.Fatalf("version %d: %x, %v", version, got, err)
		}
		got[0] = 0
		seen[got] = true
	}
	if len(seen) != 3 {
		t.Errorf("three keys make %d tokens", len(seen))
	}
	if got, err := keys.TokenAt(1, pan); err != nil || got != v.Token(pan) {
		t.Errorf("version 1 became another: %v", err)
	}
	if _, err := keys.TokenAt(3, pan); !errors.Is(err, vault.ErrDataKey) {
		t.Errorf("a version that is not there: %v, want ErrDataKey", err)
	}
	if _, err := keys.HMAC("other", 1); !errors.Is(err, vault.ErrDataKey) {
		t.Errorf("a purpose that is not there: %v, want ErrDataKey", err)
	}
}

// furtherDataKey is a row that somebody added to the first one's.
func furtherDataKey(t *testing.T, v *vault.Vault, purpose vault.Purpose, version int16) vault.StoredDataKey {
	t.Helper()
	row := vault.StoredDataKey{Purpose: purpose, Version: version}
	var err error
	if row.Wrapped, err = v.Wrap(row.Usage(), bytes.Repeat([]byte{byte(version)}, 32)); err != nil {
		t.Fatal(err)
	}
	return row
}

// TestFirstPINReferenceKey was computed apart from this program: HMAC-SHA256 under
// HKDF-SHA256(master, "meridian/pin-reference/v1").
func TestFirstPINReferenceKey(t *testing.T) {
	if got, want := hmacOf(t, sandboxVault(t).FirstDataKeys(), 1), knownReferenceHMAC; got != want {
		t.Errorf("HMAC %s, want %s", got, want)
	}
}

func TestOpenDataKeysFails(t *testing.T) {
	v := sandboxVault(t)
	whole := &table{}
	openDataKeys(t, v, whole)
	change := func(change func(rows []vault.StoredDataKey) []vault.StoredDataKey) *table {
		return &table{rows: change(slices.Clone(whole.rows))}
	}
	short, err := v.Wrap(vault.StoredDataKey{Purpose: vault.PurposeToken, Version: 2}.Usage(), make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		store *table
		want  error
	}{
		"reading fails":   {&table{readErr: broken}, broken},
		"inserting fails": {&table{err: broken}, broken},
		"nothing is kept": {&table{deaf: true}, vault.ErrDataKey},
		"another purpose's": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey {
			rows[0].Wrapped, rows[1].Wrapped = rows[1].Wrapped, rows[0].Wrapped
			return rows
		}), vault.ErrUnwrap},
		"another version's": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey {
			rows[0].Version = 2
			return rows
		}), vault.ErrUnwrap},
		"no version": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey {
			rows[0].Version = 0
			return rows
		}), vault.ErrDataKey},
		"a version too high for a token": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey {
			rows[0].Version = 256
			return rows
		}), vault.ErrDataKey},
		"twice": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey { return append(rows, rows[0]) }), vault.ErrDataKey},
		"short": {change(func(rows []vault.StoredDataKey) []vault.StoredDataKey {
			return append(rows, vault.StoredDataKey{Purpose: vault.PurposeToken, Version: 2, Wrapped: short})
		}), vault.ErrDataKey},
		"too many": {&table{rows: slices.Repeat(whole.rows, 100)}, vault.ErrDataKey},
	} {
		t.Run(name, func(t *testing.T) {
			if keys, err := vault.OpenDataKeys(t.Context(), v, test.store); !errors.Is(err, test.want) || keys != nil {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestRewrapFails(t *testing.T) {
	v := sandboxVault(t)
	if v.NeedsRewrap(nil) || v.NeedsRewrap([]byte("nothing that was wrapped by anybody, at any time at all")) {
		t.Error("what is not wrapped needs to be wrapped again")
	}
	wrapped, err := v.Wrap("mac-key", []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Rewrap("pin-key", wrapped); !errors.Is(err, vault.ErrUnwrap) || got != nil {
		t.Errorf("for another usage: %v, want ErrUnwrap", err)
	}
}
