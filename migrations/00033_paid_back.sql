-- What paid a cardholder back, by what a terminal would send again to be paid once more.

-- +goose Up
-- Of requests that do not name their batch, and have no counter that is used up: a void or refund
-- under one STAN, of one content, about one original is given once, whatever its batch. Rows are
-- there for good: an original may be refunded in part for years.
CREATE TABLE paid_back (
    bucket         smallint NOT NULL REFERENCES buckets,
    terminal_id    integer  NOT NULL,
    stan           integer  NOT NULL,
    digest         bytea    NOT NULL,     -- the request's content, as in transactions
    original_id    uuid     NOT NULL,     -- all zeros for a refund without an original
    -- The transaction.
    business_date  date     NOT NULL,
    transaction_id uuid     NOT NULL,
    PRIMARY KEY (bucket, terminal_id, stan, digest, original_id)
);
GRANT SELECT, INSERT ON paid_back TO meridian_service;
INSERT INTO paid_back
SELECT t.bucket, t.terminal_id, t.stan, t.digest, coalesce(t.original_id, '00000000-0000-0000-0000-000000000000'), t.business_date, t.transaction_id
FROM transactions t JOIN terminals e ON e.terminal_id = t.terminal_id
WHERE t.kind IN (5, 6) AND t.state <> 1 AND e.dialect <> 'unionpay'
ON CONFLICT DO NOTHING;

-- +goose Down
DROP TABLE paid_back;
