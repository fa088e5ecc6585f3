package vault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"meridian/internal/vault"
)

const clearSecret = "correct horse battery"

type secretHolder struct {
	Key vault.Secret `json:"key"`
}

type hiddenSecretHolder struct {
	key     vault.Secret
	pointer *vault.Secret
	vault   *vault.Vault
	keys    *vault.DataKeys
	copied  vault.Vault
	master  vault.MasterKey
}

func TestSecret(t *testing.T) {
	content := []byte(clearSecret)
	secret := vault.NewSecret(content)
	clear(content)
	if string(secret.Reveal()) != clearSecret || secret.Len() != len(clearSecret) || secret.IsZero() {
		t.Fatal("the secret changed with the caller's bytes")
	}
	clear(secret.Reveal())
	if string(secret.Reveal()) != clearSecret {
		t.Fatal("the secret changed through Reveal")
	}
	same, other := vault.NewSecret([]byte(clearSecret)), vault.NewSecret([]byte(clearSecret+"!"))
	if !secret.Equal(same) || secret.Equal(other) || secret.Equal(vault.Secret{}) || !(vault.Secret{}).Equal(vault.Secret{}) {
		t.Error("Equal is wrong")
	}
	if reflect.TypeFor[vault.Secret]().Comparable() {
		t.Error("Secret compiles with ==, which compares addresses")
	}
	var zero vault.Secret
	if !zero.IsZero() || zero.Len() != 0 || zero.Reveal() != nil || zero.String() != "[secret]" {
		t.Errorf("the zero Secret is %v", zero)
	}
}

// forms are the shapes in which bytes get out of fmt, JSON and logs.
func forms(content []byte) map[string]string {
	list := fmt.Sprintf("%d", content)
	spacedHex := fmt.Sprintf("% x", content)
	return map[string]string{
		"text":       string(content),
		"hex":        hex.EncodeToString(content),
		"HEX":        strings.ToUpper(hex.EncodeToString(content)),
		"byte list":  strings.Trim(list, "[]"),
		"spaced hex": spacedHex,
		"Go bytes":   "0x" + strings.ReplaceAll(spacedHex, " ", ", 0x"),
		"base64":     base64.StdEncoding.EncodeToString(content)[:len(content)/3*4],
	}
}

func TestNothingHereCanBePrinted(t *testing.T) {
	secret := vault.NewSecret([]byte(clearSecret))
	master := vault.SandboxMasterKey()
	v := mustOpen(t, master)
	hidden := hiddenSecretHolder{secret, &secret, v, v.FirstDataKeys(), *v, master}
	values := map[string]any{
		"secret": secret, "pointer": &secret, "field": secretHolder{secret}, "slice": []vault.Secret{secret},
		"map": map[string]vault.Secret{"key": secret}, "hidden": hidden, "hidden pointer": &hidden,
		"hidden in a map": map[string]hiddenSecretHolder{"key": hidden}, "hidden in a slice": []*hiddenSecretHolder{&hidden},
		"vault": v, "data keys": v.FirstDataKeys(), "data keys' value": *v.FirstDataKeys(), "vault value": *v, "master key": master, "master key pointer": &master, "any": []any{secret, v, master},
	}
	// What must not show: the secret, the master key and the keys under it,
	// which were derived apart from this program.
	unwanted := map[string]string{}
	for name, content := range map[string][]byte{
		"the secret":       []byte(clearSecret),
		"the master key":   []byte("meridian-sandbox-key-not-secret!"),
		"the wrapping key": decodeHex(t, "9a6153290a16f163cc6bd71e6b52f24c0e4ab178b1dafccee05b956aeca94f56"),
		"the token key":    decodeHex(t, sandboxTokenKey),
		"the PIN key":      decodeHex(t, sandboxPINReferenceKey),
	} {
		for form, text := range forms(content) {
			unwanted[name+" as "+form] = text
		}
	}
	check := func(what, text string) {
		t.Helper()
		for name, leak := range unwanted {
			if strings.Contains(text, leak) {
				t.Errorf("%s shows %s: %q", what, name, text)
			}
		}
	}
	for name, value := range values {
		for _, flags := range []string{"", "+", "#", " ", "0", "-", "+#", "# ", "30", ".2"} {
			for verb := 'A'; verb <= 'z'; verb++ {
				format := "%" + flags + string(verb)
				check("Sprintf of "+name+" with "+format, fmt.Sprintf(format, value))
				check("Errorf of "+name+" with "+format, fmt.Errorf(format, value).Error())
			}
		}
		check("Sprint of "+name, fmt.Sprint(value))
		if text, err := json.Marshal(value); err == nil {
			check("JSON of "+name, string(text))
		}
		for _, newHandler := range []func(io.Writer) slog.Handler{
			func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
			func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			var out bytes.Buffer
			slog.New(newHandler(&out)).With("with", value).Info("message", "key", value, slog.Group("group", "key", value))
			check("slog of "+name, out.String())
		}
	}
}

func TestSecretText(t *testing.T) {
	secret := vault.NewSecret([]byte(clearSecret))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%30s"} {
		for _, value := range []any{secret, &secret, vault.Secret{}} {
			if got := fmt.Sprintf(format, value); got != "[secret]" {
				t.Errorf("%s = %q", format, got)
			}
		}
	}
	if got := fmt.Sprintf("%+v", secretHolder{secret}); got != "{Key:[secret]}" {
		t.Errorf("in a struct: %q", got)
	}
	if got := secret.GoString(); got != "[secret]" {
		t.Errorf("GoString() = %q", got)
	}
	text, err := json.Marshal(secretHolder{secret})
	if err != nil || string(text) != `{"key":"[secret]"}` {
		t.Errorf("JSON = %s, %v", text, err)
	}
	if text, err := secret.MarshalText(); err != nil || string(text) != "[secret]" {
		t.Errorf("MarshalText() = %s, %v", text, err)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", secret)
	if !strings.Contains(out.String(), "key=[secret]") {
		t.Errorf("slog: %s", out.String())
	}
}

func decodeHex(tb testing.TB, text string) []byte {
	tb.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return decoded
}
