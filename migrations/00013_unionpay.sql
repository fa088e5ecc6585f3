-- What UnionPay's terminals ask for: settlements in two steps, uploads of
-- several transactions, changed amounts, references by authorization code, and
-- downloads of parameters.

-- +goose Up
ALTER TABLE batches
    DROP CONSTRAINT batches_stated_form_check,
    ADD CONSTRAINT batches_stated_form_known CHECK (stated_form BETWEEN 1 AND 3);   -- 3 debits and credits, gross
-- A batch whose totals were compared takes transactions until its end is told,
-- and is closed at the cutoff like an open one.
DROP INDEX batches_open_since;
CREATE INDEX batches_open_since ON batches (bucket, opened_date) WHERE state < 4;

-- The host's transactions that an upload of several has shown.
CREATE TABLE upload_items (
    bucket         smallint NOT NULL REFERENCES buckets,
    terminal_id    integer  NOT NULL,
    batch_no       integer  NOT NULL,
    transaction_id uuid     NOT NULL,
    PRIMARY KEY (bucket, terminal_id, batch_no, transaction_id)
);

ALTER TABLE transactions
    -- What its terminal told with it: a reversal's cause, a script's result, a tip.
    ADD COLUMN remark         text   CHECK (length(remark) <= 600),
    -- What the original had come to before this adjustment.
    ADD COLUMN previous_minor bigint CHECK (previous_minor >= 0);
-- Authorizations are looked up by the code that they were given.
CREATE INDEX transactions_auth_code ON transactions (bucket, merchant_id, auth_code) WHERE kind = 1;

-- Amounts that were changed before their settlement.
ALTER TABLE settlements
    ADD COLUMN amount_change_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN amount_change_minor bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT settlements_check,
    ADD CONSTRAINT settlements_gross CHECK (gross_minor = sale_minor + cashback_minor + completion_minor + advice_minor
        + reinstatement_minor + amount_change_minor - void_minor - reversal_minor);

-- What terminals download. A catalogue's version moves with every change of its
-- rows; a terminal has the version that it took last.
CREATE TABLE catalogues (
    catalogue  smallint PRIMARY KEY CHECK (catalogue BETWEEN 1 AND 3),   -- 1 terminal parameters, 2 public keys, 3 chip applications
    version    bigint   NOT NULL DEFAULT 0 CHECK (version >= 0)          -- 0: there has been nothing in it
);
INSERT INTO catalogues (catalogue) VALUES (1), (2), (3);
CREATE TABLE terminal_parameters (
    code  text PRIMARY KEY CHECK (code ~ '^[0-9]{2}$'),
    value text NOT NULL CHECK (value ~ '^[ -~]{1,40}$')
);
CREATE TABLE public_keys (
    rid        bytea    NOT NULL CHECK (length(rid) = 5),
    key_index  smallint NOT NULL CHECK (key_index BETWEEN 0 AND 255),
    expires_on date     NOT NULL,
    -- As a terminal takes it: BER-TLV, with all that is said above.
    parameters bytea    NOT NULL CHECK (length(parameters) BETWEEN 1 AND 900),
    PRIMARY KEY (rid, key_index)
);
CREATE TABLE chip_applications (
    aid        bytea PRIMARY KEY CHECK (length(aid) BETWEEN 5 AND 16),
    parameters bytea NOT NULL CHECK (length(parameters) BETWEEN 1 AND 900)
);
CREATE TABLE terminal_downloads (
    bucket      smallint    NOT NULL REFERENCES buckets,
    terminal_id integer     NOT NULL,
    catalogue   smallint    NOT NULL,
    version     bigint      NOT NULL,
    taken_at    timestamptz NOT NULL,
    PRIMARY KEY (bucket, terminal_id, catalogue)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT ON upload_items TO meridian_service;
GRANT SELECT ON catalogues, terminal_parameters, public_keys, chip_applications TO meridian_service;
GRANT SELECT, INSERT ON terminal_downloads TO meridian_service;
GRANT UPDATE (version, taken_at) ON terminal_downloads TO meridian_service;

-- +goose Down
DROP TABLE terminal_downloads, chip_applications, public_keys, terminal_parameters, catalogues, upload_items;
ALTER TABLE settlements DROP CONSTRAINT settlements_gross, DROP COLUMN amount_change_count, DROP COLUMN amount_change_minor;
ALTER TABLE settlements ADD CONSTRAINT settlements_check
    CHECK (gross_minor = sale_minor + cashback_minor + completion_minor + advice_minor + reinstatement_minor - void_minor - reversal_minor) NOT VALID;
DROP INDEX transactions_auth_code;
ALTER TABLE transactions DROP COLUMN remark, DROP COLUMN previous_minor;
DROP INDEX batches_open_since;
CREATE INDEX batches_open_since ON batches (bucket, opened_date) WHERE state = 1;
ALTER TABLE batches DROP CONSTRAINT batches_stated_form_known;
ALTER TABLE batches ADD CONSTRAINT batches_stated_form_check CHECK (stated_form BETWEEN 1 AND 2) NOT VALID;
