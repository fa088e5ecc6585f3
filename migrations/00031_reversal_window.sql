-- How long a reversal pays back by itself.

-- +goose Up
-- A reversal repairs a lost answer, and is asked for no right: one that comes much later than
-- terminals repeat theirs is a person's to decide.
ALTER TABLE policies ADD COLUMN reversal_window_days smallint NOT NULL DEFAULT 30 CHECK (reversal_window_days BETWEEN 1 AND 3650);

-- +goose Down
ALTER TABLE policies DROP COLUMN reversal_window_days;
