package switching

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/ledger"
)

// CatalogueContent is a catalogue as people see it.
type CatalogueContent struct {
	Catalogue Catalogue
	// Version moves with every change; 0 is a catalogue that never had anything.
	Version int64
	Entries []CatalogueEntry
	// Terminals that have taken this version.
	Terminals int
}

// Catalogues returns the three that are kept, as they are now.
func Catalogues(ctx context.Context, db ledger.TxBeginner) (list []CatalogueContent, err error) {
	d := &Directory{catalogues: map[Catalogue]catalogue{}}
	have := map[Catalogue]int{}
	err = inSnapshot(ctx, db, func(tx pgx.Tx) error {
		if err := d.readCatalogues(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT d.catalogue, count(*) FROM terminal_downloads d JOIN catalogues c USING (catalogue)
			WHERE d.version = c.version GROUP BY d.catalogue`)
		if err != nil {
			return fmt.Errorf("downloads: %w", err)
		}
		var of Catalogue
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&of, &n}, func() error {
			have[of] = n
			return nil
		}); err != nil {
			return fmt.Errorf("downloads: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list catalogues: %w", err)
	}
	for _, kept := range catalogueDemands {
		c := d.catalogues[kept.catalogue]
		list = append(list, CatalogueContent{Catalogue: kept.catalogue, Version: c.version, Entries: c.entries, Terminals: have[kept.catalogue]})
	}
	return list, nil
}
