-- What agents report: one row for each run on a node. It is by name, and no reference, that a run knows its node: a node
-- that goes does not take ten thousand rows along in one statement, and they are forgotten in their time. A table of
-- each week, so that to forget a week costs nothing, and what is new stays small enough to be kept in memory.
CREATE SEQUENCE runs_id_seq;
CREATE TABLE runs (
    id bigint NOT NULL DEFAULT nextval('runs_id_seq'),
    node text NOT NULL,
    tool text NOT NULL CONSTRAINT runs_tool_check CHECK (tool IN ('puppet', 'salt')),
    -- By what the tool knows it: a report that comes twice is one (`src/reports/`: no index spans several weeks).
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
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
ALTER SEQUENCE runs_id_seq OWNED BY runs.id;
CREATE INDEX runs_run_idx ON runs (node, run);
-- The runs of a node, and those that failed, newest first.
CREATE INDEX runs_node_idx ON runs (node, id);
CREATE INDEX runs_status_idx ON runs (status, id);

-- What a run changed or could not change: a row for each.
CREATE SEQUENCE run_events_id_seq;
CREATE TABLE run_events (
    id bigint NOT NULL DEFAULT nextval('run_events_id_seq'),
    run bigint NOT NULL,
    node text NOT NULL,
    resource text NOT NULL,
    property text,
    status text NOT NULL CONSTRAINT run_events_status_check CHECK (status IN ('success', 'failure', 'noop')),
    message text,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, received_at)
) PARTITION BY RANGE (received_at);
ALTER SEQUENCE run_events_id_seq OWNED BY run_events.id;
CREATE INDEX run_events_run_idx ON run_events (run, id);
CREATE INDEX run_events_node_idx ON run_events (node, id);
CREATE INDEX run_events_resource_idx ON run_events (resource, id);

-- Makes the table of this week and of the four that follow, where they are not there yet. It runs as its owner, for the
-- role that serves makes no table but these.
-- It waits for nobody for long: all who come after it would wait with it.
CREATE FUNCTION prepare_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    SET lock_timeout = '2s' AS $$
DECLARE
    parent text;
    monday timestamptz;
    name text;
BEGIN
    -- One server after the other. Any number that nobody else uses.
    PERFORM pg_advisory_xact_lock(7307);
    FOREACH parent IN ARRAY ARRAY['runs', 'run_events'] LOOP
        FOR week IN 0..4 LOOP
            monday := (date_trunc('week', now() AT TIME ZONE 'UTC') + week * interval '1 week') AT TIME ZONE 'UTC';
            name := parent || to_char(monday AT TIME ZONE 'UTC', '_YYYYMMDD');
            IF to_regclass(quote_ident(name)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, monday,
                    monday + interval '1 week');
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- Drops the tables of the weeks that ended before these times; says how many.
CREATE FUNCTION drop_partitions(runs_before timestamptz, events_before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    part record;
    dropped bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(7307);
    FOR part IN
        SELECT c.relname AS name, p.relname AS parent,
            to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' + interval '1 week' AS ended_at
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE i.inhparent IN ('runs'::regclass, 'run_events'::regclass)
    LOOP
        IF part.ended_at <= (CASE part.parent WHEN 'runs' THEN runs_before ELSE events_before END) THEN
            EXECUTE format('DROP TABLE %I', part.name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;
REVOKE EXECUTE ON FUNCTION prepare_partitions(), drop_partitions(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION prepare_partitions(), drop_partitions(timestamptz, timestamptz) TO virtapi_server;
SELECT prepare_partitions();

-- A report is never changed, and goes with its week.
GRANT SELECT, INSERT ON runs, run_events TO virtapi_server;
GRANT USAGE ON SEQUENCE runs_id_seq, run_events_id_seq TO virtapi_server;
