package vault_test

import (
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/card"
	"meridian/internal/vault"
)

// TestTokenKnownAnswers were computed apart from this program, from the
// definition: the version, then HMAC-SHA256 under HKDF-SHA256(master,
// "meridian/token/v1"), cut to 16 bytes. They must never change: databases are searched by them.
func TestTokenKnownAnswers(t *testing.T) {
	counting := make([]byte, vault.MasterKeyBytes)
	for i := range counting {
		counting[i] = byte(i)
	}
	for _, test := range []struct {
		master            vault.MasterKey
		pan, keyID, token string
	}{
		{vault.SandboxMasterKey(), "6212345678900012", "54de4339", "0159e9c74440adaba8e899595c3c47fd"},
		{vault.SandboxMasterKey(), "4111111111111111", "54de4339", "01ab66f857583e0f9d955a197dec8ecf"},
		{mustMaster(t, counting), "6212345678900012", "ceaee2fb", "015245afbae2f4cc6092d4d38ab30fa1"},
	} {
		v := mustOpen(t, test.master)
		token := v.Token(mustPAN(t, test.pan))
		if got := hex.EncodeToString(token[:]); got != test.token || v.KeyID() != test.keyID {
			t.Errorf("key %s: token %s, want %s under key %s", v.KeyID(), got, test.token, test.keyID)
		}
		if version := v.FirstDataKeys().TokenVersion(); version != 1 {
			t.Errorf("TokenVersion() = %d, want 1", version)
		}
	}
}

func TestTokenOfNoCard(t *testing.T) {
	if token := sandboxVault(t).Token(card.PAN{}); token != [vault.TokenBytes]byte{} {
		t.Errorf("token %x", token)
	}
}

func TestTokenProperty(t *testing.T) {
	v := sandboxVault(t)
	digits := rapid.StringMatching(`[0-9]{12,19}`)
	rapid.Check(t, func(t *rapid.T) {
		first, err := card.ParsePAN(digits.Draw(t, "first"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := card.ParsePAN(digits.Draw(t, "second"))
		if err != nil {
			t.Fatal(err)
		}
		if (v.Token(first) == v.Token(second)) != first.Equal(second) {
			t.Fatal("equal tokens do not mean equal numbers")
		}
		again, err := vault.Open(vault.SandboxMasterKey())
		if err != nil || again.Token(first) != v.Token(first) {
			t.Fatalf("another vault with the same key: another token (%v)", err)
		}
	})
}

func mustPAN(tb testing.TB, digits string) card.PAN {
	tb.Helper()
	pan, err := card.ParsePAN(digits)
	if err != nil {
		tb.Fatal(err)
	}
	return pan
}

func mustMaster(tb testing.TB, key []byte) vault.MasterKey {
	tb.Helper()
	master, err := vault.NewMasterKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return master
}

func mustOpen(tb testing.TB, master vault.MasterKey) *vault.Vault {
	tb.Helper()
	v, err := vault.Open(master)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func sandboxVault(tb testing.TB) *vault.Vault {
	tb.Helper()
	return mustOpen(tb, vault.SandboxMasterKey())
}
