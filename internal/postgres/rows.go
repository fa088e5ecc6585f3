package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// RowType is a composite type of the schema. An array of rows is one parameter,
// and Postgres takes it apart once; an array for each column costs it a function
// and a store of its own for each.
type RowType struct {
	Name    string
	Columns []uint32 // types of its columns, such as [pgtype.Int8OID]
}

// known makes a connection able to be handed rows of a type: a number tells the
// type, and every database has numbers of its own.
type known struct{ t *RowType }

// RewriteQuery implements [pgx.QueryRewriter], which is called before a query is
// sent. It changes nothing; a connection that knows the type is asked nothing.
func (k known) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, args []any) (string, []any, error) {
	if _, ok := conn.TypeMap().TypeForName(k.t.array()); ok {
		return sql, args, nil
	}
	var row, array uint32
	if err := conn.QueryRow(ctx, `SELECT oid, typarray FROM pg_type WHERE oid = to_regtype($1)`, k.t.Name).Scan(&row, &array); err != nil {
		return "", nil, fmt.Errorf("look up type %s: %w", k.t.Name, err)
	}
	conn.TypeMap().RegisterType(&pgtype.Type{Name: k.t.array(), OID: array, Codec: rowsCodec{row: row}})
	return sql, args, nil
}

func (t *RowType) array() string { return t.Name + "[]" }

// Rows are rows in the binary form that Postgres reads, a value for each column
// in their order: an array for a parameter, or what COPY takes. They are not
// safe for concurrent use.
type Rows struct {
	t *RowType
	// bytes are the rows as COPY takes them: how many values, and each with its size.
	bytes  []byte
	count  int
	column int
	err    error
	// copySQL brings the rows into their table, behind their bucket; empty: only
	// an array will do.
	copySQL string
	bucket  int16
}

// errRow is a mistake in the program: a row with other columns than its type.
var errRow = errors.New("row does not fit its type")

// errTaken is a mistake in the program, too.
var errTaken = errors.New("rows are part of another pipeline")

// NewRows makes room for n rows of about so many bytes.
func NewRows(t *RowType, n, rowBytes int) *Rows {
	return &Rows{t: t, bytes: rowBuffers.get(n * rowBytes)}
}

// taken ends the rows: what they said is part of a pipeline.
func (r *Rows) taken() {
	rowBuffers.put(r.bytes)
	r.bytes, r.err = nil, errTaken
}

// CopiedBy says which COPY … FROM STDIN (FORMAT binary) brings the rows into
// their table, for [Writes] of many. Its first column is the bucket, which the
// type has not got. It is called before the first row.
func (r *Rows) CopiedBy(sql string, bucket int16) *Rows {
	r.copySQL, r.bucket = sql, bucket
	return r
}

// Known goes before the arguments of a query that takes the rows.
func (r *Rows) Known() pgx.QueryRewriter { return known{r.t} }

// Format keeps values out of what errors and logs say. It is no String method:
// pgx would send what that says in place of rows that do not fit.
func (r *Rows) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%d rows of %s", r.count, r.t.Name) }

// Begin begins a row.
func (r *Rows) Begin() {
	r.column = 0
	values := len(r.t.Columns)
	if r.copySQL != "" {
		values++
	}
	r.bytes = binary.BigEndian.AppendUint16(r.bytes, uint16(values))
	if r.copySQL != "" {
		r.bytes = binary.BigEndian.AppendUint32(r.bytes, 2)
		r.bytes = binary.BigEndian.AppendUint16(r.bytes, uint16(r.bucket))
	}
}

// End ends a row.
func (r *Rows) End() {
	if r.column != len(r.t.Columns) && r.err == nil {
		r.err = fmt.Errorf("%w: %s has %d columns, not %d", errRow, r.t.Name, len(r.t.Columns), r.column)
	}
	r.count++
}

// head begins a value of so many bytes; -1 is NULL.
func (r *Rows) head(size int, types ...uint32) {
	var oid uint32
	if r.column < len(r.t.Columns) {
		oid = r.t.Columns[r.column]
	}
	fits := len(types) == 0
	for _, t := range types {
		fits = fits || t == oid
	}
	if !fits && r.err == nil {
		r.err = fmt.Errorf("%w: column %d of %s has type %d", errRow, r.column+1, r.t.Name, oid)
	}
	r.column++
	r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(int32(size)))
}

// Null is no value.
func (r *Rows) Null() { r.head(-1) }

// Bool is a boolean.
func (r *Rows) Bool(v bool) {
	r.head(1, pgtype.BoolOID)
	b := byte(0)
	if v {
		b = 1
	}
	r.bytes = append(r.bytes, b)
}

// Int16 is a smallint.
func (r *Rows) Int16(v int16) {
	r.head(2, pgtype.Int2OID)
	r.bytes = binary.BigEndian.AppendUint16(r.bytes, uint16(v))
}

// Int32 is an integer.
func (r *Rows) Int32(v int32) {
	r.head(4, pgtype.Int4OID)
	r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(v))
}

// Int64 is a bigint.
func (r *Rows) Int64(v int64) {
	r.head(8, pgtype.Int8OID)
	r.bytes = binary.BigEndian.AppendUint64(r.bytes, uint64(v))
}

// Days of 1970-01-01 to a date's.
const daysTo2000 = 10957

// Date is a date, in days since 1970-01-01.
func (r *Rows) Date(days int32) {
	r.head(4, pgtype.DateOID)
	r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(days-daysTo2000))
}

// Time is a timestamptz; parts of a microsecond are cut off.
func (r *Rows) Time(v time.Time) {
	r.head(8, pgtype.TimestamptzOID)
	micros := v.Unix()*1_000_000 + int64(v.Nanosecond())/1000 - daysTo2000*86400*1_000_000
	r.bytes = binary.BigEndian.AppendUint64(r.bytes, uint64(micros))
}

// UUID is a uuid.
func (r *Rows) UUID(v [16]byte) {
	r.head(len(v), pgtype.UUIDOID)
	r.bytes = append(r.bytes, v[:]...)
}

// UUIDs is a uuid[]; nil is NULL.
func (r *Rows) UUIDs(v []uuid.UUID) {
	if v == nil {
		r.Null()
		return
	}
	const perElement = 4 + 16
	head := []uint32{0, 0, pgtype.UUIDOID} // dimensions, no element that is NULL, what elements are
	if len(v) > 0 {
		head = []uint32{1, 0, pgtype.UUIDOID, uint32(len(v)), 1}
	}
	r.head(4*len(head)+perElement*len(v), pgtype.UUIDArrayOID)
	for _, word := range head {
		r.bytes = binary.BigEndian.AppendUint32(r.bytes, word)
	}
	for i := range v {
		r.bytes = binary.BigEndian.AppendUint32(r.bytes, 16)
		r.bytes = append(r.bytes, v[i][:]...)
	}
}

// Bytes is a bytea; nil is NULL.
func (r *Rows) Bytes(v []byte) {
	if v == nil {
		r.Null()
		return
	}
	r.head(len(v), pgtype.ByteaOID)
	r.bytes = append(r.bytes, v...)
}

// Text is a text or a char(n); an empty one is NULL.
func (r *Rows) Text(v string) {
	if v == "" {
		r.Null()
		return
	}
	r.head(len(v), pgtype.TextOID, pgtype.BPCharOID)
	r.bytes = append(r.bytes, v...)
}

// JSON is a jsonb; nil is NULL.
func (r *Rows) JSON(v []byte) {
	if v == nil {
		r.Null()
		return
	}
	r.head(len(v)+1, pgtype.JSONBOID)
	r.bytes = append(r.bytes, 1) // the form's version
	r.bytes = append(r.bytes, v...)
}

// rowsCodec writes [Rows] as an array of one composite type of one database.
type rowsCodec struct {
	pgtype.ByteaCodec

	row uint32 // the type's number
}

func (rowsCodec) PreferredFormat() int16 { return pgtype.BinaryFormatCode }

// PlanEncode implements [pgtype.Codec].
func (c rowsCodec) PlanEncode(_ *pgtype.Map, _ uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(*Rows); !ok || format != pgtype.BinaryFormatCode {
		return nil
	}
	return c
}

// Encode implements [pgtype.EncodePlan]: one dimension, no element that is NULL,
// the elements' type, how many, the first one's number; and each row: its size,
// how many values, and each with its type and size.
func (c rowsCodec) Encode(value any, buf []byte) ([]byte, error) {
	r, ok := value.(*Rows)
	if !ok {
		return nil, fmt.Errorf("%w: %T is no row", errRow, value)
	}
	if r.err != nil {
		return nil, r.err
	}
	buf = slices.Grow(buf, 20+len(r.bytes)+r.count*(8+4*len(r.t.Columns)))
	for _, v := range []uint32{1, 0, c.row, uint32(r.count), 1} {
		buf = binary.BigEndian.AppendUint32(buf, v)
	}
	rest := r.bytes
	for range r.count {
		rest = rest[2:] // how many values
		if r.copySQL != "" {
			rest = rest[4+2:] // the bucket
		}
		begins := len(buf)
		buf = binary.BigEndian.AppendUint32(buf, 0) // its size: below
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(r.t.Columns)))
		for _, oid := range r.t.Columns {
			value := 4 + max(0, int(int32(binary.BigEndian.Uint32(rest))))
			buf = append(binary.BigEndian.AppendUint32(buf, oid), rest[:value]...)
			rest = rest[value:]
		}
		binary.BigEndian.PutUint32(buf[begins:], uint32(len(buf)-begins-4))
	}
	return buf, nil
}
