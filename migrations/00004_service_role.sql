-- What the host may do. It owns nothing, deletes nothing and truncates nothing.

-- +goose Up
GRANT SELECT ON goose_db_version, installation, buckets, calendars, business_days, policies, merchants, terminals, bin_ranges,
    windows, transfers, holds, card_accounts,
    transactions, idempotency_keys, batches, exceptions, audit_log, rrn_days TO meridian_service;
GRANT INSERT ON business_days, windows, transfers, holds,
    transactions, idempotency_keys, batches, exceptions, audit_log, rrn_days TO meridian_service;
GRANT UPDATE (state) ON windows TO meridian_service;
GRANT UPDATE (amount_minor, captured_minor, state) ON holds TO meridian_service;
GRANT UPDATE (balance_minor, held_minor, status) ON card_accounts TO meridian_service;
GRANT UPDATE (captured_minor, refunded_minor, refund_count, state) ON transactions TO meridian_service;
GRANT UPDATE (tombstone, business_date, transaction_id) ON idempotency_keys TO meridian_service;
GRANT UPDATE (state) ON batches TO meridian_service;
GRANT UPDATE (year, next) ON rrn_days TO meridian_service;
GRANT EXECUTE ON FUNCTION meridian_ensure_partitions(date, date) TO meridian_service;

-- +goose Down
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM meridian_service;
REVOKE ALL ON FUNCTION meridian_ensure_partitions(date, date) FROM meridian_service;
