package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"
)

// What goose's SQL files are divided by.
const (
	upMark   = "-- +goose Up\n"
	downMark = "-- +goose Down\n"
)

// steps are this binary's migrations. Each way of one goes to Postgres whole, in one message and one transaction:
// goose would look through every line for the end of a statement, with four megabytes for each, and ask once for
// each statement.
func steps() ([]*goose.Migration, error) {
	names, err := known()
	if err != nil {
		return nil, err
	}
	all := make([]*goose.Migration, 0, len(names))
	for version, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read embedded migration: %w", err)
		}
		_, both, hasUp := strings.Cut(string(text), upMark)
		up, down, hasDown := strings.Cut(both, downMark)
		if !hasUp || !hasDown {
			return nil, fmt.Errorf("migration %s: want %q and, after it, %q", name, upMark, downMark)
		}
		all = append(all, goose.NewGoMigration(version, step(name, up), step(name, down)))
	}
	return all, nil
}

func step(name, statements string) *goose.GoFunc {
	return &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}}
}
