package terminal

import (
	"bytes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"meridian/internal/hsm/cipherkey"
)

// session is what a sign-in gave: working keys as they came, under the terminal's
// master key, which the state file does not have.
type session struct {
	Keys string    `json:"keys"` // F62 of the answer in hex
	At   time.Time `json:"at"`
}

// key is a key in clear that does not print itself.
type key []byte

// String hides the key, also from fmt.
func (key) String() string { return "(hidden)" }

// GoString hides the key from %#v.
func (key) GoString() string { return "(hidden)" }

// workingKeys of a session, in clear; nil where there is none.
type workingKeys struct{ pik, mak, tdk key }

// KeyForm is which working keys a sign-in asks for.
type KeyForm string

const (
	// KeysSingle are a PIN key and a MAC key of one DES key each.
	KeysSingle KeyForm = "single"
	// KeysDouble are a PIN key of two DES keys and a MAC key.
	KeysDouble KeyForm = "double"
	// KeysTrack adds a key for tracks.
	KeysTrack KeyForm = "track"
)

// code is F60.3 of the sign-in; double where the user does not say.
func (f KeyForm) code() (string, bool) {
	code, ok := map[KeyForm]string{KeysSingle: "001", "": "003", KeysDouble: "003", KeysTrack: "004"}[f]
	return code, ok
}

// sessionKeys opens the keys of the terminal's session.
func (t *Terminal) sessionKeys(st *state) (workingKeys, error) {
	if t.dialect != dialectUnionPay {
		return workingKeys{}, errorf(KindUsage, "terminal %s has no such key: give --pik", t.tid)
	}
	if st.Session == nil {
		return workingKeys{}, errorf(KindUsage, "terminal %s has not signed in: 'logon' first", t.tid)
	}
	received, err := hex.DecodeString(st.Session.Keys)
	if err != nil {
		return workingKeys{}, errorf(KindConfiguration, "%s holds keys that are none: sign in again", t.store.path)
	}
	keys, _, err := t.openKeys(received)
	return keys, err
}

// WorkingKey is what may be told of a key that a sign-in gave.
type WorkingKey struct {
	Use   string `json:"use"`  // PIN, MAC or track
	Bits  int    `json:"bits"` // 64 or 128
	Check string `json:"check_value"`
}

// Lengths of F62 of a sign-in's answer, in bytes, and what is in it: keys under
// the master key, a check value behind each.
var keyLayouts = map[int]struct{ keys, keyBytes int }{24: {2, 8}, 40: {2, 16}, 60: {3, 16}}

// master is the cipher under the terminal's master key.
func (t *Terminal) master() (cipher.Block, error) {
	if len(t.tmk) == 0 {
		return nil, errorf(KindUsage, "the terminal's master key is not known: give --tmk")
	}
	block, err := t.tmk.block()
	if err != nil {
		return nil, errorf(KindUsage, "terminal master key: %w", err)
	}
	return block, nil
}

// openKeys deciphers working keys under the terminal's master key, and holds each
// against its check value. A key of one DES key in a place for two has zeros
// behind it.
func (t *Terminal) openKeys(received []byte) (workingKeys, []WorkingKey, error) {
	layout, known := keyLayouts[len(received)]
	if !known {
		return workingKeys{}, nil, errorf(KindFailure, "the answer's working keys (field 62) are %d bytes: not 24, 40 or 60", len(received))
	}
	master, err := t.master()
	if err != nil {
		return workingKeys{}, nil, err
	}
	var keys workingKeys
	var told []WorkingKey
	for i, one := range []struct {
		use  string
		into *key
	}{{"PIN", &keys.pik}, {"MAC", &keys.mak}, {"track", &keys.tdk}}[:layout.keys] {
		part := received[i*(layout.keyBytes+cipherkey.CheckValueBytes):]
		opened := bytes.Clone(part[:layout.keyBytes])
		if half := opened[cipherkey.DES.KeyBytes():]; len(half) > 0 && len(bytes.Trim(half, "\x00")) == 0 {
			opened = opened[:cipherkey.DES.KeyBytes()]
		}
		for b := opened; len(b) > 0; b = b[master.BlockSize():] {
			master.Decrypt(b, b)
		}
		check, err := cipherkey.CheckValueOf(cipherkey.OfDES(len(opened)), opened)
		if err != nil {
			return workingKeys{}, nil, errorf(KindFailure, "%s key: %w", one.use, err)
		}
		if subtle.ConstantTimeCompare(check[:], part[layout.keyBytes:][:cipherkey.CheckValueBytes]) != 1 {
			return workingKeys{}, nil, errorf(KindFailure, "the %s key does not have the check value that came with it: another master key?", one.use)
		}
		*one.into = opened
		told = append(told, WorkingKey{Use: one.use, Bits: 8 * len(opened), Check: strings.ToUpper(hex.EncodeToString(check[:]))})
	}
	return keys, told, nil
}
