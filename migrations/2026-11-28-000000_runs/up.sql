-- What agents report: one row for each run on a node. It is by name, and no reference, that a run knows its node: a node that
-- goes does not take ten thousand rows along in one statement, and they are forgotten in their time.
CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node text NOT NULL,
    tool text NOT NULL CONSTRAINT runs_tool_check CHECK (tool IN ('puppet', 'salt')),
    -- By what the tool knows it: a report that comes twice is one.
    run text NOT NULL,
    started_at timestamptz NOT NULL,
    duration_seconds double precision CONSTRAINT runs_duration_seconds_check CHECK (duration_seconds >= 0),
    status text NOT NULL CONSTRAINT runs_status_check CHECK (status IN ('changed', 'unchanged', 'failed')),
    mode text NOT NULL CONSTRAINT runs_mode_check CHECK (mode IN ('apply', 'noop')),
    environment text,
    version text,
    total integer NOT NULL CONSTRAINT runs_total_check CHECK (total >= 0),
    changed integer NOT NULL CONSTRAINT runs_changed_check CHECK (changed >= 0),
    failed integer NOT NULL CONSTRAINT runs_failed_check CHECK (failed >= 0),
    out_of_sync integer NOT NULL CONSTRAINT runs_out_of_sync_check CHECK (out_of_sync >= 0),
    -- What went wrong, and warnings.
    messages json NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT runs_run_key UNIQUE (node, tool, run)
);
-- The runs of a node, and those that failed, newest first; what is to be forgotten.
CREATE INDEX runs_node_idx ON runs (node, id);
CREATE INDEX runs_status_idx ON runs (status, id);
CREATE INDEX runs_received_at_idx ON runs (received_at);

-- A report is never changed.
GRANT SELECT, INSERT, DELETE ON runs TO virtapi_server;
