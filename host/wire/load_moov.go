package wire

import (
	"fmt"
	"unicode/utf8"

	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/padding"
	"github.com/moov-io/iso8583/prefix"
	moovsort "github.com/moov-io/iso8583/sort"
)

// other builds a definition that only moov can read, with the names of moov's
// specs.ImportJSON. That function itself is not used: it takes none of our
// encodings, knows no strictness and brings a YAML library with it. Its panics
// live on in the constructors, so they are turned into errors here too.
func (f *fieldJSON) other() (def field.Field, err error) {
	defer func() {
		if r := recover(); r != nil {
			def, err = nil, fmt.Errorf("build definition: %v", r)
		}
	}()
	build, ok := moovTypes()[f.Type]
	if !ok {
		return nil, fmt.Errorf("unknown type %q", f.Type)
	}
	spec, err := f.spec()
	if err != nil {
		return nil, err
	}
	return build(spec), nil
}

func (f *fieldJSON) spec() (*field.Spec, error) {
	spec := &field.Spec{Length: f.Length, Description: f.Description, DisableAutoExpand: f.DisableAutoExpand}
	var err error
	if spec.Pref, err = moovPrefix(f.Prefix); err != nil {
		return nil, err
	}
	if spec.Pad, err = f.Padding.padder(); err != nil {
		return nil, err
	}
	if len(f.Subfields) == 0 {
		spec.Enc, err = moovEncoding(f.Enc)
		return spec, err
	}
	spec.Subfields = map[string]field.Field{}
	for key, sub := range f.Subfields {
		if sub == nil {
			return nil, fmt.Errorf("subfield %s: no definition", key)
		}
		if spec.Subfields[key], err = sub.field(); err != nil {
			return nil, fmt.Errorf("subfield %s: %w", key, err)
		}
	}
	if f.Tag != nil {
		if spec.Tag, err = f.Tag.spec(); err != nil {
			return nil, fmt.Errorf("tag: %w", err)
		}
	}
	if f.Bitmap != nil {
		inner, err := f.Bitmap.spec()
		if err != nil {
			return nil, fmt.Errorf("bitmap: %w", err)
		}
		spec.Bitmap = field.NewBitmap(inner)
	}
	return spec, nil
}

func (t *tagJSON) spec() (*field.TagSpec, error) {
	spec := &field.TagSpec{Length: t.Length, SkipUnknownTLVTags: t.SkipUnknownTLVTags, StoreUnknownTLVTags: t.StoreUnknownTLVTags}
	var err error
	if t.Enc != "" {
		if spec.Enc, err = moovEncoding(t.Enc); err != nil {
			return nil, err
		}
	}
	if spec.Pad, err = t.Padding.padder(); err != nil {
		return nil, err
	}
	switch t.Sort {
	case "StringsByInt":
		spec.Sort = moovsort.StringsByInt
	case "StringsByHex":
		spec.Sort = moovsort.StringsByHex
	default:
		return nil, fmt.Errorf("unknown sort %q", t.Sort)
	}
	if t.PrefUnknownTLV != "" {
		spec.PrefUnknownTLV, err = moovPrefix(t.PrefUnknownTLV)
	}
	return spec, err
}

func (p *paddingJSON) padder() (padding.Padder, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // moov's own way to say that nothing is padded
	}
	pad, size := utf8.DecodeRuneInString(p.Pad)
	switch {
	case p.Type == "None":
		return padding.None, nil
	case size == 0 || size != len(p.Pad):
		return nil, fmt.Errorf("padding %q is not one character", p.Pad)
	case p.Type == "Left":
		return padding.Left(pad), nil
	case p.Type == "Right":
		return padding.Right(pad), nil
	}
	return nil, fmt.Errorf("unknown padding type %q", p.Type)
}

func moovTypes() map[string]func(*field.Spec) field.Field {
	return map[string]func(*field.Spec) field.Field{
		"String":    func(s *field.Spec) field.Field { return field.NewString(s) },
		"Numeric":   func(s *field.Spec) field.Field { return field.NewNumeric(s) },
		"Binary":    func(s *field.Spec) field.Field { return field.NewBinary(s) },
		"Hex":       func(s *field.Spec) field.Field { return field.NewHex(s) },
		"Bitmap":    func(s *field.Spec) field.Field { return field.NewBitmap(s) },
		"Composite": func(s *field.Spec) field.Field { return field.NewComposite(s) },
		"Track1":    func(s *field.Spec) field.Field { return field.NewTrack1(s) },
		"Track2":    func(s *field.Spec) field.Field { return field.NewTrack2(s) },
		"Track3":    func(s *field.Spec) field.Field { return field.NewTrack3(s) },
	}
}

func moovEncoding(name string) (encoding.Encoder, error) {
	enc, ok := map[string]encoding.Encoder{
		"ASCII":      encoding.ASCII,
		"BCD":        encoding.BCD,
		"EBCDIC":     encoding.EBCDIC,
		"EBCDIC1047": encoding.EBCDIC1047,
		"Binary":     encoding.Binary,
		"HexToASCII": encoding.BytesToASCIIHex,
		"ASCIIToHex": encoding.ASCIIHexToBytes,
		"LBCD":       encoding.LBCD,
		"BerTLVTag":  encoding.BerTLVTag,
	}[name]
	if !ok {
		return nil, fmt.Errorf("unknown encoding %q", name)
	}
	return enc, nil
}

func moovPrefix(name string) (prefix.Prefixer, error) {
	families := []prefix.Prefixers{prefix.ASCII, prefix.BCD, prefix.Binary, prefix.EBCDIC, prefix.Hex}
	known := []prefix.Prefixer{prefix.None.Fixed, prefix.BerTLV}
	for _, f := range families {
		known = append(known, f.Fixed, f.L, f.LL, f.LLL, f.LLLL)
	}
	for _, p := range known {
		if p.Inspect() == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unknown prefix %q", name)
}
