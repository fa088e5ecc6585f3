package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what one configuration may hold, far above what anyone needs.
const (
	maxListeners     = 64   // each has its accept loop and its metrics' label
	maxAllowPrefixes = 1024 // looked through for every connection
	maxTextBytes     = 4096 // a path is no longer on any system we run on
	maxShownText     = 64   // of a wrong value, in a problem
)

// field is one leaf or section of the configuration, found by reflection over the structs' tags.
type field struct {
	key      string // the last part of its full key
	kind     kind
	value    reflect.Value
	limits   string
	oneof    []string
	path     bool
	required bool
}

// kind says how a field's value is written.
type kind uint8

const (
	kindSection kind = iota
	kindListeners
	kindPrefixes
	kindText
	kindNumber
	kindSwitch
	kindDuration
)

// noun names what is expected, for a problem's reason.
func (k kind) noun() string {
	switch k {
	case kindSection:
		return "a section with keys of its own"
	case kindListeners, kindPrefixes:
		return "a list"
	case kindText:
		return "a text"
	case kindNumber:
		return "a whole number"
	case kindSwitch:
		return "true or false"
	case kindDuration:
		return "a duration with its unit, such as 500ms, 30s or 10m"
	}
	return "a value"
}

// fieldsOf lists a struct's fields in the order they are declared.
func fieldsOf(structure reflect.Value) []field {
	kinds := structure.Type()
	fields := make([]field, 0, kinds.NumField())
	for i := range kinds.NumField() {
		tags := kinds.Field(i).Tag
		fields = append(fields, field{
			key:      tags.Get("yaml"),
			kind:     kindOf(kinds.Field(i).Type),
			value:    structure.Field(i),
			limits:   tags.Get("range"),
			oneof:    strings.Fields(tags.Get("oneof")),
			path:     tags.Get("path") != "",
			required: tags.Get("required") != "",
		})
	}
	return fields
}

// find returns the field with a key.
func find(fields []field, key string) (field, bool) {
	for _, f := range fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func kindOf(t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[[]Listener]():
		return kindListeners
	case t == reflect.TypeFor[[]netip.Prefix]():
		return kindPrefixes
	case t == reflect.TypeFor[time.Duration]():
		return kindDuration
	case t.Kind() == reflect.String:
		return kindText
	case t.Kind() == reflect.Int:
		return kindNumber
	case t.Kind() == reflect.Bool:
		return kindSwitch
	case t.Kind() == reflect.Struct:
		return kindSection
	}
	// Only a new field of a new type comes here, and every test that loads anything shows it.
	panic(fmt.Sprintf("config: no form for a field of type %s", t))
}

// join makes the full key of a field below a section.
func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

func itemKey(list string, index int) string { return fmt.Sprintf("%s[%d]", list, index) }

// set reads the text of a single value, or of a list with commas. The error is the problem's reason. Ranges are checked
// once all places are read, on what is in force.
func (f field) set(text string) error {
	switch f.kind {
	case kindText:
		if err := checkText(text); err != nil {
			return err
		}
		f.value.SetString(text)
	case kindNumber:
		number, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s is not %s", quote(text), f.kind.noun())
		}
		f.value.SetInt(int64(number))
	case kindSwitch:
		if text != "true" && text != "false" {
			return fmt.Errorf("%s is not %s", quote(text), f.kind.noun())
		}
		f.value.SetBool(text == "true")
	case kindDuration:
		duration, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%s is not %s", quote(text), f.kind.noun())
		}
		f.value.SetInt(int64(duration))
	case kindPrefixes:
		var items []string
		for item := range strings.SplitSeq(text, ",") {
			items = append(items, strings.TrimSpace(item))
		}
		return f.setPrefixes(items)
	case kindSection, kindListeners:
		return fmt.Errorf("is %s, not a single value", f.kind.noun())
	}
	return nil
}

func (f field) setPrefixes(items []string) error {
	if len(items) > maxAllowPrefixes {
		return fmt.Errorf("has %d networks; %d are enough", len(items), maxAllowPrefixes)
	}
	var prefixes []netip.Prefix
	for _, item := range items {
		prefix, err := parsePrefix(item)
		if err != nil {
			return err
		}
		prefixes = append(prefixes, prefix)
	}
	f.value.Set(reflect.ValueOf(prefixes))
	return nil
}

// parsePrefix reads a network. What has host bits set is refused: 10.1.2.3/8 is either 10.0.0.0/8 or 10.1.2.3/32, and
// an allow-list is no place to guess.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		if address, addressErr := netip.ParseAddr(text); addressErr == nil && address.Zone() == "" {
			return netip.Prefix{}, fmt.Errorf("%s is an address, not a network: write %s/%d", quote(text), address, address.BitLen())
		}
		return netip.Prefix{}, fmt.Errorf("%s is not a network such as 10.0.0.0/8", quote(text))
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%s has bits set beyond its length: write %s, or %s/%d for the one address",
			quote(text), masked, prefix.Addr(), prefix.Addr().BitLen())
	}
	return prefix, nil
}

// checkText keeps line breaks and other control characters out of paths, names and addresses, and so out of the log.
func checkText(text string) error {
	if len(text) > maxTextBytes {
		return fmt.Errorf("is %d bytes long; at most %d", len(text), maxTextBytes)
	}
	if !utf8.ValidString(text) {
		return errors.New("is not UTF-8")
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			return fmt.Errorf("contains the control character %U", r)
		}
	}
	return nil
}

// quote shows the beginning of a wrong value.
func quote(text string) string {
	if len(text) > maxShownText {
		return strconv.Quote(text[:maxShownText]) + "…"
	}
	return strconv.Quote(text)
}

// text is a field's value as it would be written.
func (f field) text() string {
	switch value := f.value.Interface().(type) {
	case []netip.Prefix:
		items := make([]string, 0, len(value))
		for _, prefix := range value {
			items = append(items, prefix.String())
		}
		return strings.Join(items, ",")
	case fmt.Stringer: // durations, and the database's URL with its password hidden
		return value.String()
	default:
		return fmt.Sprint(value)
	}
}
