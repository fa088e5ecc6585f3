-- +goose Up
-- A unit of work reads cards without locking them and stores their new balances
-- only where the old ones are still there. If any is not, the whole unit ends
-- here, and is run again with the cards locked. Package ledger, cards_sql.go.
-- +goose StatementBegin
CREATE FUNCTION meridian_cards_unmoved(changed bigint, wanted bigint) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF changed <> wanted THEN
        RAISE EXCEPTION 'cards have changed since they were read' USING ERRCODE = '40001', CONSTRAINT = 'card_accounts_unmoved';
    END IF;
    RETURN true;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION meridian_cards_unmoved(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meridian_cards_unmoved(bigint, bigint) TO meridian_service;

-- +goose Down
DROP FUNCTION meridian_cards_unmoved(bigint, bigint);
