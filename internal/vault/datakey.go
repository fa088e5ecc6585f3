package vault

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Purpose is what a data key is for. It is stored.
type Purpose string

// The purposes of data keys. Each database has a key for each.
const (
	// PurposeToken turns card numbers into tokens.
	PurposeToken Purpose = "token"
	// PurposePINReference turns PINs into references.
	PurposePINReference Purpose = "pin-reference"
)

// firstLabels derive the first version of each data key from a master key. As
// labels of stored values they never change.
var firstLabels = map[Purpose]string{
	PurposeToken:        "meridian/token/v1",
	PurposePINReference: "meridian/pin-reference/v1",
}

const (
	dataKeyBytes = sha256.Size

	firstVersion = 1
	// maxVersion fits the byte that tokens have for it.
	maxVersion = 255
	// maxDataKeys is far above the two purposes and their few versions.
	maxDataKeys = 64
)

// ErrDataKey is in the chain of errors about data keys.
var ErrDataKey = errors.New("not a data key")

// StoredDataKey is a row of the table of data keys, unique by purpose and
// version.
type StoredDataKey struct {
	Purpose Purpose
	Version int16
	Wrapped []byte
}

// Usage is what the row's key is wrapped for: a key that is copied to another
// row does not open.
func (s StoredDataKey) Usage() Usage {
	return Usage(fmt.Sprintf("data-key/%s/%d", s.Purpose, s.Version))
}

// DataKeyStore is the table of data keys.
type DataKeyStore interface {
	// DataKeys returns all rows in any order.
	DataKeys(ctx context.Context) ([]StoredDataKey, error)
	// AddDataKey inserts a row, and leaves the one that is there where purpose and
	// version are taken.
	AddDataKey(ctx context.Context, key StoredDataKey) error
}

// DataKeys are the keys that stored values depend on for good: the number of a
// card is not kept, so its token cannot be made anew. They are rows, wrapped
// under the master key, and outlive it. A DataKeys does not change and serves any
// number of goroutines.
type DataKeys struct {
	keys Opaque[derivedKeys]
}

// derivedKeys has the versions of each purpose in ascending order.
type derivedKeys map[Purpose][]dataKey

type dataKey struct {
	version int16
	key     []byte
	tokens  *sync.Pool // of tokenMAC under the key
}

func newDataKey(version int16, key []byte) dataKey {
	return dataKey{version, key, &sync.Pool{New: func() any { return &tokenMAC{code: hmac.New(sha256.New, key)} }}}
}

// OpenDataKeys reads the data keys, and makes those that the database lacks. It
// fails with what the store or [Vault.Unwrap] fails with, and with [ErrDataKey].
func OpenDataKeys(ctx context.Context, v *Vault, store DataKeyStore) (*DataKeys, error) {
	rows, err := store.DataKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read data keys: %w", err)
	}
	missing, err := v.missing(rows)
	if err != nil {
		return nil, err
	}
	for _, row := range missing {
		if err := store.AddDataKey(ctx, row); err != nil {
			return nil, fmt.Errorf("add data key for %s: %w", row.Purpose, err)
		}
	}
	if len(missing) > 0 { // another host may have been first: its keys are the database's
		if rows, err = store.DataKeys(ctx); err != nil {
			return nil, fmt.Errorf("read data keys: %w", err)
		}
	}
	return v.openRows(rows)
}

// missing makes the first version of what has none.
func (v *Vault) missing(rows []StoredDataKey) ([]StoredDataKey, error) {
	have := make(map[Purpose]bool, len(firstLabels))
	for _, row := range rows {
		have[row.Purpose] = true
	}
	var missing []StoredDataKey
	for purpose := range firstLabels {
		if have[purpose] {
			continue
		}
		row := StoredDataKey{Purpose: purpose, Version: firstVersion}
		var err error
		if row.Wrapped, err = v.Wrap(row.Usage(), (*v.first.Value())[purpose][0].key); err != nil {
			return nil, fmt.Errorf("make data key for %s: %w", purpose, err)
		}
		missing = append(missing, row)
	}
	return missing, nil
}

func (v *Vault) openRows(rows []StoredDataKey) (*DataKeys, error) {
	if len(rows) > maxDataKeys {
		return nil, fmt.Errorf("%w: there are %d, at most %d", ErrDataKey, len(rows), maxDataKeys)
	}
	keys := make(derivedKeys, len(firstLabels))
	for _, row := range rows {
		if row.Version < firstVersion || row.Version > maxVersion {
			return nil, fmt.Errorf("%w: version %d of %s, want %d to %d", ErrDataKey, row.Version, row.Purpose, firstVersion, maxVersion)
		}
		key, err := v.Unwrap(row.Usage(), row.Wrapped)
		if err != nil {
			return nil, fmt.Errorf("open data key: %w", err)
		}
		if len(key) != dataKeyBytes {
			return nil, fmt.Errorf("%w: version %d of %s has %d bytes, want %d", ErrDataKey, row.Version, row.Purpose, len(key), dataKeyBytes)
		}
		versions := keys[row.Purpose]
		at, taken := slices.BinarySearchFunc(versions, row.Version, func(k dataKey, version int16) int { return cmp.Compare(k.version, version) })
		if taken {
			return nil, fmt.Errorf("%w: version %d of %s is there twice", ErrDataKey, row.Version, row.Purpose)
		}
		keys[row.Purpose] = slices.Insert(versions, at, newDataKey(row.Version, key))
	}
	for purpose := range firstLabels {
		if len(keys[purpose]) == 0 {
			return nil, fmt.Errorf("%w: the store keeps none for %s", ErrDataKey, purpose)
		}
	}
	return &DataKeys{keys: Conceal(keys)}, nil
}

// FirstDataKeys returns the data keys that [OpenDataKeys] gives to an empty
// database. They are derived from the vault's oldest master key, so that a
// database whose tokens were made before it had data keys goes on with them; from
// then on they are rows and no master key changes them.
func (v *Vault) FirstDataKeys() *DataKeys { return &DataKeys{keys: v.first} }

func deriveDataKeys(master MasterKey) (derivedKeys, error) {
	keys := make(derivedKeys, len(firstLabels))
	for purpose, label := range firstLabels {
		key, err := derive(master, label, dataKeyBytes)
		if err != nil {
			return nil, err
		}
		keys[purpose] = []dataKey{newDataKey(firstVersion, key)}
	}
	return keys, nil
}

// NewestVersion is the version of a purpose's key that new values are made with.
func (k *DataKeys) NewestVersion(purpose Purpose) int16 { return k.newest(purpose).version }

// HMAC returns HMAC-SHA256 of the parts, one after the other, under a version of
// a purpose's key. Parts of varying length carry their own lengths. It fails with
// [ErrDataKey] where there is no such key.
func (k *DataKeys) HMAC(purpose Purpose, version int16, parts ...[]byte) ([sha256.Size]byte, error) {
	key, err := k.version(purpose, version)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	mac := hmac.New(sha256.New, key.key)
	for _, part := range parts {
		mac.Write(part)
	}
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return sum, nil
}

// newest returns the last version. There is one of each purpose, and none of
// anything else.
func (k *DataKeys) newest(purpose Purpose) dataKey {
	versions := (*k.keys.Value())[purpose]
	if len(versions) == 0 {
		return newDataKey(0, nil)
	}
	return versions[len(versions)-1]
}

func (k *DataKeys) version(purpose Purpose, version int16) (dataKey, error) {
	for _, key := range (*k.keys.Value())[purpose] {
		if key.version == version {
			return key, nil
		}
	}
	return dataKey{}, fmt.Errorf("%w: there is no version %d of %s", ErrDataKey, version, purpose)
}
