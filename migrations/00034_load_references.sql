-- Every load has its reference, also those of before there were references.

-- +goose Up
-- Without one a load is money that nobody asked for, and verifications say so. It is named after
-- its journal; when it was done nobody kept, and the begin of its business date stands for it.
INSERT INTO card_loads (card_id, reference, amount_minor, bucket, business_date, journal_id, loaded_at)
SELECT t.credit_account & ((1::bigint << 48) - 1), 'before-' || t.journal_id, t.amount_minor, t.bucket, t.business_date, t.journal_id,
	t.business_date::timestamp AT TIME ZONE 'UTC'
FROM transfers t
WHERE t.kind = 1 AND t.leg = 1 AND t.credit_account >> 48 = 16 -- loads of cards
	AND NOT EXISTS (
		SELECT FROM card_loads l
		WHERE l.card_id = t.credit_account & ((1::bigint << 48) - 1) AND l.journal_id = t.journal_id)
ON CONFLICT DO NOTHING;

-- +goose Down
DELETE FROM card_loads WHERE reference = 'before-' || journal_id;
