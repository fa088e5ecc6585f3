-- Who may cancel, how often, how much and until when; operators; reviews.

-- +goose Up
ALTER TABLE policies
    ADD COLUMN void_window_minutes       integer  CHECK (void_window_minutes > 0),
    ADD COLUMN max_voids_per_day         integer  CHECK (max_voids_per_day >= 0),
    ADD COLUMN max_void_minor_per_day    bigint   CHECK (max_void_minor_per_day >= 0),
    ADD COLUMN review_threshold_minor    bigint   CHECK (review_threshold_minor >= 0),   -- a refund over it is reviewed
    ADD COLUMN allow_unreferenced_refund boolean  NOT NULL DEFAULT false,
    ADD COLUMN max_unreferenced_minor    bigint   CHECK (max_unreferenced_minor > 0),
    ADD COLUMN min_balance_minor         bigint,                                         -- what a refund must leave of the merchant's balance
    ADD COLUMN require_operator          boolean  NOT NULL DEFAULT false,
    ADD COLUMN supervisor_for_void       boolean  NOT NULL DEFAULT false,
    ADD COLUMN supervisor_for_refund     boolean  NOT NULL DEFAULT false,
    -- What a refund to a card that is no longer in use comes to.
    ADD COLUMN refund_to_lost            text     NOT NULL DEFAULT 'allow' CHECK (refund_to_lost IN ('allow', 'review', 'decline')),
    ADD COLUMN refund_to_frozen          text     NOT NULL DEFAULT 'allow' CHECK (refund_to_frozen IN ('allow', 'review', 'decline')),
    ADD COLUMN refund_to_closed          text     NOT NULL DEFAULT 'allow' CHECK (refund_to_closed IN ('allow', 'review', 'decline'));

-- A terminal may do less than its merchant's policy, never more.
ALTER TABLE terminals
    ADD COLUMN allow_void   boolean NOT NULL DEFAULT true,
    ADD COLUMN allow_refund boolean NOT NULL DEFAULT true;
ALTER TABLE merchants
    ADD COLUMN allow_void   boolean NOT NULL DEFAULT true,
    ADD COLUMN allow_refund boolean NOT NULL DEFAULT true,
    ADD COLUMN review_refunds boolean NOT NULL DEFAULT false;   -- flagged: every refund is reviewed

CREATE TABLE operators (
    merchant_id   integer NOT NULL REFERENCES merchants,
    operator_no   text    NOT NULL CHECK (operator_no ~ '^[0-9]{2,3}$'),
    supervisor    boolean NOT NULL DEFAULT false,
    active        boolean NOT NULL DEFAULT true,
    password_hash text    NOT NULL,             -- argon2id, PHC string
    PRIMARY KEY (merchant_id, operator_no)
);

-- Tries to sign on, and who is signed on where.
CREATE TABLE operator_lockouts (
    bucket       smallint    NOT NULL REFERENCES buckets,
    merchant_id  integer     NOT NULL,
    operator_no  text        NOT NULL,
    failures     integer     NOT NULL CHECK (failures >= 0),
    locked_until timestamptz,
    PRIMARY KEY (bucket, merchant_id, operator_no)
);
CREATE TABLE terminal_sessions (
    bucket       smallint    NOT NULL REFERENCES buckets,
    terminal_id  integer     NOT NULL,
    operator_no  text        NOT NULL,
    supervisor   boolean     NOT NULL,
    signed_on_at timestamptz NOT NULL,
    PRIMARY KEY (bucket, terminal_id)
);

ALTER TABLE transactions
    -- Refunds of this original that wait for a review.
    ADD COLUMN reviewed_minor bigint NOT NULL DEFAULT 0 CHECK (reviewed_minor >= 0),
    -- The business date its transfers are in, where that is not its own.
    ADD COLUMN posted_date    date,
    ADD COLUMN operator_no    text;
CREATE INDEX transactions_voids ON transactions (bucket, business_date, terminal_id) WHERE kind = 5 AND state = 2;

CREATE TABLE reviews (
    bucket         smallint    NOT NULL REFERENCES buckets,
    review_id      uuid        NOT NULL,          -- the refund's transaction id
    business_date  date        NOT NULL,          -- the refund's
    merchant_id    integer     NOT NULL,
    raised_at      timestamptz NOT NULL,
    cause          text        NOT NULL,
    state          smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3),   -- 1 open, 2 approved, 3 rejected
    decided_at     timestamptz,
    decided_by     text,
    decided_why    text,
    PRIMARY KEY (bucket, review_id),
    CHECK ((state = 1) = (decided_at IS NULL))
);
CREATE INDEX reviews_open ON reviews (bucket, raised_at) WHERE state = 1;

GRANT SELECT ON operators, operator_lockouts, terminal_sessions, reviews TO meridian_service;
GRANT INSERT ON operator_lockouts, terminal_sessions, reviews TO meridian_service;
GRANT UPDATE (failures, locked_until) ON operator_lockouts TO meridian_service;
GRANT UPDATE (operator_no, supervisor, signed_on_at) ON terminal_sessions TO meridian_service;
GRANT UPDATE (state, decided_at, decided_by, decided_why) ON reviews TO meridian_service;
GRANT UPDATE (reason, auth_code, reviewed_minor, posted_date) ON transactions TO meridian_service;

-- +goose Down
DROP TABLE reviews, terminal_sessions, operator_lockouts, operators;
ALTER TABLE transactions DROP COLUMN reviewed_minor, DROP COLUMN posted_date, DROP COLUMN operator_no;
ALTER TABLE merchants DROP COLUMN allow_void, DROP COLUMN allow_refund, DROP COLUMN review_refunds;
ALTER TABLE terminals DROP COLUMN allow_void, DROP COLUMN allow_refund;
ALTER TABLE policies DROP COLUMN void_window_minutes, DROP COLUMN max_voids_per_day, DROP COLUMN max_void_minor_per_day,
    DROP COLUMN review_threshold_minor, DROP COLUMN allow_unreferenced_refund, DROP COLUMN max_unreferenced_minor,
    DROP COLUMN min_balance_minor, DROP COLUMN require_operator, DROP COLUMN supervisor_for_void, DROP COLUMN supervisor_for_refund,
    DROP COLUMN refund_to_lost, DROP COLUMN refund_to_frozen, DROP COLUMN refund_to_closed;
