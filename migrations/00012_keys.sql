-- Keys at run time: where a terminal's keys come from, sessions, DUKPT, PINs.
-- A stored key says what it is for and is wrapped by the security module;
-- nothing here is a key in clear.

-- +goose Up
-- Keys that derive the keys of every transaction (DUKPT).
CREATE TABLE base_keys (
    base_key_id integer     PRIMARY KEY CHECK (base_key_id > 0),
    name        text        NOT NULL UNIQUE,
    bdk_wrapped bytea       NOT NULL,
    created_at  timestamptz NOT NULL
);

-- The installation's own keys: what makes tokens of card numbers, and PIN
-- references. A row stays for as long as something was made with it.
CREATE TABLE data_keys (
    purpose    text        NOT NULL CHECK (purpose ~ '^[a-z][a-z-]{0,31}$'),
    version    smallint    NOT NULL CHECK (version > 0),
    wrapped    bytea       NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (purpose, version)
);

-- static: loaded by people. session: the terminal signs in. dukpt: derived from
-- a base key and the key serial number of each message.
ALTER TABLE terminals
    ADD COLUMN key_scheme  text    NOT NULL DEFAULT 'static'
                           CHECK (key_scheme IN ('static', 'session', 'dukpt-tdes', 'dukpt-aes')),
    ADD COLUMN base_key_id integer REFERENCES base_keys,
    -- The key serial number without its counter: other terminals under the same
    -- base key cannot speak for this one.
    ADD COLUMN initial_ksn bytea   CHECK (length(initial_ksn) IN (8, 10)),
    ADD COLUMN pin_format  text    NOT NULL DEFAULT 'iso-0' CHECK (pin_format IN ('iso-0', 'iso-1', 'iso-3', 'iso-4'));
UPDATE terminals SET key_scheme = 'session' WHERE dialect = 'unionpay' AND tmk_wrapped IS NOT NULL;
ALTER TABLE terminals
    DROP CONSTRAINT terminals_mac_algorithm_check,
    DROP CONSTRAINT terminals_check,
    ADD CONSTRAINT terminals_mac_algorithm_known
        CHECK (mac_algorithm IN ('none', 'x9.9', 'x919', 'unionpay-ecb', 'aes-cmac')),
    ADD CONSTRAINT terminals_static_has_key CHECK (key_scheme <> 'static' OR mac_algorithm = 'none' OR mak_wrapped IS NOT NULL),
    ADD CONSTRAINT terminals_session_has_master_key CHECK (key_scheme <> 'session' OR tmk_wrapped IS NOT NULL),
    ADD CONSTRAINT terminals_dukpt_has_base_key CHECK (
        CASE key_scheme
            WHEN 'dukpt-tdes' THEN base_key_id IS NOT NULL AND initial_ksn IS NOT NULL AND length(initial_ksn) = 10
            WHEN 'dukpt-aes' THEN base_key_id IS NOT NULL AND initial_ksn IS NOT NULL AND length(initial_ksn) = 8
            ELSE base_key_id IS NULL AND initial_ksn IS NULL
        END);

-- Keys of a session, or the next ones of a terminal with static keys. A
-- generation is used until a later one has been for a minute: messages under
-- way are not lost. A new one is written over one that is over, so a terminal
-- has no more rows than slots.
CREATE TABLE working_keys (
    bucket        smallint    NOT NULL REFERENCES buckets,
    terminal_id   integer     NOT NULL,
    slot          smallint    NOT NULL CHECK (slot BETWEEN 0 AND 3),
    generation    integer     NOT NULL CHECK (generation > 0),
    mak_wrapped   bytea,
    pik_wrapped   bytea,
    tdk_wrapped   bytea,
    issued_at     timestamptz NOT NULL,
    first_used_at timestamptz,                  -- the first message whose MAC was made with it
    ended_at      timestamptz,                  -- the terminal signed off: its keys are gone
    changed_at    timestamptz NOT NULL,         -- by the database's clock: what hosts follow
    PRIMARY KEY (bucket, terminal_id, slot),
    CHECK (ended_at IS NULL OR num_nonnulls(mak_wrapped, pik_wrapped, tdk_wrapped) = 0)
) WITH (fillfactor = 70);
CREATE INDEX working_keys_changed ON working_keys (changed_at);

-- How far a terminal's transaction counter has come: a lower one is a replay.
CREATE TABLE dukpt_counters (
    bucket      smallint NOT NULL REFERENCES buckets,
    terminal_id integer  NOT NULL,
    initial_ksn bytea    NOT NULL,
    counter     bigint   NOT NULL CHECK (counter > 0),
    PRIMARY KEY (bucket, terminal_id, initial_ksn)
) WITH (fillfactor = 50);

-- What is kept of a card's PIN means nothing without the security module. Wrong
-- tries in a row; the card is locked for PINs when they reach the limit.
ALTER TABLE card_accounts
    ADD COLUMN pin_reference bytea    CHECK (length(pin_reference) BETWEEN 1 AND 256),
    ADD COLUMN pin_failures  smallint NOT NULL DEFAULT 0 CHECK (pin_failures >= 0);

-- A token says which version of the token key made it; all that are there were
-- made with the first.
UPDATE card_accounts SET pan_token = '\x01'::bytea || substring(pan_token FOR 15);
UPDATE transactions SET pan_token = '\x01'::bytea || substring(pan_token FOR 15) WHERE pan_token IS NOT NULL;

GRANT SELECT ON base_keys, data_keys, working_keys, dukpt_counters TO meridian_service;
GRANT INSERT ON data_keys, working_keys, dukpt_counters TO meridian_service;
GRANT UPDATE (generation, mak_wrapped, pik_wrapped, tdk_wrapped, issued_at, first_used_at, ended_at, changed_at)
    ON working_keys TO meridian_service;
GRANT UPDATE (counter) ON dukpt_counters TO meridian_service;
GRANT UPDATE (pin_failures) ON card_accounts TO meridian_service;

-- +goose Down
ALTER TABLE card_accounts DROP COLUMN pin_reference, DROP COLUMN pin_failures;
DROP TABLE dukpt_counters, working_keys;
ALTER TABLE terminals
    DROP CONSTRAINT terminals_mac_algorithm_known, DROP CONSTRAINT terminals_static_has_key,
    DROP CONSTRAINT terminals_session_has_master_key, DROP CONSTRAINT terminals_dukpt_has_base_key;
ALTER TABLE terminals DROP COLUMN key_scheme, DROP COLUMN base_key_id, DROP COLUMN initial_ksn, DROP COLUMN pin_format;
ALTER TABLE terminals
    ADD CONSTRAINT terminals_mac_algorithm_check CHECK (mac_algorithm IN ('none', 'x919', 'unionpay-ecb')),
    ADD CONSTRAINT terminals_check CHECK (mac_algorithm = 'none' OR mak_wrapped IS NOT NULL);
DROP TABLE data_keys, base_keys;
