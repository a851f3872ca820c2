-- Who acts: people and programs, the masters that ask for other nodes' documents, and the tokens by which all of them
-- are known. The rules of the inventory's migration hold here as well.

CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT users_name_key UNIQUE,
    full_name text CONSTRAINT users_full_name_check
        CHECK (length(full_name) BETWEEN 1 AND 255 AND full_name !~ '[\x01-\x1f]'),
    -- A service account is a program's.
    account_type text NOT NULL CONSTRAINT users_account_type_check CHECK (account_type IN ('person', 'service')),
    -- Without one it may do nothing.
    role text CONSTRAINT users_role_check CHECK (role IN ('administrator', 'operator', 'auditor')),
    state text NOT NULL CONSTRAINT users_state_check CHECK (state IN ('active', 'disabled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- A puppetserver or a Salt master: it asks for the documents of all nodes, or of those that are listed.
CREATE TABLE compilers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT compilers_name_key UNIQUE,
    serves text NOT NULL CONSTRAINT compilers_serves_check CHECK (serves IN ('all', 'listed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE compiler_nodes (
    compiler_id bigint NOT NULL CONSTRAINT compiler_nodes_compiler_id_fkey REFERENCES compilers ON DELETE CASCADE,
    node_id bigint NOT NULL CONSTRAINT compiler_nodes_node_id_fkey REFERENCES nodes,
    PRIMARY KEY (compiler_id, node_id)
);
CREATE INDEX compiler_nodes_node_id_idx ON compiler_nodes (node_id);

CREATE TABLE tokens (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT tokens_uuid_key UNIQUE,
    name text NOT NULL CONSTRAINT tokens_name_check CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[\x01-\x1f]'),
    user_id bigint CONSTRAINT tokens_user_id_fkey REFERENCES users ON DELETE CASCADE,
    node_id bigint CONSTRAINT tokens_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    compiler_id bigint CONSTRAINT tokens_compiler_id_fkey REFERENCES compilers ON DELETE CASCADE,
    scope text NOT NULL CONSTRAINT tokens_scope_check CHECK (scope IN ('all', 'read', 'documents')),
    source_network cidr,
    expires_at timestamptz,
    -- How its secret begins, for people who find it somewhere.
    prefix text,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tokens_holder_check CHECK (num_nonnulls(user_id, node_id, compiler_id) = 1)
);
CREATE INDEX tokens_user_id_idx ON tokens (user_id);
CREATE INDEX tokens_node_id_idx ON tokens (node_id);
CREATE INDEX tokens_compiler_id_idx ON tokens (compiler_id);

-- Apart from the tokens, so that nothing that shows a token can show this. A secret has 256 random bits: a fast digest
-- keeps it, and cannot be turned back.
CREATE TABLE token_secrets (
    token_id bigint PRIMARY KEY CONSTRAINT token_secrets_token_id_fkey REFERENCES tokens ON DELETE CASCADE,
    digest bytea NOT NULL CONSTRAINT token_secrets_digest_key UNIQUE,
    issued_at timestamptz NOT NULL DEFAULT now()
);

