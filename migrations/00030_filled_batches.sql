-- What a terminal repeats or reverses may be several batches back.

-- +goose Up
-- The last batch before this one that has transactions; 0 for none. Those without any are stepped
-- over by it: who ends empty batches pushes none of the others out of sight. NULL in rows of a
-- version that did not keep it, where previous_no is taken for it.
SET LOCAL lock_timeout = '5s';   -- behind whoever reads for long, such as a dump, everybody would wait
ALTER TABLE batches ADD COLUMN filled_no integer CHECK (filled_no BETWEEN 0 AND 999999);

-- +goose Down
ALTER TABLE batches DROP COLUMN filled_no;
