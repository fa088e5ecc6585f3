-- Terminal batches: totals, closing, what terminal and host disagree about.

-- +goose Up
ALTER TABLE policies
    -- A transaction counts as settled as soon as its batch is closed, not only
    -- when its business date is.
    ADD COLUMN settled_by_batch boolean NOT NULL DEFAULT false,
    -- Batches with transactions are closed by the host at the cutoff.
    ADD COLUMN auto_close_batch boolean NOT NULL DEFAULT false;

ALTER TABLE batches
    ADD COLUMN opened_date         date,                                        -- business date it takes transactions from
    ADD COLUMN previous_no         integer CHECK (previous_no BETWEEN 1 AND 999999),
    ADD COLUMN closed_at           timestamptz,
    ADD COLUMN closed_date         date,                                        -- business date it was closed in
    ADD COLUMN closed_by           smallint CHECK (closed_by BETWEEN 1 AND 4),  -- 1 settlement, 2 trailer, 3 cutoff, 4 person
    -- The request of the terminal's that settled it: its answer is given again.
    ADD COLUMN settlement_date     date,
    ADD COLUMN settlement_id       uuid,
    -- The host's totals at the close, gross: a voided sale counts, and so does its void.
    ADD COLUMN sale_count          integer CHECK (sale_count >= 0),
    ADD COLUMN sale_minor          bigint  CHECK (sale_minor >= 0),
    ADD COLUMN void_count          integer CHECK (void_count >= 0),
    ADD COLUMN void_minor          bigint  CHECK (void_minor >= 0),
    ADD COLUMN refund_count        integer CHECK (refund_count >= 0),
    ADD COLUMN refund_minor        bigint  CHECK (refund_minor >= 0),
    -- The terminal's totals as it last stated them.
    ADD COLUMN stated_form         smallint CHECK (stated_form BETWEEN 1 AND 2),  -- 1 one net total, 2 sales and refunds
    ADD COLUMN stated_sale_count   integer,
    ADD COLUMN stated_sale_minor   bigint,
    ADD COLUMN stated_refund_count integer,
    ADD COLUMN stated_refund_minor bigint,
    ADD CONSTRAINT batches_closed_with_totals CHECK (closed_at IS NULL OR state = 5 AND closed_by IS NOT NULL AND closed_date IS NOT NULL
        AND num_nulls(sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor) = 0);
-- What the close at the cutoff looks for.
CREATE INDEX batches_open_since ON batches (bucket, opened_date) WHERE state = 1;

-- A batch's transactions. Rows of one batch share their key, so that an index
-- page holds many of them.
CREATE INDEX transactions_batch ON transactions (bucket, terminal_id, batch_no);

-- Where a terminal's upload and the host's records differ. The host's win;
-- people look at the rest. A STAN differs in one way once.
CREATE TABLE batch_differences (
    bucket         smallint    NOT NULL REFERENCES buckets,
    terminal_id    integer     NOT NULL,
    batch_no       integer     NOT NULL,
    kind           text        NOT NULL CHECK (kind IN ('amount_differs', 'card_differs', 'kind_differs', 'rrn_differs',
                                   'not_standing', 'unknown_to_host', 'missing_from_terminal')),
    stan           integer     NOT NULL,      -- the transaction's
    raised_at      timestamptz NOT NULL,
    terminal_minor bigint,                    -- NULL where the terminal has none
    host_minor     bigint,                    -- NULL where the host has none
    business_date  date,                      -- the host's transaction
    transaction_id uuid,
    PRIMARY KEY (bucket, terminal_id, batch_no, kind, stan),
    CHECK ((transaction_id IS NULL) = (kind = 'unknown_to_host'))
);

GRANT UPDATE (state, opened_date, closed_at, closed_date, closed_by, settlement_date, settlement_id,
    sale_count, sale_minor, void_count, void_minor, refund_count, refund_minor,
    stated_form, stated_sale_count, stated_sale_minor, stated_refund_count, stated_refund_minor) ON batches TO meridian_service;
GRANT SELECT, INSERT ON batch_differences TO meridian_service;

-- +goose Down
DROP TABLE batch_differences;
DROP INDEX transactions_batch;
DROP INDEX batches_open_since;
ALTER TABLE batches DROP CONSTRAINT batches_closed_with_totals;
ALTER TABLE batches DROP COLUMN opened_date, DROP COLUMN previous_no, DROP COLUMN closed_at, DROP COLUMN closed_date, DROP COLUMN closed_by,
    DROP COLUMN settlement_date, DROP COLUMN settlement_id, DROP COLUMN sale_count, DROP COLUMN sale_minor, DROP COLUMN void_count,
    DROP COLUMN void_minor, DROP COLUMN refund_count, DROP COLUMN refund_minor, DROP COLUMN stated_form, DROP COLUMN stated_sale_count,
    DROP COLUMN stated_sale_minor, DROP COLUMN stated_refund_count, DROP COLUMN stated_refund_minor;
ALTER TABLE policies DROP COLUMN settled_by_batch, DROP COLUMN auto_close_batch;
