-- Not only changes: also who has logged in, who was refused, and who has read the documents of nodes.

ALTER TABLE audit_events
    -- How many like it this event stands for. A change stands for itself.
    ADD times bigint NOT NULL DEFAULT 1
        CONSTRAINT audit_events_times_check CHECK (times = 1 OR times > 1 AND action IN ('refuse', 'read')),
    -- What was refused, which view was read, how somebody has logged in.
    ADD detail text CONSTRAINT audit_events_detail_check
        CHECK (length(detail) BETWEEN 1 AND 255 AND detail !~ '[\x01-\x1f]'),
    ALTER collection DROP NOT NULL,
    ALTER object_id DROP NOT NULL,
    ALTER object_key DROP NOT NULL,
    -- A change is of an object. What was refused may be about none.
    ADD CONSTRAINT audit_events_object_check CHECK (CASE
        WHEN action IN ('create', 'update', 'delete', 'issue')
            THEN collection IS NOT NULL AND object_id IS NOT NULL AND object_key IS NOT NULL
        ELSE (collection IS NULL) = (object_id IS NULL) AND (collection IS NULL) = (object_key IS NULL)
    END),
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check
        CHECK (action IN ('create', 'update', 'delete', 'issue', 'login', 'refuse', 'read'));
CREATE INDEX audit_events_action_idx ON audit_events (action, id);
