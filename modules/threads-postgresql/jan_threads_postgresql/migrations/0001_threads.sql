-- Conversations, without their messages.
CREATE TABLE jan.threads (
    id text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL,          -- Unix seconds
    -- Title, metadata, assistants, model, parameters, tool_resources: what people write, in whatever characters. `json`
    -- keeps every one of them, also NUL, which `text` and `jsonb` refuse.
    fields json NOT NULL,
    -- Set where it was deleted, until all that belonged to it is removed. In the future: it is still being made, and
    -- counts as deleted then, should that never be finished.
    deleted_at timestamptz
);
CREATE INDEX threads_by_time ON jan.threads (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX threads_deleted ON jan.threads (deleted_at) WHERE deleted_at IS NOT NULL;

-- By what threads can be looked for: each pair of their metadata, and each assistant, as a digest of 16 bytes.
CREATE TABLE jan.thread_labels (
    label bytea NOT NULL,
    created_at bigint NOT NULL,
    thread_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (label, created_at, thread_id)
);
CREATE INDEX thread_labels_by_thread ON jan.thread_labels (thread_id);
