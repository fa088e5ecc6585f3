-- The ledger: business-date windows, immutable transfers, holds, on-us cards.

-- +goose Up

-- The bucket's own copy of a calendar's business date. A unit of work holds
-- its row FOR SHARE while it posts into it; a close takes it FOR UPDATE.
CREATE TABLE windows (
    bucket        smallint NOT NULL REFERENCES buckets,
    calendar_id   smallint NOT NULL,
    business_date date     NOT NULL,
    state         smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),   -- 1 open, 2 cutting, 3 closed
    PRIMARY KEY (bucket, calendar_id, business_date),
    FOREIGN KEY (calendar_id, business_date) REFERENCES business_days
);

-- A transfer names both accounts and is balanced by construction. It is never
-- changed: a correction is another transfer. Its identity is the journal that
-- caused it (a transaction, a hold's expiry, a load) and the leg within it.
CREATE TABLE transfers (
    bucket         smallint NOT NULL,
    business_date  date     NOT NULL,
    journal_id     uuid     NOT NULL,
    leg            smallint NOT NULL CHECK (leg > 0),
    kind           smallint NOT NULL,
    phase          smallint NOT NULL CHECK (phase BETWEEN 1 AND 4),  -- 1 posted, 2 pending, 3 post pending, 4 void pending
    currency       smallint NOT NULL,
    debit_account  bigint   NOT NULL,          -- role and owner in one number: package ledger, AccountID
    credit_account bigint   NOT NULL,
    amount_minor   bigint   NOT NULL CHECK (amount_minor > 0),
    hold_id        uuid,             -- the pending transfer that phases 2 to 4 speak of
    PRIMARY KEY (bucket, business_date, journal_id, leg),
    CHECK (debit_account <> credit_account),
    CHECK ((phase = 1) = (hold_id IS NULL))
) PARTITION BY RANGE (business_date);

-- Money reserved by an authorization: posted or voided, each at most once.
CREATE TABLE holds (
    bucket         smallint    NOT NULL REFERENCES buckets,
    hold_id        uuid        NOT NULL,      -- the authorization's transaction id
    business_date  date        NOT NULL,      -- the authorization's
    merchant_id    integer     NOT NULL,
    card_id        bigint      NOT NULL,
    currency       smallint    NOT NULL,
    amount_minor   bigint      NOT NULL CHECK (amount_minor > 0),
    captured_minor bigint      NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
    state          smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 4),  -- 1 open, 2 posted, 3 voided, 4 expired
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (bucket, hold_id),
    CHECK ((state = 2) = (captured_minor > 0))
) WITH (fillfactor = 85);
CREATE INDEX holds_expiry ON holds (bucket, expires_at) WHERE state = 1;

-- On-us cards: the one balance that is kept, because it is promised at the
-- counter. available = balance - held.
CREATE TABLE card_accounts (
    card_id       bigint   PRIMARY KEY CHECK (card_id > 0),
    pan_token     bytea    NOT NULL UNIQUE CHECK (length(pan_token) = 16),
    pan_masked    text     NOT NULL,
    expiry        char(4)  NOT NULL CHECK (expiry ~ '^[0-9]{2}(0[1-9]|1[0-2])$'),  -- YYMM
    currency      smallint NOT NULL,
    status        smallint NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 6),
    balance_minor bigint   NOT NULL DEFAULT 0,
    held_minor    bigint   NOT NULL DEFAULT 0 CHECK (held_minor >= 0)
) WITH (fillfactor = 70);

-- Partitions are one month wide: retention is counted in months, ordered ids
-- keep inserts at an index's right edge at any width, and a generic plan locks
-- every partition that it might touch. The service's role owns no table, so
-- the function runs as its owner.
-- +goose StatementBegin
CREATE FUNCTION meridian_ensure_partitions(first_date date, last_date date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    parent  text;
    month   date := date_trunc('month', first_date)::date;
    child   text;
    created integer := 0;
BEGIN
    IF last_date < first_date OR last_date > first_date + 1200 THEN
        RAISE EXCEPTION 'partitions from % to %: at most 1200 days', first_date, last_date;
    END IF;
    WHILE month <= last_date LOOP
        FOREACH parent IN ARRAY ARRAY['transfers', 'transactions'] LOOP
            child := parent || '_' || to_char(month, 'YYYYMM');
            IF to_regclass(quote_ident(child)) IS NULL THEN
                -- One maker at a time; the others find it made.
                PERFORM pg_advisory_xact_lock(hashtext('meridian_ensure_partitions'));
                IF to_regclass(quote_ident(child)) IS NULL THEN
                    -- Made apart and then attached: ATTACH does not wait for readers and writers.
                    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)%s',
                        child, parent,
                        CASE parent WHEN 'transactions' THEN ' WITH (fillfactor = 90)' ELSE '' END);
                    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                        parent, child, month, (month + interval '1 month')::date);
                    created := created + 1;
                END IF;
            END IF;
        END LOOP;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN created;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION meridian_ensure_partitions(date, date) FROM PUBLIC;

-- +goose Down
DROP FUNCTION meridian_ensure_partitions(date, date);
DROP TABLE card_accounts, holds, transfers, windows;
