-- Runs, each with its steps and with what whoever carries it on needs: a run is kept, and changed, as one whole.
CREATE TABLE jan.runs (
    thread_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,          -- Unix seconds, as is the other time
    expires_at bigint,
    status text NOT NULL,
    goes_on boolean NOT NULL,            -- it has not ended
    key text COLLATE "C",                -- of the reply that is kept of its creation
    -- What is free in its form. `json` keeps every character of it, also NUL, which `jsonb` refuses.
    run json NOT NULL,
    steps json NOT NULL,
    request json NOT NULL,
    PRIMARY KEY (thread_id, id)
);
CREATE INDEX runs_listed ON jan.runs (thread_id, created_at, id);
-- One run of a thread goes on at a time, whichever server was asked for it.
CREATE UNIQUE INDEX runs_going_on ON jan.runs (thread_id) WHERE goes_on;

-- Who carries a run on. The right is worth as much as the sign of life of who has it.
CREATE TABLE jan.run_claims (
    thread_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    PRIMARY KEY (thread_id, run_id)
);
CREATE INDEX run_claims_by_holder ON jan.run_claims (holder);

-- The processes that carry runs on, and when each was last known to live.
CREATE TABLE jan.run_holders (
    id text COLLATE "C" PRIMARY KEY,
    seen_at timestamptz NOT NULL
);
