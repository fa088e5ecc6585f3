-- Who may have told an approval, when several hosts answer for one database.

-- +goose Up
ALTER TABLE transactions
    -- The requests that told the approval, or may have: the transaction's own id
    -- for the one that stored it, a claim's for each repeat. NULL is the one that
    -- stored it, alone; empty is nobody. Package switching, claim.go.
    ADD COLUMN told_by uuid[];
GRANT UPDATE (told_by) ON transactions TO meridian_service;

-- +goose Down
ALTER TABLE transactions DROP COLUMN told_by;
