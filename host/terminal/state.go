package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// maxSTAN is the last number before the counter begins again at 1: six digits.
	maxSTAN = 999_999
	// maxRecords is how many transactions a terminal remembers: enough to go
	// back to one of a test's earlier steps, little enough to rewrite each time.
	maxRecords = 32
)

// Outcome is what is known of a transaction.
type Outcome string

// The outcomes. Unknown is one of its own: the host may have approved.
const (
	Unknown  Outcome = "unknown"
	Approved Outcome = "approved"
	Declined Outcome = "declined"
)

// state is the content of terminal-<tid>.json.
type state struct {
	STAN    int      `json:"stan"`   // last one used
	Serial  int64    `json:"serial"` // last record's
	Records []record `json:"transactions"`
	Batch   ownBatch `json:"batch,omitzero"`
	// Session of a terminal that signs in; nil when it is not signed in.
	Session *session `json:"session,omitempty"`
}

// record is a request and what became of it. It holds no card number and no
// track: a repeat takes them from sandbox.json or from the user again, so that a
// state file tells nothing that a receipt does not.
type record struct {
	Serial       int64          `json:"serial"`
	At           time.Time      `json:"at"`
	Operation    Operation      `json:"operation"`
	Dialect      string         `json:"dialect"`
	MTI          string         `json:"mti"`
	Fields       map[int]string `json:"fields"` // rememberedFields only
	Card         *cardNote      `json:"card,omitempty"`
	AmountMinor  int64          `json:"amount_minor"` // what stands of it, after partial reversals
	Outcome      Outcome        `json:"outcome"`
	Code         string         `json:"code,omitempty"`
	RRN          string         `json:"rrn,omitempty"`
	AuthCode     string         `json:"auth_code,omitempty"`
	BusinessDate string         `json:"business_date,omitempty"` // MMDD
	Date         string         `json:"date,omitempty"`          // MMDD, the host's (F13)
	// ChipDataGiven is true where the user chose F55: a repeat needs it again, as
	// chip data may hold a card number.
	ChipDataGiven bool `json:"chip_data_given,omitempty"`
}

// cardNote says which card it was without saying its number.
type cardNote struct {
	Position int    `json:"position"` // in sandbox.json, from 0; -1 for another card
	Masked   string `json:"masked"`
	Keyed    bool   `json:"keyed"` // sent as F2 and F14, not as F35
	// ExpiryGiven is true where the user chose F14: a repeat needs it again.
	ExpiryGiven bool `json:"expiry_given,omitempty"`
	// PIN says that one was entered: the card's own, or one that the user gave.
	PIN string `json:"pin,omitempty"`
	// SealedTrack: F35 went enciphered.
	SealedTrack bool `json:"sealed_track,omitempty"`
}

// rememberedFields are the fields of a request that a record keeps: an allow-list
// of those that say nothing of the card. F2, F14, F35 and F52 come from the card
// again, the MAC is computed again.
var rememberedFields = []int{3, 4, 7, 11, 12, 13, 22, 24, 25, 37, 38, 39, 41, 42, 48, 49, 54, 60, 61, 62, 63, 70, 90, 95}

// signedIn begins a session. What is in the terminal's own batch belongs to it
// only as long as the host knows it by the same number.
func (s *state) signedIn(session *session, batch int) {
	s.Session = session
	if s.Batch.Number != batch {
		s.Batch = ownBatch{Number: batch}
	}
}

func (s *state) nextSTAN() int {
	s.STAN = s.STAN%maxSTAN + 1
	return s.STAN
}

// add remembers a request. Of operations that nothing can refer to, only the
// newest is kept: a night of echoes does not push the last sale out.
func (s *state) add(r record) int64 {
	if form, _ := Reversal.form(); !form.refersTo(r.Operation) {
		s.Records = slices.DeleteFunc(s.Records, func(o record) bool { return o.Operation == r.Operation })
	}
	s.Serial++
	r.Serial = s.Serial
	s.Records = append(s.Records, r)
	if extra := len(s.Records) - maxRecords; extra > 0 {
		s.Records = s.Records[extra:]
	}
	return r.Serial
}

// find returns the newest record that fits, or nil.
func (s *state) find(fits func(*record) bool) *record {
	for i := len(s.Records) - 1; i >= 0; i-- {
		if fits(&s.Records[i]) {
			return &s.Records[i]
		}
	}
	return nil
}

// store is a terminal's state file.
type store struct{ path string }

func newStore(directory, tid string) store {
	return store{filepath.Join(directory, "terminal-"+url.PathEscape(tid)+".json")}
}

// update reads the state, hands it to change, and writes it. The lock holds
// off other processes of this terminal between reading and writing; the rename
// keeps those that only read from seeing half a file.
func (s store) update(change func(*state) error) error {
	// A sandbox's Postgres may run as another user and has to pass through; the
	// files themselves are their owner's alone.
	if err := os.MkdirAll(filepath.Dir(s.path), 0o711); err != nil { //nolint:gosec // see above
		return errorf(KindConfiguration, "make data directory: %w", err)
	}
	unlock, err := lock(s.path + ".lock")
	if err != nil {
		return errorf(KindFailure, "lock the terminal's state: %w", err)
	}
	defer unlock()
	st, err := s.read()
	if err != nil {
		return err
	}
	if err := change(st); err != nil {
		return err
	}
	return s.write(st)
}

func (s store) read() (*state, error) {
	data, err := readBounded(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil {
		return nil, errorf(KindConfiguration, "read %s: %w", s.path, err)
	}
	var st state
	if err := json.Unmarshal(data, &st); err != nil || st.STAN < 0 || st.STAN > maxSTAN {
		return nil, errorf(KindConfiguration, "%s is not a terminal's state: remove it to begin anew", s.path)
	}
	return &st, nil
}

func (s store) write(st *state) (err error) {
	defer func() {
		if err != nil {
			err = &Error{Kind: KindFailure, Err: fmt.Errorf("write the terminal's state: %w", err)}
		}
	}()
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(file.Name(), s.path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // what cannot be put in place is of no use
	}
	return err
}
