package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/field"
)

// maxSpecBytes bounds a spec file: 128 fields take about 20 KiB, composites with
// many subfields a few times that.
const maxSpecBytes = 1 << 20

// fieldJSON is a field in the JSON form of moov's specs.ImportJSON.
type fieldJSON struct {
	Type              string                `json:"type"`
	Length            int                   `json:"length,omitempty"`
	Description       string                `json:"description,omitempty"`
	Enc               string                `json:"enc,omitempty"`
	Prefix            string                `json:"prefix,omitempty"`
	Padding           *paddingJSON          `json:"padding,omitempty"`
	Tag               *tagJSON              `json:"tag,omitempty"`
	Subfields         map[string]*fieldJSON `json:"subfields,omitempty"`
	Bitmap            *fieldJSON            `json:"bitmap,omitempty"`
	DisableAutoExpand bool                  `json:"disableAutoExpand,omitempty"` //nolint:tagliatelle // moov's key
}

type paddingJSON struct {
	Type string `json:"type"`
	Pad  string `json:"pad"`
}

type tagJSON struct {
	Length              int          `json:"length,omitempty"`
	Enc                 string       `json:"enc,omitempty"`
	Padding             *paddingJSON `json:"padding,omitempty"`
	Sort                string       `json:"sort,omitempty"`
	SkipUnknownTLVTags  bool         `json:"skipUnknownTLVTags,omitempty"`  //nolint:tagliatelle // moov's key
	StoreUnknownTLVTags bool         `json:"storeUnknownTLVTags,omitempty"` //nolint:tagliatelle // moov's key
	PrefUnknownTLV      string       `json:"prefUnknownTLV,omitempty"`      //nolint:tagliatelle // moov's key
}

type specJSON struct {
	Name   string                     `json:"name"`
	Fields map[string]json.RawMessage `json:"fields"`
}

// codecs are our encodings by the name they have in JSON specs:
//
//	n.ASCII n.BCD.Left n.BCD.Right   digits
//	z.ASCII z.BCD z.BCD.Sealed       track 2, one whose end may be encrypted
//	x+n.ASCII x+n.BCD                signed amounts
//	ans ans.Hex private              printable text, text that carries hex, any byte
//	b b.Hex                          bytes, bytes as hex digits
//
// They take the prefixes Fixed, ASCII.LL, ASCII.LLL, BCD.LL and BCD.LLL.
var codecs = []codec{
	asciiNumeric, bcdLeft, bcdRight,
	asciiTrack{},
	bcdTrack, bcdTrackSealed,
	asciiAmount, bcdAmount,
	text, hexText, private,
	raw{},
	hexDigits{},
}

var prefixes = []*lengthPrefix{fixedLength, asciiLL, asciiLLL, bcdLL, bcdLLL}

func codecNamed(name string) codec {
	for _, c := range codecs {
		if c.name() == name {
			return c
		}
	}
	return nil
}

func prefixNamed(name string) *lengthPrefix {
	for _, p := range prefixes {
		if p.label == name {
			return p
		}
	}
	return nil
}

// LoadSpec reads a custom spec in the JSON form of moov's specs.ImportJSON. Beside
// moov's encodings it knows ours by name (n.BCD.Left, z.BCD, ans, b and so on:
// see codecs), which check their values, keep pad nibbles and are an order of
// magnitude faster. The name replaces the one in the file
// unless it is empty.
//
// An error names the field. Unknown keys, bits without a bitmap and definitions
// moov cannot build are errors.
func LoadSpec(name string, r io.Reader) (*Spec, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSpecBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read spec %s: %w", name, err)
	}
	if len(content) > maxSpecBytes {
		return nil, fmt.Errorf("read spec %s: over %d bytes", name, maxSpecBytes)
	}
	var file specJSON
	if err := decodeStrict(content, &file); err != nil {
		return nil, fmt.Errorf("read spec %s: %w", name, err)
	}
	if name == "" {
		name = file.Name
	}
	m := &iso8583.MessageSpec{Name: name, Fields: map[int]field.Field{}}
	// In order, so that of several mistakes the same one is always reported.
	for _, key := range slices.Sorted(maps.Keys(file.Fields)) {
		number, err := strconv.Atoi(key)
		if err != nil {
			return nil, fmt.Errorf("spec %s: field %q: not a number", name, key)
		}
		def, err := loadField(file.Fields[key])
		if err != nil {
			return nil, fmt.Errorf("spec %s: field %d: %w", name, number, err)
		}
		m.Fields[number] = def
	}
	return compile(name, m)
}

func decodeStrict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err //nolint:wrapcheck // the caller says what was being read
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the end of the JSON object")
	}
	return nil
}

func loadField(content json.RawMessage) (field.Field, error) {
	var f fieldJSON
	if err := decodeStrict(content, &f); err != nil {
		return nil, err
	}
	return f.field()
}

// field builds the definition.
func (f *fieldJSON) field() (field.Field, error) {
	c := codecNamed(f.Enc)
	if c == nil || len(f.Subfields) > 0 {
		return f.other()
	}
	p := prefixNamed(f.Prefix)
	if p == nil {
		return nil, fmt.Errorf("encoding %s does not take prefix %q", f.Enc, f.Prefix)
	}
	def := &field.Spec{Length: f.Length, Description: f.Description, Enc: moovEncoder{c}, Pref: p, DisableAutoExpand: f.DisableAutoExpand}
	if f.Padding != nil {
		if *f.Padding != (paddingJSON{"Right", " "}) || p != fixedLength || c.kind() != KindText && c.kind() != KindPrivate {
			return nil, errors.New("only fixed ans fields are padded, on the right and with spaces")
		}
		def.Pad = spaces{}
	}
	switch f.Type {
	case "String":
		return field.NewString(def), nil
	case "Binary":
		return field.NewBinary(def), nil
	case "Bitmap":
		if f.Length != bitmapBytes {
			return nil, fmt.Errorf("length %d, want %d bytes", f.Length, bitmapBytes)
		}
		return field.NewBitmap(def), nil
	}
	return nil, fmt.Errorf("encoding %s does not take type %q", f.Enc, f.Type)
}
