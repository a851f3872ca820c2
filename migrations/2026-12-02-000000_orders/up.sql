-- What VMs are ordered by (flavors, keys, groups, profiles, subnets, floating IPs, rules), and what decides where they go: how much
-- of each hypervisor is used is kept beside it, so that a place is found by an index and not by adding up a million VMs.

-- Labels: names, or names with a value. Found by an index, so they are a list in the row.
CREATE DOMAIN labels AS text[] CONSTRAINT labels_check CHECK (
    VALUE IS NOT NULL AND cardinality(VALUE) <= 64 AND array_position(VALUE, NULL) IS NULL
    AND array_to_string(VALUE, '|') ~ '^([A-Za-z0-9]([A-Za-z0-9_./:=-]{0,61}[A-Za-z0-9])?(\||$))*$');

CREATE TABLE keys (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id bigint NOT NULL CONSTRAINT keys_environment_id_fkey REFERENCES environments ON DELETE CASCADE,
    name name_text NOT NULL,
    public_key text NOT NULL CONSTRAINT keys_public_key_check CHECK (
        length(public_key) <= 16384
        AND public_key ~ '^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+=*( [^[:cntrl:]]*)?$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT keys_name_key UNIQUE (environment_id, name)
);

CREATE TABLE flavors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT flavors_name_key UNIQUE,
    cores integer NOT NULL CONSTRAINT flavors_cores_check CHECK (cores BETWEEN 1 AND 4096),
    ram_bytes bigint NOT NULL CONSTRAINT flavors_ram_bytes_check CHECK (ram_bytes > 0),
    disk_bytes bigint NOT NULL CONSTRAINT flavors_disk_bytes_check CHECK (disk_bytes > 0),
    virt_method_id bigint NOT NULL CONSTRAINT flavors_virt_method_id_fkey REFERENCES virt_methods,
    storage_type_id bigint NOT NULL CONSTRAINT flavors_storage_type_id_fkey REFERENCES storage_types,
    ceph_pool_id bigint CONSTRAINT flavors_ceph_pool_id_fkey REFERENCES ceph_pools,
    iops integer CONSTRAINT flavors_iops_check CHECK (iops > 0),
    disk_bps bigint CONSTRAINT flavors_disk_bps_check CHECK (disk_bps > 0),
    gpu_model text CONSTRAINT flavors_gpu_model_check CHECK (gpu_model ~ '^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$'),
    gpu_count integer NOT NULL DEFAULT 0 CONSTRAINT flavors_gpu_count_check CHECK (gpu_count BETWEEN 0 AND 64),
    labels labels NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT flavors_gpus_check CHECK ((gpu_count > 0) = (gpu_model IS NOT NULL))
);
CREATE INDEX flavors_virt_method_id_idx ON flavors (virt_method_id);
CREATE INDEX flavors_storage_type_id_idx ON flavors (storage_type_id);
CREATE INDEX flavors_ceph_pool_id_idx ON flavors (ceph_pool_id);
CREATE FUNCTION flavors_check() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF ((SELECT name FROM storage_types WHERE id = NEW.storage_type_id) = 'rbd') <> (NEW.ceph_pool_id IS NOT NULL) THEN
        RAISE check_violation USING MESSAGE = 'volumes of type rbd have a pool, and no others have',
            TABLE = 'flavors', CONSTRAINT = 'flavors_ceph_pool_check';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER flavors_check BEFORE INSERT OR UPDATE ON flavors FOR EACH ROW EXECUTE FUNCTION flavors_check();
-- A flavor says by the name of a type where volumes are, too.
CREATE OR REPLACE FUNCTION storage_types_name_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE storage_type_id = NEW.id)
        OR EXISTS (SELECT FROM tombstones WHERE storage_type_id = NEW.id)
        OR EXISTS (SELECT FROM flavors WHERE storage_type_id = NEW.id)
    THEN
        RAISE check_violation USING MESSAGE = 'the name of a type says where its volumes are',
            TABLE = 'storage_types', CONSTRAINT = 'storage_types_name_in_use_check';
    END IF;
    RETURN NULL;
END $$;

-- Which VMs shall be beside each other, or apart.
CREATE TABLE placement_groups (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id bigint NOT NULL CONSTRAINT placement_groups_environment_id_fkey REFERENCES environments ON DELETE CASCADE,
    name name_text NOT NULL,
    policy text NOT NULL CONSTRAINT placement_groups_policy_check CHECK (policy IN ('affinity', 'anti-affinity')),
    scope text NOT NULL CONSTRAINT placement_groups_scope_check CHECK (scope IN ('hypervisor', 'location')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT placement_groups_name_key UNIQUE (environment_id, name)
);

-- Networks for VMs: of everybody, or of one environment.
ALTER TABLE networks
    ADD COLUMN audience text NOT NULL DEFAULT 'nodes'
        CONSTRAINT networks_audience_check CHECK (audience IN ('nodes', 'customers')),
    ADD COLUMN environment_id bigint CONSTRAINT networks_environment_id_fkey REFERENCES environments,
    ADD CONSTRAINT networks_environment_check CHECK (environment_id IS NULL OR audience = 'customers');
CREATE INDEX networks_environment_id_idx ON networks (environment_id);

CREATE TABLE subnets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT subnets_name_key UNIQUE,
    network_id bigint NOT NULL CONSTRAINT subnets_network_id_fkey REFERENCES networks,
    cidr cidr NOT NULL,
    purpose text NOT NULL CONSTRAINT subnets_purpose_check CHECK (purpose IN ('addresses', 'floating')),
    gateway inet,
    first inet,
    last inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Every address is in one subnet at most, for an address is unique.
    CONSTRAINT subnets_cidr_key EXCLUDE USING gist (cidr inet_ops WITH &&),
    CONSTRAINT subnets_gateway_check CHECK (gateway << cidr AND masklen(gateway) = masklen(set_masklen(gateway, -1))),
    CONSTRAINT subnets_first_check CHECK (first << cidr AND masklen(first) = masklen(set_masklen(first, -1))),
    CONSTRAINT subnets_last_check CHECK (last << cidr AND masklen(last) = masklen(set_masklen(last, -1))),
    CONSTRAINT subnets_range_check CHECK (first <= last)
);
CREATE INDEX subnets_network_id_idx ON subnets (network_id);

CREATE TABLE floating_ips (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Never null, but a trigger below may set it; nor is its subnet.
    ip inet CONSTRAINT floating_ips_ip_check CHECK (ip IS NOT NULL AND masklen(ip) = masklen(set_masklen(ip, -1))),
    subnet_id bigint CONSTRAINT floating_ips_subnet_id_fkey REFERENCES subnets
        CONSTRAINT floating_ips_subnet_given_check CHECK (subnet_id IS NOT NULL),
    environment_id bigint NOT NULL CONSTRAINT floating_ips_environment_id_fkey REFERENCES environments,
    vm_id bigint CONSTRAINT floating_ips_vm_id_fkey REFERENCES vms ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT floating_ips_ip_key UNIQUE (ip)
);
CREATE INDEX floating_ips_subnet_id_idx ON floating_ips (subnet_id);
CREATE INDEX floating_ips_environment_id_idx ON floating_ips (environment_id);
CREATE INDEX floating_ips_vm_id_idx ON floating_ips (vm_id);

-- PCI devices that are given to one guest each.
CREATE TABLE gpus (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hypervisor_id bigint NOT NULL CONSTRAINT gpus_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    address text NOT NULL CONSTRAINT gpus_address_check CHECK (address ~ '^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$'),
    model text NOT NULL CONSTRAINT gpus_model_check CHECK (model ~ '^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$'),
    vm_id bigint CONSTRAINT gpus_vm_id_fkey REFERENCES vms ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT gpus_address_key UNIQUE (hypervisor_id, address)
);
CREATE INDEX gpus_vm_id_idx ON gpus (vm_id);

CREATE TABLE security_rules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT security_rules_uuid_key UNIQUE,
    vm_id bigint NOT NULL CONSTRAINT security_rules_vm_id_fkey REFERENCES vms ON DELETE CASCADE,
    direction text NOT NULL CONSTRAINT security_rules_direction_check CHECK (direction IN ('ingress', 'egress')),
    ethertype text NOT NULL CONSTRAINT security_rules_ethertype_check CHECK (ethertype IN ('IPv4', 'IPv6')),
    protocol text NOT NULL CONSTRAINT security_rules_protocol_check CHECK (protocol IN ('any', 'icmp', 'tcp', 'udp')),
    port_range_min integer CONSTRAINT security_rules_port_range_min_check CHECK (port_range_min BETWEEN 1 AND 65535),
    port_range_max integer CONSTRAINT security_rules_port_range_max_check CHECK (port_range_max BETWEEN 1 AND 65535),
    remote_ip_prefix cidr,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT security_rules_ports_check CHECK (num_nonnulls(port_range_min, port_range_max) <> 1
        AND (port_range_min IS NULL OR (port_range_min <= port_range_max AND protocol IN ('tcp', 'udp')))),
    CONSTRAINT security_rules_family_check CHECK (family(remote_ip_prefix) = CASE ethertype WHEN 'IPv4' THEN 4 ELSE 6 END)
);
CREATE INDEX security_rules_vm_id_idx ON security_rules (vm_id);

-- What an order says unless it says something else.
CREATE TABLE profiles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id bigint NOT NULL CONSTRAINT profiles_environment_id_fkey REFERENCES environments ON DELETE CASCADE,
    name name_text NOT NULL,
    flavor_id bigint CONSTRAINT profiles_flavor_id_fkey REFERENCES flavors,
    image_id bigint CONSTRAINT profiles_image_id_fkey REFERENCES images,
    network_id bigint CONSTRAINT profiles_network_id_fkey REFERENCES networks,
    user_data text CONSTRAINT profiles_user_data_check CHECK (octet_length(user_data) BETWEEN 1 AND 65536),
    labels labels NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT profiles_name_key UNIQUE (environment_id, name)
);
CREATE INDEX profiles_flavor_id_idx ON profiles (flavor_id);
CREATE INDEX profiles_image_id_idx ON profiles (image_id);
CREATE INDEX profiles_network_id_idx ON profiles (network_id);

ALTER TABLE environments ADD COLUMN placement text NOT NULL DEFAULT 'spread'
    CONSTRAINT environments_placement_check CHECK (placement IN ('pack', 'spread'));

ALTER TABLE hypervisors
    ADD COLUMN reserved_cores integer NOT NULL DEFAULT 0
        CONSTRAINT hypervisors_reserved_cores_check CHECK (reserved_cores BETWEEN 0 AND cores),
    ADD COLUMN reserved_ram_bytes bigint NOT NULL DEFAULT 0
        CONSTRAINT hypervisors_reserved_ram_bytes_check CHECK (reserved_ram_bytes BETWEEN 0 AND ram_bytes),
    ADD COLUMN iops integer CONSTRAINT hypervisors_iops_check CHECK (iops > 0),
    ADD COLUMN disk_bps bigint CONSTRAINT hypervisors_disk_bps_check CHECK (disk_bps > 0),
    ADD COLUMN labels labels NOT NULL DEFAULT '{}';
CREATE INDEX hypervisors_labels_idx ON hypervisors USING gin (labels);
-- Of the networks and clusters that VMs use, those that it reaches: all, where none are named.
CREATE TABLE hypervisor_networks (
    hypervisor_id bigint NOT NULL CONSTRAINT hypervisor_networks_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    network_id bigint NOT NULL CONSTRAINT hypervisor_networks_network_id_fkey REFERENCES networks,
    PRIMARY KEY (hypervisor_id, network_id)
);
CREATE INDEX hypervisor_networks_network_id_idx ON hypervisor_networks (network_id);
CREATE TABLE hypervisor_ceph_clusters (
    hypervisor_id bigint NOT NULL
        CONSTRAINT hypervisor_ceph_clusters_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    ceph_cluster_id bigint NOT NULL CONSTRAINT hypervisor_ceph_clusters_ceph_cluster_id_fkey REFERENCES ceph_clusters,
    PRIMARY KEY (hypervisor_id, ceph_cluster_id)
);
CREATE INDEX hypervisor_ceph_clusters_ceph_cluster_id_idx ON hypervisor_ceph_clusters (ceph_cluster_id);

ALTER TABLE volumes ADD COLUMN lifetime text NOT NULL DEFAULT 'own'
    CONSTRAINT volumes_lifetime_check CHECK (lifetime IN ('own', 'vm'));

-- A name is the customer's, and unique among its own. What is there and is not, gets its number.
UPDATE vms v SET name = left(name, 235) || '-' || id WHERE EXISTS (
    SELECT FROM vms o WHERE o.environment_id = v.environment_id AND o.name = v.name AND o.id < v.id);
ALTER TABLE vms
    ADD COLUMN flavor_id bigint CONSTRAINT vms_flavor_id_fkey REFERENCES flavors,
    ADD COLUMN group_id bigint CONSTRAINT vms_group_id_fkey REFERENCES placement_groups,
    ADD COLUMN labels labels NOT NULL DEFAULT '{}',
    ADD COLUMN user_data text CONSTRAINT vms_user_data_check CHECK (octet_length(user_data) BETWEEN 1 AND 65536),
    ADD COLUMN callback_url text CONSTRAINT vms_callback_url_check
        CHECK (length(callback_url) <= 2048 AND callback_url ~ '^https?://[^[:cntrl:][:space:]]+$'),
    ADD COLUMN firewall text NOT NULL DEFAULT 'off' CONSTRAINT vms_firewall_check CHECK (firewall IN ('off', 'on')),
    ADD COLUMN restarts integer NOT NULL DEFAULT 0 CONSTRAINT vms_restarts_check CHECK (restarts >= 0),
    ADD CONSTRAINT vms_name_key UNIQUE (environment_id, name);
DROP INDEX vms_environment_id_idx;
CREATE INDEX vms_flavor_id_idx ON vms (flavor_id);
CREATE INDEX vms_group_id_idx ON vms (group_id);
CREATE INDEX vms_labels_idx ON vms USING gin (labels);

CREATE TABLE vm_keys (
    vm_id bigint NOT NULL CONSTRAINT vm_keys_vm_id_fkey REFERENCES vms ON DELETE CASCADE,
    key_id bigint NOT NULL CONSTRAINT vm_keys_key_id_fkey REFERENCES keys,
    PRIMARY KEY (vm_id, key_id)
);
CREATE INDEX vm_keys_key_id_idx ON vm_keys (key_id);

-- What somebody has asked for last, until the agent has applied the generation of its hypervisor's document that holds it.
CREATE TABLE pending_actions (
    vm_id bigint PRIMARY KEY CONSTRAINT pending_actions_vm_id_fkey REFERENCES vms ON DELETE CASCADE,
    action text NOT NULL CONSTRAINT pending_actions_action_check CHECK (action IN ('rebooting')),
    generation bigint NOT NULL
);

-- What hangs on a VM is in its environment: what else is there would be read, or opened, by the wrong customer. It runs as its owner,
-- for whoever writes may not see all that it looks at.
CREATE FUNCTION of_environment_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wrong text;
BEGIN
    CASE TG_TABLE_NAME
    WHEN 'vms' THEN
        wrong := CASE
            WHEN EXISTS (SELECT FROM placement_groups g WHERE g.id = NEW.group_id AND g.environment_id IS DISTINCT FROM NEW.environment_id)
                THEN 'vms_group_check'
            WHEN EXISTS (SELECT FROM vm_keys l JOIN keys k ON k.id = l.key_id
                         WHERE l.vm_id = NEW.id AND k.environment_id IS DISTINCT FROM NEW.environment_id) THEN 'vms_keys_check'
            WHEN EXISTS (SELECT FROM floating_ips f WHERE f.vm_id = NEW.id AND f.environment_id IS DISTINCT FROM NEW.environment_id)
                THEN 'vms_floating_ips_check'
        END;
    WHEN 'vm_keys' THEN
        IF EXISTS (SELECT FROM vms v, keys k WHERE v.id = NEW.vm_id AND k.id = NEW.key_id
                   AND k.environment_id IS DISTINCT FROM v.environment_id) THEN
            wrong := 'vms_keys_check';
        END IF;
    WHEN 'floating_ips' THEN
        IF EXISTS (SELECT FROM vms v WHERE v.id = NEW.vm_id AND v.environment_id IS DISTINCT FROM NEW.environment_id) THEN
            wrong := 'floating_ips_environment_check';
        END IF;
    END CASE;
    IF wrong IS NOT NULL THEN
        RAISE check_violation USING MESSAGE = 'what hangs on a VM is in its environment', TABLE = TG_TABLE_NAME, CONSTRAINT = wrong;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vms_of_environment BEFORE INSERT OR UPDATE OF group_id, environment_id ON vms
    FOR EACH ROW EXECUTE FUNCTION of_environment_check();
CREATE TRIGGER vm_keys_of_environment BEFORE INSERT ON vm_keys FOR EACH ROW EXECUTE FUNCTION of_environment_check();
CREATE TRIGGER floating_ips_of_environment BEFORE INSERT OR UPDATE OF vm_id, environment_id ON floating_ips
    FOR EACH ROW WHEN (NEW.vm_id IS NOT NULL) EXECUTE FUNCTION of_environment_check();
-- A device is where its VM is.
CREATE FUNCTION gpus_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_TABLE_NAME = 'gpus' THEN
        IF EXISTS (SELECT FROM vms v WHERE v.id = NEW.vm_id AND v.hypervisor_id IS DISTINCT FROM NEW.hypervisor_id) THEN
            RAISE check_violation USING MESSAGE = 'a device is on the hypervisor of its VM', TABLE = 'gpus', CONSTRAINT = 'gpus_vm_check';
        END IF;
    ELSE
        UPDATE gpus SET vm_id = NULL WHERE vm_id = NEW.id AND hypervisor_id IS DISTINCT FROM NEW.hypervisor_id;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vms_gpus AFTER UPDATE OF hypervisor_id ON vms
    FOR EACH ROW WHEN (NEW.hypervisor_id IS DISTINCT FROM OLD.hypervisor_id) EXECUTE FUNCTION gpus_check();
CREATE TRIGGER gpus_check BEFORE INSERT OR UPDATE ON gpus FOR EACH ROW WHEN (NEW.vm_id IS NOT NULL) EXECUTE FUNCTION gpus_check();

-- What each hypervisor's VMs take of it. Kept by triggers, so that whoever writes keeps it.
CREATE TABLE hypervisor_usage (
    hypervisor_id bigint PRIMARY KEY CONSTRAINT hypervisor_usage_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    vms integer NOT NULL DEFAULT 0,
    -- Sums of what may each be as large as a bigint.
    cores numeric NOT NULL DEFAULT 0,
    ram_bytes numeric NOT NULL DEFAULT 0,
    local_bytes numeric NOT NULL DEFAULT 0,
    iops numeric NOT NULL DEFAULT 0,
    disk_bps numeric NOT NULL DEFAULT 0,
    -- By which a place is found: what is left.
    free_ram_bytes numeric NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX hypervisor_usage_free_ram_bytes_idx ON hypervisor_usage (free_ram_bytes, hypervisor_id);

-- What a volume takes: space on the hypervisor unless it is in Ceph, and of its disks as much as its limits let it.
CREATE VIEW volume_claims AS
    SELECT d.id AS volume_id, d.vm_id, CASE t.name WHEN 'rbd' THEN 0 ELSE d.size_bytes END AS local_bytes,
        COALESCE(GREATEST(d.read_iops_limit, d.write_iops_limit), 0) AS iops,
        COALESCE(GREATEST(d.read_bps_limit, d.write_bps_limit), 0) AS disk_bps
    FROM volumes d JOIN storage_types t ON t.id = d.storage_type_id;

CREATE FUNCTION ram_for_vms(h hypervisors) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT floor((h.ram_bytes - h.reserved_ram_bytes)::numeric * h.ram_overcommit_ratio::numeric) $$;
CREATE FUNCTION cores_for_vms(h hypervisors) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT floor((h.cores - h.reserved_cores)::numeric * h.cpu_overcommit_ratio::numeric) $$;

-- Adds to what is taken; what is taken away is negative.
CREATE FUNCTION take_of_hypervisor(hypervisor bigint, more_vms int, more_cores numeric, more_ram numeric, more_local numeric,
    more_iops numeric, more_bps numeric) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE hypervisor_usage SET vms = vms + more_vms, cores = cores + more_cores, ram_bytes = ram_bytes + more_ram,
        local_bytes = local_bytes + more_local, iops = iops + more_iops, disk_bps = disk_bps + more_bps,
        free_ram_bytes = free_ram_bytes - more_ram
    WHERE hypervisor_id = hypervisor $$;

CREATE FUNCTION count_vm() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    local numeric; ios numeric; bps numeric;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.hypervisor_id IS NOT DISTINCT FROM OLD.hypervisor_id THEN
        IF NEW.hypervisor_id IS NOT NULL THEN
            PERFORM take_of_hypervisor(NEW.hypervisor_id, 0, NEW.cores - OLD.cores, NEW.ram_bytes - OLD.ram_bytes, 0, 0, 0);
        END IF;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT COALESCE(sum(c.local_bytes), 0), COALESCE(sum(c.iops), 0), COALESCE(sum(c.disk_bps), 0) INTO local, ios, bps
        FROM volume_claims c WHERE c.vm_id = NEW.id;
    ELSE
        local := 0; ios := 0; bps := 0;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.hypervisor_id IS NOT NULL THEN
        PERFORM take_of_hypervisor(OLD.hypervisor_id, -1, -OLD.cores, -OLD.ram_bytes, -local, -ios, -bps);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.hypervisor_id IS NOT NULL THEN
        PERFORM take_of_hypervisor(NEW.hypervisor_id, 1, NEW.cores, NEW.ram_bytes, local, ios, bps);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER vms_count AFTER INSERT OR DELETE OR UPDATE OF hypervisor_id, cores, ram_bytes ON vms
    FOR EACH ROW EXECUTE FUNCTION count_vm();

CREATE FUNCTION count_volume() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    hypervisor bigint;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.vm_id IS NOT NULL THEN
        SELECT hypervisor_id INTO hypervisor FROM vms WHERE id = OLD.vm_id;
        IF hypervisor IS NOT NULL THEN
            PERFORM take_of_hypervisor(hypervisor, 0, 0, 0,
                CASE (SELECT name FROM storage_types WHERE id = OLD.storage_type_id) WHEN 'rbd' THEN 0 ELSE -OLD.size_bytes END,
                -COALESCE(GREATEST(OLD.read_iops_limit, OLD.write_iops_limit), 0),
                -COALESCE(GREATEST(OLD.read_bps_limit, OLD.write_bps_limit), 0));
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.vm_id IS NOT NULL THEN
        SELECT hypervisor_id INTO hypervisor FROM vms WHERE id = NEW.vm_id;
        IF hypervisor IS NOT NULL THEN
            PERFORM take_of_hypervisor(hypervisor, 0, 0, 0,
                CASE (SELECT name FROM storage_types WHERE id = NEW.storage_type_id) WHEN 'rbd' THEN 0 ELSE NEW.size_bytes END,
                COALESCE(GREATEST(NEW.read_iops_limit, NEW.write_iops_limit), 0),
                COALESCE(GREATEST(NEW.read_bps_limit, NEW.write_bps_limit), 0));
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER volumes_count
    AFTER INSERT OR DELETE OR UPDATE OF vm_id, storage_type_id, size_bytes, read_iops_limit, write_iops_limit, read_bps_limit, write_bps_limit
    ON volumes FOR EACH ROW EXECUTE FUNCTION count_volume();

CREATE FUNCTION count_hypervisor() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO hypervisor_usage (hypervisor_id, free_ram_bytes) VALUES (NEW.id, ram_for_vms(NEW));
    ELSE
        UPDATE hypervisor_usage SET free_ram_bytes = ram_for_vms(NEW) - ram_bytes WHERE hypervisor_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER hypervisors_count AFTER INSERT OR UPDATE OF ram_bytes, reserved_ram_bytes, ram_overcommit_ratio ON hypervisors
    FOR EACH ROW EXECUTE FUNCTION count_hypervisor();

INSERT INTO hypervisor_usage (hypervisor_id, vms, cores, ram_bytes, local_bytes, iops, disk_bps, free_ram_bytes)
SELECT h.id, count(v.id), COALESCE(sum(v.cores), 0), COALESCE(sum(v.ram_bytes), 0), COALESCE(sum(c.local_bytes), 0),
    COALESCE(sum(c.iops), 0), COALESCE(sum(c.disk_bps), 0), ram_for_vms(h) - COALESCE(sum(v.ram_bytes), 0)
FROM hypervisors h LEFT JOIN vms v ON v.hypervisor_id = h.id
LEFT JOIN LATERAL (SELECT sum(local_bytes) AS local_bytes, sum(iops) AS iops, sum(disk_bps) AS disk_bps
    FROM volume_claims WHERE vm_id = v.id) c ON true
GROUP BY h.id;

-- Every IP address that is somebody's, whoever has it: an address of an interface, a floating IP; and those that a guest may still
-- answer by, until the agent of its hypervisor has applied a document without it.
CREATE TABLE ip_claims (
    ip inet PRIMARY KEY CONSTRAINT ip_claims_ip_check CHECK (masklen(ip) = masklen(set_masklen(ip, -1))),
    held_node_id bigint CONSTRAINT ip_claims_held_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    held_generation bigint,
    CONSTRAINT ip_claims_held_check CHECK (num_nonnulls(held_node_id, held_generation) <> 1)
);
CREATE INDEX ip_claims_held_node_id_idx ON ip_claims (held_node_id);
CREATE FUNCTION bare(ip inet) RETURNS inet LANGUAGE sql IMMUTABLE AS $$ SELECT set_masklen(ip, CASE family(ip) WHEN 4 THEN 32 ELSE 128 END) $$;
CREATE VIEW ip_claims_in_force AS
    SELECT c.ip FROM ip_claims c LEFT JOIN node_observations o ON o.node_id = c.held_node_id
    WHERE c.held_node_id IS NULL OR (o.last_report IS NOT NULL AND COALESCE(o.applied_generation, 0) <= c.held_generation);

CREATE FUNCTION claim_ip() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND bare(NEW.ip) = bare(OLD.ip) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM ip_claims WHERE ip = bare(OLD.ip) AND held_node_id IS NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO ip_claims AS c (ip) VALUES (bare(NEW.ip))
        ON CONFLICT (ip) DO UPDATE SET held_node_id = NULL, held_generation = NULL WHERE c.held_node_id IS NOT NULL;
        IF NOT FOUND THEN
            RAISE unique_violation USING MESSAGE = 'this address is somebody''s', TABLE = TG_TABLE_NAME,
                CONSTRAINT = TG_TABLE_NAME || '_ip_key';
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER addresses_claim AFTER INSERT OR DELETE OR UPDATE OF ip ON addresses FOR EACH ROW EXECUTE FUNCTION claim_ip();
CREATE TRIGGER floating_ips_claim AFTER INSERT OR DELETE OR UPDATE OF ip ON floating_ips FOR EACH ROW EXECUTE FUNCTION claim_ip();
INSERT INTO ip_claims (ip) SELECT bare(ip) FROM addresses;

-- Before its interfaces go with it.
CREATE FUNCTION hold_ips() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ip_claims c SET held_node_id = n.id, held_generation = n.desired_generation
    FROM (SELECT bare(a.ip) AS ip FROM interfaces i JOIN addresses a ON a.interface_id = i.id WHERE i.vm_id = OLD.id) AS of_vm,
        hypervisors h JOIN nodes n ON n.id = h.node_id
    WHERE h.id = OLD.hypervisor_id AND c.ip = of_vm.ip;
    RETURN OLD;
END $$;
CREATE TRIGGER vms_hold_ips BEFORE DELETE ON vms FOR EACH ROW WHEN (OLD.hypervisor_id IS NOT NULL) EXECUTE FUNCTION hold_ips();

-- The first and the last address that a subnet gives away.
CREATE FUNCTION first_ip(s subnets) RETURNS inet LANGUAGE sql IMMUTABLE AS $$
    SELECT COALESCE(s.first, bare(network(s.cidr)) + CASE WHEN masklen(s.cidr) >= masklen(set_masklen(s.cidr::inet, -1)) - 1 THEN 0 ELSE 1 END) $$;
CREATE FUNCTION last_ip(s subnets) RETURNS inet LANGUAGE sql IMMUTABLE AS $$
    SELECT COALESCE(s.last, bare(broadcast(s.cidr)) - CASE WHEN family(s.cidr) = 4 AND masklen(s.cidr) < 31 THEN 1 ELSE 0 END) $$;

-- Whether nobody has this address, and no other transaction is about to; it is the caller's until its transaction ends.
CREATE FUNCTION take_ip(candidate inet, wait boolean) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM ip_claims_in_force WHERE ip = candidate) THEN
        RETURN FALSE;
    ELSIF wait THEN
        PERFORM pg_advisory_xact_lock(7308, hashtext(host(candidate)));
    ELSIF NOT pg_try_advisory_xact_lock(7308, hashtext(host(candidate))) THEN
        RETURN FALSE;
    END IF;
    -- Who had the lock before may have taken it: this statement sees that.
    RETURN NOT EXISTS (SELECT FROM ip_claims_in_force WHERE ip = candidate);
END $$;

-- The next free address of a subnet, or null: the one after the highest that was ever taken, so that one just given back is not given
-- away again at once; when there is none, the first that is free. What others are about to take is waited for only at the end.
CREATE FUNCTION free_ip(subnet bigint) RETURNS inet LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    s subnets;
    low inet;
    high inet;
    candidate inet;
    wait boolean;
BEGIN
    SELECT * INTO s FROM subnets WHERE id = subnet;
    low := first_ip(s);
    high := last_ip(s);
    candidate := COALESCE((SELECT ip + 1 FROM ip_claims WHERE ip BETWEEN low AND high ORDER BY ip DESC LIMIT 1), low);
    WHILE candidate <= high LOOP
        IF candidate IS DISTINCT FROM s.gateway AND take_ip(candidate, FALSE) THEN
            RETURN candidate;
        END IF;
        candidate := candidate + 1;
    END LOOP;
    FOREACH wait IN ARRAY ARRAY[FALSE, TRUE] LOOP
        FOR candidate IN
            SELECT DISTINCT place FROM (
                SELECT low AS place UNION ALL SELECT unnest(ARRAY[ip, ip + 1]) FROM ip_claims WHERE ip BETWEEN low AND high
                UNION ALL SELECT s.gateway + 1 WHERE s.gateway BETWEEN low AND high) AS places
            WHERE place <= high AND NOT EXISTS (SELECT FROM ip_claims_in_force c WHERE c.ip = place) ORDER BY place
        LOOP
            WHILE candidate <= high AND NOT EXISTS (SELECT FROM ip_claims_in_force WHERE ip = candidate) LOOP
                IF candidate IS DISTINCT FROM s.gateway AND take_ip(candidate, wait) THEN
                    RETURN candidate;
                END IF;
                candidate := candidate + 1;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;

-- A MAC address that nobody has, in the range of `virtapi.mac_range`: the bits of an address of which so many, from the left, are given.
CREATE FUNCTION free_mac() RETURNS macaddr LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    range text := COALESCE(NULLIF(current_setting('virtapi.mac_range', true), ''), '52:54:00:00:00:00/24');
    given bigint := ('x' || lpad(replace(split_part(range, '/', 1), ':', ''), 16, '0'))::bit(64)::bigint;
    free int := 48 - split_part(range, '/', 2)::int;
    number text;
    candidate macaddr;
BEGIN
    FOR attempt IN 1 .. 1000 LOOP
        number := lpad(to_hex(given | floor(random() * (1::bigint << free))::bigint), 12, '0');
        candidate := number::macaddr;
        IF NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) AND pg_try_advisory_xact_lock(7309, hashtext(number))
            AND NOT EXISTS (SELECT FROM interfaces WHERE mac = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- A floating IP that is given no address gets the next one, of its subnet, or of any that has one left.
CREATE FUNCTION floating_ips_fill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    subnet bigint;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.ip := COALESCE(NEW.ip, OLD.ip);
        NEW.subnet_id := COALESCE(NEW.subnet_id, OLD.subnet_id);
    ELSIF NEW.ip IS NULL THEN
        FOR subnet IN
            SELECT s.id FROM subnets s JOIN networks n ON n.id = s.network_id
            WHERE s.purpose = 'floating' AND COALESCE(s.id = NEW.subnet_id, TRUE)
                AND (n.environment_id IS NULL OR n.environment_id = NEW.environment_id) AND n.audience = 'customers' ORDER BY s.id
        LOOP
            NEW.ip := free_ip(subnet);
            NEW.subnet_id := subnet;
            EXIT WHEN NEW.ip IS NOT NULL;
        END LOOP;
        IF NEW.ip IS NULL THEN
            RAISE check_violation USING MESSAGE = 'there is no floating IP left', TABLE = 'floating_ips', CONSTRAINT = 'floating_ips_left_check';
        END IF;
    ELSIF NEW.subnet_id IS NULL THEN
        NEW.subnet_id := (SELECT id FROM subnets WHERE cidr >>= NEW.ip AND purpose = 'floating');
    END IF;
    IF NOT EXISTS (SELECT FROM subnets WHERE id = NEW.subnet_id AND cidr >>= NEW.ip AND purpose = 'floating') THEN
        RAISE check_violation USING MESSAGE = 'a floating IP is of a subnet for floating IPs', TABLE = 'floating_ips',
            CONSTRAINT = 'floating_ips_subnet_check';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER floating_ips_fill BEFORE INSERT OR UPDATE OF ip, subnet_id ON floating_ips FOR EACH ROW EXECUTE FUNCTION floating_ips_fill();

-- What a VM shall be, and what was seen of it.
DROP VIEW vms_with_status;
CREATE OR REPLACE VIEW hypervisor_convergence AS
SELECT h.id, c.desired_generation, c.applied_generation, c.last_report, c.amiss, c.status, c.observed -> 'vms' AS vms
FROM hypervisors h JOIN node_convergence c ON c.id = h.node_id;

CREATE VIEW vms_with_status WITH (security_invoker = true) AS
SELECT v.id, v.uuid, v.name, v.cores, v.ram_bytes, v.cputime_limit, v.state_id,
    CASE
        WHEN c.status IS NULL THEN 'unmanaged'
        -- The agent has done its work, and it does not run, or still does.
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text THEN 'failed'
        ELSE c.status
    END AS status,
    -- docs/compute.md has the table. What is seen counts, and what nobody has looked at for too long is not known.
    CASE
        WHEN c.status IS NULL THEN 'requested'
        WHEN c.status = 'stale' THEN 'unknown'
        WHEN c.status = 'failed' AND c.last_report > v.updated_at THEN 'failed'
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text THEN 'failed'
        WHEN COALESCE(c.applied_generation, 0) < p.generation THEN p.action
        WHEN c.vms ->> v.uuid::text IS NULL THEN 'scheduled'
        WHEN c.vms ->> v.uuid::text = 'running' THEN 'started'
        WHEN s.name::text = 'running' THEN 'starting'
        ELSE 'stopped'
    END AS lifecycle,
    CASE
        WHEN c.status = 'failed' AND c.last_report > v.updated_at THEN 'the last run of the agent of its hypervisor failed'
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text AND s.name::text = 'running' THEN 'it does not run, though its agent has done its work'
        WHEN c.status = 'in_sync' AND c.amiss ? v.uuid::text THEN 'it still runs, though its agent has done its work'
    END AS failure,
    v.hypervisor_id, v.virt_method_id, v.environment_id, v.flavor_id, v.group_id, v.labels, v.user_data, v.callback_url, v.firewall,
    v.restarts, c.desired_generation, c.applied_generation, c.last_report, v.created_at, v.updated_at
FROM vms v JOIN vm_states s ON s.id = v.state_id LEFT JOIN hypervisor_convergence c ON c.id = v.hypervisor_id
    LEFT JOIN pending_actions p ON p.vm_id = v.id;

GRANT SELECT ON vms_with_status TO virtapi_server, virtapi_customer;
GRANT SELECT, INSERT, UPDATE, DELETE ON keys, flavors, placement_groups, subnets, floating_ips, gpus, security_rules, profiles, vm_keys,
    hypervisor_networks, hypervisor_ceph_clusters, ip_claims, pending_actions TO virtapi_server;
-- Whoever finds a place takes it by a lock, and nobody writes but the triggers.
GRANT SELECT, UPDATE ON hypervisor_usage TO virtapi_server;
GRANT SELECT ON volume_claims, ip_claims_in_force TO virtapi_server;

GRANT SELECT ON keys, flavors, placement_groups, networks, subnets, floating_ips, gpus, security_rules, profiles, vm_keys, pending_actions TO virtapi_customer;
GRANT INSERT, UPDATE, DELETE ON keys, placement_groups, floating_ips, security_rules, profiles, vm_keys TO virtapi_customer;

-- Of each environment its own; of the fleet what there is to choose from, and what own objects name.
ALTER TABLE keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY keys_server ON keys TO virtapi_server USING (true);
CREATE POLICY keys_read ON keys FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY keys_write ON keys FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));
ALTER TABLE placement_groups ENABLE ROW LEVEL SECURITY;
CREATE POLICY placement_groups_server ON placement_groups TO virtapi_server USING (true);
CREATE POLICY placement_groups_read ON placement_groups FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY placement_groups_write ON placement_groups FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY profiles_server ON profiles TO virtapi_server USING (true);
CREATE POLICY profiles_read ON profiles FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY profiles_write ON profiles FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));
ALTER TABLE floating_ips ENABLE ROW LEVEL SECURITY;
CREATE POLICY floating_ips_server ON floating_ips TO virtapi_server USING (true);
CREATE POLICY floating_ips_read ON floating_ips FOR SELECT TO virtapi_customer
    USING (environment_id IN (SELECT id FROM environments));
CREATE POLICY floating_ips_write ON floating_ips FOR ALL TO virtapi_customer
    USING (environment_id IN (SELECT id FROM writable_environments));
ALTER TABLE security_rules ENABLE ROW LEVEL SECURITY;
CREATE POLICY security_rules_server ON security_rules TO virtapi_server USING (true);
CREATE POLICY security_rules_read ON security_rules FOR SELECT TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms));
CREATE POLICY security_rules_write ON security_rules FOR ALL TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms WHERE environment_id IN (SELECT id FROM writable_environments)));
ALTER TABLE vm_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY vm_keys_server ON vm_keys TO virtapi_server USING (true);
CREATE POLICY vm_keys_read ON vm_keys FOR SELECT TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms));
CREATE POLICY vm_keys_write ON vm_keys FOR ALL TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms WHERE environment_id IN (SELECT id FROM writable_environments)) AND key_id IN (SELECT id FROM keys));
ALTER TABLE pending_actions ENABLE ROW LEVEL SECURITY;
CREATE POLICY pending_actions_server ON pending_actions TO virtapi_server USING (true);
CREATE POLICY pending_actions_read ON pending_actions FOR SELECT TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms));
ALTER TABLE gpus ENABLE ROW LEVEL SECURITY;
CREATE POLICY gpus_server ON gpus TO virtapi_server USING (true);
CREATE POLICY gpus_read ON gpus FOR SELECT TO virtapi_customer
    USING (vm_id IN (SELECT id FROM vms));
ALTER TABLE networks ENABLE ROW LEVEL SECURITY;
CREATE POLICY networks_server ON networks TO virtapi_server USING (true);
CREATE POLICY networks_read ON networks FOR SELECT TO virtapi_customer
    USING (audience = 'customers' AND (environment_id IS NULL OR environment_id IN (SELECT id FROM environments)));
ALTER TABLE subnets ENABLE ROW LEVEL SECURITY;
CREATE POLICY subnets_server ON subnets TO virtapi_server USING (true);
CREATE POLICY subnets_read ON subnets FOR SELECT TO virtapi_customer
    USING (network_id IN (SELECT id FROM networks));

-- By which a subnet finds the addresses in it.
CREATE INDEX addresses_ip_idx ON addresses USING gist (ip inet_ops);
