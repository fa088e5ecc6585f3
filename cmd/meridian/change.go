package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"meridian/internal/card"
	"meridian/switch"
)

// change is who changes something and why: every change by a person is in the audit log with both.
type change struct{ by, reason string }

// register adds the flags of a change.
func (c *change) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&c.by, "by", "", "who does it, for the audit log")
	flags.StringVar(&c.reason, "reason", "", "why, for the audit log")
}

// A name and a reason are read by people, in lists.
const (
	maxByLetters     = 64
	maxReasonLetters = 500
)

// check wants both, each on one line. A card number that somebody put into them is told as it is kept: masked.
func (c *change) check() error {
	for _, one := range []struct {
		flag  string
		value *string
		most  int
	}{{"--by", &c.by, maxByLetters}, {"--reason", &c.reason, maxReasonLetters}} {
		*one.value = card.HideTyped(strings.TrimSpace(*one.value), nil)
		switch {
		case *one.value == "":
			return usagef("%s is missing: who changes something and why is kept in the audit log (--by NAME --reason TEXT)", one.flag)
		case utf8.RuneCountInString(*one.value) > one.most:
			return usagef("%s is longer than %d letters", one.flag, one.most)
		case printable(*one.value) != *one.value:
			return usagef("%s has a line end, or another character that cannot be shown", one.flag)
		}
	}
	return nil
}

// printable replaces what would break a table or steer a terminal: some of what is listed came from outside.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// changeError gives the error of a change its exit code; missing says what is not there when nothing was changed.
func changeError(err error, missing string) error {
	switch {
	case errors.Is(err, switching.ErrNothingChanged):
		return errors.New(missing)
	case errors.Is(err, switching.ErrPolicyValue):
		return withExit(exitUsage, err)
	}
	err = databaseError(err)
	if exitCode(err) == exitConfiguration {
		return withExit(exitConfiguration, fmt.Errorf("%w (changes need the login that owns the schema)", err))
	}
	return err
}
