//go:build unix

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"meridian/sandbox/scenario"
)

// ManifestName is the file in the data directory that other programs look for.
const ManifestName = "sandbox.json"

// Manifest is what sandbox.json says: where everything is, and what may be used
// there. Test cards and well-known keys stand in it in clear; the database's
// password too, so it is for its owner alone.
type Manifest struct {
	Ready       bool       `json:"ready"`
	Addresses   Addresses  `json:"addresses"`
	DatabaseURL string     `json:"database_url"` // of the owner of the database
	Merchants   []Merchant `json:"merchants"`
	Cards       []Card     `json:"cards"`
	// Scenarios are what the cards with the behaviour "scenario" do, by amount, and
	// those with a scenario's name whatever the amount.
	Scenarios []scenario.Entry `json:"scenarios"`
}

// Addresses that something listens on: host:port for terminals, a URL for people
// and programs.
type Addresses struct {
	NAC      string `json:"nac"`
	ASCII    string `json:"ascii"`
	UnionPay string `json:"unionpay"`
	Console  string `json:"console"`
	Ops      string `json:"ops"`
}

// Merchant is a test merchant.
type Merchant struct {
	MID        string     `json:"mid"`
	Name       string     `json:"name"`
	Currency   string     `json:"currency"`  // alphabetic
	TimeZone   string     `json:"time_zone"` // IANA
	Cutoff     string     `json:"cutoff"`    // HH:MM in TimeZone
	CancelMode string     `json:"cancel_mode"`
	Terminals  []Terminal `json:"terminals"`
}

// Terminal is a test terminal with its keys in hex.
type Terminal struct {
	TID              string `json:"tid"`
	Dialect          string `json:"dialect"`
	TPDU             string `json:"tpdu"`  // hex; empty where the dialect has none
	Batch            int32  `json:"batch"` // the open one when the sandbox started
	Operator         string `json:"operator"`
	OperatorPassword string `json:"operator_password"`
	TMK              string `json:"tmk"`
	MAK              string `json:"mak"`
	PIK              string `json:"pik"`
	MAC              string `json:"mac"` // none, x919 or unionpay-ecb
	// Stories is true of the terminals that the sandbox's own stories are played on.
	Stories bool `json:"stories,omitempty"`
}

// Card is a test card.
type Card struct {
	PAN       string `json:"pan"`
	Expiry    string `json:"expiry"` // YYMM
	Track2    string `json:"track2"`
	PIN       string `json:"pin"`
	Currency  string `json:"currency"`
	Available int64  `json:"available"` // minor units when the sandbox started
	Behaviour string `json:"behaviour"`
}

// ErrNotRunning: the data directory has no sandbox.json, so no sandbox is ready there.
var ErrNotRunning = errors.New("no sandbox is running")

// maxManifestBytes is far above what the seeds fill.
const maxManifestBytes = 4 << 20

// ReadManifest reads the sandbox.json of a data directory. It fails with
// [ErrNotRunning] where there is none.
func ReadManifest(dataDir string) (*Manifest, error) {
	path := filepath.Join(dataDir, ManifestName)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist", ErrNotRunning, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sandbox's file: %w", err)
	}
	defer file.Close()
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(file, maxManifestBytes)).Decode(&m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &m, nil
}

// publish puts sandbox.json in place in one piece.
func (h *home) publish(m *Manifest) error {
	content, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return fmt.Errorf("write %s: %w", ManifestName, err)
	}
	staged, err := os.CreateTemp(h.dir, stagedPattern) // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", ManifestName, err)
	}
	_, err = staged.Write(append(content, '\n'))
	err = errors.Join(err, staged.Sync(), staged.Close())
	if err == nil {
		err = h.give(staged.Name())
	}
	if err == nil {
		err = os.Rename(staged.Name(), h.path(ManifestName))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", ManifestName, err), os.Remove(staged.Name()))
	}
	return nil
}

// stagedPattern names the file that becomes sandbox.json.
const stagedPattern = ".sandbox-*.json"

// withdraw removes sandbox.json, and what a killed run left of writing one.
func (h *home) withdraw() error {
	return errors.Join(h.removeFiles(ManifestName), h.removeFiles(stagedPattern))
}
