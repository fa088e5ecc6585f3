-- Whoever waited while somebody else made a partition finds it made.

-- +goose Up
-- to_regclass answered from what the session had found before it waited: nothing, which a wait for an advisory lock
-- does not make it forget. It then made the partition once more, and failed. A query of pg_class has a snapshot of after the wait.
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
                IF NOT EXISTS (SELECT FROM pg_class WHERE relname = child AND relnamespace = 'public'::regnamespace) THEN
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
