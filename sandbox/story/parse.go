package story

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"meridian/internal/card"
)

// maxFileBytes is far more than a scenario that people read.
const maxFileBytes = 256 << 10

// ErrFile: a scenario's file cannot be read, or says something wrong.
var ErrFile = errors.New("scenario file")

// Read reads a scenario from a file.
func Read(path string) (*Scenario, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return Parse(path, content)
}

// Parse reads a scenario. Errors wrap [ErrFile] and name the file and its line.
func Parse(name string, content []byte) (*Scenario, error) {
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%w %s: more than %d bytes", ErrFile, name, maxFileBytes)
	}
	s := &Scenario{File: name}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	err := decoder.Decode(s)
	if err == nil {
		if err = s.check(); err == nil && decoder.Decode(new(yaml.Node)) == nil {
			err = errors.New("a file is one scenario: a second document follows")
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w %s: it is empty", ErrFile, name)
	case err != nil:
		// What stands in the wrong place may be a card number.
		return nil, fmt.Errorf("%w %s: %s", ErrFile, name, card.MaskDigits(plain(err)))
	}
	return s, nil
}

var typeNames = regexp.MustCompile(` into [*\[\]a-z.A-Z]+`)

// plain takes out of an error what only who knows this package understands.
func plain(err error) string {
	if wrong, ours := errors.AsType[*lineError](err); ours {
		return wrong.Error()
	}
	whole := strings.TrimPrefix(err.Error(), "yaml: ")
	whole = strings.TrimSpace(strings.TrimPrefix(whole, "unmarshal errors:"))
	return typeNames.ReplaceAllString(whole, "")
}

// text is a scalar as it stands in the file: a code of 00 is not the number 0.
type text string

// UnmarshalYAML takes the characters.
func (t *text) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return at(node.Line, "one value is wanted here, not a list or a mapping")
	}
	*t = text(node.Value)
	return nil
}

// perDialect is a text for every dialect, under the empty name, or one for each.
type perDialect map[string]text

// UnmarshalYAML takes a value, or a mapping of dialects.
func (p *perDialect) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*p = perDialect{"": text(node.Value)}
		return nil
	}
	var each map[string]text
	if err := node.Decode(&each); err != nil {
		return at(node.Line, "a value, or a value for each dialect")
	}
	*p = each
	return nil
}

// of a dialect; empty where nothing is said.
func (p *perDialect) of(dialect string) string {
	if value, own := (*p)[dialect]; own {
		return string(value)
	}
	return string((*p)[""])
}

// UnmarshalYAML refuses keys that are not known.
func (s *Scenario) UnmarshalYAML(node *yaml.Node) error {
	type bare Scenario
	return strict(node, (*bare)(s))
}

// UnmarshalYAML refuses keys that are not known, and keeps the line.
func (s *Step) UnmarshalYAML(node *yaml.Node) error {
	type bare Step
	s.Line = node.Line
	return strict(node, (*bare)(s))
}

// UnmarshalYAML refuses keys that are not known, and keeps the line.
func (e *Expect) UnmarshalYAML(node *yaml.Node) error {
	type bare Expect
	e.Line = node.Line
	return strict(node, (*bare)(e))
}

// UnmarshalYAML refuses keys that are not known.
func (b *ExpectBatch) UnmarshalYAML(node *yaml.Node) error {
	type bare ExpectBatch
	return strict(node, (*bare)(b))
}

// strict decodes a mapping into a struct that has a field for every key.
func strict(node *yaml.Node, into any) error {
	if node.Kind != yaml.MappingNode {
		return at(node.Line, "keys with values are wanted here")
	}
	kind := reflect.TypeOf(into).Elem()
	var known []string
	for field := range kind.Fields() {
		if name := field.Tag.Get("yaml"); name != "-" {
			known = append(known, name)
		}
	}
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(known, key.Value) {
			return at(key.Line, "unknown key %q; there are %s", key.Value, strings.Join(known, ", "))
		}
	}
	return node.Decode(into) //nolint:wrapcheck // taken apart by plain
}
