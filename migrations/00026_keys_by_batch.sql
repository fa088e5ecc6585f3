-- A batch is found by its keys.

-- +goose Up
-- Every transaction has a key, under its batch unless it is a reversal, so keys in the order of
-- batches are what an index of transactions by batch was: one index less for each sale to be put
-- into, and the one whose entries went everywhere. A reversal's key is its original's, in what may
-- be the batch before; what reversals a batch has is an index of theirs alone.
--
-- Writers wait while the key is built anew: half a minute for twenty million.
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey,
    ADD PRIMARY KEY (bucket, merchant_id, terminal_id, batch_no, stan, class);
CREATE INDEX transactions_reversals ON transactions (bucket, terminal_id, batch_no) WHERE asked = 8;
DROP INDEX transactions_batch;

-- +goose Down
CREATE INDEX transactions_batch ON transactions (bucket, terminal_id, batch_no);
DROP INDEX transactions_reversals;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey,
    ADD PRIMARY KEY (bucket, merchant_id, terminal_id, stan, batch_no, class);
