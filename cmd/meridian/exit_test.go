package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
