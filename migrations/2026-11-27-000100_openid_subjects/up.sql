-- By what the provider of identities (OpenID Connect) knows a user: its `sub`, which never changes and is nobody else's.
ALTER TABLE users ADD COLUMN openid_subject text CONSTRAINT users_openid_subject_key UNIQUE
    CONSTRAINT users_openid_subject_check
        CHECK (length(openid_subject) BETWEEN 1 AND 255 AND openid_subject !~ '[\x01-\x1f]');
