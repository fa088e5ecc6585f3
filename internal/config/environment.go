package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const variablePrefix = "MERIDIAN_"

// otherVariables are read by other parts of Meridian, and are no keys.
var otherVariables = []string{
	FileVariable,
	"MERIDIAN_POSTGRES_REPOSITORY", // internal/pglocal: where Postgres's binaries are downloaded from
}

// testPrefix begins the variables of the test suite.
const testPrefix = "MERIDIAN_TEST_"

// serviceLink is what Kubernetes adds to every container when a service is called meridian or meridian-something.
var serviceLink = regexp.MustCompile(
	`^MERIDIAN_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$`)

// isForeign tells whether a variable belongs to something else than the configuration.
func isForeign(name, value string) bool {
	switch {
	case strings.HasPrefix(name, testPrefix), slices.Contains(otherVariables, name), serviceLink.MatchString(name):
		return true
	}
	// A service link too; the value tells it from a key that is not known.
	return strings.HasSuffix(name, "_PORT") && (strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://"))
}

// readEnvironment takes the MERIDIAN_ variables.
func (l *loader) readEnvironment(environ []string) {
	type setting struct {
		origin     Origin
		key, value string
	}
	var settings []setting
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || isForeign(name, value) {
			continue
		}
		origin := Origin{Source: SourceEnvironment, Name: name}
		key, ok := keyOf(strings.TrimPrefix(name, variablePrefix), reflect.TypeFor[Config]())
		if !ok {
			l.problemf(Origin{Source: SourceEnvironment, Name: shown(name)}, "", "unknown variable%s", hintVariable(name))
			continue
		}
		if value != "" {
			settings = append(settings, setting{origin: origin, key: key, value: value})
		}
	}
	// Listeners are added in the order of their numbers, whatever order the environment has.
	slices.SortFunc(settings, func(a, b setting) int { return compareKeys(a.key, b.key) })
	for _, s := range settings {
		l.apply(s.origin, s.key, s.value)
	}
}

// compareKeys orders keys as text, and listeners by number: 2 before 10.
func compareKeys(a, b string) int {
	return strings.Compare(padIndex(a), padIndex(b))
}

func padIndex(key string) string {
	name, rest, isItem := strings.Cut(key, "[")
	index, after, closed := strings.Cut(rest, "]")
	if !isItem || !closed {
		return key
	}
	return name + "[" + strings.Repeat("0", max(0, maxIndexDigits-len(index))) + index + "]" + after
}

// maxIndexDigits is more than the number of a listener ever has.
const maxIndexDigits = 4

// keyOf finds the key whose variable has this name, without MERIDIAN_.
func keyOf(name string, structure reflect.Type) (string, bool) {
	for part := range structure.Fields() {
		key := part.Tag.Get("yaml")
		rest, ok := strings.CutPrefix(name, strings.ToUpper(key))
		if !ok {
			continue
		}
		k := kindOf(part.Type)
		switch {
		case rest == "" && k != kindSection && k != kindListeners:
			return key, true
		case !strings.HasPrefix(rest, "_"):
		case k == kindSection:
			if inner, ok := keyOf(rest[1:], part.Type); ok {
				return join(key, inner), true
			}
		case k == kindListeners:
			number, item, _ := strings.Cut(rest[1:], "_")
			index, err := strconv.Atoi(number)
			if err != nil || len(number) > maxIndexDigits || strconv.Itoa(index) != number {
				continue
			}
			if inner, ok := keyOf(item, part.Type.Elem()); ok {
				return join(itemKey(key, index), inner), true
			}
		}
	}
	return "", false
}

// lookup returns a variable's value, or nothing.
func lookup(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
