-- A batch is found by its keys.

-- +goose Up
-- Every transaction has a key, under its batch unless it is a reversal, so keys in the order of
-- batches are what an index of transactions by batch was: one index less for each sale to be put
-- into, and the one whose entries went everywhere. A reversal's key is its original's, in what may
-- be the batch before; what reversals a batch has is an index of theirs alone.
--
-- Everybody who needs keys waits while theirs is built anew: half a minute for twenty million.
-- What is built of transactions, which only who writes them waits for, comes before that.
SET LOCAL lock_timeout = '5s';   -- behind whoever reads for long, such as a dump, everybody would wait
CREATE INDEX transactions_reversals ON transactions (bucket, terminal_id, batch_no) WHERE asked = 8;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey;
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_pkey
    PRIMARY KEY (bucket, merchant_id, terminal_id, batch_no, stan, class);
DROP INDEX transactions_batch;   -- last: readers of transactions wait from here on

-- +goose Down
CREATE INDEX transactions_batch ON transactions (bucket, terminal_id, batch_no);
DROP INDEX transactions_reversals;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey;
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_pkey
    PRIMARY KEY (bucket, merchant_id, terminal_id, stan, batch_no, class);
