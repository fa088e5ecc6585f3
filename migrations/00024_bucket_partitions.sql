-- A partition of a month and a bucket.

-- +goose Up
-- Whoever holds a bucket appends to its partitions alone: rows and keys in order of ids
-- come to the end of a table and of its indexes, where in one table for all buckets each
-- bucket's end is in the middle of every index. That is a descent less for each key, hardly
-- a page that is split, and no page that two lanes want.
--
-- Months that are there already stay whole. A month is split by the buckets that there are
-- when it is made, at most sixteen, because a generic plan locks every partition that it
-- might touch; a bucket that is added later goes with its neighbour. Where the database is
-- distributed, buckets are spread over machines instead, and Citus distributes one level of
-- partitions only.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION meridian_ensure_partitions(first_date date, last_date date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent  text;
    month   date := date_trunc('month', first_date)::date;
    child   text;
    leaf    text;
    options text;
    shares  smallint[];
    created integer := 0;
BEGIN
    IF last_date < first_date OR last_date > first_date + 1200 THEN
        RAISE EXCEPTION 'partitions from % to %: at most 1200 days', first_date, last_date;
    END IF;
    WHILE month <= last_date LOOP
        FOREACH parent IN ARRAY ARRAY['transfers', 'transactions'] LOOP
            child := parent || '_' || to_char(month, 'YYYYMM');
            options := CASE parent WHEN 'transactions' THEN ' WITH (fillfactor = 90)' ELSE '' END;
            IF to_regclass(quote_ident(child)) IS NULL THEN
                -- One maker at a time; the others find it made.
                PERFORM pg_advisory_xact_lock(hashtext('meridian_ensure_partitions'));
                IF to_regclass(quote_ident(child)) IS NULL THEN
                    shares := ARRAY(SELECT bucket FROM buckets ORDER BY bucket);
                    IF cardinality(shares) NOT BETWEEN 2 AND 16 OR EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
                        shares := '{}';
                    END IF;
                    -- Made apart and then attached: ATTACH does not wait for readers and writers.
                    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)%s', child, parent,
                        CASE shares WHEN '{}' THEN options ELSE ' PARTITION BY RANGE (bucket)' END);
                    FOR i IN 1 .. cardinality(shares) LOOP
                        leaf := child || '_' || shares[i];
                        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)%s', leaf, parent, options);
                        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', child, leaf,
                            CASE i WHEN 1 THEN 'MINVALUE' ELSE shares[i]::text END,
                            CASE i WHEN cardinality(shares) THEN 'MAXVALUE' ELSE shares[i + 1]::text END);
                    END LOOP;
                    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                        parent, child, month, (month + interval '1 month')::date);
                    created := created + 1;
                END IF;
            END IF;
        END LOOP;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN created;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- Months that were split stay so.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION meridian_ensure_partitions(first_date date, last_date date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent  text;
    month   date := date_trunc('month', first_date)::date;
    child   text;
    created integer := 0;
BEGIN
    IF last_date < first_date OR last_date > first_date + 1200 THEN
        RAISE EXCEPTION 'partitions from % to %: at most 1200 days', first_date, last_date;
    END IF;
    WHILE month <= last_date LOOP
        FOREACH parent IN ARRAY ARRAY['transfers', 'transactions'] LOOP
            child := parent || '_' || to_char(month, 'YYYYMM');
            IF to_regclass(quote_ident(child)) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext('meridian_ensure_partitions'));
                IF to_regclass(quote_ident(child)) IS NULL THEN
                    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)%s',
                        child, parent,
                        CASE parent WHEN 'transactions' THEN ' WITH (fillfactor = 90)' ELSE '' END);
                    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                        parent, child, month, (month + interval '1 month')::date);
                    created := created + 1;
                END IF;
            END IF;
        END LOOP;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN created;
END
$$;
-- +goose StatementEnd
