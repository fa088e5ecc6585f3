-- Units of work that take originals for granted, too, and prove them where they store.

-- +goose Up
-- A change of a transaction, or of a hold, names what it was when it was decided over: lanes
-- decide over those that they stored a moment before. Package switching, presume.go.
CREATE TYPE record_step AS (
    business_date       date,
    transaction_id      uuid,
    state               smallint,
    captured_minor      bigint,
    refunded_minor      bigint,
    refund_count        smallint,
    reviewed_minor      bigint,
    told_by             uuid[],
    read_state          smallint,
    read_captured_minor bigint,
    read_refunded_minor bigint,
    read_refund_count   smallint,
    read_reviewed_minor bigint,
    read_told_by        uuid[]
);
CREATE TYPE hold_step AS (
    hold_id             uuid,
    amount_minor        bigint,
    captured_minor      bigint,
    state               smallint,
    read_amount_minor   bigint,
    read_captured_minor bigint,
    read_state          smallint
);

-- +goose Down
DROP TYPE record_step, hold_step;
