-- The role in which the application serves. It reads and writes what there is to serve, and owns nothing: no statement
-- of a server can change the schema, empty a table, or touch a record. A new table must be granted to it, too.

-- Like the role of customers it belongs to the cluster, so it may be there already.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'virtapi_server') THEN
        -- For a customer it acts as a customer; it does not have the rights of one besides its own.
        CREATE ROLE virtapi_server NOLOGIN NOINHERIT;
    END IF;
EXCEPTION
    -- Another database of the cluster was faster.
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'an administrator of the database must first do: CREATE ROLE virtapi_server NOLOGIN NOINHERIT; GRANT virtapi_customer TO virtapi_server; GRANT virtapi_server TO %',
            quote_ident(current_user) USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE
    -- Since Postgres 16, who has made a role is a member that may not yet act in it.
    acting text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END;
BEGIN
    IF NOT pg_has_role(current_user, 'virtapi_server', acting) THEN
        EXECUTE format('GRANT virtapi_server TO %I', current_user);
    END IF;
    BEGIN
        IF NOT pg_has_role('virtapi_server', 'virtapi_customer', acting) THEN
            GRANT virtapi_customer TO virtapi_server;
        END IF;
    EXCEPTION
        WHEN unique_violation THEN NULL;
    END;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'an administrator of the database must first do: GRANT virtapi_customer TO virtapi_server; GRANT virtapi_server TO %',
            quote_ident(current_user) USING ERRCODE = 'insufficient_privilege';
END $$;

GRANT USAGE ON SCHEMA public TO virtapi_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON node_states, vm_states, virt_methods, storage_types, cache_options, vlans, networks,
    nodes, bonds, hypervisors, hypervisor_virt_methods, ceph_clusters, ceph_pools, ceph_mons, ceph_osds, vms, interfaces,
    interface_vlans, addresses, images, volumes, snapshots, idempotency_keys, users, compilers, compiler_nodes, tokens,
    token_secrets, organizations, environments, memberships, teams, team_users TO virtapi_server;
-- What is recorded is only ever added.
GRANT SELECT, INSERT ON audit_events TO virtapi_server;
-- It sees whether the schema is the one that it knows.
GRANT SELECT ON __diesel_schema_migrations TO virtapi_server;

-- What is shown to customers row by row is shown to it whole. (BYPASSRLS would be shorter, but only a superuser gives that.)
CREATE POLICY organizations_server ON organizations TO virtapi_server USING (true);
CREATE POLICY environments_server ON environments TO virtapi_server USING (true);
CREATE POLICY memberships_server ON memberships TO virtapi_server USING (true);
CREATE POLICY teams_server ON teams TO virtapi_server USING (true);
CREATE POLICY team_users_server ON team_users TO virtapi_server USING (true);
CREATE POLICY users_server ON users TO virtapi_server USING (true);
CREATE POLICY vms_server ON vms TO virtapi_server USING (true);
CREATE POLICY volumes_server ON volumes TO virtapi_server USING (true);
CREATE POLICY snapshots_server ON snapshots TO virtapi_server USING (true);
CREATE POLICY interfaces_server ON interfaces TO virtapi_server USING (true);
CREATE POLICY addresses_server ON addresses TO virtapi_server USING (true);
CREATE POLICY interface_vlans_server ON interface_vlans TO virtapi_server USING (true);
CREATE POLICY vlans_server ON vlans TO virtapi_server USING (true);
CREATE POLICY hypervisors_server ON hypervisors TO virtapi_server USING (true);
CREATE POLICY nodes_server ON nodes TO virtapi_server USING (true);
CREATE POLICY ceph_pools_server ON ceph_pools TO virtapi_server USING (true);
