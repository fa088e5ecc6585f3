-- Who may use the console of a host.

-- +goose Up
-- A token's secret has 256 random bits, so one hash of it is enough: nothing that
-- could be guessed is hashed.
CREATE TABLE console_tokens (
    token_id      text        PRIMARY KEY CHECK (token_id ~ '^[0-9a-f]{16}$'),   -- the part that is no secret
    secret_sha256 bytea       NOT NULL CHECK (length(secret_sha256) = 32),
    name          text        NOT NULL CHECK (length(name) BETWEEN 1 AND 64),    -- whose it is, for the audit log
    role          text        NOT NULL CHECK (role IN ('viewer', 'operator')),
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at    timestamptz
);
GRANT SELECT ON console_tokens TO meridian_service;

-- +goose Down
DROP TABLE console_tokens;
