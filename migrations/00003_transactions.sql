-- The life of a transaction, its keys, and what must be looked at by people.

-- +goose Up
CREATE TABLE transactions (
    bucket           smallint    NOT NULL,
    business_date    date        NOT NULL,
    transaction_id   uuid        NOT NULL,
    accepted_at      timestamptz NOT NULL,
    rrn              bigint      NOT NULL,      -- F37, twelve digits, unique per acquirer and day
    card_id          bigint,
    amount_minor     bigint      NOT NULL CHECK (amount_minor >= 0),
    cashback_minor   bigint      NOT NULL DEFAULT 0 CHECK (cashback_minor >= 0),
    captured_minor   bigint      NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    refunded_minor   bigint      NOT NULL DEFAULT 0,
    merchant_id      integer     NOT NULL,
    terminal_id      integer     NOT NULL,
    batch_no         integer     NOT NULL,
    stan             integer     NOT NULL CHECK (stan BETWEEN 0 AND 999999),
    calendar_id      smallint    NOT NULL,
    currency         smallint    NOT NULL,
    asked            smallint    NOT NULL,      -- what the terminal asked for
    kind             smallint    NOT NULL,      -- what it became
    state            smallint    NOT NULL,
    reason           smallint    NOT NULL,      -- why it was answered so
    rule             smallint    NOT NULL DEFAULT 0,   -- void-or-refund rule, 0 for none
    refund_count     smallint    NOT NULL DEFAULT 0,
    digest           bytea       NOT NULL,      -- of the request's content: tells a repeat from another request
    auth_code        text,
    pan_token        bytea,
    pan_masked       text,
    invoice          text,
    echo             bytea,                     -- what the answer repeats of the request's own transmission
    balance_minor    bigint,                    -- answered to a balance inquiry
    original_date    date,
    original_id      uuid,
    decision         jsonb,                     -- the facts and rules a cancel was decided on
    PRIMARY KEY (bucket, business_date, transaction_id),
    CHECK (refunded_minor BETWEEN 0 AND captured_minor)
) PARTITION BY RANGE (business_date);
CREATE INDEX transactions_rrn ON transactions (bucket, rrn);
CREATE INDEX transactions_invoice ON transactions (bucket, terminal_id, invoice) WHERE invoice IS NOT NULL;

-- One row per request that was taken: what makes a repeat a repeat. Not
-- partitioned: a key must be unique over all dates. A tombstone is the key of
-- an original that its reversal came before.
CREATE TABLE idempotency_keys (
    bucket         smallint NOT NULL REFERENCES buckets,
    merchant_id    integer  NOT NULL,
    terminal_id    integer  NOT NULL,
    batch_no       integer  NOT NULL,
    stan           integer  NOT NULL,
    class          smallint NOT NULL,           -- 1 financial, 2 reversal, 3 the host's own reversal
    tombstone      boolean  NOT NULL DEFAULT false,
    business_date  date     NOT NULL,
    transaction_id uuid     NOT NULL,
    -- STAN before batch: a reference that names no batch finds every one.
    PRIMARY KEY (bucket, merchant_id, terminal_id, stan, batch_no, class)
);

CREATE TABLE batches (
    bucket      smallint    NOT NULL REFERENCES buckets,
    terminal_id integer     NOT NULL,
    batch_no    integer     NOT NULL CHECK (batch_no BETWEEN 1 AND 999999),
    state       smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),  -- 1 open, 2 settling, 3 balanced, 4 uploading, 5 closed
    opened_at   timestamptz NOT NULL,
    PRIMARY KEY (bucket, terminal_id, batch_no)
);
CREATE UNIQUE INDEX batches_current ON batches (bucket, terminal_id) WHERE state < 5;

-- What the host could not settle by rule and a person must look at.
CREATE TABLE exceptions (
    bucket         smallint    NOT NULL REFERENCES buckets,
    exception_id   uuid        NOT NULL,
    raised_at      timestamptz NOT NULL,
    kind           text        NOT NULL,
    business_date  date        NOT NULL,
    transaction_id uuid        NOT NULL,
    detail         text        NOT NULL,
    PRIMARY KEY (bucket, exception_id)
);

-- Denied attempts and changes by people. Append-only by privilege.
CREATE TABLE audit_log (
    audit_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    kind        text        NOT NULL,
    subject     text        NOT NULL,
    detail      text        NOT NULL
);

-- RRNs are handed out in blocks, so that several hosts never give one twice
-- and no row is hot.
CREATE TABLE rrn_days (
    rrn_day smallint PRIMARY KEY CHECK (rrn_day BETWEEN 1 AND 9366),   -- last digit of the year, day of the year
    year    smallint NOT NULL,
    next    integer  NOT NULL CHECK (next BETWEEN 0 AND 100000000)
);

-- +goose Down
DROP TABLE rrn_days, audit_log, exceptions, batches, idempotency_keys, transactions;
