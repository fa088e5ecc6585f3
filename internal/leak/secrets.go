package leak

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Secrets are what is looked for. The zero value is empty.
type Secrets struct {
	patterns []pattern
	known    map[string]struct{}
}

// pattern is one form of one secret.
type pattern struct {
	text         []byte
	secret, form string
}

// minPattern is the shortest form that is looked for: what is shorter is found in
// any megabyte by chance. A card number of 16 digits, packed from its second digit
// on, has as many bytes.
const minPattern = 7

// minDigits makes every form of a number at least minPattern long.
const minDigits = 2*minPattern + 1

// Digits adds a number: a card number, or a part of a track, in which = stands for
// the separator. It panics when the number is too short to be told from chance.
func (s *Secrets) Digits(name, digits string) {
	if len(digits) < minDigits {
		panic(fmt.Sprintf("leak: %s has %d digits: %d are too few to look for", name, len(digits), minDigits-1))
	}
	s.characters(name, digits)
	if hexadecimal := strings.ReplaceAll(digits, "=", "D"); hexadecimal != digits {
		s.add(name, "packed, in hexadecimal", hexadecimal)
		s.add(name, "packed, in hexadecimal", strings.ToLower(hexadecimal))
	}
	// Packed from the first digit, and from the second: where a number begins in the
	// middle of a byte. What is left over at its ends shares bytes with others.
	s.encodings(name, "packed", pack(digits))
	s.shifted(name, digits)
	if number, err := strconv.ParseUint(digits, 10, 64); err == nil {
		// As a database keeps a bigint, and as protocols send one.
		s.add(name, "as a number", string(binary.LittleEndian.AppendUint64(nil, number)))
		s.add(name, "as a number", string(binary.BigEndian.AppendUint64(nil, number)))
	}
}

// shifted adds the number as it is packed behind half a byte; what shares a byte
// with other digits is left out. A number that is all zeros but for its ends cannot
// be told there from what files of databases are full of, and is not looked for.
func (s *Secrets) shifted(name, digits string) {
	if inner := pack(digits[1:]); len(bytes.Trim(inner, "\x00")) >= minTelling {
		s.encodings(name, "packed from the second digit", inner)
	}
}

// minTelling is how many bytes there have to be from the first to the last that is
// not zero.
const minTelling = 4

// Text adds characters, such as a password's.
func (s *Secrets) Text(name, text string) {
	if len(text) < minPattern {
		panic(fmt.Sprintf("leak: %s has %d characters: too few to look for", name, len(text)))
	}
	s.characters(name, text)
}

// Bytes adds binary: a key, a PIN block. Its hexadecimal is looked for as such and
// as what it is written with.
func (s *Secrets) Bytes(name string, content []byte) {
	if len(content) < minPattern {
		panic(fmt.Sprintf("leak: %s has %d bytes: too few to look for", name, len(content)))
	}
	s.add(name, "raw", string(content))
	s.encodings(name, "raw", content)
	for _, digits := range []string{hex.EncodeToString(content), strings.ToUpper(hex.EncodeToString(content))} {
		s.encodings(name, "hexadecimal", []byte(digits))
	}
}

// characters adds a text as it is, and its encodings.
func (s *Secrets) characters(name, text string) {
	s.add(name, "characters", text)
	s.encodings(name, "characters", []byte(text))
}

// pack packs two digits to a byte; an odd one at the end is left out.
func pack(digits string) []byte {
	packed := make([]byte, len(digits)/2)
	for i := range packed {
		packed[i] = nibble(digits[2*i])<<4 | nibble(digits[2*i+1])
	}
	return packed
}

func nibble(digit byte) byte {
	if digit == '=' {
		return 0xD
	}
	return digit - '0'
}

// encodings adds the ways in which bytes are written as text, and the bytes.
func (s *Secrets) encodings(name, of string, content []byte) {
	s.add(name, of, string(content))
	for _, spaced := range []string{"%x", "%X", "% x", "% X"} {
		s.add(name, of+", in hexadecimal", fmt.Sprintf(spaced, content))
	}
	s.addBase64(name, of, content)
	for _, quoted := range []string{strconv.Quote(string(content)), strconv.QuoteToASCII(string(content)), fmt.Sprintf("%+q", content)} {
		s.add(name, of+", quoted", quoted[1:len(quoted)-1])
	}
	decimal := make([]string, len(content))
	for i, b := range content {
		decimal[i] = strconv.Itoa(int(b))
	}
	s.add(name, of+", as a list", strings.Join(decimal, " "))
	s.add(name, of+", as a list", strings.Join(decimal, ","))
}

// addBase64 adds what base64 makes of bytes wherever they stand in what is
// encoded: with none, one or two bytes before them in their group of three. The
// characters at both ends hold bits of what stands beside, and are left out.
func (s *Secrets) addBase64(name, of string, content []byte) {
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			encoded := alphabet.EncodeToString(slices.Concat(make([]byte, before), content))
			first := (before*8 + 5) / 6             // of its own bits alone
			last := (before + len(content)) * 8 / 6 // behind the last one of them
			s.add(name, of+", in base64", encoded[first:last])
		}
	}
}

// add adds a form, once.
func (s *Secrets) add(name, form, text string) {
	if s.known == nil {
		s.known = map[string]struct{}{}
	}
	if _, known := s.known[text]; known || len(text) < minPattern {
		return
	}
	s.known[text] = struct{}{}
	s.patterns = append(s.patterns, pattern{[]byte(text), name, form})
}

// Len is the number of forms that are looked for.
func (s *Secrets) Len() int { return len(s.patterns) }

// longest form, in bytes.
func (s *Secrets) longest() (n int) {
	for _, p := range s.patterns {
		n = max(n, len(p.text))
	}
	return n
}

// matches tells whether text begins with the form.
func (p *pattern) matches(text []byte) bool { return bytes.HasPrefix(text, p.text) }
