package leak_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"meridian/internal/leak"
)

const (
	pan   = "6217120000000000013"
	short = "4111111111111111" // sixteen digits
	zeros = "4000000000000259" // which is hard to tell from a database's own
	tail  = "=30122010000012345"
)

var key = []byte{0xfe, 0x01, 0x23, 0x00, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x0a, 0x76, 0x98, 0xba}

func secrets() *leak.Secrets {
	var s leak.Secrets
	s.Digits("card", pan)
	s.Digits("short card", short)
	s.Digits("card of zeros", zeros)
	s.Digits("track", tail)
	s.Bytes("key", key)
	s.Text("password", "correct horse")
	return &s
}

func search(t testing.TB, content string) []leak.Finding {
	t.Helper()
	found, err := secrets().Searcher().Search("here", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// unpacked digits to bytes, = as D.
func bcd(t testing.TB, digits string) string {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, "=", "d"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// planted are forms of secrets as they would be leaked, each by other means than
// the searcher makes its own.
func planted(t testing.TB) map[string]struct{ secret, content string } {
	t.Helper()
	log := func(value any) string {
		var b bytes.Buffer
		slog.New(slog.NewJSONHandler(&b, nil)).Info("leak", "value", value)
		return b.String()
	}
	text := func(value any) string {
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("leak", "value", value)
		return b.String()
	}
	b64 := func(before int, content string) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + content + "rest"))
	}
	all := map[string]struct{ secret, content string }{}
	plant := func(form, secret, content string) { all[form] = struct{ secret, content string }{secret, content} }
	for name, number := range map[string]string{"card": pan, "short card": short, "card of zeros": zeros, "track": tail} {
		padded := number
		if len(number)%2 == 1 {
			padded += "f"
		}
		plant(name+" characters", name, "PAN="+number+";")
		plant(name+" in a log", name, log(number))
		plant(name+" in hexadecimal", name, hex.EncodeToString([]byte("v"+number)))
		plant(name+" in capital hexadecimal", name, strings.ToUpper(hex.EncodeToString([]byte("v"+number))))
		plant(name+" packed", name, "\x19"+bcd(t, padded)+"\x00")
		if number != zeros {
			plant(name+" packed behind a zero", name, bcd(t, "0"+number+strings.Repeat("0", (len(number)+1)%2)))
			plant(name+" packed behind a digit", name, "\x19"+bcd(t, "7"+number+strings.Repeat("9", (len(number)+1)%2)))
		}
		plant(name+" packed in hexadecimal", name, hex.EncodeToString([]byte(bcd(t, padded))))
		plant(name+" packed in capital hexadecimal", name, strings.ToUpper(hex.EncodeToString([]byte(bcd(t, padded)))))
		plant(name+" packed, printed", name, fmt.Sprint([]byte(bcd(t, padded))))
		plant(name+" packed, quoted", name, fmt.Sprintf("%q", bcd(t, padded)))
		plant(name+" packed, as Go code", name, fmt.Sprintf("% x", bcd(t, padded)))
		for before := range 3 {
			plant(fmt.Sprint(name, " in base64 after ", before), name, b64(before, number))
			plant(fmt.Sprint(name, " packed in base64 after ", before), name, b64(before, bcd(t, padded)))
		}
	}
	for name, number := range map[string]uint64{"card": 6217120000000000013, "short card": 4111111111111111} {
		plant(name+" as a number in a file", name, string(binary.LittleEndian.AppendUint64([]byte{8}, number)))
		plant(name+" as a number on the wire", name, string(binary.BigEndian.AppendUint64([]byte{8}, number))+"\x01")
		plant(name+" as a number in a log", name, log(number))
	}
	plant("key raw", "key", "mak"+string(key)+"pik")
	plant("key in hexadecimal", "key", hex.EncodeToString(key))
	plant("key in capital hexadecimal", "key", strings.ToUpper(hex.EncodeToString(key)))
	plant("key in hexadecimal with spaces", "key", fmt.Sprintf("% X", key))
	plant("key as a database dumps it", "key", `\x00`+hex.EncodeToString(key))
	plant("key in a JSON log", "key", log(key))
	plant("key in a text log", "key", text(key))
	plant("key, quoted", "key", fmt.Sprintf("%q", key))
	plant("key, quoted in ASCII", "key", fmt.Sprintf("%+q", key))
	plant("key, printed", "key", fmt.Sprint(key))
	plant("hexadecimal key in base64", "key", b64(1, hex.EncodeToString(key)))
	plant("hexadecimal key in hexadecimal", "key", hex.EncodeToString([]byte(hex.EncodeToString(key))))
	plant("key in base64 for URLs", "key", base64.URLEncoding.EncodeToString(append([]byte{1}, key...)))
	for before := range 3 {
		plant(fmt.Sprint("key in base64 after ", before), "key", b64(before, string(key)))
	}
	plant("password", "password", `{"password":"correct horse"}`)
	return all
}

func TestPlantedLeaksAreFound(t *testing.T) {
	noise := make([]byte, 1<<20+1<<12)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(noise)
	if found := search(t, string(noise)); len(found) != 0 {
		t.Fatalf("found in noise: %v", found)
	}
	for form, p := range planted(t) {
		t.Run(form, func(t *testing.T) {
			// At both ends, and where two chunks meet.
			places := []int{0, 1<<20 - len(p.content)/2, len(noise) - len(p.content)}
			content := bytes.Clone(noise)
			for _, at := range places {
				copy(content[at:], p.content)
			}
			found := search(t, string(content))
			for _, at := range places {
				if !slices.ContainsFunc(found, func(f leak.Finding) bool { return f.Offset >= int64(at) && f.Offset < int64(at+len(p.content)) }) {
					t.Errorf("not found at %d: %q", at, p.content)
				}
			}
			for _, f := range found {
				if f.Secret != p.secret || f.Where != "here" {
					t.Errorf("found %s, planted %s", f, p.secret)
				}
			}
			if found := search(t, p.content); len(found) == 0 {
				t.Errorf("not found alone")
			}
		})
	}
}

// What may be kept is no leak.
func TestWhatIsMaskedIsNotFound(t *testing.T) {
	for _, content := range []string{
		"", "6", pan[:6] + "*********" + pan[15:], pan[:12], pan[:17] + "42", "key " + hex.EncodeToString(key[:6]),
		strings.Repeat("\x00\x00\x00\x02", 100), "\x04\x00\x00\x00\x00\x00\x00\x00\x02\x00", fmt.Sprint(make([]byte, 100), 2),
		base64.StdEncoding.EncodeToString(key[:8]), bcd(t, pan[:12]), "=3012", strings.Repeat("0", 100), "correct hors",
	} {
		if found := search(t, content); len(found) != 0 {
			t.Errorf("%q: found %v", content, found)
		}
	}
}

// Wherever a secret stands, and however it is read, it is found there.
func TestSecretsAreFoundAnywhere(t *testing.T) {
	all := planted(t)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	searcher := secrets().Searcher()
	rapid.Check(t, func(t *rapid.T) {
		p := all[rapid.SampledFrom(names).Draw(t, "form")]
		before := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "before")
		content := append(bytes.Clone(before), p.content...)
		found, err := searcher.Search("there", iotest.HalfReader(bytes.NewReader(content)))
		if err != nil || len(found) == 0 {
			t.Fatalf("found nothing, %v", err)
		}
	})
}

func TestFindingsAreBoundedAndTellNoSecret(t *testing.T) {
	found := search(t, strings.Repeat(pan+" ", 10_000))
	if len(found) != leak.MaxFindings {
		t.Errorf("%d findings", len(found))
	}
	if text := found[1].String(); text != "card, characters, in here at byte 20" {
		t.Errorf("told as %q", text)
	}
}

func TestReadersThatFail(t *testing.T) {
	broken := errors.New("broken")
	if _, err := secrets().Searcher().Search("here", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestTreesAreSearched(t *testing.T) {
	directory := t.TempDir()
	below := filepath.Join(directory, "a", "b")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"one": "nothing", filepath.Join("a", "b", "two"): "x" + string(key)} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, n, err := secrets().Searcher().SearchTree(directory)
	if err != nil || len(found) != 1 || found[0].Where != filepath.Join(below, "two") || found[0].Offset != 1 || n != 7+17 {
		t.Errorf("found %v in %d bytes, %v", found, n, err)
	}
	if _, _, err := secrets().Searcher().SearchTree(filepath.Join(directory, "none")); err != nil {
		t.Errorf("what is gone: %v", err)
	}
}

// What cannot be told from chance is not looked for: that is a mistake of a test.
func TestShortSecretsAreRefused(t *testing.T) {
	for name, add := range map[string]func(*leak.Secrets){
		"digits": func(s *leak.Secrets) { s.Digits("pin", "123456") },
		"bytes":  func(s *leak.Secrets) { s.Bytes("half", key[:6]) },
		"text":   func(s *leak.Secrets) { s.Text("password", "0000") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was taken")
				}
			}()
			add(&leak.Secrets{})
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	noise := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	s := secrets().Searcher()
	b.SetBytes(int64(len(noise)))
	for b.Loop() {
		if _, err := s.Search("noise", bytes.NewReader(noise)); err != nil {
			b.Fatal(err)
		}
	}
}
