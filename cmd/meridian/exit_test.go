package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"meridian/migrations"
)

func TestTheCodeNearestToTheCauseCounts(t *testing.T) {
	if withExit(exitUsage, nil) != nil {
		t.Error("no error became one")
	}
	cause := errors.New("cause")
	inner := fmt.Errorf("wrapped: %w", withExit(exitInvariant, cause))
	outer := withExit(exitUsage, inner)
	if code := exitCode(outer); code != exitInvariant {
		t.Errorf("code %d, want %d", code, exitInvariant)
	}
	if !errors.Is(outer, cause) || outer.Error() != "wrapped: cause" {
		t.Errorf("the error became %q", outer)
	}
	if exitCode(nil) != 0 || exitCode(cause) != exitFailure {
		t.Error("no error is 0, one without a code is a failure")
	}
}

func TestDatabaseErrors(t *testing.T) {
	pgError := func(code, message string) error { return &pgconn.PgError{Code: code, Message: message} }
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, 0},
		{pgError("42P01", `relation "goose_db_version" does not exist`), exitConfiguration},
		{fmt.Errorf("assume role %s: %w", migrations.ServiceRole, pgError("22023", "role does not exist")), exitConfiguration},
		{pgError("22023", "invalid parameter"), exitFailure},
		{pgError("42501", "permission denied"), exitConfiguration},
		{pgError("28P01", "password authentication failed"), exitConfiguration},
		{pgError("3D000", "database does not exist"), exitConfiguration},
		{pgError("57P01", "terminating connection due to administrator command"), exitUnreachable},
		{pgError("57P03", "the database system is starting up"), exitUnreachable},
		{pgError("53300", "too many clients"), exitUnreachable},
		{pgError("08006", "connection failure"), exitUnreachable},
		{pgError("22012", "division by zero"), exitFailure},
		{&pgconn.ConnectError{Config: &pgconn.Config{}}, exitUnreachable},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, exitUnreachable},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), exitUnreachable},
		{context.Canceled, exitFailure},
	} {
		if code := exitCode(databaseError(c.err)); code != c.code {
			t.Errorf("%v: code %d, want %d", c.err, code, c.code)
		}
	}
}

func TestInterruptedCommandSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := interrupted(ctx, context.Canceled); errors.Is(err, errInterrupted) {
		t.Error("nobody has interrupted it")
	}
	cancel(errInterrupted)
	if err := interrupted(ctx, fmt.Errorf("query: %w", context.Canceled)); !errors.Is(err, errInterrupted) {
		t.Errorf("got %v", err)
	}
	if err := interrupted(ctx, io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("another error became %v", err)
	}
}

// TestErrorsHoldNoCardNumber types a card number wherever something else is meant.
func TestErrorsHoldNoCardNumber(t *testing.T) {
	const pan, shown = "9999990000000014", "999999…0014"
	url := []string{"MERIDIAN_DATABASE_URL=postgres://nobody@127.0.0.1:1/none"}
	sign := []string{"--by", "Ann Lee", "--reason", "test"}
	for _, c := range []struct {
		name      string
		arguments []string
		told      string
	}{
		{"a file", append([]string{"card", "block", "--pan-file", pan}, sign...), "open " + shown},
		{"cards", append([]string{"card", "add", "--file", pan}, sign...), "open " + shown},
		{"a configuration", []string{"config", "check", "--config", pan}, shown},
		{"a number", []string{"audit", "list", "--limit", pan + "x"}, shown},
		{"an output", []string{"version", "--output", pan}, shown},
		{"a subject of help", []string{"help", pan}, shown},
		{"a flag", []string{"version", "--" + pan}, shown},
		{"an operator", append([]string{"operator", "add", "--mid", "1", "--number", pan}, sign...), shown},
		{"in groups", []string{"version", "--output", "9999 9900 0000 0014"}, shown},
	} {
		for _, form := range [][]string{nil, {"-o", "json"}} {
			if c.name == "an output" || c.name == "in groups" {
				form = nil
			}
			o := callWith(t, url, "", append(slices.Clone(c.arguments), form...)...)
			if all := o.stdout + o.stderr; o.code == 0 || strings.Contains(all, pan) || !strings.Contains(all, c.told) {
				t.Errorf("%s: code %d, want no %s and %q\n%s", c.name, o.code, pan, c.told, all)
			}
		}
	}
}

func TestErrorsKeepWhatIsNoCardNumber(t *testing.T) {
	for _, text := range []string{
		`there is no transaction "632500000001"`,           // an RRN
		`there is no terminal "10000001"`,                  // a TID
		`there is no merchant "104110000000001"`,           // a MID
		`there is no merchant "500000000000009"`,           // a MID that passes a card's check
		`there is no ceremony "1f0c2d3e4b5a6978"`,          //
		"cutoff of 2026-11-21T20:25:00Z",                   //
		"review 018f3c1e-7b2a-7c3d-9e4f-0123456789ab gone", //
	} {
		if got := hideCards(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := hideCards("no merchant 378282246310005"); got != "no merchant 378282…0005" {
		t.Errorf("a card number of 15 digits: %q", got)
	}
}
