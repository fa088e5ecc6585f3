-- What serializes the limits that are sums, and what the service does not need.

-- +goose Up
-- A cancel of a merchant whose policy limits sums (voids per day, minimum
-- balance) takes this row before it adds them up, so that two hosts see each
-- other's.
CREATE TABLE merchant_guards (
    bucket      smallint    NOT NULL REFERENCES buckets,
    merchant_id integer     NOT NULL,
    guarded_at  timestamptz NOT NULL,
    PRIMARY KEY (bucket, merchant_id)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT ON merchant_guards TO meridian_service;
GRANT UPDATE (guarded_at) ON merchant_guards TO meridian_service;

-- A host changes no card's state, and a function of the owner's looks at no
-- temporary table of the caller's.
REVOKE UPDATE (status) ON card_accounts FROM meridian_service;
ALTER FUNCTION meridian_ensure_partitions(date, date) SET search_path = public, pg_temp;

-- +goose Down
GRANT UPDATE (status) ON card_accounts TO meridian_service;
DROP TABLE merchant_guards;
