-- The inventory. Three rules hold throughout:
--   * a constraint is named <table>_<column>_<key|fkey|check>: src/error.rs turns the name into the field at fault;
--   * a natural key is never all digits, so that it cannot be taken for an id;
--   * a row that belongs to another (an interface to its VM, a role to its node) goes with it (ON DELETE CASCADE);
--     a row that is only referred to cannot be deleted while it is in use.
-- What changes a node's document raises nodes.generation or ceph_clusters.generation; src/change.rs does that.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- A name that stands in a URL: no slash, no control character, not all digits.
CREATE DOMAIN name_text AS text CONSTRAINT name_text_check
    CHECK (VALUE ~ '^[^/[:cntrl:]]{1,64}$' AND VALUE ~ '[^0-9]' AND VALUE !~ '^(\.|\s)|\s$' AND VALUE <> '<<');

CREATE TABLE node_states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT node_states_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vm_states (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT vm_states_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE virt_methods (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT virt_methods_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE storage_types (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT storage_types_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cache_options (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT cache_options_name_key UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vlans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT vlans_name_key UNIQUE,
    tag integer CONSTRAINT vlans_tag_check CHECK (tag BETWEEN 1 AND 4094),
    vni integer CONSTRAINT vlans_vni_check CHECK (vni BETWEEN 0 AND 16777215),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT vlans_tag_or_vni_check CHECK (num_nonnulls(tag, vni) = 1)
);

CREATE TABLE networks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT networks_name_key UNIQUE,
    cidr cidr,
    mtu integer CONSTRAINT networks_mtu_check CHECK (mtu BETWEEN 68 AND 65535),
    vlan_id bigint CONSTRAINT networks_vlan_id_fkey REFERENCES vlans,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX networks_vlan_id_idx ON networks (vlan_id);

CREATE TABLE nodes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fqdn text NOT NULL CONSTRAINT nodes_fqdn_key UNIQUE
        CONSTRAINT nodes_fqdn_check CHECK (
            length(fqdn) <= 253 AND fqdn ~ '[^0-9]'
            AND fqdn ~ '^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$'),
    location text CONSTRAINT nodes_location_check
        CHECK (length(location) BETWEEN 1 AND 255 AND location !~ '[\x01-\x1f]'),
    state_id bigint NOT NULL CONSTRAINT nodes_state_id_fkey REFERENCES node_states,
    environment text CONSTRAINT nodes_environment_check CHECK (environment ~ '^[a-z0-9_]{1,64}$'),
    -- json, for jsonb keeps neither the order of keys nor the difference between 1e16 and 10000000000000000.
    parameters json NOT NULL DEFAULT '{}'
        CONSTRAINT nodes_parameters_check CHECK (json_typeof(parameters) = 'object'),
    management_network_id bigint CONSTRAINT nodes_management_network_id_fkey REFERENCES networks,
    storage_network_id bigint CONSTRAINT nodes_storage_network_id_fkey REFERENCES networks,
    backup_network_id bigint CONSTRAINT nodes_backup_network_id_fkey REFERENCES networks,
    generation bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX nodes_state_id_idx ON nodes (state_id);
CREATE INDEX nodes_management_network_id_idx ON nodes (management_network_id);
CREATE INDEX nodes_storage_network_id_idx ON nodes (storage_network_id);
CREATE INDEX nodes_backup_network_id_idx ON nodes (backup_network_id);
CREATE INDEX nodes_fqdn_trgm_idx ON nodes USING gin (fqdn gin_trgm_ops);
CREATE INDEX nodes_location_trgm_idx ON nodes USING gin (location gin_trgm_ops);

CREATE TABLE bonds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL CONSTRAINT bonds_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT bonds_name_check CHECK (name ~ '^[A-Za-z][A-Za-z0-9_.-]{0,14}$'),
    mode text NOT NULL CONSTRAINT bonds_mode_check CHECK (mode IN
        ('balance-rr', 'active-backup', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT bonds_name_key UNIQUE (node_id, name),
    -- What interfaces_bond_id_fkey refers to.
    CONSTRAINT bonds_id_node_id_key UNIQUE (id, node_id)
);

CREATE TABLE hypervisors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL CONSTRAINT hypervisors_node_id_key UNIQUE
        CONSTRAINT hypervisors_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    local_storage_bytes bigint CONSTRAINT hypervisors_local_storage_bytes_check CHECK (local_storage_bytes >= 0),
    local_storage_path text
        CONSTRAINT hypervisors_local_storage_path_check CHECK (local_storage_path ~ '^/[^[:cntrl:]]*$'),
    vg_name text CONSTRAINT hypervisors_vg_name_check CHECK (vg_name ~ '^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$'),
    cores integer NOT NULL CONSTRAINT hypervisors_cores_check CHECK (cores > 0),
    ram_bytes bigint NOT NULL CONSTRAINT hypervisors_ram_bytes_check CHECK (ram_bytes > 0),
    cpu_overcommit_ratio double precision NOT NULL DEFAULT 1
        CONSTRAINT hypervisors_cpu_overcommit_ratio_check CHECK (cpu_overcommit_ratio BETWEEN 0.1 AND 1000),
    ram_overcommit_ratio double precision NOT NULL DEFAULT 1
        CONSTRAINT hypervisors_ram_overcommit_ratio_check CHECK (ram_overcommit_ratio BETWEEN 0.1 AND 1000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE hypervisor_virt_methods (
    hypervisor_id bigint NOT NULL
        CONSTRAINT hypervisor_virt_methods_hypervisor_id_fkey REFERENCES hypervisors ON DELETE CASCADE,
    virt_method_id bigint NOT NULL CONSTRAINT hypervisor_virt_methods_virt_method_id_fkey REFERENCES virt_methods,
    PRIMARY KEY (hypervisor_id, virt_method_id)
);
CREATE INDEX hypervisor_virt_methods_virt_method_id_idx ON hypervisor_virt_methods (virt_method_id);

CREATE TABLE ceph_clusters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT ceph_clusters_name_key UNIQUE,
    fsid uuid NOT NULL CONSTRAINT ceph_clusters_fsid_key UNIQUE,
    public_network cidr,
    cluster_network cidr,
    generation bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ceph_pools (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT ceph_pools_name_key UNIQUE,
    cluster_id bigint NOT NULL CONSTRAINT ceph_pools_cluster_id_fkey REFERENCES ceph_clusters,
    size integer NOT NULL DEFAULT 3 CONSTRAINT ceph_pools_size_check CHECK (size BETWEEN 1 AND 16),
    min_size integer NOT NULL DEFAULT 2
        CONSTRAINT ceph_pools_min_size_check CHECK (min_size BETWEEN 1 AND size),
    pg_num integer NOT NULL DEFAULT 32 CONSTRAINT ceph_pools_pg_num_check CHECK (pg_num BETWEEN 1 AND 65536),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ceph_pools_cluster_id_idx ON ceph_pools (cluster_id);

CREATE TABLE ceph_mons (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL CONSTRAINT ceph_mons_node_id_key UNIQUE
        CONSTRAINT ceph_mons_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    cluster_id bigint NOT NULL CONSTRAINT ceph_mons_cluster_id_fkey REFERENCES ceph_clusters,
    -- Never null, but a trigger below may set it.
    name text CONSTRAINT ceph_mons_name_check CHECK (name IS NOT NULL AND name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
    -- Without a prefix length.
    address inet NOT NULL CONSTRAINT ceph_mons_address_check
        CHECK (masklen(address) = CASE family(address) WHEN 4 THEN 32 ELSE 128 END),
    port integer NOT NULL DEFAULT 6789 CONSTRAINT ceph_mons_port_check CHECK (port BETWEEN 1 AND 65535),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ceph_mons_name_key UNIQUE (cluster_id, name),
    CONSTRAINT ceph_mons_address_key UNIQUE (address, port)
);
CREATE INDEX ceph_mons_cluster_id_idx ON ceph_mons (cluster_id);

-- A mon that is given no name has its node's short name, as Ceph's own tools do it.
CREATE FUNCTION ceph_mons_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.name := COALESCE(NEW.name, (SELECT split_part(fqdn, '.', 1) FROM nodes WHERE id = NEW.node_id));
    RETURN NEW;
END $$;
CREATE TRIGGER ceph_mons_name BEFORE INSERT OR UPDATE ON ceph_mons FOR EACH ROW EXECUTE FUNCTION ceph_mons_name();

CREATE TABLE ceph_osds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL CONSTRAINT ceph_osds_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    cluster_id bigint NOT NULL CONSTRAINT ceph_osds_cluster_id_fkey REFERENCES ceph_clusters,
    uuid uuid NOT NULL CONSTRAINT ceph_osds_uuid_key UNIQUE,
    device text NOT NULL CONSTRAINT ceph_osds_device_check CHECK (device ~ '^/dev/[A-Za-z0-9_./:+-]{1,200}$'),
    db_device text CONSTRAINT ceph_osds_db_device_check CHECK (db_device ~ '^/dev/[A-Za-z0-9_./:+-]{1,200}$'),
    device_class text CONSTRAINT ceph_osds_device_class_check CHECK (device_class ~ '^[A-Za-z0-9_.-]{1,32}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ceph_osds_device_key UNIQUE (node_id, device)
);
CREATE INDEX ceph_osds_cluster_id_idx ON ceph_osds (cluster_id);

CREATE TABLE vms (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT vms_uuid_key UNIQUE,
    name text NOT NULL CONSTRAINT vms_name_check CHECK (length(name) BETWEEN 1 AND 255 AND name !~ '[\x01-\x1f]'),
    cores integer NOT NULL CONSTRAINT vms_cores_check CHECK (cores BETWEEN 1 AND 4096),
    ram_bytes bigint NOT NULL CONSTRAINT vms_ram_bytes_check CHECK (ram_bytes > 0),
    cputime_limit integer CONSTRAINT vms_cputime_limit_check CHECK (cputime_limit BETWEEN 1 AND 100),
    state_id bigint NOT NULL CONSTRAINT vms_state_id_fkey REFERENCES vm_states,
    hypervisor_id bigint CONSTRAINT vms_hypervisor_id_fkey REFERENCES hypervisors,
    virt_method_id bigint NOT NULL CONSTRAINT vms_virt_method_id_fkey REFERENCES virt_methods,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- A VM's method is one that its hypervisor offers.
    CONSTRAINT vms_virt_method_offered_fkey
        FOREIGN KEY (hypervisor_id, virt_method_id) REFERENCES hypervisor_virt_methods (hypervisor_id, virt_method_id)
);
CREATE INDEX vms_hypervisor_id_idx ON vms (hypervisor_id, virt_method_id);
CREATE INDEX vms_virt_method_id_idx ON vms (virt_method_id);
CREATE INDEX vms_state_id_idx ON vms (state_id);
CREATE INDEX vms_name_trgm_idx ON vms USING gin (name gin_trgm_ops);

CREATE TABLE interfaces (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mac macaddr NOT NULL CONSTRAINT interfaces_mac_key UNIQUE,
    name text CONSTRAINT interfaces_name_check CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$'),
    node_id bigint CONSTRAINT interfaces_node_id_fkey REFERENCES nodes ON DELETE CASCADE,
    vm_id bigint CONSTRAINT interfaces_vm_id_fkey REFERENCES vms ON DELETE CASCADE,
    bond_id bigint,
    -- The kernel allows 15 characters: when decimal ids get too long for that, both are written in hex, without the
    -- first dash, so that the two forms never meet.
    bridge text GENERATED ALWAYS AS (CASE
        WHEN vm_id IS NULL THEN NULL
        WHEN length('br-' || vm_id || '-' || id) <= 15 THEN 'br-' || vm_id || '-' || id
        ELSE 'br' || to_hex(vm_id) || '-' || to_hex(id)
    END) STORED CONSTRAINT interfaces_bridge_check CHECK (length(bridge) <= 15),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT interfaces_node_or_vm_check CHECK (num_nonnulls(node_id, vm_id) = 1),
    CONSTRAINT interfaces_bond_of_node_check CHECK (bond_id IS NULL OR node_id IS NOT NULL),
    CONSTRAINT interfaces_bond_id_fkey
        FOREIGN KEY (bond_id, node_id) REFERENCES bonds (id, node_id) ON DELETE SET NULL (bond_id)
);
CREATE INDEX interfaces_node_id_idx ON interfaces (node_id);
CREATE INDEX interfaces_vm_id_idx ON interfaces (vm_id);
CREATE INDEX interfaces_bond_id_idx ON interfaces (bond_id);

CREATE TABLE interface_vlans (
    interface_id bigint NOT NULL CONSTRAINT interface_vlans_interface_id_fkey REFERENCES interfaces ON DELETE CASCADE,
    vlan_id bigint NOT NULL CONSTRAINT interface_vlans_vlan_id_fkey REFERENCES vlans,
    PRIMARY KEY (interface_id, vlan_id)
);
CREATE INDEX interface_vlans_vlan_id_idx ON interface_vlans (vlan_id);

CREATE TABLE addresses (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- With the prefix length of its network.
    ip inet NOT NULL,
    interface_id bigint NOT NULL CONSTRAINT addresses_interface_id_fkey REFERENCES interfaces ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- An address is unique whatever its prefix length.
CREATE UNIQUE INDEX addresses_ip_key ON addresses (host(ip));
CREATE INDEX addresses_interface_id_idx ON addresses (interface_id);

CREATE TABLE images (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name name_text NOT NULL CONSTRAINT images_name_key UNIQUE,
    format text NOT NULL CONSTRAINT images_format_check CHECK (format IN ('qcow2', 'raw')),
    path text NOT NULL CONSTRAINT images_path_check CHECK (path ~ '^/[^[:cntrl:]]+$'),
    size_bytes bigint NOT NULL CONSTRAINT images_size_bytes_check CHECK (size_bytes > 0),
    checksum text CONSTRAINT images_checksum_check CHECK (checksum ~ '^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE volumes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL CONSTRAINT volumes_uuid_key UNIQUE,
    vm_id bigint CONSTRAINT volumes_vm_id_fkey REFERENCES vms,
    storage_type_id bigint NOT NULL CONSTRAINT volumes_storage_type_id_fkey REFERENCES storage_types,
    cache_option_id bigint NOT NULL CONSTRAINT volumes_cache_option_id_fkey REFERENCES cache_options,
    ceph_pool_id bigint CONSTRAINT volumes_ceph_pool_id_fkey REFERENCES ceph_pools,
    image_id bigint CONSTRAINT volumes_image_id_fkey REFERENCES images,
    size_bytes bigint NOT NULL CONSTRAINT volumes_size_bytes_check CHECK (size_bytes > 0),
    read_iops_limit bigint CONSTRAINT volumes_read_iops_limit_check CHECK (read_iops_limit > 0),
    write_iops_limit bigint CONSTRAINT volumes_write_iops_limit_check CHECK (write_iops_limit > 0),
    read_bps_limit bigint CONSTRAINT volumes_read_bps_limit_check CHECK (read_bps_limit > 0),
    write_bps_limit bigint CONSTRAINT volumes_write_bps_limit_check CHECK (write_bps_limit > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX volumes_vm_id_idx ON volumes (vm_id);
CREATE INDEX volumes_storage_type_id_idx ON volumes (storage_type_id);
CREATE INDEX volumes_cache_option_id_idx ON volumes (cache_option_id);
CREATE INDEX volumes_ceph_pool_id_idx ON volumes (ceph_pool_id);
CREATE INDEX volumes_image_id_idx ON volumes (image_id);

-- What a CHECK cannot see, for it looks at one row: the type's name and the image's size.
CREATE FUNCTION volumes_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    type_name text := (SELECT name FROM storage_types WHERE id = NEW.storage_type_id);
    -- Locked, so that it stays as it is seen until this is committed.
    image_size bigint := (SELECT size_bytes FROM images WHERE id = NEW.image_id FOR SHARE);
BEGIN
    IF (type_name = 'rbd') <> (NEW.ceph_pool_id IS NOT NULL) THEN
        RAISE check_violation USING MESSAGE = 'an rbd volume has a pool, and no other has',
            TABLE = 'volumes', CONSTRAINT = 'volumes_ceph_pool_check';
    ELSIF NEW.image_id IS NOT NULL AND type_name <> 'qcow2' THEN
        RAISE check_violation USING MESSAGE = 'only a qcow2 volume can have a backing file',
            TABLE = 'volumes', CONSTRAINT = 'volumes_image_backing_check';
    ELSIF image_size > NEW.size_bytes THEN
        RAISE check_violation USING MESSAGE = 'a volume is at least as big as its image',
            TABLE = 'volumes', CONSTRAINT = 'volumes_size_of_image_check';
    END IF;
    RETURN NEW;
END $$;
-- A volume must have a place: an lvm volume a volume group, a file a directory. That is told by the hypervisor of its VM,
-- so whichever of the three changes is looked at; else one volume would cost the whole node its document.
CREATE VIEW volumes_without_place AS
    SELECT h.id AS hypervisor_id, m.id AS vm_id, d.id AS volume_id
    FROM hypervisors h JOIN vms m ON m.hypervisor_id = h.id JOIN volumes d ON d.vm_id = m.id
    JOIN storage_types t ON t.id = d.storage_type_id
    WHERE CASE t.name WHEN 'rbd' THEN FALSE WHEN 'lvm' THEN h.vg_name IS NULL ELSE h.local_storage_path IS NULL END;
CREATE FUNCTION volume_place_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found_one boolean;
BEGIN
    IF TG_TABLE_NAME = 'hypervisors' THEN
        found_one := EXISTS (SELECT FROM volumes_without_place WHERE hypervisor_id = NEW.id);
    ELSIF TG_TABLE_NAME = 'vms' THEN
        found_one := EXISTS (SELECT FROM volumes_without_place WHERE vm_id = NEW.id);
    ELSE
        found_one := EXISTS (SELECT FROM volumes_without_place WHERE volume_id = NEW.id);
    END IF;
    IF found_one THEN
        RAISE check_violation USING MESSAGE = 'a volume has no place on its hypervisor',
            TABLE = TG_TABLE_NAME, CONSTRAINT = TG_TABLE_NAME || '_volume_place_check';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER hypervisors_volume_place_check AFTER UPDATE OF vg_name, local_storage_path ON hypervisors
    FOR EACH ROW EXECUTE FUNCTION volume_place_check();
CREATE TRIGGER vms_volume_place_check AFTER UPDATE OF hypervisor_id ON vms
    FOR EACH ROW WHEN (NEW.hypervisor_id IS DISTINCT FROM OLD.hypervisor_id) EXECUTE FUNCTION volume_place_check();
CREATE TRIGGER volumes_volume_place_check AFTER INSERT OR UPDATE OF vm_id, storage_type_id ON volumes
    FOR EACH ROW WHEN (NEW.vm_id IS NOT NULL) EXECUTE FUNCTION volume_place_check();

CREATE TRIGGER volumes_check BEFORE INSERT OR UPDATE ON volumes FOR EACH ROW EXECUTE FUNCTION volumes_check();

-- The same rules from the other side: an image does not outgrow its volumes, and the type of a volume keeps its name.
CREATE FUNCTION images_size_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE image_id = NEW.id AND size_bytes < NEW.size_bytes) THEN
        RAISE check_violation USING MESSAGE = 'a volume is at least as big as its image',
            TABLE = 'images', CONSTRAINT = 'images_size_of_volumes_check';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER images_size_check AFTER UPDATE OF size_bytes ON images
    FOR EACH ROW WHEN (NEW.size_bytes > OLD.size_bytes) EXECUTE FUNCTION images_size_check();
CREATE FUNCTION storage_types_name_check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM volumes WHERE storage_type_id = NEW.id) THEN
        RAISE check_violation USING MESSAGE = 'the name of a type says where its volumes are',
            TABLE = 'storage_types', CONSTRAINT = 'storage_types_name_in_use_check';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER storage_types_name_check AFTER UPDATE OF name ON storage_types
    FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION storage_types_name_check();

CREATE TABLE snapshots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    volume_id bigint NOT NULL CONSTRAINT snapshots_volume_id_fkey REFERENCES volumes ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT snapshots_name_check CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$'),
    take_at timestamptz NOT NULL,
    keep_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT snapshots_name_key UNIQUE (volume_id, name),
    CONSTRAINT snapshots_keep_until_check CHECK (keep_until > take_at)
);

-- The first answers to requests with an Idempotency-Key.
CREATE TABLE idempotency_keys (
    key text PRIMARY KEY CONSTRAINT idempotency_keys_key_check CHECK (length(key) BETWEEN 1 AND 255),
    -- Of what was asked, so that a key is not used for two different requests.
    request_digest text NOT NULL,
    answer json,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

INSERT INTO node_states (name) VALUES ('running'), ('stopped'), ('deactivated'), ('maintenance');
INSERT INTO vm_states (name) VALUES ('running'), ('stopped'), ('deactivated'), ('maintenance');
INSERT INTO virt_methods (name) VALUES ('KVM'), ('QEMU'), ('LXC');
INSERT INTO storage_types (name) VALUES ('qcow2'), ('raw'), ('lvm'), ('rbd');
INSERT INTO cache_options (name)
    VALUES ('default'), ('none'), ('writethrough'), ('writeback'), ('directsync'), ('unsafe');
