-- What is true of one column is the column's type.

-- +goose Up
-- A CHECK of a table is read from the catalogue and made ready once for every statement that
-- writes to it, and evaluated for every row, whichever columns change: that a card's expiry is
-- one was looked at whenever its balance changed. A domain is looked at where its column is
-- written, and is made ready once for a connection. No program gets round either.
--
-- Nothing is rewritten and no row is read: the columns become of a domain that says nothing yet,
-- and what it says from then on has been true of every row, by the CHECKs before. A transfer's leg
-- and a hold's state keep theirs: indexes that have them would be built anew.
SET LOCAL lock_timeout = '5s';   -- behind whoever reads for long, everybody would wait

CREATE DOMAIN minor_units          AS bigint;
CREATE DOMAIN positive_minor_units AS bigint;
CREATE DOMAIN valid_stan           AS integer;
CREATE DOMAIN valid_remark         AS text;
CREATE DOMAIN valid_phase          AS smallint;
CREATE DOMAIN valid_card_id        AS bigint;
CREATE DOMAIN valid_pan_token      AS bytea;
CREATE DOMAIN valid_expiry         AS char(4);
CREATE DOMAIN valid_card_status    AS smallint;
CREATE DOMAIN valid_pin_reference  AS bytea;
CREATE DOMAIN valid_pin_failures   AS smallint;

ALTER TABLE transactions
    DROP CONSTRAINT transactions_amount_minor_check, DROP CONSTRAINT transactions_cashback_minor_check,
    DROP CONSTRAINT transactions_captured_minor_check, DROP CONSTRAINT transactions_reviewed_minor_check,
    DROP CONSTRAINT transactions_previous_minor_check, DROP CONSTRAINT transactions_check,
    DROP CONSTRAINT transactions_stan_check, DROP CONSTRAINT transactions_remark_check;
ALTER TABLE transactions
    ALTER amount_minor TYPE minor_units, ALTER cashback_minor TYPE minor_units, ALTER captured_minor TYPE minor_units,
    ALTER refunded_minor TYPE minor_units, ALTER reviewed_minor TYPE minor_units, ALTER previous_minor TYPE minor_units,
    ALTER stan TYPE valid_stan, ALTER remark TYPE valid_remark;
ALTER TABLE transactions ADD CONSTRAINT transactions_refunded CHECK (refunded_minor <= captured_minor) NOT VALID;

ALTER TABLE transfers
    DROP CONSTRAINT transfers_amount_minor_check, DROP CONSTRAINT transfers_phase_check,
    DROP CONSTRAINT transfers_check, DROP CONSTRAINT transfers_check1;
ALTER TABLE transfers
    ALTER amount_minor TYPE positive_minor_units, ALTER phase TYPE valid_phase;
ALTER TABLE transfers
    ADD CONSTRAINT transfers_between_two CHECK (debit_account <> credit_account) NOT VALID,
    ADD CONSTRAINT transfers_of_hold CHECK ((phase = 1) = (hold_id IS NULL)) NOT VALID;

ALTER TABLE holds
    DROP CONSTRAINT holds_amount_minor_check, DROP CONSTRAINT holds_captured_minor_check,
    DROP CONSTRAINT holds_check;
ALTER TABLE holds
    ALTER amount_minor TYPE positive_minor_units, ALTER captured_minor TYPE minor_units;
ALTER TABLE holds ADD CONSTRAINT holds_posted CHECK ((state = 2) = (captured_minor > 0)) NOT VALID;

ALTER TABLE card_accounts
    DROP CONSTRAINT card_accounts_card_id_check, DROP CONSTRAINT card_accounts_pan_token_check, DROP CONSTRAINT card_accounts_expiry_check,
    DROP CONSTRAINT card_accounts_status_check, DROP CONSTRAINT card_accounts_held_minor_check,
    DROP CONSTRAINT card_accounts_pin_reference_check, DROP CONSTRAINT card_accounts_pin_failures_check;
ALTER TABLE card_accounts
    ALTER card_id TYPE valid_card_id, ALTER pan_token TYPE valid_pan_token, ALTER expiry TYPE valid_expiry, ALTER status TYPE valid_card_status,
    ALTER held_minor TYPE minor_units, ALTER pin_reference TYPE valid_pin_reference, ALTER pin_failures TYPE valid_pin_failures;

ALTER DOMAIN minor_units          ADD CHECK (VALUE >= 0) NOT VALID;
ALTER DOMAIN positive_minor_units ADD CHECK (VALUE > 0) NOT VALID;
ALTER DOMAIN valid_stan           ADD CHECK (VALUE BETWEEN 0 AND 999999) NOT VALID;
ALTER DOMAIN valid_remark         ADD CHECK (length(VALUE) <= 600) NOT VALID;
ALTER DOMAIN valid_phase          ADD CHECK (VALUE BETWEEN 1 AND 4) NOT VALID;   -- 1 posted, 2 pending, 3 post pending, 4 void pending
ALTER DOMAIN valid_card_id        ADD CHECK (VALUE > 0) NOT VALID;
ALTER DOMAIN valid_pan_token      ADD CHECK (length(VALUE) = 16) NOT VALID;
ALTER DOMAIN valid_expiry         ADD CHECK (VALUE ~ '^[0-9]{2}(0[1-9]|1[0-2])$') NOT VALID;   -- YYMM
ALTER DOMAIN valid_card_status    ADD CHECK (VALUE BETWEEN 1 AND 6) NOT VALID;
ALTER DOMAIN valid_pin_reference  ADD CHECK (length(VALUE) BETWEEN 1 AND 256) NOT VALID;
ALTER DOMAIN valid_pin_failures   ADD CHECK (VALUE >= 0) NOT VALID;

-- +goose Down
ALTER TABLE card_accounts
    ALTER card_id TYPE bigint, ALTER pan_token TYPE bytea, ALTER expiry TYPE char(4), ALTER status TYPE smallint,
    ALTER held_minor TYPE bigint, ALTER pin_reference TYPE bytea, ALTER pin_failures TYPE smallint;
ALTER TABLE card_accounts
    ADD CONSTRAINT card_accounts_card_id_check CHECK (card_id > 0) NOT VALID,
    ADD CONSTRAINT card_accounts_pan_token_check CHECK (length(pan_token) = 16) NOT VALID,
    ADD CONSTRAINT card_accounts_expiry_check CHECK (expiry ~ '^[0-9]{2}(0[1-9]|1[0-2])$') NOT VALID,
    ADD CONSTRAINT card_accounts_status_check CHECK (status BETWEEN 1 AND 6) NOT VALID,
    ADD CONSTRAINT card_accounts_held_minor_check CHECK (held_minor >= 0) NOT VALID,
    ADD CONSTRAINT card_accounts_pin_reference_check CHECK (length(pin_reference) BETWEEN 1 AND 256) NOT VALID,
    ADD CONSTRAINT card_accounts_pin_failures_check CHECK (pin_failures >= 0) NOT VALID;
ALTER TABLE holds DROP CONSTRAINT holds_posted;
ALTER TABLE holds ALTER amount_minor TYPE bigint, ALTER captured_minor TYPE bigint;
ALTER TABLE holds
    ADD CONSTRAINT holds_amount_minor_check CHECK (amount_minor > 0) NOT VALID,
    ADD CONSTRAINT holds_captured_minor_check CHECK (captured_minor >= 0) NOT VALID,
    ADD CONSTRAINT holds_check CHECK ((state = 2) = (captured_minor > 0)) NOT VALID;
ALTER TABLE transfers DROP CONSTRAINT transfers_between_two, DROP CONSTRAINT transfers_of_hold;
ALTER TABLE transfers ALTER amount_minor TYPE bigint, ALTER phase TYPE smallint;
ALTER TABLE transfers
    ADD CONSTRAINT transfers_amount_minor_check CHECK (amount_minor > 0) NOT VALID,
    ADD CONSTRAINT transfers_phase_check CHECK (phase BETWEEN 1 AND 4) NOT VALID,
    ADD CONSTRAINT transfers_check CHECK (debit_account <> credit_account) NOT VALID,
    ADD CONSTRAINT transfers_check1 CHECK ((phase = 1) = (hold_id IS NULL)) NOT VALID;
ALTER TABLE transactions DROP CONSTRAINT transactions_refunded;
ALTER TABLE transactions
    ALTER amount_minor TYPE bigint, ALTER cashback_minor TYPE bigint, ALTER captured_minor TYPE bigint,
    ALTER refunded_minor TYPE bigint, ALTER reviewed_minor TYPE bigint, ALTER previous_minor TYPE bigint,
    ALTER stan TYPE integer, ALTER remark TYPE text;
ALTER TABLE transactions
    ADD CONSTRAINT transactions_amount_minor_check CHECK (amount_minor >= 0) NOT VALID,
    ADD CONSTRAINT transactions_cashback_minor_check CHECK (cashback_minor >= 0) NOT VALID,
    ADD CONSTRAINT transactions_captured_minor_check CHECK (captured_minor >= 0) NOT VALID,
    ADD CONSTRAINT transactions_reviewed_minor_check CHECK (reviewed_minor >= 0) NOT VALID,
    ADD CONSTRAINT transactions_previous_minor_check CHECK (previous_minor >= 0) NOT VALID,
    ADD CONSTRAINT transactions_check CHECK (refunded_minor BETWEEN 0 AND captured_minor) NOT VALID,
    ADD CONSTRAINT transactions_stan_check CHECK (stan BETWEEN 0 AND 999999) NOT VALID,
    ADD CONSTRAINT transactions_remark_check CHECK (length(remark) <= 600) NOT VALID;
DROP DOMAIN minor_units, positive_minor_units, valid_stan, valid_remark, valid_phase, valid_card_id,
    valid_pan_token, valid_expiry, valid_card_status, valid_pin_reference, valid_pin_failures;
