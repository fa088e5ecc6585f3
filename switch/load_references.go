package switching

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// This file finds the originals that requests speak of, and locks them.

// queueReferences looks for what references name that are not keys.
func (l *loader) queueReferences(b *pgx.Batch) {
	var rrns []int64
	var terminals []int32
	var invoices []string
	var merchants []int32
	var codes []string
	for _, j := range l.jobs {
		ref := &j.request.Original
		switch {
		case !j.request.Kind.Refers():
		case ref.HasRRN && ref.RRN >= 0:
			rrns = append(rrns, ref.RRN)
		case !ref.HasRRN && ref.HasAuthCode:
			merchants, codes = append(merchants, j.request.merchant.ID), append(codes, ref.AuthCode)
		case !ref.HasSTAN && ref.Invoice != "":
			terminals, invoices = append(terminals, j.request.terminal.ID), append(invoices, ref.Invoice)
		}
	}
	collect := func(rows pgx.Rows) error {
		var date time.Time
		var id [16]byte
		_, err := pgx.ForEachRow(rows, []any{&date, &id}, func() error {
			l.want(located{ledger.DateOf(date), uuid.UUID(id)})
			return nil
		})
		return err //nolint:wrapcheck // wrapped by first
	}
	l.missed = make(map[int64]struct{}, len(rrns))
	for _, rrn := range rrns {
		l.missed[rrn] = struct{}{}
	}
	l.queueByRRN(b, byRRNSQL, rrns, l.collectRRNs)
	if len(invoices) > 0 {
		b.Queue(byInvoiceSQL, l.facts.Bucket, terminals, invoices).Query(collect)
	}
	if len(codes) > 0 {
		b.Queue(byAuthCodeSQL, l.facts.Bucket, merchants, codes).Query(collect)
	}
}

// queueByRRN queues a statement for each month that the RRNs may be of.
func (l *loader) queueByRRN(b *pgx.Batch, sql string, rrns []int64, collect func(pgx.Rows) error) {
	months := byMonth[int64]{}
	for _, rrn := range rrns {
		for _, m := range rrnMonths(rrn, l.facts.Now) {
			months.add(m, rrn)
		}
	}
	for _, m := range months.newestFirst() {
		b.Queue(m.in(sql), l.facts.Bucket, months[m]).Query(collect)
	}
}

func (l *loader) collectRRNs(rows pgx.Rows) error {
	var rrn int64
	var date time.Time
	var id [16]byte
	_, err := pgx.ForEachRow(rows, []any{&rrn, &date, &id}, func() error {
		delete(l.missed, rrn)
		l.want(located{ledger.DateOf(date), uuid.UUID(id)})
		return nil
	})
	return err //nolint:wrapcheck // wrapped by first and lookElsewhere
}

// lookElsewhere looks in all months for RRNs that are not where their digits say: they are
// nobody's, as a rule.
func (l *loader) lookElsewhere(ctx context.Context) error {
	if len(l.missed) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	b.Queue(byRRNAnywhereSQL, l.facts.Bucket, slices.Collect(maps.Keys(l.missed))).Query(l.collectRRNs)
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load originals by RRN: %w", err)
	}
	return nil
}

// queueLocated queues a statement for each month that these records are of, the newest first.
func (l *loader) queueLocated(b *pgx.Batch, sql string, records []located, collect func(pgx.Rows) error) {
	months := byMonth[located]{}
	for _, at := range records {
		months.add(monthOf(at.date), at)
	}
	for _, m := range months.newestFirst() {
		dates, ids := make([]time.Time, 0, len(months[m])), make([][16]byte, 0, len(months[m]))
		for _, at := range months[m] {
			dates, ids = append(dates, at.date.Time()), append(ids, at.id)
		}
		b.Queue(m.in(sql), l.facts.Bucket, dates, ids).Query(collect)
	}
}

// records loads and locks what is wanted, and wants the originals of that.
func (l *loader) records(ctx context.Context) error {
	wanted := slices.Collect(maps.Values(l.wanted))
	l.wanted = map[uuid.UUID]located{}
	var list []*Record
	b := &pgx.Batch{}
	l.queueLocated(b, lockRecordsSQL, wanted, func(rows pgx.Rows) (err error) {
		list, err = pgx.AppendRows(list, rows, scanRecord)
		return err //nolint:wrapcheck // wrapped below
	})
	l.queueUnconfirmed(b)
	if err := l.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load originals: %w", err)
	}
	for _, r := range list {
		l.facts.know(r)
	}
	for _, r := range list {
		if r.OriginalID != uuid.Nil {
			l.want(located{r.OriginalDate, r.OriginalID})
		}
	}
	return nil
}
