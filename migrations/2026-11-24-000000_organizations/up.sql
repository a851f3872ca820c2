-- Customers: organizations, who of them may do what, and their environments, in which VMs and volumes are. What a
-- customer sees and writes is decided here, by row-level security for the role in which the application acts for one:
-- a statement that forgets to ask shows nothing.

CREATE TABLE organizations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT organizations_name_key UNIQUE,
    full_name text CONSTRAINT organizations_full_name_check
        CHECK (length(full_name) BETWEEN 1 AND 255 AND full_name !~ '[\x01-\x1f]'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE environments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL CONSTRAINT environments_organization_id_fkey REFERENCES organizations,
    name name_text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT environments_name_key UNIQUE (organization_id, name)
);

CREATE TABLE memberships (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL
        CONSTRAINT memberships_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT memberships_user_id_fkey REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CONSTRAINT memberships_role_check CHECK (role IN ('owner', 'member', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT memberships_user_key UNIQUE (organization_id, user_id)
);
CREATE INDEX memberships_user_id_idx ON memberships (user_id);

CREATE TABLE teams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL CONSTRAINT teams_organization_id_fkey REFERENCES organizations ON DELETE CASCADE,
    name name_text NOT NULL,
    role text NOT NULL CONSTRAINT teams_role_check CHECK (role IN ('owner', 'member', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT teams_name_key UNIQUE (organization_id, name)
);

CREATE TABLE team_users (
    team_id bigint NOT NULL CONSTRAINT team_users_team_id_fkey REFERENCES teams ON DELETE CASCADE,
    user_id bigint NOT NULL CONSTRAINT team_users_user_id_fkey REFERENCES users,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_users_user_id_idx ON team_users (user_id);

-- A VM or volume without an environment is the fleet's own.
ALTER TABLE vms ADD COLUMN environment_id bigint CONSTRAINT vms_environment_id_fkey REFERENCES environments;
CREATE INDEX vms_environment_id_idx ON vms (environment_id);
ALTER TABLE volumes ADD COLUMN environment_id bigint CONSTRAINT volumes_environment_id_fkey REFERENCES environments;
CREATE INDEX volumes_environment_id_idx ON volumes (environment_id);

-- A volume is where its VM is: what is attached across environments would be read by the wrong customer. It runs as its
-- owner, for whoever writes may not see all that it looks at; as do the checks of the inventory from now on.
CREATE FUNCTION environment_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    environment bigint;
BEGIN
    IF TG_TABLE_NAME = 'volumes' THEN
        -- Locked, so that it stays as it is seen until this is committed.
        SELECT environment_id INTO environment FROM vms WHERE id = NEW.vm_id FOR SHARE;
        NEW.environment_id := COALESCE(NEW.environment_id, environment);
        IF FOUND AND NEW.environment_id IS DISTINCT FROM environment THEN
            RAISE check_violation USING MESSAGE = 'a volume is in the environment of its VM',
                TABLE = 'volumes', CONSTRAINT = 'volumes_environment_check';
        END IF;
    ELSIF EXISTS (SELECT FROM volumes WHERE vm_id = NEW.id AND environment_id IS DISTINCT FROM NEW.environment_id) THEN
        RAISE check_violation USING MESSAGE = 'a VM is in the environment of its volumes',
            TABLE = 'vms', CONSTRAINT = 'vms_environment_check';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER volumes_environment_check BEFORE INSERT OR UPDATE OF vm_id, environment_id ON volumes
    FOR EACH ROW EXECUTE FUNCTION environment_check();
CREATE TRIGGER vms_environment_check BEFORE UPDATE OF environment_id ON vms
    FOR EACH ROW EXECUTE FUNCTION environment_check();

ALTER FUNCTION volumes_check() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION volume_place_check() SECURITY DEFINER SET search_path = public, pg_temp;

-- The role in which the application acts for a customer. It belongs to the cluster, so it may be there already.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'virtapi_customer') THEN
        CREATE ROLE virtapi_customer NOLOGIN;
    END IF;
EXCEPTION
    -- Another database of the cluster was faster.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'an administrator of the database must first do: CREATE ROLE virtapi_customer NOLOGIN; GRANT virtapi_customer TO %',
            quote_ident(current_user) USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, 'virtapi_customer', 'MEMBER') THEN
        EXECUTE format('GRANT virtapi_customer TO %I', current_user);
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'an administrator of the database must first do: GRANT virtapi_customer TO %', quote_ident(current_user)
            USING ERRCODE = 'insufficient_privilege';
END $$;

-- What the user for whom the transaction acts may do, and where. A view asks in the name of its owner, so it sees the
-- memberships that the user does not.
CREATE VIEW own_organizations AS
    WITH me AS (SELECT NULLIF(current_setting('virtapi.user_id', true), '')::bigint AS id)
    SELECT m.organization_id, m.role FROM memberships m JOIN me ON me.id = m.user_id
    UNION ALL
    SELECT t.organization_id, t.role FROM teams t JOIN team_users u ON u.team_id = t.id JOIN me ON me.id = u.user_id;
CREATE VIEW owned_organizations AS SELECT organization_id FROM own_organizations WHERE role = 'owner';
CREATE VIEW writable_environments AS
    SELECT e.id FROM environments e
    WHERE e.organization_id IN (SELECT organization_id FROM own_organizations WHERE role IN ('owner', 'member'));

GRANT SELECT ON own_organizations, owned_organizations, writable_environments, organizations, environments, memberships,
    teams, team_users, vms, volumes, snapshots, interfaces, addresses, interface_vlans, vlans, images, hypervisors, nodes,
    ceph_pools, vm_states, virt_methods, storage_types, cache_options, node_states TO virtapi_customer;
-- Of a user, only what others see.
GRANT SELECT (id, name, full_name, account_type, role, state, created_at, updated_at) ON users TO virtapi_customer;
GRANT INSERT, UPDATE, DELETE ON environments, memberships, teams, team_users, vms, volumes, snapshots TO virtapi_customer;

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
CREATE POLICY organizations_read ON organizations FOR SELECT TO virtapi_customer
    USING (id IN (SELECT organization_id FROM own_organizations));

ALTER TABLE environments ENABLE ROW LEVEL SECURITY;
CREATE POLICY environments_read ON environments FOR SELECT TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM own_organizations));
CREATE POLICY environments_write ON environments FOR ALL TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM owned_organizations));

ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
CREATE POLICY memberships_read ON memberships FOR SELECT TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM own_organizations));
CREATE POLICY memberships_write ON memberships FOR ALL TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM owned_organizations));

ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY teams_read ON teams FOR SELECT TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM own_organizations));
CREATE POLICY teams_write ON teams FOR ALL TO virtapi_customer
    USING (organization_id IN (SELECT organization_id FROM owned_organizations));

ALTER TABLE team_users ENABLE ROW LEVEL SECURITY;
CREATE POLICY team_users_read ON team_users FOR SELECT TO virtapi_customer
    USING (team_id IN (SELECT id FROM teams));
CREATE POLICY team_users_write ON team_users FOR ALL TO virtapi_customer
    USING (team_id IN (SELECT id FROM teams WHERE organization_id IN (SELECT organization_id FROM owned_organizations)));

-- Oneself, and who is in an organization with oneself.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_read ON users FOR SELECT TO virtapi_customer
    USING (id IN (SELECT user_id FROM memberships UNION ALL SELECT user_id FROM team_users));

ALTER TABLE vms ENABLE ROW LEVEL SECURITY;
CREATE POLICY vms_read ON vms FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY vms_write ON vms FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));

ALTER TABLE volumes ENABLE ROW LEVEL SECURITY;
CREATE POLICY volumes_read ON volumes FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY volumes_write ON volumes FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));

ALTER TABLE snapshots ENABLE ROW LEVEL SECURITY;
CREATE POLICY snapshots_read ON snapshots FOR SELECT TO virtapi_customer
    USING (volume_id IN (SELECT id FROM volumes));
CREATE POLICY snapshots_write ON snapshots FOR ALL TO virtapi_customer
    USING (volume_id IN (SELECT id FROM volumes WHERE environment_id IN (SELECT id FROM writable_environments)));

-- What hangs on own VMs, and of the fleet nothing but what own objects name.
ALTER TABLE interfaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY interfaces_read ON interfaces FOR SELECT TO virtapi_customer USING (vm_id IN (SELECT id FROM vms));
ALTER TABLE addresses ENABLE ROW LEVEL SECURITY;
CREATE POLICY addresses_read ON addresses FOR SELECT TO virtapi_customer
    USING (interface_id IN (SELECT id FROM interfaces));
ALTER TABLE interface_vlans ENABLE ROW LEVEL SECURITY;
CREATE POLICY interface_vlans_read ON interface_vlans FOR SELECT TO virtapi_customer
    USING (interface_id IN (SELECT id FROM interfaces));
ALTER TABLE vlans ENABLE ROW LEVEL SECURITY;
CREATE POLICY vlans_read ON vlans FOR SELECT TO virtapi_customer USING (id IN (SELECT vlan_id FROM interface_vlans));
ALTER TABLE hypervisors ENABLE ROW LEVEL SECURITY;
CREATE POLICY hypervisors_read ON hypervisors FOR SELECT TO virtapi_customer
    USING (id IN (SELECT hypervisor_id FROM vms));
ALTER TABLE nodes ENABLE ROW LEVEL SECURITY;
CREATE POLICY nodes_read ON nodes FOR SELECT TO virtapi_customer USING (id IN (SELECT node_id FROM hypervisors));
ALTER TABLE ceph_pools ENABLE ROW LEVEL SECURITY;
CREATE POLICY ceph_pools_read ON ceph_pools FOR SELECT TO virtapi_customer
    USING (id IN (SELECT ceph_pool_id FROM volumes));
