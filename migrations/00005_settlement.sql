-- Banking days, terms, cutovers and what they settle.

-- +goose Up

-- Value dates follow banking days. Windows do not: a business date ends every
-- day, whether banks are open or not.
ALTER TABLE calendars
    -- A public calendar by its code ('de', 'us', 'gb', …), '' for none.
    ADD COLUMN holiday_region text       NOT NULL DEFAULT '' CHECK (holiday_region ~ '^[a-z]{0,3}$'),
    -- ISO weekdays on which banks are closed: 1 is Monday, 7 Sunday.
    ADD COLUMN weekend_days   smallint[] NOT NULL DEFAULT '{6,7}'
        CHECK (weekend_days <@ '{1,2,3,4,5,6,7}'::smallint[] AND NOT weekend_days @> '{1,2,3,4,5,6,7}'::smallint[]);

-- Dates that a public calendar does not have, or has otherwise. An open one is
-- a banking day on a weekend or holiday, as China's make-up working days are.
CREATE TABLE calendar_holidays (
    calendar_id smallint NOT NULL REFERENCES calendars,
    holiday     date     NOT NULL,
    name        text     NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    open        boolean  NOT NULL DEFAULT false,
    PRIMARY KEY (calendar_id, holiday)
);

-- The first banking day after the civil date on which the business date ends.
-- Computed ahead with the cutoff instant and kept; NULL in rows of before.
ALTER TABLE business_days ADD COLUMN value_date date CHECK (value_date > business_date);

-- What the job looks for every second.
CREATE INDEX windows_unsettled ON windows (bucket, calendar_id, business_date) WHERE state < 3;

-- The merchant discount. The most particular row counts: merchant and network,
-- then merchant, then network, then neither; of equals the newest valid one.
CREATE TABLE discount_terms (
    merchant_id     integer NOT NULL DEFAULT 0 CHECK (merchant_id >= 0),   -- 0: every merchant
    network         text    NOT NULL DEFAULT '',                           -- '': every card network
    valid_from      date    NOT NULL DEFAULT '2000-01-01',                 -- business date
    rate_millionths integer NOT NULL CHECK (rate_millionths BETWEEN 0 AND 1000000),
    fixed_minor     bigint  NOT NULL DEFAULT 0 CHECK (fixed_minor BETWEEN 0 AND 1000000000),   -- of the transaction's currency
    -- The rate's part of the fee comes back with a refund or a late reversal.
    returns_fee     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (merchant_id, network, valid_from)
);

-- The rolling reserve: a part of each day's net is held back for some days.
CREATE TABLE reserve_terms (
    merchant_id     integer  NOT NULL DEFAULT 0 CHECK (merchant_id >= 0),  -- 0: every merchant
    valid_from      date     NOT NULL DEFAULT '2000-01-01',
    rate_millionths integer  NOT NULL CHECK (rate_millionths BETWEEN 0 AND 1000000),
    release_days    smallint NOT NULL CHECK (release_days BETWEEN 1 AND 3650),
    PRIMARY KEY (merchant_id, valid_from)
);

-- A window's way to its close. The row is there as soon as the window is cut,
-- and it is what a close locks: the window's own row stays free.
CREATE TABLE cutovers (
    bucket        smallint    NOT NULL,
    calendar_id   smallint    NOT NULL,
    business_date date        NOT NULL,
    cut_at        timestamptz NOT NULL,       -- business clock
    closed_at     timestamptz,
    PRIMARY KEY (bucket, calendar_id, business_date),
    FOREIGN KEY (bucket, calendar_id, business_date) REFERENCES windows
);

-- A merchant's statement: one for every business date on which anything moved,
-- with the seal over the date's transfers that name the merchant. A merchant
-- keeps its bucket; it may change its calendar while both calendars have the
-- same business date open.
CREATE TABLE settlements (
    bucket                   smallint    NOT NULL REFERENCES buckets,
    merchant_id              integer     NOT NULL,
    currency                 smallint    NOT NULL,
    business_date            date        NOT NULL,
    calendar_id              smallint    NOT NULL,
    value_date               date        NOT NULL,
    settled_at               timestamptz NOT NULL,
    journal_id               uuid        NOT NULL,    -- of the close's own transfers
    sale_count               bigint      NOT NULL,
    sale_minor               bigint      NOT NULL,
    cashback_count           bigint      NOT NULL,
    cashback_minor           bigint      NOT NULL,
    completion_count         bigint      NOT NULL,
    completion_minor         bigint      NOT NULL,
    advice_count             bigint      NOT NULL,
    advice_minor             bigint      NOT NULL,
    reinstatement_count      bigint      NOT NULL,
    reinstatement_minor      bigint      NOT NULL,
    void_count               bigint      NOT NULL,
    void_minor               bigint      NOT NULL,
    reversal_count           bigint      NOT NULL,
    reversal_minor           bigint      NOT NULL,
    gross_minor              bigint      NOT NULL,
    refund_count             bigint      NOT NULL,
    refund_minor             bigint      NOT NULL,
    refund_reversal_count    bigint      NOT NULL,
    refund_reversal_minor    bigint      NOT NULL,
    adjustment_count         bigint      NOT NULL,
    adjustment_minor         bigint      NOT NULL,
    other_minor              bigint      NOT NULL,    -- whatever else moved the payable, credits positive
    discount_minor           bigint      NOT NULL CHECK (discount_minor >= 0),
    discount_returned_minor  bigint      NOT NULL,
    reserve_minor            bigint      NOT NULL CHECK (reserve_minor >= 0),
    reserve_released_minor   bigint      NOT NULL CHECK (reserve_released_minor >= 0),
    to_receivable_minor      bigint      NOT NULL CHECK (to_receivable_minor >= 0),
    recovered_minor          bigint      NOT NULL CHECK (recovered_minor >= 0),
    opening_payable_minor    bigint      NOT NULL,
    closing_payable_minor    bigint      NOT NULL,
    opening_receivable_minor bigint      NOT NULL,
    closing_receivable_minor bigint      NOT NULL,
    opening_reserve_minor    bigint      NOT NULL,
    closing_reserve_minor    bigint      NOT NULL,
    reserve_release_on       date,
    reserve_released_on      date,
    transfer_count           bigint      NOT NULL CHECK (transfer_count > 0),
    transfer_minor           bigint      NOT NULL,
    digest                   numeric(40) NOT NULL,    -- sum of the transfers' digests: package ledger, seal
    PRIMARY KEY (bucket, merchant_id, currency, business_date),
    CHECK (gross_minor = sale_minor + cashback_minor + completion_minor + advice_minor + reinstatement_minor - void_minor - reversal_minor),
    CHECK (closing_payable_minor = opening_payable_minor + gross_minor - refund_minor + refund_reversal_minor - adjustment_minor + other_minor
        - discount_minor + discount_returned_minor - reserve_minor + reserve_released_minor + to_receivable_minor - recovered_minor),
    CHECK ((reserve_minor > 0) = (reserve_release_on IS NOT NULL)),
    CHECK (reserve_released_on IS NULL OR reserve_released_on >= reserve_release_on)
);
CREATE INDEX settlements_day ON settlements (bucket, business_date, calendar_id);
CREATE INDEX settlements_reserved ON settlements (bucket, reserve_release_on) WHERE reserve_minor > 0 AND reserve_released_on IS NULL;

-- A closed window's seal, over its statements.
CREATE TABLE window_seals (
    bucket         smallint    NOT NULL,
    calendar_id    smallint    NOT NULL,
    business_date  date        NOT NULL,
    sealed_at      timestamptz NOT NULL,
    statements     integer     NOT NULL,
    transfer_count bigint      NOT NULL,
    transfer_minor bigint      NOT NULL,
    digest         numeric(40) NOT NULL,
    PRIMARY KEY (bucket, calendar_id, business_date),
    FOREIGN KEY (bucket, calendar_id, business_date) REFERENCES windows
);

GRANT SELECT ON calendar_holidays, discount_terms, reserve_terms, cutovers, settlements, window_seals TO meridian_service;
GRANT INSERT ON cutovers, settlements, window_seals TO meridian_service;
GRANT UPDATE (closed_at) ON cutovers TO meridian_service;
GRANT UPDATE (reserve_released_on) ON settlements TO meridian_service;

-- +goose Down
DROP TABLE window_seals, settlements, cutovers, reserve_terms, discount_terms, calendar_holidays;
DROP INDEX windows_unsettled;
ALTER TABLE business_days DROP COLUMN value_date;
ALTER TABLE calendars DROP COLUMN weekend_days, DROP COLUMN holiday_region;
