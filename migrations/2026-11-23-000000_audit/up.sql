-- Who did what, when, and from where. What is written here is never changed: neither by the application, whose role may
-- only read and add, nor by mistake, for a trigger refuses it to everybody.

CREATE TABLE audit_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT now(),
    -- Names, not references: what they name may be gone by the time that somebody asks.
    actor text NOT NULL,
    token_id bigint,
    address inet,
    request text,
    action text NOT NULL CONSTRAINT audit_events_action_check CHECK (action IN ('create', 'update', 'delete', 'issue')),
    collection text NOT NULL,
    object_id bigint NOT NULL,
    object_key text NOT NULL,
    message text CONSTRAINT audit_events_message_check
        CHECK (length(message) BETWEEN 1 AND 255 AND message !~ '[\x01-\x1f]'),
    before json,
    after json
);
-- The history of an object, of a request, of somebody; each newest first.
CREATE INDEX audit_events_object_idx ON audit_events (collection, object_id, id);
CREATE INDEX audit_events_request_idx ON audit_events (request, id);
CREATE INDEX audit_events_actor_idx ON audit_events (actor, id);
CREATE INDEX audit_events_happened_at_idx ON audit_events (happened_at, id);

CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit events are only ever added' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay();
