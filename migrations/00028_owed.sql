-- What a merchant is owed is added up from its own transactions.

-- +goose Up
-- By way of the batches that have ended since its last close, and of refunds that were approved,
-- whenever they were asked for.
SET LOCAL lock_timeout = '5s';   -- behind whoever reads for long, everybody would wait
CREATE INDEX batches_ended ON batches (bucket, terminal_id, closed_date) WHERE state = 5;
CREATE INDEX reviews_approved ON reviews (bucket, merchant_id) WHERE state = 2;

-- +goose Down
DROP INDEX reviews_approved, batches_ended;
