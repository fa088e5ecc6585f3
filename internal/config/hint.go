package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// hint suggests what an unknown key was probably meant to be: a near key of the same section, or the section that has a
// key of this name.
func hint(word string, fields []field, section string) string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.key)
	}
	if name, ok := nearest(word, names); ok {
		return fmt.Sprintf("; did you mean %s?", name)
	}
	for _, known := range knownKeys(reflect.TypeFor[Config](), "") {
		if place, name := splitLast(known); name == word && place != section {
			if place == "" {
				return "; it belongs at the top"
			}
			return fmt.Sprintf("; it belongs under %s", place)
		}
	}
	return ""
}

// numberInVariable is the number of a listener, without zeros before it.
var numberInVariable = regexp.MustCompile(`_0*([0-9]{1,4})_`)

// hintVariable suggests a near variable; for a listener's, one of the same listener.
func hintVariable(name string) string {
	number := "0"
	if found := numberInVariable.FindStringSubmatch(name); found != nil {
		number = found[1]
	}
	variables := []string{FileVariable}
	for _, key := range knownKeys(reflect.TypeFor[Config](), "") {
		variables = append(variables, Variable(strings.Replace(key, "[]", "["+number+"]", 1)))
	}
	if near, ok := nearest(name, variables); ok {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

// Variable is the environment variable of a key such as listeners[0].address.
func Variable(key string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer("[", "_", "]", "", ".", "_").Replace(key))
}

// knownKeys lists the full keys of all single values and lists, with [] for a listener's number.
func knownKeys(structure reflect.Type, section string) []string {
	var keys []string
	for part := range structure.Fields() {
		t, key := part.Type, join(section, part.Tag.Get("yaml"))
		switch kindOf(t) {
		case kindSection:
			keys = append(keys, knownKeys(t, key)...)
		case kindListeners:
			keys = append(keys, knownKeys(t.Elem(), key+"[]")...)
		case kindPrefixes, kindText, kindNumber, kindSwitch, kindDuration:
			keys = append(keys, key)
		}
	}
	return keys
}

func splitLast(key string) (section, name string) {
	dot := strings.LastIndexByte(key, '.')
	if dot < 0 {
		return "", key
	}
	return key[:dot], key[dot+1:]
}

// maxHintBytes bounds the words that are compared; a longer one is no misspelling.
const maxHintBytes = 64

// nearest returns the candidate that takes the fewest changes, if those are few for a word of its length.
func nearest(word string, candidates []string) (string, bool) {
	if len(word) > maxHintBytes {
		return "", false
	}
	best, fewest := "", max(1, min(3, len(word)/3))+1
	for _, candidate := range candidates {
		if changes := distance(strings.ToLower(word), strings.ToLower(candidate)); changes < fewest {
			best, fewest = candidate, changes
		}
	}
	return best, best != ""
}

// distance is the number of insertions, deletions, replacements and swaps of adjacent letters between two words.
func distance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
