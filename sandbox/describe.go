//go:build unix

package sandbox

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
	"meridian/sandbox/scenario"
)

// describe fills a manifest with the seeds as they stand in the database now.
func describe(ctx context.Context, db ledger.Querier, m *Manifest) error {
	m.Scenarios = scenario.Table()
	all := merchants()
	for i := range all {
		one, err := all[i].describe(ctx, db)
		if err != nil {
			return err
		}
		m.Merchants = append(m.Merchants, one)
		cards, err := all[i].describeCards(ctx, db)
		if err != nil {
			return err
		}
		m.Cards = append(m.Cards, cards...)
	}
	return nil
}

func (m *merchant) describe(ctx context.Context, db ledger.Querier) (Merchant, error) {
	out := Merchant{
		MID: m.mid, Name: m.name, Currency: m.currency.Alpha(), TimeZone: m.zone, Cutoff: m.cutoff, CancelMode: string(m.mode),
	}
	list := m.terminals()
	ids := make([]int32, len(list))
	for i, t := range list {
		ids[i] = t.id
	}
	batches, err := pairs[int32, int32](ctx, db, batchesSQL, m.bucket, ids)
	if err != nil {
		return out, fmt.Errorf("open batches of %s: %w", m.mid, err)
	}
	for _, t := range list {
		k := keysOf(t.tid)
		out.Terminals = append(out.Terminals, Terminal{
			TID: t.tid, Dialect: t.dialect, TPDU: t.tpdu, Batch: max(1, batches[t.id]),
			Operator: operator, OperatorPassword: operatorPassword,
			TMK: upperHex(k.tmk), MAK: upperHex(k.mak), PIK: upperHex(k.pik), MAC: t.mac, Stories: t.stories,
		})
	}
	return out, nil
}

func (m *merchant) describeCards(ctx context.Context, db ledger.Querier) ([]Card, error) {
	list, err := m.cards()
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, c := range list {
		if c.id != 0 {
			ids = append(ids, c.id)
		}
	}
	available, err := pairs[int64, int64](ctx, db, availableSQL, ids)
	if err != nil {
		return nil, fmt.Errorf("balances of %s: %w", m.mid, err)
	}
	out := make([]Card, len(list))
	for i, c := range list {
		out[i] = Card{
			PAN: c.pan.Reveal(), Expiry: c.listed, Track2: c.track2(), PIN: cardPIN, Currency: m.currency.Alpha(),
			Available: available[c.id], Behaviour: c.behaviour,
		}
	}
	return out, nil
}

// pairs collects a query's two columns.
func pairs[K comparable, V any](ctx context.Context, db ledger.Querier, sql string, args ...any) (map[K]V, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	var key K
	var value V
	found := map[K]V{}
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		found[key] = value
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return found, nil
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
