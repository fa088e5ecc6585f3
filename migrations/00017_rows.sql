-- +goose Up
-- Rows as units of work hand them over: one array of rows instead of one array
-- for each column, which Postgres would take apart by a function each. A type is
-- never changed: hosts of two versions may be at work. Package postgres, rows.go.
CREATE TYPE new_transaction AS (
    business_date  date,
    transaction_id uuid,
    accepted_at    timestamptz,
    rrn            bigint,
    card_id        bigint,
    amount_minor   bigint,
    cashback_minor bigint,
    captured_minor bigint,
    refunded_minor bigint,
    refund_count   smallint,
    merchant_id    integer,
    terminal_id    integer,
    batch_no       integer,
    stan           integer,
    calendar_id    smallint,
    currency       smallint,
    asked          smallint,
    kind           smallint,
    state          smallint,
    reason         smallint,
    rule           smallint,
    digest         bytea,
    auth_code      text,
    pan_token      bytea,
    pan_masked     text,
    invoice        text,
    echo           bytea,
    balance_minor  bigint,
    original_date  date,
    original_id    uuid,
    decision       jsonb,
    operator_no    text,
    remark         text,
    previous_minor bigint
);
CREATE TYPE new_key AS (
    merchant_id    integer,
    terminal_id    integer,
    batch_no       integer,
    stan           integer,
    class          smallint,
    tombstone      boolean,
    business_date  date,
    transaction_id uuid
);
CREATE TYPE new_transfer AS (
    business_date  date,
    journal_id     uuid,
    leg            smallint,
    kind           smallint,
    phase          smallint,
    currency       smallint,
    debit_account  bigint,
    credit_account bigint,
    amount_minor   bigint,
    hold_id        uuid
);
CREATE TYPE card_change AS (
    card_id           bigint,
    balance_minor     bigint,
    held_minor        bigint,
    pin_failures      smallint,
    read_balance_minor bigint,
    read_held_minor   bigint,
    read_pin_failures smallint,
    read_status       smallint
);
CREATE TYPE key_probe AS (
    merchant_id integer,
    terminal_id integer,
    stan        integer,
    class       smallint,
    batch_no    integer
);

-- +goose Down
DROP TYPE key_probe, card_change, new_transfer, new_key, new_transaction;
