-- Units of work that take for granted what a host most likely knows, and prove it
-- where they store. Package switching, presume.go.

-- +goose Up
-- A change of a card names everything of it that a decision rests on: hosts decide
-- over cards as they last saw them, however long ago. Package ledger, card_sql.go.
CREATE TYPE card_step AS (
    card_id            bigint,
    balance_minor      bigint,
    held_minor         bigint,
    pin_failures       smallint,
    read_balance_minor bigint,
    read_held_minor    bigint,
    read_pin_failures  smallint,
    read_status        smallint,
    read_expiry        char(4),
    read_currency      smallint,
    read_pan_token     bytea
);
CREATE TYPE presumed_window AS (
    calendar_id   smallint,
    business_date date
);
CREATE TYPE presumed_batch AS (
    terminal_id integer,
    batch_no    integer
);
-- Ends a unit that found less of what it presumed than all of it.
-- +goose StatementBegin
CREATE FUNCTION meridian_presumed(so bigint, wanted bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF so <> wanted THEN
        RAISE EXCEPTION 'not as presumed' USING ERRCODE = '40001', CONSTRAINT = 'meridian_presumed';
    END IF;
    RETURN true;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION meridian_presumed(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meridian_presumed(bigint, bigint) TO meridian_service;

-- +goose Down
DROP FUNCTION meridian_presumed(bigint, bigint);
DROP TYPE presumed_batch, presumed_window, card_step;
