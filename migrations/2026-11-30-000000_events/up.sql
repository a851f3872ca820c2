-- Whose document may have changed: one row for each node and each cluster whose generation a transaction has raised, written by
-- that transaction. A cluster is one row, however many nodes show it: which they are is asked when it is read, and a node that
-- begins to show it later has a row of its own.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- By which transaction. Ids are handed out before the commit, so a reader that goes by them misses what is committed late;
    -- one that keeps a snapshot (pg_current_snapshot) knows which transactions it has not seen.
    transaction bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    -- No references: what is gone has no document, and takes no rows along.
    node_id bigint,
    cluster_id bigint,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT events_node_or_cluster_check CHECK (num_nonnulls(node_id, cluster_id) = 1)
);
CREATE INDEX events_transaction_idx ON events (transaction);
-- What is to be forgotten.
CREATE INDEX events_recorded_at_idx ON events (recorded_at);

-- Up to which transaction events may have been forgotten: who has not seen all until there is told so. One row.
CREATE TABLE events_forgotten (
    is_only boolean PRIMARY KEY DEFAULT true CONSTRAINT events_forgotten_is_only_check CHECK (is_only),
    transaction bigint NOT NULL
);
INSERT INTO events_forgotten (transaction) VALUES (0);

-- An event is never changed.
GRANT SELECT, INSERT, DELETE ON events TO virtapi_server;
GRANT SELECT, UPDATE ON events_forgotten TO virtapi_server;
