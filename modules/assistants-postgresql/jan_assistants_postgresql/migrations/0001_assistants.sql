-- Who answers.
CREATE TABLE jan.assistants (
    id text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL,          -- Unix seconds
    -- Name, instructions, tools, metadata and the rest: what people write, in whatever characters. `json` keeps every one
    -- of them, also NUL, which `text` and `jsonb` refuse.
    fields json NOT NULL
);
CREATE INDEX assistants_by_time ON jan.assistants (created_at, id);

-- The one that is always there.
INSERT INTO jan.assistants (id, created_at, fields) VALUES (
    'jan',
    extract(epoch FROM now())::bigint,
    '{"name":"Jan","description":"A global assistant for any model in models/","model":"","metadata":{}}'
);
