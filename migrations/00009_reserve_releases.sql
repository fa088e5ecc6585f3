-- Which reserves were given back, and what leads from a purchase to its contras.

-- +goose Up
-- A statement's reserve is given back once: its row here says so, and the
-- service can neither change nor remove it. The foreign key's lock waits for
-- the closes under way, so that the rows below miss none of theirs.
CREATE TABLE reserve_releases (
    bucket        smallint NOT NULL,
    merchant_id   integer  NOT NULL,
    currency      smallint NOT NULL,
    business_date date     NOT NULL,          -- of the statement whose reserve it is
    released_on   date     NOT NULL CHECK (released_on > business_date),   -- business date
    PRIMARY KEY (bucket, merchant_id, currency, business_date),
    FOREIGN KEY (bucket, merchant_id, currency, business_date) REFERENCES settlements
);
INSERT INTO reserve_releases (bucket, merchant_id, currency, business_date, released_on)
SELECT bucket, merchant_id, currency, business_date, reserve_released_on FROM settlements WHERE reserve_released_on IS NOT NULL;
GRANT SELECT, INSERT ON reserve_releases TO meridian_service;
-- Nothing writes the column any more. A host of the version before fails to
-- close a date from here on, and one of this version closes it.
REVOKE UPDATE (reserve_released_on) ON settlements FROM meridian_service;
DROP INDEX settlements_reserved;
CREATE INDEX settlements_reserved ON settlements (bucket, reserve_release_on) WHERE reserve_minor > 0;

-- What a refund returns of the discount depends on what was refunded before.
CREATE INDEX transactions_original ON transactions (bucket, original_id) WHERE original_id IS NOT NULL;

-- +goose Down
DROP INDEX transactions_original;
UPDATE settlements s SET reserve_released_on = r.released_on FROM reserve_releases r
WHERE (r.bucket, r.merchant_id, r.currency, r.business_date) = (s.bucket, s.merchant_id, s.currency, s.business_date);
DROP INDEX settlements_reserved;
CREATE INDEX settlements_reserved ON settlements (bucket, reserve_release_on) WHERE reserve_minor > 0 AND reserve_released_on IS NULL;
GRANT UPDATE (reserve_released_on) ON settlements TO meridian_service;
DROP TABLE reserve_releases;
