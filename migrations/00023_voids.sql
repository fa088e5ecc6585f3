-- +goose Up
-- An index that speaks of a transaction's state has every change of that state write
-- the row's entries into all of its indexes anew: a void, a reversal, a completion. The
-- voids of a terminal are few; which of them stand is seen in their rows.
DROP INDEX transactions_voids;
CREATE INDEX transactions_voids ON transactions (bucket, business_date, terminal_id) WHERE kind = 5;

-- +goose Down
DROP INDEX transactions_voids;
CREATE INDEX transactions_voids ON transactions (bucket, business_date, terminal_id) WHERE kind = 5 AND state = 2;
