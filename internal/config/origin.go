package config

import (
	"fmt"
	"strings"
)

// Source is a kind of place that a value comes from, the weaker before the stronger.
type Source uint8

// The sources in the order of precedence: a later one overrides an earlier one.
const (
	SourceDefault Source = iota
	SourceFile
	SourceEnvironment
	SourceFlag
)

// String names the source.
func (s Source) String() string {
	switch s {
	case SourceDefault:
		return "default"
	case SourceFile:
		return "file"
	case SourceEnvironment:
		return "environment"
	case SourceFlag:
		return "flag"
	}
	return fmt.Sprintf("Source(%d)", uint8(s))
}

// Origin is the place a value came from.
type Origin struct {
	Source Source
	// Name is the file's path, the variable's name or the flag as the user writes it; empty for a default.
	Name string
	// Line counts from 1; 0 where there is none.
	Line int
}

// String is the place as a person looks for it: meridian.yaml:12, MERIDIAN_LOG_LEVEL, --log-level, default.
func (o Origin) String() string {
	switch {
	case o.Source == SourceDefault:
		return "default"
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	default:
		return o.Name
	}
}

// origins holds where each key was set, and for sections and list items where they begin.
type origins map[string]Origin

// of returns the place to look at for a key: its own, else that of the section it is missing from.
func (o origins) of(key string) Origin {
	for key != "" {
		if origin, ok := o[key]; ok {
			return origin
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return Origin{}
}
