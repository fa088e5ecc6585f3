package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"meridian/internal/card"
	"meridian/internal/money"
	"meridian/internal/vault"
)

// sandboxName is the file a running sandbox keeps in its data directory.
const sandboxName = "sandbox.json"

// maxFileBytes bounds what is read of sandbox.json and of the state file. A
// sandbox with a thousand terminals and cards stays below it.
const maxFileBytes = 4 << 20

// sandbox is what the terminal needs of sandbox.json. Keys it does not know are
// passed over: the file serves others, too.
type sandbox struct {
	Addresses map[string]string `json:"addresses"`
	Merchants []merchant        `json:"merchants"`
	Cards     []sandboxCard     `json:"cards"`
}

type merchant struct {
	MID       string            `json:"mid"`
	Name      string            `json:"name"`
	Currency  money.Currency    `json:"currency"`
	TimeZone  string            `json:"time_zone"`
	Terminals []sandboxTerminal `json:"terminals"`
}

type sandboxTerminal struct {
	TID     string `json:"tid"`
	Dialect string `json:"dialect"`
	TPDU    string `json:"tpdu"`
	Batch   int    `json:"batch"`
	TMK     secret `json:"tmk"`
	MAK     secret `json:"mak"`
	PIK     secret `json:"pik"`
	MAC     string `json:"mac"`
}

// secret is a key in hex that does not print itself.
type secret string

// String hides the key, also from fmt.
func (secret) String() string { return "(hidden)" }

// GoString hides the key from %#v.
func (secret) GoString() string { return "(hidden)" }

// sandboxCard is a test card. position is its place in sandbox.json, from 0.
type sandboxCard struct {
	position  int
	pan       card.PAN
	expiry    string // YYMM
	track     card.Track2
	pin       vault.Secret
	currency  money.Currency
	behaviour string
}

// UnmarshalJSON reads the card into types that mask themselves.
func (c *sandboxCard) UnmarshalJSON(data []byte) error {
	var in struct {
		PAN       string         `json:"pan"`
		Expiry    string         `json:"expiry"`
		Track2    string         `json:"track2"`
		PIN       string         `json:"pin"`
		Currency  money.Currency `json:"currency"`
		Behaviour string         `json:"behaviour"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	pan, err := card.ParsePAN(in.PAN)
	if err != nil {
		return fmt.Errorf("card: %w", err)
	}
	// A card whose track cannot be read is keyed in, as a clerk does it.
	track, err := card.ParseTrack2(in.Track2)
	if err != nil {
		track = card.Track2{}
	}
	*c = sandboxCard{
		pan: pan, expiry: in.Expiry, track: track, pin: vault.NewSecret([]byte(in.PIN)), currency: in.Currency, behaviour: in.Behaviour,
	}
	return nil
}

// readSandbox reads sandbox.json; nil without an error when there is none.
func readSandbox(directory string) (*sandbox, error) {
	path := filepath.Join(directory, sandboxName)
	data, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a host elsewhere needs no sandbox
	}
	if err != nil {
		return nil, errorf(KindConfiguration, "read %s: %w", path, err)
	}
	var s sandbox
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errorf(KindConfiguration, "read %s: %s", path, card.MaskDigits(err.Error()))
	}
	for i := range s.Cards {
		s.Cards[i].position = i
	}
	return &s, nil
}

// readBounded reads a whole file of at most maxFileBytes.
func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxFileBytes)
	}
	return data, nil
}

// terminal finds a terminal by its id; nil where the sandbox has none of it.
func (s *sandbox) terminal(tid string) (*merchant, *sandboxTerminal) {
	for i := range s.Merchants {
		m := &s.Merchants[i]
		for j := range m.Terminals {
			if m.Terminals[j].TID == tid {
				return m, &m.Terminals[j]
			}
		}
	}
	return nil, nil
}

// first finds the first terminal of a dialect, of one merchant or of any.
func (s *sandbox) first(mid, dialect string) (*merchant, *sandboxTerminal) {
	for i := range s.Merchants {
		m := &s.Merchants[i]
		if mid != "" && m.MID != mid {
			continue
		}
		for j := range m.Terminals {
			if m.Terminals[j].Dialect == dialect {
				return m, &m.Terminals[j]
			}
		}
	}
	return nil, nil
}

func (s *sandbox) merchant(mid string) *merchant {
	for i := range s.Merchants {
		if s.Merchants[i].MID == mid {
			return &s.Merchants[i]
		}
	}
	return nil
}

// maxPositionDigits tells a position in sandbox.json from a card number.
const maxPositionDigits = 4

// card finds a card by its position, number or behaviour; of several with a
// behaviour the first in the merchant's currency. An empty selector is "approve".
func (s *sandbox) card(selector string, currency money.Currency) (*sandboxCard, error) {
	if selector == "" {
		selector = "approve"
	}
	if digits(selector) {
		if len(selector) > maxPositionDigits {
			for i := range s.Cards {
				if s.Cards[i].pan.Reveal() == selector {
					return &s.Cards[i], nil
				}
			}
			return nil, errorf(KindUsage, "--card: no card of %s has this number (--pan takes any)", sandboxName)
		}
		position, err := strconv.Atoi(selector)
		if err != nil || position >= len(s.Cards) {
			return nil, errorf(KindUsage, "--card %s: %s has %d cards, counted from 0", selector, sandboxName, len(s.Cards))
		}
		return &s.Cards[position], nil
	}
	var found *sandboxCard
	for i := range s.Cards {
		c := &s.Cards[i]
		if c.behaviour != selector {
			continue
		}
		if c.currency == currency {
			return c, nil
		}
		if found == nil {
			found = c
		}
	}
	if found == nil {
		return nil, errorf(KindUsage, "--card %s: no card of %s behaves so; there are: %s",
			card.MaskDigits(selector), sandboxName, strings.Join(s.behaviours(), ", "))
	}
	return found, nil
}

func (s *sandbox) behaviours() []string {
	var names []string
	for i := range s.Cards {
		if name := s.Cards[i].behaviour; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
