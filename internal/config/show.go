package config

import (
	"fmt"
	"os"
	"reflect"
)

// Setting is one key of the configuration in force, for showing to people.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// Settings lists every key in the order of the structs, secrets hidden.
func (l *Loaded) Settings() []Setting {
	config := l.Config.Redacted()
	return l.settings(reflect.ValueOf(&config).Elem(), "")
}

func (l *Loaded) settings(structure reflect.Value, section string) []Setting {
	var settings []Setting
	for _, f := range fieldsOf(structure) {
		key := join(section, f.key)
		switch f.kind {
		case kindSection:
			settings = append(settings, l.settings(f.value, key)...)
		case kindListeners:
			for i := range f.value.Len() {
				settings = append(settings, l.settings(f.value.Index(i), itemKey(key, i))...)
			}
		case kindPrefixes, kindText, kindNumber, kindSwitch, kindDuration:
			// A value that nobody set is a default, though its section stands in the file.
			settings = append(settings, Setting{Key: key, Value: f.text(), Origin: l.origins[key].String()})
		}
	}
	return settings
}

// Origin is the place that a key's value came from.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

// CheckFiles returns an [*Error] with every file the configuration names that cannot be read.
func (l *Loaded) CheckFiles() error {
	return asError(l.locate(unreadable(reflect.ValueOf(&l.Config).Elem(), "")))
}

func unreadable(structure reflect.Value, section string) []Problem {
	var problems []Problem
	for _, f := range fieldsOf(structure) {
		key := join(section, f.key)
		switch {
		case f.kind == kindSection:
			problems = append(problems, unreadable(f.value, key)...)
		case f.kind == kindListeners:
			for i := range f.value.Len() {
				problems = append(problems, unreadable(f.value.Index(i), itemKey(key, i))...)
			}
		case f.path && f.value.String() != "":
			if reason := cannotRead(f.value.String()); reason != "" {
				problems = append(problems, Problem{Key: key, Reason: reason})
			}
		}
	}
	return problems
}

// cannotRead says why a file cannot be read, or nothing.
func cannotRead(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("%s: cannot be read: %s", path, withoutPath(err))
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return path + ": is a directory"
	}
	return ""
}
