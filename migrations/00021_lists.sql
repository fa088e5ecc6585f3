-- What people look through is walked back from its newest row: a list reads what it
-- shows, however much lies behind it.

-- +goose Up
CREATE INDEX audit_log_subject ON audit_log (subject, audit_id);
CREATE INDEX audit_log_kind ON audit_log (kind, audit_id);
CREATE INDEX exceptions_raised ON exceptions (raised_at, exception_id);
CREATE INDEX reviews_raised ON reviews (raised_at, review_id);
-- The current ones first, then the closed ones.
CREATE INDEX batches_listed ON batches (coalesce(closed_at, 'infinity'), opened_at, terminal_id);

-- +goose Down
DROP INDEX audit_log_subject, audit_log_kind, exceptions_raised, reviews_raised, batches_listed;
