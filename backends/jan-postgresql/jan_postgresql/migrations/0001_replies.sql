-- Everything of Jan lies in a schema of its own, so that it can share a database.
CREATE SCHEMA IF NOT EXISTS jan;

-- Which migrations were applied.
CREATE TABLE jan.migrations (
    owner text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, number)
);

-- What was answered to requests with an Idempotency-Key, for two days.
CREATE TABLE jan.replies (
    key text COLLATE "C" PRIMARY KEY,
    scope text COLLATE "C" NOT NULL,     -- the thread, where it is about something in a thread
    fingerprint text NOT NULL,
    reply json NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX replies_by_scope ON jan.replies (scope);
CREATE INDEX replies_by_time ON jan.replies (made_at);
