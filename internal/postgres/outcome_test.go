package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"meridian/internal/postgres"
)

func TestClassify(t *testing.T) {
	code := func(c string) error { return fmt.Errorf("store: %w", &pgconn.PgError{Code: c}) }
	dying := func(severity, c string) error {
		return &pgconn.PgError{Severity: "ERREUR", SeverityUnlocalized: severity, Code: c}
	}
	tests := []struct {
		name   string
		err    error
		before postgres.Outcome // COMMIT not sent
		after  postgres.Outcome // COMMIT may have been sent
	}{
		{"serialization failure", code("40001"), postgres.NotCommitted, postgres.NotCommitted},
		{"deadlock", code("40P01"), postgres.NotCommitted, postgres.NotCommitted},
		{"key taken", code("23505"), postgres.NotCommitted, postgres.NotCommitted},
		{"lock not won", code("55P03"), postgres.NotCommitted, postgres.NotCommitted},
		{"disk full", code("53100"), postgres.NotCommitted, postgres.NotCommitted},
		{"log that cannot be flushed", dying("PANIC", "58030"), postgres.NotCommitted, postgres.Unknown},
		{"log without room", dying("PANIC", "53100"), postgres.NotCommitted, postgres.Unknown},
		{"idle for too long in a transaction", dying("FATAL", "25P03"), postgres.Permanent, postgres.Unknown},
		{"wrong password", dying("FATAL", "28P01"), postgres.Permanent, postgres.Unknown},
		{"starting up", code("57P03"), postgres.NotCommitted, postgres.NotCommitted},
		{
			"column of another type", &pgconn.PgError{Code: "0A000", Routine: "RevalidateCachedQuery"},
			postgres.NotCommitted, postgres.NotCommitted,
		},
		{"feature that is not there", code("0A000"), postgres.Permanent, postgres.Permanent},
		{"shut down by an administrator", code("57P01"), postgres.NotCommitted, postgres.Unknown},
		{"crash of another backend", code("57P02"), postgres.NotCommitted, postgres.Unknown},
		{"value out of range", code("22003"), postgres.Permanent, postgres.Permanent},
		{"check violated by a value", code("23502"), postgres.Permanent, postgres.Permanent},
		{"no partition for the date", code("23514"), postgres.NotCommitted, postgres.NotCommitted},
		{
			"check violated by a row", &pgconn.PgError{Code: "23514", ConstraintName: "amount_check"},
			postgres.Permanent, postgres.Permanent,
		},
		{"no such table", code("42P01"), postgres.Permanent, postgres.Permanent},
		{"connection reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, postgres.NotCommitted, postgres.Unknown},
		{"end of stream", io.ErrUnexpectedEOF, postgres.NotCommitted, postgres.Unknown},
		{"deadline", context.DeadlineExceeded, postgres.NotCommitted, postgres.Unknown},
		{"connection closed", closedConnectionError{}, postgres.NotCommitted, postgres.Unknown},
		{"something of the driver's", errors.New("conn closed"), postgres.Permanent, postgres.Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := postgres.Classify(tt.err, false); got != tt.before {
				t.Errorf("before COMMIT: %s, want %s", got, tt.before)
			}
			if got := postgres.Classify(tt.err, true); got != tt.after {
				t.Errorf("after COMMIT: %s, want %s", got, tt.after)
			}
		})
	}
}

// closedConnectionError is the driver's error for a connection that is not there any
// more: also for one that broke while a COMMIT's answer was waited for.
type closedConnectionError struct{}

func (closedConnectionError) Error() string     { return "conn closed" }
func (closedConnectionError) SafeToRetry() bool { return true }
func (closedConnectionError) Unwrap() error     { return pgconn.ErrConnClosed }

// A refused connection wrote nothing, whatever was meant to be sent over it.
func TestClassifyRefusedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = pgconn.Connect(t.Context(), "postgres://nobody@"+address+"/none?sslmode=disable")
	if err == nil {
		t.Fatal("connected to a closed port")
	}
	if got := postgres.Classify(err, true); got != postgres.NotCommitted {
		t.Fatalf("%v is %s", err, got)
	}
}

func TestBackoffEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := postgres.Backoff(ctx, 3, time.Hour); !errors.Is(err, context.Canceled) {
		t.Fatalf("backoff returned %v", err)
	}
}
