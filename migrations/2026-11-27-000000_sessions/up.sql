-- How people log in: by a password, and what their browser is known by after that.

-- Apart from the users, so that nothing that shows a user can show this.
CREATE TABLE user_passwords (
    user_id bigint PRIMARY KEY CONSTRAINT user_passwords_user_id_fkey REFERENCES users ON DELETE CASCADE,
    -- A PHC string, salt included.
    hash text NOT NULL CONSTRAINT user_passwords_hash_check CHECK (hash LIKE '$argon2id$%'),
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- How often it was tried since it last was right, and when the last time: too many lock it for a while.
    attempts integer NOT NULL DEFAULT 0,
    attempted_at timestamptz
);

-- A secret has 256 random bits: a fast digest keeps it, and cannot be turned back.
CREATE TABLE sessions (
    digest bytea PRIMARY KEY,
    user_id bigint NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users ON DELETE CASCADE,
    -- With which somebody logged in: what ends the token ends the session.
    token_id bigint CONSTRAINT sessions_token_id_fkey REFERENCES tokens ON DELETE CASCADE,
    address inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_token_id_idx ON sessions (token_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON user_passwords, sessions TO virtapi_server;

-- That a password was set is a change of a user.
ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN
        ('create', 'update', 'delete', 'issue', 'set_password', 'remove_password', 'login', 'refuse', 'read')),
    DROP CONSTRAINT audit_events_object_check,
    ADD CONSTRAINT audit_events_object_check CHECK (CASE
        WHEN action IN ('login', 'refuse', 'read')
            THEN (collection IS NULL) = (object_id IS NULL) AND (collection IS NULL) = (object_key IS NULL)
        ELSE collection IS NOT NULL AND object_id IS NOT NULL AND object_key IS NOT NULL
    END);
