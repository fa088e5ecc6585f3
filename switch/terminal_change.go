package switching

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/internal/hsm"
	"meridian/internal/hsm/dukpt"
	"meridian/internal/hsm/mac"
	"meridian/ledger"
)

// TerminalProfile is how a terminal speaks, and how it proves that it is itself.
type TerminalProfile struct {
	// TPDU as the terminal sends it, ten hex digits; empty where the dialect has
	// none. Hosts answer to whatever TPDU comes: it is for people.
	TPDU string
	// Scheme of its keys. Sessions need its master key, a static MAC its MAC key.
	Scheme KeyScheme
	MAC    string // none, or one of package mac's
	// BaseKey by its name, and InitialKSN, the terminal's part of the key serial
	// number: 10 bytes of dukpt-tdes with a counter of zero, 8 of dukpt-aes.
	BaseKey    string
	InitialKSN []byte
	PINFormat  string // iso-0, iso-1, iso-3, iso-4
	// Certificate is the SHA-256 of the only one that it may connect with; nil for
	// any.
	Certificate []byte
}

// NewTerminal is a terminal of a merchant.
type NewTerminal struct {
	TID     string // F41
	MID     string
	Dialect string
	// Active lets it in at once. Others wait for their keys and are activated.
	Active bool
	TerminalProfile
}

const dialectUnionPay = "unionpay"

// dialects are the names of the wire's, and whether their frames have a TPDU.
var dialects = map[string]bool{"nac": true, "ascii": false, dialectUnionPay: true}

// AddTerminal adds a terminal. A static MAC and a session wait for keys, which only
// a terminal that is there takes ([LoadKey]); [SetTerminal] follows. Errors:
// [FieldError].
func AddTerminal(ctx context.Context, db ledger.TxBeginner, n NewTerminal, who, why string) error {
	if err := checkNumber("tid", n.TID, maxTIDCharacters); err != nil {
		return err
	}
	if _, ok := dialects[n.Dialect]; !ok {
		return wrong("dialect", "%q is none: there are %s", n.Dialect, strings.Join(slices.Sorted(maps.Keys(dialects)), ", "))
	}
	if n.Active && n.Dialect == dialectUnionPay {
		return notNow("active", "a %s terminal signs in first, for which its master key has to be loaded", dialectUnionPay)
	}
	c := PolicyChange{Who: who, Why: why, What: "terminal " + n.TID, Kind: "terminal_added"}
	return changeReference(ctx, db, c, n.add)
}

func (n *NewTerminal) add(ctx context.Context, tx pgx.Tx) (what string, err error) {
	var merchantID int32
	err = tx.QueryRow(ctx, `SELECT merchant_id FROM merchants WHERE mid = $1`, n.MID).Scan(&merchantID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", missing("mid", "there is no merchant %q", n.MID)
	case err != nil:
		return "", fmt.Errorf("find merchant: %w", err)
	}
	baseKey, err := n.check(ctx, tx, n.Dialect, &keyPlace{target: KeyTarget{TID: n.TID}})
	if err != nil {
		return "", err
	}
	id, err := nextNumber(ctx, tx, "terminals", "terminal_id", math.MaxInt32)
	if err != nil {
		return "", err
	}
	err = execute(ctx, tx, `
		INSERT INTO terminals (terminal_id, tid, merchant_id, dialect, active, tpdu, mac_algorithm, key_scheme, base_key_id, initial_ksn,
			pin_format, certificate_sha256)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (tid) DO NOTHING`,
		id, n.TID, merchantID, n.Dialect, n.Active, n.TPDU, n.MAC, n.Scheme, baseKey, n.InitialKSN, n.PINFormat, n.Certificate)
	switch {
	case errors.Is(err, ErrNothingChanged):
		return "", taken("tid", "there is a terminal %s already", n.TID)
	case err != nil:
		return "", err
	}
	state := map[bool]string{true: "active", false: "suspended"}[n.Active]
	return fmt.Sprintf("terminal %s of merchant %s: %s, %s, %s", n.TID, n.MID, n.Dialect, state, n.TerminalProfile.String()), nil
}

// String is the profile for the audit log.
func (p *TerminalProfile) String() string {
	text := fmt.Sprintf("MAC %s, key scheme %s, PIN format %s", p.MAC, p.Scheme, p.PINFormat)
	if p.BaseKey != "" {
		text += fmt.Sprintf(", base key %s, serial number %X", p.BaseKey, p.InitialKSN)
	}
	if p.TPDU != "" {
		text += ", TPDU " + p.TPDU
	}
	if p.Certificate != nil {
		text += ", certificate " + hex.EncodeToString(p.Certificate)
	}
	return text
}

// ChangeProfile changes a terminal's profile, which is read before and checked after.
type ChangeProfile func(*TerminalProfile)

// SetTerminal changes how a terminal speaks. Its TID, its merchant and its dialect
// stay. Errors: [FieldError], [ErrNothingChanged] where it is so already.
func SetTerminal(ctx context.Context, db ledger.TxBeginner, tid string, change ChangeProfile, who, why string) error {
	c := PolicyChange{Who: who, Why: why, What: "terminal " + tid, Kind: "terminal_changed"}
	return changeReference(ctx, db, c, func(ctx context.Context, tx pgx.Tx) (string, error) {
		var p TerminalProfile
		var dialect string
		err := tx.QueryRow(ctx, `
			SELECT t.dialect, t.tpdu, t.key_scheme, t.mac_algorithm, coalesce(k.name, ''), t.initial_ksn, t.pin_format, t.certificate_sha256
			FROM terminals t LEFT JOIN base_keys k USING (base_key_id) WHERE t.tid = $1`, tid).
			Scan(&dialect, &p.TPDU, &p.Scheme, &p.MAC, &p.BaseKey, &p.InitialKSN, &p.PINFormat, &p.Certificate)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return "", missing("tid", "there is no terminal %s", tid)
		case err != nil:
			return "", fmt.Errorf("find terminal: %w", err)
		}
		was := p.String()
		if change(&p); !p.Scheme.Derives() {
			p.BaseKey, p.InitialKSN = "", nil // of the scheme before
		}
		if p.String() == was {
			return "", ErrNothingChanged
		}
		return fmt.Sprintf("terminal %s: %s; was: %s", tid, p.String(), was), p.store(ctx, tx, tid, dialect)
	})
}

func (p *TerminalProfile) store(ctx context.Context, tx pgx.Tx, tid, dialect string) error {
	place := &keyPlace{target: KeyTarget{TID: tid}}
	if err := place.findTerminal(ctx, tx); err != nil {
		return err
	}
	baseKey, err := p.check(ctx, tx, dialect, place)
	if err != nil {
		return err
	}
	return execute(ctx, tx, `
		UPDATE terminals SET tpdu = $2, mac_algorithm = $3, key_scheme = $4, base_key_id = $5, initial_ksn = $6, pin_format = $7,
			certificate_sha256 = $8
		WHERE terminal_id = $1`,
		place.terminalID, p.TPDU, p.MAC, p.Scheme, baseKey, p.InitialKSN, p.PINFormat, p.Certificate)
}

// check wants a profile that a host can use with the keys that there are, and
// returns the number of its base key.
func (p *TerminalProfile) check(ctx context.Context, tx pgx.Tx, dialect string, place *keyPlace) (baseKey *int32, err error) {
	if err := p.checkForm(dialect); err != nil {
		return nil, err
	}
	var key hsm.Key
	switch {
	case p.Scheme.Derives():
		baseKey, key, err = p.findBaseKey(ctx, tx, place.target.TID)
	case p.Scheme == SchemeSession && place.tmk == nil:
		err = notNow("scheme", "session needs the terminal's master key, which is not loaded")
	case p.Scheme == SchemeSession || p.MAC == noMAC:
		return baseKey, nil
	case place.now.mak == nil:
		err = notNow("mac", "%s needs the terminal's MAC key, which is not loaded", p.MAC)
	default:
		key, err = hsm.ParseKey(place.now.mak, hsm.UseMAC)
	}
	if err != nil {
		return nil, err
	}
	if !macTakes(p.MAC, p.Scheme, key.Algorithm) {
		return nil, wrong("mac", "%s takes no key of %s", p.MAC, key.Algorithm)
	}
	return baseKey, nil
}

// macTakes tells whether a MAC can be made with a key of an algorithm or, where keys
// are derived, with those of a base key of it, which are of two lengths of DES for
// all that is no CMAC.
func macTakes(algorithm string, scheme KeyScheme, key hsm.Algorithm) bool {
	switch {
	case algorithm == noMAC:
		return true
	case algorithm == mac.AESCMAC:
		return key.IsAES()
	case scheme.Derives():
		return true
	case algorithm == mac.X919:
		return key == hsm.TDES2
	default:
		return key == hsm.DES || key == hsm.TDES2
	}
}

// macs and schemes by their names in the database, in the order for people.
var (
	macs    = []string{noMAC, mac.X919, mac.X99, mac.UnionPayECB, mac.AESCMAC}
	schemes = []KeyScheme{SchemeStatic, SchemeSession, SchemeTDES, SchemeAES}
)

// tpduDigits are the five bytes of a TPDU in hex.
const tpduDigits = 10

// checkForm is what can be told without the database.
func (p *TerminalProfile) checkForm(dialect string) error {
	if p.TPDU != "" {
		raw, err := hex.DecodeString(p.TPDU)
		switch {
		case !dialects[dialect]:
			return wrong("tpdu", "messages of %s have none", dialect)
		case err != nil || len(p.TPDU) != tpduDigits:
			return wrong("tpdu", "%q is not %d hex digits, such as 6000010000", p.TPDU, tpduDigits)
		}
		p.TPDU = fmt.Sprintf("%X", raw)
	}
	if !slices.Contains(schemes, p.Scheme) {
		return wrong("scheme", "%q is none: there are static, session, dukpt-tdes and dukpt-aes", p.Scheme)
	}
	if (p.Scheme == SchemeSession) && dialect != dialectUnionPay || p.Scheme.Derives() && dialect == dialectUnionPay {
		return wrong("scheme", "terminals of %s have no keys by %s", dialect, p.Scheme)
	}
	if !slices.Contains(macs, p.MAC) {
		return wrong("mac", "%q is none: there are %s", p.MAC, strings.Join(macs, ", "))
	}
	if p.MAC == mac.AESCMAC && p.Scheme == SchemeSession {
		return wrong("mac", "the keys of a session are of DES, which %s does not take", p.MAC)
	}
	if _, ok := pinFormats[p.PINFormat]; !ok {
		return wrong("pin-format", "%q is none: there are %s", p.PINFormat, strings.Join(slices.Sorted(maps.Keys(pinFormats)), ", "))
	}
	switch {
	case !p.Scheme.Derives() && p.BaseKey != "":
		return wrong("base-key", "keys are derived of one by dukpt-tdes and dukpt-aes alone, and the scheme is %s", p.Scheme)
	case !p.Scheme.Derives() && p.InitialKSN != nil:
		return wrong("ksn", "terminals have one by dukpt-tdes and dukpt-aes alone, and the scheme is %s", p.Scheme)
	case p.Scheme.Derives():
		return p.checkSerial()
	}
	return nil
}

// checkSerial wants a key serial number that a terminal can begin with.
func (p *TerminalProfile) checkSerial() error {
	first := slices.Clone(p.InitialKSN)
	want := dukpt.KSNBytesTDES
	if p.Scheme == SchemeAES {
		want = aesInitialBytes
		first = append(first, make([]byte, aesKSNBytes-aesInitialBytes)...)
	}
	if len(p.InitialKSN) != want {
		return wrong("ksn", "%X has %d bytes, and a serial number of %s begins with %d", p.InitialKSN, len(p.InitialKSN), p.Scheme, want)
	}
	first[len(first)-1]++ // the first message's
	if initial, counter, ok := splitKSN(p.Scheme, first); !ok || counter != 1 || !slices.Equal(initial, p.InitialKSN) {
		return wrong("ksn", "%X has a counter: its last 21 bits are not zero", p.InitialKSN)
	}
	return nil
}

// findBaseKey finds the base key, which fits the scheme and has no other terminal of
// the serial number: the two would have the same keys.
func (p *TerminalProfile) findBaseKey(ctx context.Context, tx pgx.Tx, tid string) (id *int32, key hsm.Key, err error) {
	if p.BaseKey == "" {
		return nil, key, wrong("base-key", "is missing: %s derives keys of one", p.Scheme)
	}
	var stored []byte
	var other string
	err = tx.QueryRow(ctx, `
		SELECT k.base_key_id, k.bdk_wrapped, coalesce((
			SELECT min(t.tid) FROM terminals t WHERE t.base_key_id = k.base_key_id AND t.initial_ksn = $2 AND t.tid <> $3), '')
		FROM base_keys k WHERE k.name = $1`, p.BaseKey, p.InitialKSN, tid).Scan(&id, &stored, &other)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, key, missing("base-key", "there is no base key %q", p.BaseKey)
	case err != nil:
		return nil, key, fmt.Errorf("find base key: %w", err)
	case other != "":
		return nil, key, taken("ksn", "terminal %s has the serial number %X under this base key", other, p.InitialKSN)
	}
	if key, err = hsm.ParseKey(stored, hsm.UseDUKPTBase); err != nil {
		return nil, key, fmt.Errorf("base key %s: %w", p.BaseKey, err)
	}
	if key.Algorithm.IsAES() != (p.Scheme == SchemeAES) {
		return nil, key, wrong("base-key", "%s is a key of %s, of which %s derives none", p.BaseKey, key.Algorithm, p.Scheme)
	}
	return id, key, nil
}
