-- What puts money on a card has a reference, and is done once.

-- +goose Up
-- The reference outlives the transfer's month: what has left the ledger is not loaded again. There
-- is no foreign key to the card's account, whose balance changes with every sale: each change would
-- have to look at it.
CREATE DOMAIN valid_load_reference AS text CHECK (length(VALUE) BETWEEN 1 AND 64);

CREATE TABLE card_loads (
    card_id       valid_card_id        NOT NULL,
    reference     valid_load_reference NOT NULL,
    amount_minor  positive_minor_units NOT NULL,
    -- Where its transfer is.
    bucket        smallint             NOT NULL,
    business_date date                 NOT NULL,
    journal_id    uuid                 NOT NULL,
    loaded_at     timestamptz          NOT NULL,   -- by the business clock
    PRIMARY KEY (card_id, reference)
);
GRANT SELECT ON card_loads TO meridian_service;

-- +goose Down
DROP TABLE card_loads;
DROP DOMAIN valid_load_reference;
