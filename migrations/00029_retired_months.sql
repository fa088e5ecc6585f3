-- Months can leave the ledger: what they come to stays.

-- +goose Up
-- A month that was taken out: its partitions are tables of their own, transfers_YYYYMM and
-- transactions_YYYYMM, until somebody drops them. Months go in order, so the last of them says
-- from which date on everything is there.
CREATE TABLE retired_months (
    month          date        PRIMARY KEY CHECK (extract(day FROM month) = 1),
    retired_at     timestamptz NOT NULL,   -- by the business clock
    transactions   bigint      NOT NULL CHECK (transactions >= 0),
    transfers      bigint      NOT NULL CHECK (transfers >= 0),
    transfer_minor numeric(40) NOT NULL,   -- sum over currencies, as in a window's seal
    digest         numeric(40) NOT NULL,   -- sum over the digests of its transfers, as in a window's seal
    carried_digest numeric(40) NOT NULL,   -- sum over the digests of carried_positions after it
    -- From this business date on nothing speaks of it: what does is older, and sealed.
    quiet_from     date        NOT NULL
);

-- What accounts moved in all retired months together.
CREATE TABLE carried_positions (
    bucket                smallint NOT NULL REFERENCES buckets,
    account               bigint   NOT NULL,
    currency              smallint NOT NULL,
    debits_posted_minor   bigint   NOT NULL CHECK (debits_posted_minor >= 0),
    credits_posted_minor  bigint   NOT NULL CHECK (credits_posted_minor >= 0),
    debits_pending_minor  bigint   NOT NULL,
    credits_pending_minor bigint   NOT NULL,
    PRIMARY KEY (bucket, account, currency)
);
GRANT SELECT ON retired_months, carried_positions TO meridian_service;

-- +goose Down
-- Without what was carried forward, the money of months that have left would be gone.
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM retired_months) THEN
        RAISE EXCEPTION 'months were retired: their accounts are carried forward here alone';
    END IF;
END
$$;
-- +goose StatementEnd
DROP TABLE carried_positions, retired_months;
