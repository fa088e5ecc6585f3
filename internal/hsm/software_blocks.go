package hsm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"meridian/internal/hsm/cipherkey"
	"meridian/internal/hsm/keyblock"
)

// ImportBlock implements Blocks.
func (s *Software) ImportBlock(_ context.Context, kbpk Key, block string, want Use) (Key, error) {
	protection, err := s.open(kbpk, UseKeyBlock, ModeBoth, ModeDecrypt)
	if err != nil {
		return Key{}, fmt.Errorf("import key block: %w", err)
	}
	defer clear(protection)
	header, content, err := keyblock.Open(kbpk.Algorithm, protection, block)
	switch {
	case errors.Is(err, keyblock.ErrMAC):
		return Key{}, fmt.Errorf("import key block: %w", ErrBlockMAC)
	case err != nil:
		return Key{}, fmt.Errorf("import key block: %w: %w", ErrBlock, err)
	}
	k, err := imported(header, len(content), want)
	if err != nil {
		clear(content)
		return Key{}, fmt.Errorf("import key block: %w", err)
	}
	return s.wrap(k, content)
}

// imported is what a block's header says of its key. The header is authentic.
func imported(h keyblock.Header, keyBytes int, want Use) (Key, error) {
	k := Key{Use: want, Algorithm: blockAlgorithm(h.Algorithm, keyBytes), Mode: Mode(h.Mode), Exportability: Exportability(h.Exportability)}
	switch {
	case !want.Valid() || !slices.Contains(want.rule().blocks, h.Usage):
		return Key{}, fmt.Errorf("%w: its usage is %s, a %s key has %v", ErrBlockUse, h.Usage, want, want.rule().blocks)
	case !want.takes(k.Algorithm) || want == UseMAC && !slices.Contains(macUsages(k.Algorithm), h.Usage):
		return Key{}, fmt.Errorf("%w: %d bytes for algorithm %q and usage %s", ErrAlgorithm, keyBytes, h.Algorithm, h.Usage)
	case !want.allows(k.Mode):
		return Key{}, fmt.Errorf("%w: its mode is %q, a %s key has one of %q", ErrBlockUse, h.Mode, want, want.rule().modes)
	case !k.Exportability.Valid():
		return Key{}, fmt.Errorf("%w: its exportability is %q", ErrBlock, h.Exportability)
	}
	return k, nil
}

// The characters of algorithms in key blocks (ASC X9.143 §6.3.2).
const (
	blockTDES = 'T'
	blockDES  = 'D'
	blockAES  = 'A'
)

func blockAlgorithm(letter byte, keyBytes int) Algorithm {
	switch a := cipherkey.OfDES(keyBytes); {
	case letter == blockAES:
		return cipherkey.OfAES(keyBytes)
	case letter == blockTDES && a != DES, letter == blockDES && a == DES:
		return a
	default:
		return 0
	}
}

func algorithmLetter(a Algorithm) byte {
	switch {
	case a.IsAES():
		return blockAES
	case a == DES:
		return blockDES
	default:
		return blockTDES
	}
}

// macUsages: M0 and M1 are CBC-MACs, M3 is X9.19, M6 is CMAC. The first is what a
// key is exported for. UnionPay's own MAC has no usage and takes any.
func macUsages(a Algorithm) []string {
	switch {
	case a.IsAES():
		return []string{"M6"}
	case a == DES:
		return []string{"M1"}
	default:
		return []string{"M3", "M0", "M1"}
	}
}

// ExportBlock implements Blocks.
func (s *Software) ExportBlock(_ context.Context, kbpk, k Key, exportability Exportability) (string, error) {
	if k.Exportability == NotExportable {
		return "", fmt.Errorf("export %s: %w", k, ErrExportability)
	}
	if !exportability.Valid() || exportability.freedom() > k.Exportability.freedom() {
		return "", fmt.Errorf("export %s: %w: as %q, it has %q", k, ErrExportability, byte(exportability), byte(k.Exportability))
	}
	if kbpk.Algorithm < k.Algorithm { // their order is that of their strength
		return "", fmt.Errorf("export %s: %w: %s is weaker", k, ErrAlgorithm, kbpk.Algorithm)
	}
	protection, err := s.open(kbpk, UseKeyBlock, ModeBoth, ModeEncrypt)
	if err != nil {
		return "", fmt.Errorf("export key block: %w", err)
	}
	defer clear(protection)
	content, err := s.unwrap(k)
	if err != nil {
		return "", fmt.Errorf("export key block: %w", err)
	}
	defer clear(content)
	usage := k.Use.rule().blocks[0]
	if k.Use == UseMAC {
		usage = macUsages(k.Algorithm)[0]
	}
	block, err := keyblock.Seal(kbpk.Algorithm, protection, keyblock.Header{
		Usage: usage, Algorithm: algorithmLetter(k.Algorithm), Mode: byte(k.Mode), KeyVersion: "00", Exportability: byte(exportability),
	}, content)
	if err != nil {
		return "", fmt.Errorf("export %s: %w", k, err)
	}
	return block, nil
}

// Encrypt implements Blocks.
func (s *Software) Encrypt(_ context.Context, terminalMaster, k Key) ([]byte, error) {
	if k.Use != UsePIN && k.Use != UseMAC && k.Use != UseTrack {
		return nil, fmt.Errorf("encrypt working key: %w: %s", ErrUse, k)
	}
	if k.Exportability != SensitiveExportable {
		return nil, fmt.Errorf("encrypt %s: %w outside of a key block", k, ErrExportability)
	}
	if k.Algorithm != DES && k.Algorithm != TDES2 || terminalMaster.Algorithm < k.Algorithm {
		return nil, fmt.Errorf("encrypt %s: %w: under %s", k, ErrAlgorithm, terminalMaster.Algorithm)
	}
	master, err := s.open(terminalMaster, UseTerminalMaster, ModeBoth, ModeEncrypt)
	if err != nil {
		return nil, fmt.Errorf("encrypt working key: %w", err)
	}
	defer clear(master)
	cipher, err := terminalMaster.Algorithm.Block(master)
	if err != nil {
		return nil, fmt.Errorf("encrypt working key: %w", err)
	}
	content, err := s.unwrap(k)
	if err != nil {
		return nil, fmt.Errorf("encrypt working key: %w", err)
	}
	for at := 0; at < len(content); at += cipher.BlockSize() {
		cipher.Encrypt(content[at:], content[at:at+cipher.BlockSize()])
	}
	return content, nil
}
