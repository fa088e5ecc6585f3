package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"meridian/internal/card"
)

// Exit codes. Scripts rely on them.
const (
	exitFailure       = 1 // anything that has no code of its own
	exitUsage         = 2 // the command line is wrong
	exitConfiguration = 3 // the configuration, the keys or the schema do not fit
	exitUnreachable   = 4 // a dependency (Postgres, a host) is not reachable
	exitInvariant     = 5 // something that must hold does not
)

// exitError is an error that knows its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// withExit gives an error its exit code. The code nearest to the cause counts: it knows best.
func withExit(code int, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	return &exitError{code: code, err: err}
}

// usagef is an error of the command line. It says what is possible.
func usagef(format string, arguments ...any) error {
	return withExit(exitUsage, fmt.Errorf(format, arguments...))
}

// exitCode is the exit code of an error: 0 for none.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	return exitFailure
}

// failure is an error as JSON.
type failure struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// fail tells the user about an error. A wrong command line is followed by where to find what is right; the error itself
// stays in sight, as it would not above all of the help.
func (g *globals) fail(failed *cobra.Command, err error) {
	code, told := exitCode(err), hideCards(err.Error())
	if g.json() {
		line, err := json.Marshal(failure{Error: told, Code: code})
		if err != nil { // a text and a number always marshal
			line = []byte(told)
		}
		_, _ = g.stderr.Write(append(line, '\n'))
		return
	}
	_, _ = fmt.Fprintf(g.stderr, "meridian: %s\n", told)
	if code == exitUsage && failed != nil {
		_, _ = fmt.Fprintf(g.stderr, "usage: %s\n'%s --help' tells more\n", failed.UseLine(), failed.CommandPath())
	}
}

// merchantDigits is how long a merchant's number is.
const merchantDigits = 15

// hideCards masks the card numbers in what is told of an error. Errors quote arguments, and so do those of libraries
// (a file that is not there); a card number that was typed as one would be on screens, in logs of jobs and in tickets.
// A merchant's number passes the check of a card's once in ten times, and is to be read; an issuer's of 15 digits is masked.
func hideCards(text string) string {
	return card.HideTyped(text, func(digits string) bool { return len(digits) == merchantDigits && !card.Issued(digits) })
}

// interrupted replaces the error of a command that a signal ended by one for people.
func interrupted(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}
