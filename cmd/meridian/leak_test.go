package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"meridian/internal/leak"
	"meridian/sandbox"
)

// transcript is everything that commands said to people in one test.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *transcript) add(o outcome) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(o.stdout + o.stderr)
	return o
}

// tellsNoSecrets looks for the sandbox's cards and keys, and for the components that
// tests enter, in what commands said.
func (r *transcript) tellsNoSecrets(t testing.TB, m *sandbox.Manifest) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	secrets := secretsOf(t, m)
	found, err := secrets.Searcher().Search("what commands said", strings.NewReader(r.text.String()))
	if err != nil {
		t.Error(err)
	}
	for _, f := range found {
		t.Errorf("told: %s", f)
	}
}

func secretsOf(t testing.TB, m *sandbox.Manifest) *leak.Secrets {
	t.Helper()
	secrets := &leak.Secrets{}
	for i, c := range m.Cards {
		secrets.Digits(fmt.Sprintf("number of card %d", i), c.PAN)
	}
	bytes := func(name, digits string) []byte {
		content, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		secrets.Bytes(name, content)
		return content
	}
	for _, merchant := range m.Merchants {
		for _, terminal := range merchant.Terminals {
			for name, key := range map[string]string{"TMK": terminal.TMK, "MAK": terminal.MAK, "PIK": terminal.PIK} {
				bytes(name+" of terminal "+terminal.TID, key)
			}
		}
	}
	formed := bytes("the first component", componentOne)
	for i, b := range bytes("the second component", componentTwo) {
		formed[i] ^= b
	}
	secrets.Bytes("the key of two components", formed)
	return secrets
}

// What is said in clear is found.
func TestTranscriptIsSearched(t *testing.T) {
	w := newWorld(t)
	m, err := sandbox.ReadManifest(w.dataDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, said := range map[string]string{
		"card number": m.Cards[0].PAN, "track": "track " + m.Cards[20].Track2, "key": m.Merchants[0].Terminals[1].MAK,
		"component": strings.ReplaceAll(componentTwo, " ", ""),
	} {
		var r transcript
		r.add(outcome{stdout: "it is ", stderr: said})
		found, err := secretsOf(t, m).Searcher().Search(name, strings.NewReader(r.text.String()))
		if err != nil || len(found) != 1 {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
}
