-- What a merchant is owed has its approved refunds in it, whenever they were asked for.

-- +goose Up
CREATE INDEX reviews_approved ON reviews (bucket, merchant_id) WHERE state = 2;

-- +goose Down
DROP INDEX reviews_approved;
