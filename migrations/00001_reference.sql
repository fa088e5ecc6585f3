-- Reference data: small tables that every host reads into memory with a
-- version and reads again when the version moved. No hot path joins them.

-- +goose Up
CREATE TABLE installation (
    only_row          boolean  PRIMARY KEY DEFAULT true CHECK (only_row),
    kind              text     NOT NULL CHECK (kind IN ('production', 'sandbox')),
    -- Moves with every change to reference data; hosts poll it.
    directory_version bigint   NOT NULL DEFAULT 1
);
INSERT INTO installation (kind) VALUES ('production');

-- A merchant's bucket is data, not a hash in code: re-bucketing is a data
-- migration. A unit of work touches one bucket, and its multi-row inserts are
-- anchored on this row.
CREATE TABLE buckets (
    bucket smallint PRIMARY KEY CHECK (bucket >= 0)
);
INSERT INTO buckets (bucket) SELECT generate_series(0, 3);

CREATE TABLE calendars (
    calendar_id smallint PRIMARY KEY,
    name        text     NOT NULL UNIQUE,
    time_zone   text     NOT NULL,             -- IANA name
    cutoff      time     NOT NULL,             -- wall clock in that zone
    first_date  date     NOT NULL              -- no business date before it
);

-- Cutoff instants are computed ahead and kept, so that history does not move
-- when zone data does. A business date is the half-open [opens_at, closes_at).
CREATE TABLE business_days (
    calendar_id   smallint    NOT NULL REFERENCES calendars,
    business_date date        NOT NULL,
    opens_at      timestamptz NOT NULL,
    closes_at     timestamptz NOT NULL,
    PRIMARY KEY (calendar_id, business_date),
    CHECK (closes_at > opens_at)
);
CREATE INDEX business_days_closes_at ON business_days (calendar_id, closes_at);

-- What a merchant's terminals may do, and how far. NULL is "no limit".
CREATE TABLE policies (
    policy_id               integer  PRIMARY KEY,
    name                    text     NOT NULL UNIQUE,
    cancel_mode             text     NOT NULL DEFAULT 'auto'
                                     CHECK (cancel_mode IN ('auto', 'strict', 'cancel-only')),
    max_amount_minor        bigint   CHECK (max_amount_minor > 0),
    max_cashback_minor      bigint   CHECK (max_cashback_minor > 0),
    completion_percent      smallint NOT NULL DEFAULT 115 CHECK (completion_percent BETWEEN 100 AND 200),
    hold_days               smallint NOT NULL DEFAULT 30 CHECK (hold_days BETWEEN 1 AND 400),
    allow_authorization     boolean  NOT NULL DEFAULT true,
    allow_cashback          boolean  NOT NULL DEFAULT true,
    allow_offline_advice    boolean  NOT NULL DEFAULT true,
    allow_void              boolean  NOT NULL DEFAULT true,
    allow_refund            boolean  NOT NULL DEFAULT true,
    refund_window_days      smallint NOT NULL DEFAULT 180 CHECK (refund_window_days BETWEEN 1 AND 3650),
    max_refunds             smallint NOT NULL DEFAULT 20 CHECK (max_refunds BETWEEN 1 AND 1000)
);

CREATE TABLE merchants (
    merchant_id integer  PRIMARY KEY CHECK (merchant_id > 0),
    bucket      smallint NOT NULL REFERENCES buckets,
    mid         text     NOT NULL UNIQUE CHECK (length(mid) BETWEEN 1 AND 15),   -- F42
    name        text     NOT NULL,
    currency    smallint NOT NULL,                                               -- ISO 4217 numeric
    calendar_id smallint NOT NULL REFERENCES calendars,
    policy_id   integer  NOT NULL REFERENCES policies,
    active      boolean  NOT NULL DEFAULT true
);

CREATE TABLE terminals (
    terminal_id        integer PRIMARY KEY CHECK (terminal_id > 0),
    tid                text    NOT NULL UNIQUE CHECK (length(tid) BETWEEN 1 AND 8),  -- F41
    merchant_id        integer NOT NULL REFERENCES merchants,
    dialect            text    NOT NULL CHECK (dialect IN ('nac', 'ascii', 'unionpay')),
    tpdu               text    NOT NULL DEFAULT '',
    active             boolean NOT NULL DEFAULT true,
    mac_algorithm      text    NOT NULL DEFAULT 'none' CHECK (mac_algorithm IN ('none', 'x919', 'unionpay-ecb')),
    -- Keys are wrapped by the vault; nothing here is a key in clear.
    tmk_wrapped        bytea,
    mak_wrapped        bytea,
    pik_wrapped        bytea,
    certificate_sha256 bytea   CHECK (length(certificate_sha256) = 32),
    CHECK (mac_algorithm = 'none' OR mak_wrapped IS NOT NULL)
);
CREATE INDEX terminals_merchant ON terminals (merchant_id);

-- Which cards lead where. "onus" is the ledger itself.
CREATE TABLE bin_ranges (
    low     text NOT NULL CHECK (low ~ '^[0-9]{19}$'),    -- padded right with 0
    high    text NOT NULL CHECK (high ~ '^[0-9]{19}$'),   -- padded right with 9
    network text NOT NULL,
    route   text NOT NULL CHECK (route IN ('onus')),
    PRIMARY KEY (low, high),
    CHECK (low <= high)
);

-- +goose Down
DROP TABLE bin_ranges, terminals, merchants, policies, business_days, calendars, buckets, installation;
