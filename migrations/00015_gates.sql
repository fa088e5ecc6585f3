-- What a unit of work locks so that no batch ends while it runs.

-- +goose Up
-- Units hold their bucket's row FOR SHARE; what ends a batch takes it FOR NO KEY
-- UPDATE. One lock for a unit in place of one for each of its terminals. The
-- column is never written: a row lock needs the right to change a column.
ALTER TABLE buckets ADD COLUMN gate smallint NOT NULL DEFAULT 0 CHECK (gate = 0);
GRANT UPDATE (gate) ON buckets TO meridian_service;

-- +goose Down
ALTER TABLE buckets DROP COLUMN gate;
