-- The audit log becomes a chain, terminals can be locked, and people load keys.

-- +goose Up
-- Every row carries its place, the hash of the row before it, and its own. The
-- columns may be null, because a host of the version before goes on writing
-- rows without them; verification names such rows, and `meridian audit adopt`
-- chains them.
ALTER TABLE audit_log
    ADD COLUMN sequence      bigint UNIQUE CHECK (sequence > 0),
    ADD COLUMN previous_hash bytea CHECK (octet_length(previous_hash) = 32),
    ADD COLUMN hash          bytea CHECK (octet_length(hash) = 32),
    ADD CHECK (num_nulls(sequence, previous_hash, hash) IN (0, 3));

-- The chain's last row. Whoever appends locks it, so that the sequence has no
-- gaps: a row that is missing was taken away.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    sequence bigint  NOT NULL CHECK (sequence >= 0),   -- 0: nothing is in the chain
    hash     bytea   NOT NULL CHECK (octet_length(hash) = 32)
) WITH (fillfactor = 50);

-- What is there is chained in the order it was written. The bytes that are
-- hashed are those of auditHash in switch/audit_chain.go.
-- +goose StatementBegin
DO $$
DECLARE
    one      record;
    place    bigint := 0;
    previous bytea  := decode(repeat('00', 32), 'hex');
    own      bytea;
BEGIN
    FOR one IN
        SELECT audit_id, convert_to(kind, 'UTF8') AS kind, convert_to(subject, 'UTF8') AS subject, convert_to(detail, 'UTF8') AS detail,
            extract(epoch FROM date_trunc('second', recorded_at))::bigint * 1000000
                + extract(microseconds FROM recorded_at)::bigint % 1000000 AS micros
        FROM audit_log ORDER BY audit_id
    LOOP
        place := place + 1;
        own := sha256(convert_to('meridian audit 1', 'UTF8') || int8send(place) || int8send(one.micros)
            || int4send(octet_length(one.kind)) || one.kind
            || int4send(octet_length(one.subject)) || one.subject
            || int4send(octet_length(one.detail)) || one.detail
            || previous);
        UPDATE audit_log SET sequence = place, previous_hash = previous, hash = own WHERE audit_id = one.audit_id;
        previous := own;
    END LOOP;
    INSERT INTO audit_head (sequence, hash) VALUES (place, previous);
END
$$;
-- +goose StatementEnd
GRANT SELECT, UPDATE (sequence, hash) ON audit_head TO meridian_service;

-- Terminals that sent too many wrong MACs. A lock ends by itself, or a person
-- ends it; the row of the last one stays.
CREATE TABLE terminal_locks (
    bucket       smallint    NOT NULL REFERENCES buckets,
    terminal_id  integer     NOT NULL,
    locked_at    timestamptz NOT NULL,
    locked_until timestamptz NOT NULL CHECK (locked_until > locked_at),
    failures     integer     NOT NULL CHECK (failures > 0),   -- wrong MACs in a row, as the host counted them
    unlocked_at  timestamptz,
    PRIMARY KEY (bucket, terminal_id)
);
CREATE INDEX terminal_locks_until ON terminal_locks (locked_until);
GRANT SELECT, INSERT ON terminal_locks TO meridian_service;
GRANT UPDATE (locked_at, locked_until, failures, unlocked_at) ON terminal_locks TO meridian_service;

-- Keys that protect key blocks on their way to and from other modules. Hosts
-- have no business with them, nor with what follows.
CREATE TABLE transport_keys (
    name         text        PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    kbpk_wrapped bytea       NOT NULL,
    created_at   timestamptz NOT NULL
);

-- A key that two or three people bring, each a component that says nothing about
-- the key. When the last one is there the key is formed, and the rows are gone.
CREATE TABLE key_ceremonies (
    ceremony_id text        PRIMARY KEY,
    key_use     smallint    NOT NULL,
    algorithm   smallint    NOT NULL,
    tid         text,                       -- whose key it becomes, or the name of
    base_key    text,                       -- a base key
    transport   text,                       -- or of a transport key
    parts       smallint    NOT NULL CHECK (parts BETWEEN 2 AND 3),
    started_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    started_by  text        NOT NULL,
    why         text        NOT NULL,
    CHECK (num_nonnulls(tid, base_key, transport) = 1)
);
CREATE TABLE key_components (
    ceremony_id text        NOT NULL REFERENCES key_ceremonies ON DELETE CASCADE,
    part        smallint    NOT NULL CHECK (part BETWEEN 1 AND 3),
    wrapped     bytea       NOT NULL,
    entered_by  text        NOT NULL,
    entered_at  timestamptz NOT NULL,
    PRIMARY KEY (ceremony_id, part)
);

-- +goose Down
DROP TABLE key_components, key_ceremonies, transport_keys;
DROP TABLE terminal_locks;
DROP TABLE audit_head;
ALTER TABLE audit_log DROP COLUMN sequence, DROP COLUMN previous_hash, DROP COLUMN hash;
