package keyblock

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meridian/internal/hsm/cipherkey"
)

// Errors of [Open] and [Seal].
var (
	// ErrFormat: not a key block of versions B or D.
	ErrFormat = errors.New("not a key block")
	// ErrMAC: changed, or protected by another key.
	ErrMAC = errors.New("key block was changed or is under another key")
)

const (
	headerChars = 16
	// MaxChars bounds what is looked at. The longest key with its MAC and every
	// optional block that is understood needs less than a third of it.
	MaxChars = 1536
	// maxOptional is more than the kinds of optional blocks there are.
	maxOptional = 16
	// maxOptionalChars is the most that the short form of a length can say; blocks
	// that need the long one are certificates and the like.
	maxOptionalChars = 0xff
)

// Header is what a key block says about its key, in the characters of X9.143 §6.3.
type Header struct {
	Usage         string // two characters: P0 for PIN encryption
	Algorithm     byte   // T for TDES, A for AES, D for DES
	Mode          byte   // B, C, D, E, G, N, V, X
	KeyVersion    string // two characters, 00 where unused
	Exportability byte   // E, N, S
	Optional      []Optional
}

// Optional is an optional block: text that the MAC covers.
type Optional struct {
	ID   string // two characters
	Data string
}

// padding is the optional block that fills up a cipher's block.
const padding = "PB"

// informing are the optional blocks that tell about a key and restrict nothing.
var informing = []string{
	"AL", // how the protected key came to be
	"BI", // base derivation key's identifier
	"IK", // initial key's identifier
	"KC", // key check value
	"KP", // check value of the protection key
	"KS", // key set identifier or initial key serial number
	"KV", // version of the values
	"LB", // label
	padding,
	"TC", // time of creation
	"TS", // time stamp
}

// blockBytes is the block of the cipher that a version is built with, 0 of no version.
func blockBytes(version byte) int {
	switch version {
	case versionB:
		return 8
	case versionD:
		return 16
	default:
		return 0
	}
}

const (
	versionB = 'B'
	versionD = 'D'
)

// VersionFor returns the version that keys are sealed in under a protection key:
// B for TDES, D for AES; 0 for what protects nothing.
func VersionFor(a cipherkey.Algorithm) byte {
	switch {
	case a == cipherkey.TDES2 || a == cipherkey.TDES3:
		return versionB
	case a.IsAES():
		return versionD
	default:
		return 0
	}
}

// text writes the header for a block of a version whose encrypted part and MAC
// take tail characters.
func (h Header) text(version byte, tail int) (string, error) {
	if len(h.Usage) != 2 || len(h.KeyVersion) != 2 || len(h.Optional) > maxOptional {
		return "", fmt.Errorf("%w: usage, version of the key or number of optional blocks", ErrFormat)
	}
	var optional strings.Builder
	number := len(h.Optional)
	for _, o := range h.Optional {
		if err := o.check(); err != nil {
			return "", err
		}
		if o.ID == padding {
			return "", fmt.Errorf("%w: optional block %s is made here", ErrFormat, padding)
		}
		fmt.Fprintf(&optional, "%s%02X%s", o.ID, optionalHeader+len(o.Data), o.Data)
	}
	size := blockBytes(version)
	if rest := optional.Len() % size; rest != 0 {
		fill := size - rest
		if fill < optionalHeader {
			fill += size
		}
		fmt.Fprintf(&optional, "%s%02X%s", padding, fill, strings.Repeat("0", fill-optionalHeader))
		number++
	}
	length := headerChars + optional.Len() + tail
	text := fmt.Sprintf("%c%04d%s%c%c%s%c%02d00%s",
		version, length, h.Usage, h.Algorithm, h.Mode, h.KeyVersion, h.Exportability, number, optional.String())
	if length > MaxChars || !printable(text) {
		return "", fmt.Errorf("%w: %d characters, or one that is none", ErrFormat, length)
	}
	return text, nil
}

const optionalHeader = 4

func (o Optional) check() error {
	if len(o.ID) != 2 || !slices.Contains(informing, o.ID) {
		return fmt.Errorf("%w: optional block %q is not understood; ask for a block without it", ErrFormat, o.ID)
	}
	if optionalHeader+len(o.Data) > maxOptionalChars {
		return fmt.Errorf("%w: optional block %s has %d characters, at most %d", ErrFormat, o.ID, len(o.Data), maxOptionalChars-optionalHeader)
	}
	return nil
}

// split reads a block's version, header and where its encrypted part begins.
func split(block string) (version byte, h Header, at int, err error) {
	if err := checkFixed(block); err != nil {
		return 0, Header{}, 0, err
	}
	version = block[0]
	h = Header{Usage: block[5:7], Algorithm: block[7], Mode: block[8], KeyVersion: block[9:11], Exportability: block[11]}
	if h.Optional, at, err = readOptional(block); err != nil {
		return 0, Header{}, 0, err
	}
	return version, h, at, nil
}

// checkFixed looks at what each block has in its first characters.
func checkFixed(block string) error {
	if len(block) < headerChars || len(block) > MaxChars {
		return fmt.Errorf("%w: %d characters, want %d to %d", ErrFormat, len(block), headerChars, MaxChars)
	}
	if !printable(block) {
		return fmt.Errorf("%w: a character is not printable ASCII", ErrFormat)
	}
	if blockBytes(block[0]) == 0 {
		return fmt.Errorf("%w: version %q, want B or D", ErrFormat, block[0])
	}
	if length, ok := number(block[1:5], 10); !ok || length != len(block) {
		return fmt.Errorf("%w: its length says %q, it has %d characters", ErrFormat, block[1:5], len(block))
	}
	if block[14:16] != "00" {
		return fmt.Errorf("%w: its reserved characters are %q, want 00", ErrFormat, block[14:16])
	}
	return nil
}

// readOptional reads the optional blocks, and returns where they end.
func readOptional(block string) (optional []Optional, at int, err error) {
	count, ok := number(block[12:14], 10)
	if !ok || count > maxOptional {
		return nil, 0, fmt.Errorf("%w: %q optional blocks, at most %d", ErrFormat, block[12:14], maxOptional)
	}
	at = headerChars
	for i := range count {
		o, next, err := optionalAt(block, at)
		if err != nil {
			return nil, 0, err
		}
		if o.ID == padding && i != count-1 {
			return nil, 0, fmt.Errorf("%w: optional block %s is not the last", ErrFormat, padding)
		}
		if slices.ContainsFunc(optional, func(other Optional) bool { return other.ID == o.ID }) {
			return nil, 0, fmt.Errorf("%w: optional block %s is there twice", ErrFormat, o.ID)
		}
		optional = append(optional, o)
		at = next
	}
	if (at-headerChars)%blockBytes(block[0]) != 0 {
		return nil, 0, fmt.Errorf("%w: its optional blocks fill no whole blocks of the cipher", ErrFormat)
	}
	return optional, at, nil
}

func optionalAt(block string, at int) (Optional, int, error) {
	if len(block)-at < optionalHeader {
		return Optional{}, 0, fmt.Errorf("%w: an optional block is cut off", ErrFormat)
	}
	o := Optional{ID: block[at : at+2]}
	length, ok := number(block[at+2:at+optionalHeader], 16)
	if !ok || length < optionalHeader || length > len(block)-at {
		return Optional{}, 0, fmt.Errorf("%w: optional block %q has no length that fits", ErrFormat, o.ID)
	}
	o.Data = block[at+optionalHeader : at+length]
	return o, at + length, o.check()
}

// number reads digits, of which each spelling is one: no sign, no lower case.
func number(text string, base int) (int, bool) {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		if strings.IndexByte(digits[:base], text[i]) < 0 {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text, base, 16)
	return int(n), err == nil
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
