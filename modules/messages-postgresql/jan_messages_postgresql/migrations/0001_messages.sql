-- What was said in threads. The order of a thread's messages is that of `place`, which is drawn under the thread's lock.
CREATE SEQUENCE jan.message_places;

CREATE TABLE jan.messages (
    thread_id text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,          -- Unix seconds, as are the other times
    completed_at bigint,
    incomplete_at bigint,
    role text NOT NULL,
    status text NOT NULL,
    assistant_id text COLLATE "C",
    run_id text COLLATE "C",
    -- What is free in its form. `json` keeps every character of it, also NUL, which `jsonb` refuses.
    content json NOT NULL,
    attachments json,
    incomplete_details json,
    metadata json NOT NULL,
    PRIMARY KEY (thread_id, place)
);
CREATE UNIQUE INDEX messages_by_id ON jan.messages (thread_id, id);
CREATE INDEX messages_by_run ON jan.messages (thread_id, run_id, place) WHERE run_id IS NOT NULL;
