package config

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readYAML takes the file's values. It walks the syntax tree instead of decoding into structs, so that every value and
// every problem has its line.
func (l *loader) readYAML(content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return // nothing but comments: nothing is set
	case err != nil:
		l.syntaxProblem(err)
		return
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		l.syntaxProblem(err)
	default:
		l.problemf(l.at(&second), "", "a second document begins here; only one is read")
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
		return
	}
	l.section(root, reflect.ValueOf(&l.config).Elem(), "")
}

func (l *loader) at(node *yaml.Node) Origin {
	return Origin{Source: SourceFile, Name: l.file, Line: node.Line}
}

var syntaxLine = regexp.MustCompile(`line (\d+): `)

// syntaxProblem moves the line out of the parser's message to where the other problems have theirs.
func (l *loader) syntaxProblem(err error) {
	origin := Origin{Source: SourceFile, Name: l.file}
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	if at := syntaxLine.FindStringSubmatchIndex(reason); at != nil {
		if line, err := strconv.Atoi(reason[at[2]:at[3]]); err == nil {
			origin.Line = line
			reason = reason[:at[0]] + reason[at[1]:]
			// The package counts from 0 in its parser's messages and from 1 in its scanner's; the parser's begin so.
			if strings.HasPrefix(reason, "did not find expected") {
				origin.Line++
			}
		}
	}
	l.problemf(origin, "", "not YAML: %s", reason)
}

// section takes a mapping's keys into a struct.
func (l *loader) section(node *yaml.Node, structure reflect.Value, key string) {
	if !l.expect(node, yaml.MappingNode, key, kindSection) {
		return
	}
	fields := fieldsOf(structure)
	lines := make(map[string]int, len(fields))
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
			l.problemf(l.at(name), key, "a key is a plain word; merge keys and aliases are not read: write the values out")
			continue
		}
		full := join(key, name.Value)
		f, ok := find(fields, name.Value)
		if !ok {
			l.problemf(l.at(name), join(key, shown(name.Value)), "unknown key%s", hint(name.Value, fields, key))
			continue
		}
		if line, twice := lines[name.Value]; twice {
			l.problemf(l.at(name), full, "is given twice, first on line %d", line)
			continue
		}
		lines[name.Value] = name.Line
		l.value(name, value, f, full)
	}
}

// value takes one key's value. A section is remembered by the line of its key, a value by its own.
func (l *loader) value(name, node *yaml.Node, f field, key string) {
	switch f.kind {
	case kindSection:
		l.origins[key] = l.at(name)
		l.section(node, f.value, key)
	case kindListeners:
		l.listeners(name, node, f, key)
	case kindPrefixes:
		l.prefixes(node, f, key)
	case kindText, kindNumber, kindSwitch, kindDuration:
		if !l.expect(node, yaml.ScalarNode, key, f.kind) {
			return
		}
		text := node.Value
		if f.path && text != "" && !filepath.IsAbs(text) {
			text = filepath.Join(filepath.Dir(l.file), text)
		}
		if err := f.set(text); err != nil {
			l.problemf(l.at(node), key, "%s", err)
			return
		}
		l.origins[key] = l.at(node)
	}
}

func (l *loader) listeners(name, node *yaml.Node, f field, key string) {
	if !l.expect(node, yaml.SequenceNode, key, f.kind) {
		return
	}
	l.origins[key] = l.at(name)
	if len(node.Content) > maxListeners {
		l.problemf(l.at(node), key, "has %d items; at most %d", len(node.Content), maxListeners)
		return
	}
	listeners := make([]Listener, len(node.Content))
	for i, item := range node.Content {
		listeners[i] = DefaultListener()
		l.origins[itemKey(key, i)] = l.at(item)
		l.section(item, reflect.ValueOf(&listeners[i]).Elem(), itemKey(key, i))
	}
	if len(listeners) > 0 {
		f.value.Set(reflect.ValueOf(listeners))
	}
}

func (l *loader) prefixes(node *yaml.Node, f field, key string) {
	if !l.expect(node, yaml.SequenceNode, key, f.kind) {
		return
	}
	l.origins[key] = l.at(node)
	if len(node.Content) > maxAllowPrefixes {
		l.problemf(l.at(node), key, "has %d items; at most %d", len(node.Content), maxAllowPrefixes)
		return
	}
	items := make([]string, 0, len(node.Content))
	for i, item := range node.Content {
		if !l.expect(item, yaml.ScalarNode, itemKey(key, i), kindText) {
			return
		}
		if _, err := parsePrefix(item.Value); err != nil {
			l.problemf(l.at(item), itemKey(key, i), "%s", err)
			continue
		}
		items = append(items, item.Value)
	}
	if err := f.setPrefixes(items); err != nil {
		l.problemf(l.at(node), key, "%s", err)
	}
}

// expect reports a node of another kind than wanted.
func (l *loader) expect(node *yaml.Node, wanted yaml.Kind, key string, k kind) bool {
	isNull := node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
	var found string
	switch {
	case node.Kind == yaml.AliasNode:
		l.problemf(l.at(node), key, "an alias is not read: write the value out")
		return false
	case node.Style&yaml.TaggedStyle != 0:
		l.problemf(l.at(node), key, "a tag such as %s is not read: write the value alone", shown(node.Tag))
		return false
	case isNull:
		l.problemf(l.at(node), key, "has no value: give it %s, or leave the key out", k.noun())
		return false
	case node.Kind == wanted:
		return true
	case node.Kind == yaml.MappingNode:
		found = "a section"
	case node.Kind == yaml.SequenceNode:
		found = "a list"
	default:
		found = "a single value"
	}
	l.problemf(l.at(node), key, "is %s; expected %s", found, k.noun())
	return false
}

// shown makes an unknown word fit for a message: short, without control characters, and not a URL that slipped into the
// place of a key with its password.
func shown(word string) string {
	if strings.ContainsAny(word, "@/=") {
		return hidden
	}
	if len(word) > maxShownText || checkText(word) != nil || word == "" {
		return quote(word)
	}
	return word
}
