package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// copyFrom is how many rows of one statement go by COPY, if they can. A COPY is
// set up for more than an insert from an array, and each row then costs less: no
// value is looked at twice, and a page's rows are one record of the log.
const copyFrom = 12

// distributedKey marks connections to a Citus: a COPY there is not one shard's.
const distributedKey = "meridian distributed"

// Writes is a pipeline of statements whose rows nobody reads, the last of which
// commits. It is what a [pgx.Batch] is but for two things: [Rows] that are many
// go by COPY, in the same round trip; and what fails before anything is sent
// fails apart from what fails when a commit may be under way.
//
// A COPY within a pipeline: the server reads its data where it comes to the
// statement, whether it was asked for by then or not, and passes over data that
// it has no COPY for because a statement before has failed (PostgreSQL, Frontend/
// Backend Protocol, COPY Operations and Message Flow).
type Writes struct {
	conn       *pgx.Conn
	statements []write
}

// write is one statement that is ready to be sent.
type write struct {
	description *pgconn.StatementDescription
	arguments   pgx.ExtendedQueryBuilder
	copied      *Rows // in place of arguments
}

// Prepare makes a batch ready to be sent. It may ask the server about statements
// and types that the connection has not used yet.
func Prepare(ctx context.Context, conn *pgx.Conn, b *pgx.Batch) (*Writes, error) {
	w := &Writes{conn: conn, statements: make([]write, len(b.QueuedQueries))}
	for i, q := range b.QueuedQueries {
		if err := w.statements[i].prepare(ctx, conn, q.SQL, q.Arguments); err != nil {
			return nil, fmt.Errorf("prepare statement %d: %w", i+1, err)
		}
	}
	return w, nil
}

func (s *write) prepare(ctx context.Context, conn *pgx.Conn, sql string, arguments []any) (err error) {
	distributed := conn.PgConn().CustomData()[distributedKey] != nil
	for _, a := range arguments {
		if rows, ok := a.(*Rows); ok && rows.copySQL != "" && rows.count >= copyFrom && !distributed {
			if rows.err != nil {
				return rows.err
			}
			s.copied, sql, arguments = rows, rows.copySQL, nil
			break
		}
	}
	if len(arguments) > 0 {
		if rewriter, ok := arguments[0].(pgx.QueryRewriter); ok {
			if sql, arguments, err = rewriter.RewriteQuery(ctx, conn, sql, arguments[1:]); err != nil {
				return err //nolint:wrapcheck // wrapped by Prepare
			}
		}
	}
	if s.description, err = conn.Prepare(ctx, sql, sql); err != nil {
		return err //nolint:wrapcheck // wrapped by Prepare
	}
	if err := s.arguments.Build(conn.TypeMap(), s.description, arguments); err != nil {
		return err //nolint:wrapcheck // wrapped by Prepare
	}
	for _, a := range arguments {
		if rows, ok := a.(*Rows); ok {
			rows.taken()
		}
	}
	return nil
}

// What a COPY in binary form begins and ends with (PostgreSQL, COPY, Binary
// Format): a signature, no flags, no more header; and -1 for the number of values.
const (
	copyHead = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTail = "\xff\xff"
)

// Send sends everything and waits until all of it is done, or nothing is. The
// server's error is a [pgconn.PgError]; with any other one whether the commit was done
// is not known. A connection on which the server has not told its end is closed.
func (w *Writes) Send(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Time{}
	}
	pgConn := w.conn.PgConn()
	err := pgConn.Conn().SetDeadline(deadline)
	ended := false
	if err == nil {
		ended, err = w.exchange(pgConn)
	}
	if !ended {
		// In the middle of something: nobody else may use it, who would take what is still to come for his own.
		_ = pgConn.Conn().SetDeadline(time.Now().Add(time.Second))
		_ = w.conn.Close(context.Background())
		return err
	}
	if reset := pgConn.Conn().SetDeadline(time.Time{}); reset != nil {
		_ = w.conn.Close(context.Background())
	}
	return err
}

// exchange sends the pipeline and receives what comes of it; ended tells that all of that
// has come, up to the server's being ready for the next.
func (w *Writes) exchange(pgConn *pgconn.PgConn) (ended bool, err error) {
	pipeline, err := w.appendTo(pipelines.get(0))
	if err != nil {
		return false, err
	}
	_, err = pgConn.Conn().Write(pipeline)
	pipelines.put(pipeline)
	if err != nil {
		return false, lost("send", err)
	}
	var failed error
	for {
		// Without a context: the deadline is the connection's.
		m, err := pgConn.ReceiveMessage(context.Background())
		if err != nil {
			if failed != nil {
				return false, failed
			}
			return false, lost("receive", err)
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			if failed == nil {
				failed = pgconn.ErrorResponseToPgError(m)
			}
		case *pgproto3.ReadyForQuery:
			return true, failed //nolint:wrapcheck // wrapped by what stores
		}
	}
}

// appendTo appends the messages of the pipeline (PostgreSQL, Frontend/Backend
// Protocol, Message Formats).
func (w *Writes) appendTo(buf []byte) (_ []byte, err error) {
	for i := range w.statements {
		s := &w.statements[i]
		bind := pgproto3.Bind{
			PreparedStatement: s.description.Name, ParameterFormatCodes: s.arguments.ParamFormats,
			Parameters: s.arguments.ParamValues, ResultFormatCodes: s.arguments.ResultFormats,
		}
		if buf, err = bind.Encode(buf); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		if buf, err = (&pgproto3.Execute{}).Encode(buf); err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		if s.copied != nil {
			if s.copied.err != nil {
				return nil, fmt.Errorf("statement %d: %w", i+1, s.copied.err)
			}
			buf = s.copied.appendCopy(buf)
			s.copied.taken()
		}
	}
	if buf, err = (&pgproto3.Sync{}).Encode(buf); err != nil {
		return nil, fmt.Errorf("end: %w", err)
	}
	return buf, nil
}

// appendCopy appends the rows with head and tail as one CopyData, and a CopyDone.
func (r *Rows) appendCopy(buf []byte) []byte {
	const size, done = 4, "c\x00\x00\x00\x04"
	buf = append(buf, 'd')
	buf = binary.BigEndian.AppendUint32(buf, uint32(size+len(copyHead)+len(r.bytes)+len(copyTail)))
	buf = append(buf, copyHead...)
	buf = append(buf, r.bytes...)
	buf = append(buf, copyTail...)
	return append(buf, done...)
}

// errConnectionLost is in the middle of a pipeline: how far it came is not known.
var errConnectionLost = errors.New("connection lost")

// lost hides that the driver believes its errors to be safe to retry: it cannot
// know what was sent.
func lost(doing string, err error) error {
	return fmt.Errorf("%s: %w: %v", doing, errConnectionLost, err) //nolint:errorlint // see above
}
