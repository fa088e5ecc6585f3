-- Statistics for tables that have just begun to fill.

-- +goose Up
-- Lanes keep generic plans, and a plan is as good as the table was when it was
-- made: of an empty one it may read every row of a bucket where it should look
-- one up. Every month begins with empty partitions. Analyzing ends such plans
-- on every connection; autovacuum does so too, but only within a minute, and a
-- minute of full load is a quarter of a million rows. Sizes are looked at, not
-- counters, because those come a second late. The service's role owns no table,
-- so the function runs as its owner.
-- +goose StatementBegin
CREATE FUNCTION meridian_analyze_new() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    fresh    regclass;
    analyzed integer := 0;
BEGIN
    FOR fresh IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relowner = current_user::regrole
            AND c.reltuples <= 0 AND pg_relation_size(c.oid) >= 131072   -- 16 pages: from there on the plans differ
    LOOP
        -- Whoever holds the table is analyzing it already, or changing it.
        EXECUTE format('ANALYZE (SKIP_LOCKED) %s', fresh);
        analyzed := analyzed + 1;
    END LOOP;
    RETURN analyzed;
END
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION meridian_analyze_new() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meridian_analyze_new() TO meridian_service;

-- +goose Down
DROP FUNCTION meridian_analyze_new();
