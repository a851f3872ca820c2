-- Whom to tell of changes, what was told, and what is still to be told. A message is written by the transaction of what it tells,
-- so that there is none without its change, and sent by whichever server leases it.

-- Who wants to be told. Without an organization it is the fleet's own.
CREATE TABLE webhooks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT webhooks_uuid_key UNIQUE,
    organization_id bigint CONSTRAINT webhooks_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT webhooks_name_check CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[\x01-\x1f]'),
    url text NOT NULL CONSTRAINT webhooks_url_check CHECK (url ~ '^https?://[!-~]+$' AND length(url) <= 2048),
    -- Of what it is told; of all, where one is empty.
    kinds labels NOT NULL DEFAULT '{}',
    actions labels NOT NULL DEFAULT '{}',
    labels labels NOT NULL DEFAULT '{}',
    state text NOT NULL CONSTRAINT webhooks_state_check CHECK (state IN ('active', 'paused')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_organization_id_idx ON webhooks (organization_id);

-- What messages are signed with: those of a webhook with its own, those to the callbacks of VMs with those of the organization, or of
-- neither, which is the fleet's. The newest two are live. They are kept as they are, for a signature needs them, and no role of
-- people reads them.
CREATE TABLE signing_secrets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint CONSTRAINT signing_secrets_webhook_id_fkey REFERENCES webhooks ON DELETE CASCADE,
    organization_id bigint CONSTRAINT signing_secrets_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    secret text NOT NULL,
    issued_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signing_secrets_signer_check CHECK (num_nonnulls(webhook_id, organization_id) <= 1)
);
CREATE INDEX signing_secrets_webhook_id_idx ON signing_secrets (webhook_id);
CREATE INDEX signing_secrets_organization_id_idx ON signing_secrets (organization_id);

-- A message for one receiver: to be sent, or what became of it.
CREATE TABLE webhook_deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Without one it goes to the callback of a VM.
    webhook_id bigint CONSTRAINT webhook_deliveries_webhook_id_fkey REFERENCES webhooks ON DELETE CASCADE,
    -- Whose receiver that is; without one it is the fleet's.
    organization_id bigint CONSTRAINT webhook_deliveries_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    -- The same for all who are told of the same.
    event_id uuid NOT NULL,
    collection text NOT NULL,
    -- No reference: of what is gone is told as well.
    object_id bigint NOT NULL,
    object_key text NOT NULL,
    action text NOT NULL,
    happened_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'pending'
        CONSTRAINT webhook_deliveries_status_check CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT now(),
    -- When it is given up.
    give_up_at timestamptz NOT NULL DEFAULT now() + interval '1 day',
    last_attempt_at timestamptz,
    answer integer,
    error text,
    url text NOT NULL,
    -- As it is sent, to the byte.
    body json NOT NULL,
    -- Who sends it now, and until when nobody else does.
    lease uuid,
    leased_until timestamptz,
    CONSTRAINT webhook_deliveries_next_attempt_at_check CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL))
);
-- What is due, and what of the same object must go first.
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (webhook_id, next_attempt_at, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_order_idx ON webhook_deliveries (collection, object_id, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_webhook_id_idx ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_organization_id_idx ON webhook_deliveries (organization_id, id);
-- What is to be forgotten.
CREATE INDEX webhook_deliveries_happened_at_idx ON webhook_deliveries (happened_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks, signing_secrets, webhook_deliveries TO virtapi_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks TO virtapi_customer;
GRANT SELECT ON webhook_deliveries TO virtapi_customer;

-- An address may hold what is nobody else's to know, so who only looks on in an organization does not see it.
ALTER TABLE webhooks ENABLE ROW LEVEL SECURITY;
CREATE POLICY webhooks_server ON webhooks TO virtapi_server USING (true);
CREATE POLICY webhooks_write ON webhooks FOR ALL TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM own_organizations WHERE role IN ('owner', 'member')));
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY webhook_deliveries_server ON webhook_deliveries TO virtapi_server USING (true);
CREATE POLICY webhook_deliveries_read ON webhook_deliveries FOR SELECT TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM own_organizations WHERE role IN ('owner', 'member')));

-- What was told last of how each VM runs, so that it is told once.
CREATE TABLE vm_tellings (
    vm_id bigint PRIMARY KEY CONSTRAINT vm_tellings_vm_id_fkey REFERENCES vms ON DELETE CASCADE,
    state text NOT NULL CONSTRAINT vm_tellings_state_check CHECK (state IN ('started', 'stopped', 'failed'))
);
GRANT SELECT, INSERT, UPDATE, DELETE ON vm_tellings TO virtapi_server;

-- What is to be published to the broker, in this order; what it has confirmed is gone from here.
CREATE TABLE broker_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    routing_key text NOT NULL,
    body text NOT NULL,
    happened_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON broker_messages TO virtapi_server;

-- Which server publishes, so that messages keep their order. One row.
CREATE TABLE broker_leases (
    is_only boolean PRIMARY KEY DEFAULT true CONSTRAINT broker_leases_is_only_check CHECK (is_only),
    holder uuid,
    leased_until timestamptz NOT NULL DEFAULT now()
);
INSERT INTO broker_leases DEFAULT VALUES;
GRANT SELECT, UPDATE ON broker_leases TO virtapi_server;

ALTER TABLE audit_events
    DROP CONSTRAINT audit_events_action_check,
    ADD CONSTRAINT audit_events_action_check CHECK (action IN ('create', 'update', 'delete', 'issue', 'approve', 'resend',
        'set_password', 'remove_password', 'login', 'refuse', 'read'));
