package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meridian/host/wire"
)

// vector is a published message; card data in it is test data.
type vector struct {
	ID      string `json:"id"`
	Dialect string `json:"dialect"`
	MTI     string `json:"mti"`
	Frame   struct {
		TPDU   string `json:"tpdu"`
		Header string `json:"app_header"`
		Bits   []int  `json:"bits"`
	} `json:"frame"`
	Hex    string            `json:"hex"`
	Fields map[string]string `json:"fields"`
}

func vectors(t testing.TB) (list []vector) {
	t.Helper()
	for _, name := range []string{"messages.jsonl", "unionpay.jsonl"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "host", "wire", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			var v vector
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			list = append(list, v)
		}
	}
	return list
}

func decodeJSON(t testing.TB, o outcome) (messages []decoded) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.stdout), &messages); err != nil {
		t.Fatalf("%v\n%s\n%s", err, o.stdout, o.stderr)
	}
	return messages
}

// Dialect, length and TPDU are found without being told, and nothing secret is shown.
func TestDecodePublishedMessages(t *testing.T) {
	dialects := map[string]string{
		"NAC-EDC": "nac", "ISO 8583:1987 ASCII": "ascii", "ISO 8583:1987 ASCII hex bitmap": "ascii", "CUP-POS": "unionpay", "CUP-POS variant": "unionpay",
	}
	decodedCount := 0
	for _, v := range vectors(t) {
		dialect := dialects[v.Dialect]
		if dialect == "" || v.MTI == "" {
			continue
		}
		decodedCount++
		t.Run(v.ID, func(t *testing.T) {
			o := call(t, "decode", "--output", "json", v.Hex).want(t, 0)
			messages := decodeJSON(t, o)
			if len(messages) != 1 {
				t.Fatalf("%d messages, want 1", len(messages))
			}
			m := messages[0]
			if m.MTI != v.MTI || m.Dialect != dialect || m.TPDU != v.Frame.TPDU || m.Header != v.Frame.Header {
				t.Errorf("MTI %s, dialect %s, TPDU %s, header %s; want %s, %s, %s, %s",
					m.MTI, m.Dialect, m.TPDU, m.Header, v.MTI, dialect, v.Frame.TPDU, v.Frame.Header)
			}
			var fields []int
			for _, f := range m.Fields {
				fields = append(fields, f.Field)
			}
			if v.Frame.Bits != nil && !slices.Equal(fields, v.Frame.Bits) {
				t.Errorf("fields %v, want %v", fields, v.Frame.Bits)
			}
			text := call(t, "decode", v.Hex).want(t, 0).stdout
			for _, secret := range []string{"2", "35", "36", "45", "52", "55"} {
				if value := v.Fields[secret]; len(value) >= 12 && (strings.Contains(o.stdout, value) || strings.Contains(text, value)) {
					t.Errorf("field %s is shown in clear", secret)
				}
			}
		})
	}
	if decodedCount < 100 {
		t.Errorf("only %d messages were decoded", decodedCount)
	}
}

// echo is a network management request of terminal 12345678 behind an NAC, and sale a sale in ASCII.
const (
	echo    = "6000098053" + echoMTI
	echoMTI = "080020200000008000009200000000023132333435363738"
)

func frame(length, message string) string {
	n := len(message) / 2
	switch length {
	case "binary":
		return fmt.Sprintf("%04X", n) + message
	case "bcd":
		return fmt.Sprintf("%04d", n) + message
	case "ascii":
		return hex.EncodeToString(fmt.Appendf(nil, "%04d", n)) + message
	}
	return message
}

func TestDecodeFindsTheLength(t *testing.T) {
	for _, length := range []string{"binary", "bcd", "ascii", "none"} {
		input := frame(length, echo)
		if length != "none" {
			input += frame(length, echoMTI) + frame(length, echo)
		}
		messages := decodeJSON(t, call(t, "decode", "-o", "json", input).want(t, 0))
		if length == "none" && len(messages) != 1 || length != "none" && len(messages) != 3 {
			t.Fatalf("%s: %d messages", length, len(messages))
		}
		for _, m := range messages {
			if m.Length != length || m.MTI != "0800" || m.Error != nil {
				t.Errorf("%s: got %+v", length, m)
			}
		}
	}
}

func TestDecodeInputs(t *testing.T) {
	spaced := "00 1d:60 00 09 80 53\n 0x0800 2020000000800000 920000 000002 3132333435363738\n"
	file := filepath.Join(t.TempDir(), "messages.txt")
	content := spaced + "\n\n" + frame("binary", echoMTI) + "\r\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	oneEach := frame("binary", echo) + "\n" + echoMTI + "\n" + frame("ascii", echo) + "\n"
	for _, c := range []struct {
		name  string
		stdin string
		args  []string
		count int
	}{
		{"argument", "", []string{spaced}, 1},
		{"arguments", "", []string{spaced, echoMTI}, 2},
		{"standard input", spaced, nil, 1},
		{"file", "", []string{"--file", file}, 2},
		{"lines of their own", oneEach, nil, 3},
		{"lines without length", echoMTI + "\n" + echo + "\n", []string{"--length", "none"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := callWith(t, nil, c.stdin, append([]string{"decode", "-o", "json"}, c.args...)...).want(t, 0)
			if messages := decodeJSON(t, o); len(messages) != c.count {
				t.Errorf("%d messages, want %d:\n%s", len(messages), c.count, o.stdout)
			}
		})
	}
	call(t, "decode", "--file", file, echo).want(t, exitUsage, "not both")
	call(t, "decode", "--file", file+"x").want(t, exitFailure, "no such file")
	callWith(t, nil, "\n \n", "decode").want(t, exitUsage, "nothing to decode")
	callWith(t, nil, strings.Repeat("0", maxDecodeBytes+1), "decode").want(t, exitUsage, "in parts")
}

// What is wrong is told with field, offset and reason, beside what is right.
func TestDecodeGolden(t *testing.T) {
	sale := findVector(t, "m06")
	badDigit := strings.Replace(echo, "920000", "9200AA", 1)
	trailing := echo + "FF"
	stream := frame("binary", echo) + frame("binary", badDigit) + frame("binary", trailing) + sale.Hex + "00FF6000"
	o := call(t, "decode", stream).want(t, exitFailure, "3 of 5 messages could not be decoded")
	golden(t, "decode.txt", o.stdout)
	o = call(t, "decode", "-o", "json", frame("binary", badDigit)+"0000").want(t, exitFailure)
	golden(t, "decode.json", o.stdout)
}

// UnionPay's messages are known by their header; without one by parsing, or by --dialect.
func TestDecodeUnionPay(t *testing.T) {
	signIn, sale := findVector(t, "u64"), findVector(t, "m47")
	golden(t, "decode_unionpay.txt", call(t, "decode", sale.Hex).want(t, 0).stdout)

	whole, err := hex.DecodeString(signIn.Hex)
	if err != nil {
		t.Fatal(err)
	}
	tpdu, rest := hex.EncodeToString(whole[2:7]), hex.EncodeToString(whole[7:]) // rest is header and message
	monitor := "4c5249001c" + strings.Repeat("31", 28)
	for name, c := range map[string]struct {
		args         []string
		tpdu, header string
	}{
		"without length":    {[]string{tpdu + rest}, signIn.Frame.TPDU, signIn.Frame.Header},
		"message alone":     {[]string{rest[12:]}, "", ""},
		"message, told":     {[]string{"--dialect", "unionpay", "--length", "none", rest[12:]}, "", ""},
		"with dial monitor": {[]string{frame("binary", tpdu+monitor+rest)}, signIn.Frame.TPDU, signIn.Frame.Header},
		"behind an NAC":     {[]string{frame("binary", tpdu+rest[12:])}, signIn.Frame.TPDU, ""},
	} {
		messages := decodeJSON(t, call(t, append([]string{"decode", "-o", "json"}, c.args...)...).want(t, 0))
		if len(messages) != 1 || messages[0].Dialect != "unionpay" || messages[0].MTI != "0800" ||
			messages[0].TPDU != c.tpdu || messages[0].Header != c.header {
			t.Errorf("%s: %+v", name, messages)
		}
	}
	call(t, "decode", "--dialect", "cup", signIn.Hex).want(t, exitUsage, "nac, ascii or unionpay")
}

func findVector(t testing.TB, id string) vector {
	t.Helper()
	list := vectors(t)
	i := slices.IndexFunc(list, func(v vector) bool { return v.ID == id })
	if i < 0 {
		t.Fatalf("there is no message %s", id)
	}
	return list[i]
}

func TestDecodeWithOwnFieldTable(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "spec.json")
	if err := os.WriteFile(spec, []byte(`{"name": 5}`), 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "decode", "--spec", spec, echo).want(t, exitConfiguration, "field table", spec)
	call(t, "decode", "--spec", spec+"x", echo).want(t, exitConfiguration, "no such file")
	call(t, "decode", "--spec", spec, "--dialect", "nac", echo).want(t, exitUsage, "one of them")
}

// A card number that stands where hexadecimal digits should is not repeated in the error.
func TestDecodeErrorsHoldNoInput(t *testing.T) {
	o := call(t, "decode", "card 4111111111111111").want(t, exitUsage)
	if strings.Contains(o.stdout+o.stderr, "411111") {
		t.Errorf("the input is repeated: %s", o.stderr)
	}
}

func FuzzCutFrames(f *testing.F) {
	for _, length := range []string{"binary", "bcd", "ascii", "none"} {
		data, err := hex.DecodeString(frame(length, echo) + frame(length, echoMTI))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, length)
		f.Add(data, lengthAuto)
	}
	for _, v := range vectors(f) {
		data, err := hex.DecodeString(v.Hex)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, lengthAuto)
	}
	f.Fuzz(func(t *testing.T, data []byte, length string) {
		frames, _, err := cutFrames(data, length)
		if err != nil {
			if slices.Contains([]string{"binary", "bcd", "ascii", lengthNone, lengthAuto}, length) {
				t.Fatalf("length %s is not known: %v", length, err)
			}
			return
		}
		if len(frames) == 0 {
			t.Fatal("no frame at all")
		}
		end := 0
		for i, frame := range frames {
			if frame.offset < end || frame.offset > len(data) {
				t.Fatalf("frame %d begins at %d, the one before ends at %d of %d", i, frame.offset, end, len(data))
			}
			end = frame.offset + len(frame.tpdu+frame.header)/2 + len(frame.payload)
			if frame.err != nil && i != len(frames)-1 {
				t.Fatalf("frame %d cannot be trusted (%v), and %d come after it", i, frame.err, len(frames)-1-i)
			}
		}
		if end > len(data) {
			t.Fatalf("frames end at %d of %d", end, len(data))
		}
	})
}

// A card number is masked whatever field it stands in, and what is beside it stays legible.
func TestDecodeMasksCardsWhereverTheyStand(t *testing.T) {
	m := wire.NewMessage("0200")
	for field, value := range map[int]string{
		4: "000000001000", 7: "1121202500", 11: "000018", 37: "632500000121", 41: "10000001", 42: "378282246310005",
		43: fmt.Sprintf("%-40s", "SHOP 4761 7390 0101 0119"), 44: "4761-7390-0101-0119", 54: "4761739001010119C000000001000",
		90: "0200000001112120250000000012345" + "00000000000", 95: "4761739001010119" + strings.Repeat("0", 26),
	} {
		m.Set(field, value)
	}
	payload, err := wire.ASCII87().Pack(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"text", "json"} {
		out := call(t, "decode", "--length", "none", "--output", form, hex.EncodeToString(payload)).want(t, 0).stdout
		for _, secret := range []string{"378282246310005", "4761739001010119"} {
			if strings.Contains(strings.NewReplacer(" ", "", "-", "").Replace(out), secret) {
				t.Errorf("a card number is shown:\n%s", out)
			}
		}
		for _, plain := range []string{
			"000000001000", "1121202500", "000018", "632500000121", "378282******0005", "SHOP 476173******0119",
			"020000000111212025000000001234500000000000",
		} {
			if !strings.Contains(out, plain) {
				t.Errorf("no %q in\n%s", plain, out)
			}
		}
	}
}
