-- A terminal's page shows the newest rows of the audit log that are about it, however their subjects say it.

-- +goose Up
-- "terminal 10000001", "terminal 10000001: MAC x919", "terminal 10000001 of merchant 1", "terminal 10000001 batch
-- 000007", "mac key of terminal 10000001", "suspend void of terminal 10000001". An expression, and no range of
-- subjects: those that begin alike lie together in some orders of text only.
CREATE INDEX audit_log_terminal ON audit_log (rtrim(substring(subject FROM '^(?:[a-z-]+ [a-z]+ of )?terminal ([^ ]+)'), ':'), audit_id);

-- +goose Down
DROP INDEX audit_log_terminal;
