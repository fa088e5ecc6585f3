package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/moov-io/iso8583/field"
)

// TestSpecsAsJSON: a built-in table written as JSON and loaded again is the same
// table: it parses every vector and describes every field alike.
func TestSpecsAsJSON(t *testing.T) {
	for _, spec := range builtin() {
		var file bytes.Buffer
		if err := spec.writeJSON(&file); err != nil {
			t.Fatal(err)
		}
		loaded, err := LoadSpec("copy", &file)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Name() != "copy" {
			t.Errorf("name %q", loaded.Name())
		}
		for number := range lastField + 2 {
			if loaded.Describe(number) != spec.Describe(number) {
				t.Errorf("%s: field %d is %+v, was %+v", spec.Name(), number, loaded.Describe(number), spec.Describe(number))
			}
		}
		for _, v := range loadVectors(t) {
			if of, _ := v.spec(); of != spec {
				continue
			}
			payload := v.payload(t)
			m, err := loaded.Parse(payload)
			if err != nil {
				t.Fatalf("%s: %v", v.ID, err)
			}
			if packed, err := loaded.Pack(m); err != nil || !bytes.Equal(packed, payload) {
				t.Errorf("%s packs to %X (%v)", v.ID, packed, err)
			}
		}
	}
}

// writeJSON writes the spec in the form LoadSpec reads. A spec with fields that
// are not in our encodings cannot be written.
func (s *Spec) writeJSON(w io.Writer) error {
	file := specJSON{Name: s.name, Fields: map[string]json.RawMessage{}}
	for number, def := range s.moov.Fields {
		encoded, err := fieldToJSON(def)
		if err != nil {
			return fmt.Errorf("write spec %s: field %d: %w", s.name, number, err)
		}
		file.Fields[strconv.Itoa(number)] = encoded
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		return fmt.Errorf("write spec %s: %w", s.name, err)
	}
	return nil
}

func fieldToJSON(def field.Field) (json.RawMessage, error) {
	spec := def.Spec()
	enc, ok := spec.Enc.(moovEncoder)
	if !ok {
		return nil, errors.New("encoding is not one of ours")
	}
	f := fieldJSON{
		Type: "String", Length: spec.Length, Description: spec.Description,
		Enc: enc.name(), Prefix: spec.Pref.Inspect(), DisableAutoExpand: spec.DisableAutoExpand,
	}
	switch def.(type) {
	case *field.Binary:
		f.Type = "Binary"
	case *field.Bitmap:
		f.Type = "Bitmap"
	}
	if spec.Pad != nil {
		f.Padding = &paddingJSON{"Right", " "}
	}
	encoded, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return encoded, nil
}

const customHead = `{"name": "custom", "fields": {
	"0": {"type": "String", "length": 4, "description": "MTI", "enc": "BCD", "prefix": "BCD.Fixed"},
	"1": {"type": "Bitmap", "length": 8, "description": "Bitmap", "enc": "Binary", "prefix": "Binary.Fixed"}`

// customSpec mixes our encodings with definitions only moov understands.
const customSpec = customHead + `,
	"3": {"type": "Numeric", "length": 6, "description": "Processing code", "enc": "BCD", "prefix": "BCD.Fixed", "padding": {"type": "Left", "pad": "0"}},
	"4": {"type": "String", "length": 12, "description": "Amount", "enc": "n.BCD.Left", "prefix": "Fixed"},
	"41": {"type": "String", "length": 8, "description": "Terminal", "enc": "ans", "prefix": "Fixed", "padding": {"type": "Right", "pad": " "}},
	"48": {"type": "Composite", "length": 255, "description": "Additional data", "prefix": "BCD.LLL",
		"tag": {"length": 2, "enc": "ASCII", "sort": "StringsByInt"},
		"subfields": {
			"01": {"type": "String", "length": 10, "description": "Operator", "enc": "ASCII", "prefix": "ASCII.LL"},
			"02": {"type": "String", "length": 10, "description": "Shift", "enc": "n.ASCII", "prefix": "ASCII.LL"}}}
}}`

func TestCustomSpec(t *testing.T) {
	spec, err := LoadSpec("", strings.NewReader(customSpec))
	if err != nil {
		t.Fatal(err)
	}
	if spec.Name() != "custom" {
		t.Errorf("name %q", spec.Name())
	}
	if info := spec.Describe(48); info.Kind != KindOther || info.Name != "Additional data" {
		t.Errorf("F48 is %+v", info)
	}
	payload := message(t, "x:0200"+bitmapOf(3, 4, 41, 48)+"000000 000000001000", "TERM0001", "x:0013", "01022A", "0203123")
	m, err := spec.Parse(payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.Get(4) != "000000001000" || m.Get(41) != "TERM0001" || string(m.Bytes(48)) != "01022A0203123" {
		t.Errorf("F4 %q, F41 %q, F48 %q", m.Get(4), m.Get(41), m.Bytes(48))
	}
	if packed, err := spec.Pack(m); err != nil || !bytes.Equal(packed, payload) {
		t.Errorf("packs to %X (%v), want %X", packed, err, payload)
	}
	// Set anew, moov packs it: 0 needs its leading zeros back.
	m.Set(3, "310000")
	m.SetBytes(48, []byte("0101X"))
	want := message(t, "x:0200"+bitmapOf(3, 4, 41, 48)+"310000 000000001000", "TERM0001", "x:0005", "0101X")
	if packed, err := spec.Pack(m); err != nil || !bytes.Equal(packed, want) {
		t.Errorf("packs to %X (%v), want %X", packed, err, want)
	}
	for number, hidden := range map[int]bool{3: true, 48: true, 4: false} {
		for _, f := range spec.MaskedFields(m) {
			if f.Field == number && f.Hidden != hidden {
				t.Errorf("rendering %+v, want hidden %v", f, hidden)
			}
		}
	}
	// What moov refuses is a refusal with a place and without the value.
	broken := message(t, "x:0200"+bitmapOf(48), "x:0006", "99SECR")
	var parseErr *ParseError
	if _, err := spec.Parse(broken); !errors.As(err, &parseErr) || parseErr.Field != 48 || parseErr.Offset != 10 || strings.Contains(err.Error(), "SECR") {
		t.Errorf("unknown tag: %v", err)
	}
	m.SetBytes(48, []byte("99SECR"))
	var packErr *PackError
	if _, err := spec.Pack(m); !errors.As(err, &packErr) || packErr.Field != 48 || strings.Contains(err.Error(), "SECR") {
		t.Errorf("unknown tag: %v", err)
	}
	if err := spec.writeJSON(&bytes.Buffer{}); err == nil {
		t.Error("a definition of moov's was written")
	}
	if err := spec.VerifyMAC(message(t, "x:0200"+bitmapOf(64)+"0011223344556677"), testAlgorithm(t)); err == nil {
		t.Error("a MAC was verified in a spec without one")
	}
	if _, err := spec.AppendPackWithMAC(nil, NewMessage("0200"), testAlgorithm(t)); err == nil {
		t.Error("a MAC was packed in a spec without one")
	}
}

func TestLoadSpecRefused(t *testing.T) {
	with := func(field string) string { return customHead + ", " + field + "}}" }
	for name, c := range map[string]struct{ file, want string }{
		"no JSON":           {"{", "read spec bad: unexpected EOF"},
		"text behind":       {customSpec + "x", "read spec bad: text after the end of the JSON object"},
		"unknown key":       {`{"nome": "x"}`, `read spec bad: json: unknown field "nome"`},
		"no fields":         {`{"fields": {}}`, "spec bad: MTI field (0) is required"},
		"field key":         {with(`"two": {}`), `spec bad: field "two": not a number`},
		"unknown field key": {with(`"2": {"typ": "String"}`), `spec bad: field 2: json: unknown field "typ"`},
		"unknown type":      {with(`"2": {"type": "Text", "enc": "ASCII", "prefix": "ASCII.LL"}`), `spec bad: field 2: unknown type "Text"`},
		"unknown encoding":  {with(`"2": {"type": "String", "length": 19, "enc": "n.EBCDIC", "prefix": "ASCII.LL"}`), `spec bad: field 2: unknown encoding "n.EBCDIC"`},
		"unknown prefix":    {with(`"2": {"type": "String", "length": 19, "enc": "ASCII", "prefix": "ASCII.XX"}`), `spec bad: field 2: unknown prefix "ASCII.XX"`},
		"foreign prefix":    {with(`"2": {"type": "String", "length": 19, "enc": "ans", "prefix": "Hex.LL"}`), `spec bad: field 2: encoding ans does not take prefix "Hex.LL"`},
		"foreign type":      {with(`"2": {"type": "Numeric", "length": 19, "enc": "ans", "prefix": "Fixed"}`), `spec bad: field 2: encoding ans does not take type "Numeric"`},
		"over the prefix":   {with(`"2": {"type": "String", "length": 100, "enc": "ans", "prefix": "BCD.LL"}`), "spec bad: field 2: length 100, want 1 to 99"},
		"no length":         {with(`"2": {"type": "String", "enc": "ans", "prefix": "Fixed"}`), "spec bad: field 2: length 0, want 1 to 999"},
		"padded digits":     {with(`"4": {"type": "String", "length": 12, "enc": "n.BCD.Left", "prefix": "Fixed", "padding": {"type": "Left", "pad": "0"}}`), "spec bad: field 4: only fixed ans fields are padded, on the right and with spaces"},
		"padding character": {with(`"4": {"type": "String", "length": 12, "enc": "ASCII", "prefix": "ASCII.Fixed", "padding": {"type": "Left", "pad": ""}}`), `spec bad: field 4: padding "" is not one character`},
		"padding type":      {with(`"4": {"type": "String", "length": 12, "enc": "ASCII", "prefix": "ASCII.Fixed", "padding": {"type": "Both", "pad": "0"}}`), `spec bad: field 4: unknown padding type "Both"`},
		"bad composite":     {with(`"48": {"type": "Composite", "length": 9, "prefix": "BCD.LLL", "subfields": {"1": {"type": "String", "length": 1, "enc": "ASCII", "prefix": "ASCII.L"}}}`), "spec bad: field 48: build definition: "},
		"bad subfield":      {with(`"48": {"type": "Composite", "length": 9, "prefix": "BCD.LLL", "subfields": {"7": null}}`), "spec bad: field 48: subfield 7: no definition"},
		"bad sort":          {with(`"48": {"type": "Composite", "length": 9, "prefix": "BCD.LLL", "tag": {"sort": "Up"}, "subfields": {"1": {"type": "String", "length": 1, "enc": "ASCII", "prefix": "ASCII.L"}}}`), `spec bad: field 48: tag: unknown sort "Up"`},
		"third bitmap":      {with(`"65": {"type": "Binary", "length": 8, "enc": "b", "prefix": "Fixed"}`), "spec bad: field 65: no bit of this spec's bitmaps stands for it"},
		"field over 128":    {with(`"129": {"type": "Binary", "length": 8, "enc": "b", "prefix": "Fixed"}`), "spec bad: field 129: no bit of this spec's bitmaps stands for it"},
		"MTI of 5":          {`{"fields": {"0": {"type": "String", "length": 5, "enc": "n.ASCII", "prefix": "Fixed"}, "1": {"type": "Bitmap", "length": 8, "enc": "b", "prefix": "Fixed"}}}`, "spec bad: field 0: length 5, want 4"},
		"MTI as bytes":      {`{"fields": {"0": {"type": "String", "length": 4, "enc": "ans", "prefix": "Fixed"}, "1": {"type": "Bitmap", "length": 8, "enc": "b", "prefix": "Fixed"}}}`, "spec bad: field 0: encoding is neither ASCII nor BCD digits"},
		"bitmap as digits":  {`{"fields": {"0": {"type": "String", "length": 4, "enc": "n.ASCII", "prefix": "Fixed"}, "1": {"type": "Bitmap", "length": 8, "enc": "ans", "prefix": "Fixed"}}}`, "spec bad: field 1: encoding is neither binary nor hex"},
		"bitmap of 16":      {`{"fields": {"0": {"type": "String", "length": 4, "enc": "ASCII", "prefix": "ASCII.Fixed"}, "1": {"type": "Bitmap", "length": 16, "enc": "HexToASCII", "prefix": "Hex.Fixed"}}}`, "spec bad: field 1: length 16, want 8 bytes"},
		"bitmap is text":    {`{"fields": {"0": {"type": "String", "length": 4, "enc": "ASCII", "prefix": "ASCII.Fixed"}, "1": {"type": "String", "length": 16, "enc": "ASCII", "prefix": "ASCII.Fixed"}}}`, "spec bad: Bitmap field (1) must be of type *field.Bitmap"},
		"too large":         {strings.Repeat(" ", maxSpecBytes+1), "read spec bad: over 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := LoadSpec("bad", strings.NewReader(c.file))
			if spec != nil || err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}
