//! The rules hold in the database as well, whoever writes to it: each is broken here by plain SQL, past the API.

use rocket::http::{Method, Status};
use rocket::tokio;
use serde_json::json;
use std::collections::BTreeSet;

use crate::harness::{TOKEN, rows, sql};
use crate::relations::demo;
use crate::sessions::Browser;

/// Every check, with a statement that breaks it and no other. Those of `name_text` are in one domain.
const CHECKS: &[(&str, &str)] = &[
    ("bonds_mode_check", "UPDATE bonds SET mode = 'fast'"),
    ("bonds_name_check", "UPDATE bonds SET name = '0'"),
    ("bonds_name_check", "UPDATE bonds SET name = 'a/b'"),
    ("bonds_name_check", "UPDATE bonds SET name = 'a2345678901234567'"),
    ("ceph_mons_address_check", "UPDATE ceph_mons SET address = '10.1.0.0/24'"),
    ("ceph_mons_name_check", "UPDATE ceph_mons SET name = 'a b'"),
    (
        "audit_events_action_check",
        "INSERT INTO audit_events (actor, action, collection, object_id, object_key) VALUES ('a', 'look', 'vms', 1, 'a')",
    ),
    (
        "audit_events_object_check",
        "INSERT INTO audit_events (actor, action, collection, object_key) VALUES ('a', 'delete', 'vms', 'a')",
    ),
    ("audit_events_object_check", "INSERT INTO audit_events (actor, action) VALUES ('a', 'create')"),
    ("audit_events_object_check", "INSERT INTO audit_events (actor, action, object_id) VALUES ('a', 'read', 1)"),
    (
        "audit_events_object_check",
        "INSERT INTO audit_events (actor, action, collection, object_key) VALUES ('a', 'refuse', 'nodes', 'a')",
    ),
    ("audit_events_times_check", "INSERT INTO audit_events (actor, action, times) VALUES ('a', 'refuse', 0)"),
    ("audit_events_times_check", "INSERT INTO audit_events (actor, action, times) VALUES ('a', 'login', 2)"),
    ("audit_events_detail_check", "INSERT INTO audit_events (actor, action, detail) VALUES ('a', 'login', '')"),
    ("audit_events_detail_check", "INSERT INTO audit_events (actor, action, detail) VALUES ('a', 'login', E'a\\nb')"),
    (
        "audit_events_message_check",
        "INSERT INTO audit_events (actor, action, collection, object_id, object_key, message) VALUES ('a', 'create', 'vms', 1, 'a', '')",
    ),
    ("ceph_mons_port_check", "UPDATE ceph_mons SET port = 0"),
    ("ceph_mons_port_check", "UPDATE ceph_mons SET port = 65536"),
    ("ceph_osds_db_device_check", "UPDATE ceph_osds SET db_device = 'nvme0n1'"),
    ("ceph_osds_device_check", "UPDATE ceph_osds SET device = '/tmp/file'"),
    ("ceph_osds_device_class_check", "UPDATE ceph_osds SET device_class = ''"),
    ("ceph_pools_min_size_check", "UPDATE ceph_pools SET min_size = size + 1"),
    ("ceph_pools_min_size_check", "UPDATE ceph_pools SET min_size = 0"),
    ("ceph_pools_pg_num_check", "UPDATE ceph_pools SET pg_num = 0"),
    ("ceph_pools_size_check", "UPDATE ceph_pools SET size = 17"),
    ("compilers_certname_check", "INSERT INTO compilers (name, serves, certname) VALUES ('a', 'all', 'A.example.com')"),
    ("compilers_filter_given_check", "INSERT INTO compilers (name, serves) VALUES ('a', 'filter')"),
    ("compilers_node_filter_check", "INSERT INTO compilers (name, serves, node_filter) VALUES ('a', 'filter', '')"),
    ("compilers_serves_check", "INSERT INTO compilers (name, serves) VALUES ('a', 'some')"),
    (
        "tombstones_ceph_pool_check",
        "INSERT INTO tombstones (hypervisor_id, uuid, number, ceph_pool_id, not_before) SELECT h.id, gen_random_uuid(), 99, p.id, now() FROM hypervisors h, ceph_pools p LIMIT 1",
    ),
    (
        "tombstones_gone_check",
        "INSERT INTO tombstones (hypervisor_id, uuid, number, not_before) SELECT hypervisor_id, uuid, 99, now() FROM vms WHERE hypervisor_id IS NOT NULL LIMIT 1",
    ),
    (
        "tombstones_name_check",
        "INSERT INTO tombstones (hypervisor_id, uuid, number, name, not_before) SELECT id, gen_random_uuid(), 99, '', now() FROM hypervisors LIMIT 1",
    ),
    (
        "tombstones_number_check",
        "INSERT INTO tombstones (hypervisor_id, uuid, number, not_before) SELECT id, gen_random_uuid(), 0, now() FROM hypervisors LIMIT 1",
    ),
    (
        "tombstones_size_bytes_check",
        "INSERT INTO tombstones (hypervisor_id, uuid, number, size_bytes, storage_type_id, not_before) SELECT h.id, gen_random_uuid(), 99, 0, t.id, now() FROM hypervisors h, storage_types t WHERE t.name = 'raw' LIMIT 1",
    ),
    ("hypervisors_cores_check", "UPDATE hypervisors SET cores = 0"),
    ("hypervisors_cpu_overcommit_ratio_check", "UPDATE hypervisors SET cpu_overcommit_ratio = 0"),
    ("hypervisors_cpu_overcommit_ratio_check", "UPDATE hypervisors SET cpu_overcommit_ratio = 'NaN'"),
    ("hypervisors_local_storage_bytes_check", "UPDATE hypervisors SET local_storage_bytes = -1"),
    ("hypervisors_local_storage_path_check", "UPDATE hypervisors SET local_storage_path = 'var'"),
    ("hypervisors_ram_bytes_check", "UPDATE hypervisors SET ram_bytes = 0"),
    ("hypervisors_ram_overcommit_ratio_check", "UPDATE hypervisors SET ram_overcommit_ratio = 'Infinity'"),
    ("hypervisors_vg_name_check", "UPDATE hypervisors SET vg_name = '-r'"),
    ("hypervisors_volume_place_check", "UPDATE hypervisors SET local_storage_path = NULL"),
    ("idempotency_keys_key_check", "INSERT INTO idempotency_keys (key, request_digest) VALUES ('', '')"),
    ("images_checksum_check", "UPDATE images SET checksum = 'md5:0'"),
    ("images_format_check", "UPDATE images SET format = 'vmdk'"),
    ("images_path_check", "UPDATE images SET path = '/'"),
    ("images_size_bytes_check", "UPDATE images SET size_bytes = 0"),
    ("images_size_of_volumes_check", "UPDATE images SET size_bytes = 9223372036854775807"),
    ("interfaces_bond_of_node_check", "UPDATE interfaces SET bond_id = 1 WHERE vm_id IS NOT NULL"),
    (
        "interfaces_bridge_check",
        "INSERT INTO interfaces (id, mac, vm_id) OVERRIDING SYSTEM VALUE SELECT 999999999999999, '52:54:00:ff:ff:ff', min(id) FROM vms",
    ),
    ("interfaces_name_check", "UPDATE interfaces SET name = 'a2345678901234567' WHERE node_id IS NOT NULL"),
    ("interfaces_node_or_vm_check", "UPDATE interfaces SET vm_id = NULL, node_id = NULL, bond_id = NULL"),
    (
        "interfaces_node_or_vm_check",
        "UPDATE interfaces SET node_id = 1, vm_id = (SELECT min(id) FROM vms), bond_id = NULL",
    ),
    ("memberships_role_check", "UPDATE memberships SET role = 'king'"),
    ("name_text_check", "UPDATE images SET name = '7'"),
    ("name_text_check", "UPDATE images SET name = 'a/b'"),
    ("name_text_check", "UPDATE images SET name = ' a'"),
    ("name_text_check", "UPDATE images SET name = '<<'"),
    ("name_text_check", "UPDATE images SET name = ''"),
    ("networks_mtu_check", "UPDATE networks SET mtu = 67"),
    ("nodes_environment_check", "UPDATE nodes SET environment = 'Production'"),
    ("nodes_fqdn_check", "UPDATE nodes SET fqdn = 'A.example.com'"),
    ("nodes_fqdn_check", "UPDATE nodes SET fqdn = '42'"),
    ("nodes_location_check", "UPDATE nodes SET location = ''"),
    ("nodes_parameters_check", "UPDATE nodes SET parameters = '[]'"),
    ("snapshots_keep_until_check", "UPDATE snapshots SET keep_until = take_at"),
    ("snapshots_name_check", "UPDATE snapshots SET name = 'a b'"),
    ("organizations_full_name_check", "UPDATE organizations SET full_name = ''"),
    ("storage_types_name_in_use_check", "UPDATE storage_types SET name = name || '2'"),
    ("tokens_holder_check", "UPDATE tokens SET user_id = NULL"),
    ("tokens_holder_check", "UPDATE tokens SET node_id = 1"),
    ("tokens_name_check", "UPDATE tokens SET name = ''"),
    ("tokens_scope_check", "UPDATE tokens SET scope = 'some'"),
    ("users_account_type_check", "UPDATE users SET account_type = 'robot'"),
    ("users_full_name_check", "UPDATE users SET full_name = E'a\\nb'"),
    ("users_role_check", "UPDATE users SET role = 'root'"),
    ("users_state_check", "UPDATE users SET state = 'gone'"),
    ("vlans_tag_check", "UPDATE vlans SET tag = 4095, vni = NULL"),
    ("vlans_tag_or_vni_check", "UPDATE vlans SET tag = 1, vni = 1"),
    ("vlans_tag_or_vni_check", "UPDATE vlans SET tag = NULL, vni = NULL"),
    ("vlans_vni_check", "UPDATE vlans SET tag = NULL, vni = 16777216"),
    ("teams_role_check", "UPDATE teams SET role = 'king'"),
    ("vms_environment_check", "UPDATE vms SET environment_id = 2 WHERE environment_id = 1"),
    ("volumes_environment_check", "UPDATE volumes SET environment_id = 2 WHERE environment_id = 1"),
    ("vms_cores_check", "UPDATE vms SET cores = 0"),
    ("vms_cputime_limit_check", "UPDATE vms SET cputime_limit = 101"),
    ("vms_name_check", "UPDATE vms SET name = E'a\\nb'"),
    ("broker_leases_is_only_check", "INSERT INTO broker_leases (is_only) VALUES (false)"),
    (
        "signing_secrets_signer_check",
        "INSERT INTO signing_secrets (webhook_id, organization_id, secret) SELECT w.id, w.organization_id, 'a' FROM webhooks w WHERE w.organization_id IS NOT NULL",
    ),
    ("vm_tellings_state_check", "INSERT INTO vm_tellings (vm_id, state) SELECT id, 'odd' FROM vms LIMIT 1"),
    (
        "webhook_deliveries_next_attempt_at_check",
        "INSERT INTO webhook_deliveries (event_id, collection, object_id, object_key, action, url, body, next_attempt_at) VALUES (gen_random_uuid(), 'vms', 1, 'a', 'create', 'https://a', '{}', NULL)",
    ),
    (
        "webhook_deliveries_status_check",
        "INSERT INTO webhook_deliveries (event_id, collection, object_id, object_key, action, url, body, next_attempt_at, status) VALUES (gen_random_uuid(), 'vms', 1, 'a', 'create', 'https://a', '{}', NULL, 'odd')",
    ),
    ("webhooks_name_check", "UPDATE webhooks SET name = ''"),
    ("webhooks_state_check", "UPDATE webhooks SET state = 'gone'"),
    ("webhooks_url_check", "UPDATE webhooks SET url = 'ftp://example.com/'"),
    ("events_node_or_cluster_check", "INSERT INTO events (node_id, cluster_id) VALUES (1, 1)"),
    ("events_forgotten_is_only_check", "INSERT INTO events_forgotten (is_only, transaction) VALUES (false, 1)"),
    ("run_events_status_check", "INSERT INTO run_events (run, node, resource, status) VALUES (1, 'a', 'b', 'odd')"),
    ("runs_changed_check", "$run; UPDATE runs SET changed = -1"),
    ("runs_duration_seconds_check", "$run; UPDATE runs SET duration_seconds = -1"),
    ("runs_failed_check", "$run; UPDATE runs SET failed = -1"),
    ("runs_mode_check", "$run; UPDATE runs SET mode = 'dry'"),
    ("runs_out_of_sync_check", "$run; UPDATE runs SET out_of_sync = -1"),
    ("runs_status_check", "$run; UPDATE runs SET status = 'odd'"),
    ("runs_tool_check", "$run; UPDATE runs SET tool = 'chef'"),
    ("runs_total_check", "$run; UPDATE runs SET total = -1"),
    ("user_passwords_hash_check", "INSERT INTO user_passwords (user_id, hash) VALUES (1, 'in the clear')"),
    ("users_openid_subject_check", "UPDATE users SET openid_subject = '' WHERE id = 1"),
    ("vms_ram_bytes_check", "UPDATE vms SET ram_bytes = 0"),
    ("vms_volume_place_check", "$bare; UPDATE vms SET hypervisor_id = bare()"),
    ("volumes_ceph_pool_check", "UPDATE volumes SET ceph_pool_id = NULL WHERE ceph_pool_id IS NOT NULL"),
    (
        "volumes_image_backing_check",
        "UPDATE volumes SET image_id = (SELECT min(id) FROM images) WHERE ceph_pool_id IS NOT NULL",
    ),
    ("volumes_read_bps_limit_check", "UPDATE volumes SET read_bps_limit = 0"),
    ("volumes_read_iops_limit_check", "UPDATE volumes SET read_iops_limit = 0"),
    ("volumes_name_key", "UPDATE volumes SET vm_id = NULL; UPDATE volumes SET environment_id = 1, name = 'same'"),
    ("volumes_restored_from_check", "UPDATE volumes SET restores = 1"),
    ("volumes_restores_check", "UPDATE volumes SET restores = -1, restored_from = 'golden'"),
    ("volumes_size_bytes_check", "UPDATE volumes SET size_bytes = 0 WHERE image_id IS NULL"),
    ("volumes_size_of_image_check", "UPDATE volumes SET size_bytes = 1 WHERE image_id IS NOT NULL"),
    (
        "volumes_volume_place_check",
        "$bare; UPDATE floating_ips SET vm_id = NULL; DELETE FROM vm_keys; UPDATE volumes SET vm_id = NULL, environment_id = NULL; UPDATE vms SET group_id = NULL; UPDATE vms SET environment_id = NULL, hypervisor_id = bare(); UPDATE volumes SET vm_id = (SELECT min(id) FROM vms)",
    ),
    ("environments_placement_check", "UPDATE environments SET placement = 'random'"),
    ("flavors_ceph_pool_check", "UPDATE flavors SET ceph_pool_id = (SELECT min(id) FROM ceph_pools)"),
    ("flavors_cores_check", "UPDATE flavors SET cores = 4097"),
    ("flavors_disk_bps_check", "UPDATE flavors SET disk_bps = 0"),
    ("flavors_disk_bytes_check", "UPDATE flavors SET disk_bytes = 0"),
    ("flavors_gpu_count_check", "UPDATE flavors SET gpu_count = 65 WHERE gpu_model IS NOT NULL"),
    ("flavors_gpu_model_check", "UPDATE flavors SET gpu_model = 'a b' WHERE gpu_count > 0"),
    ("flavors_gpus_check", "UPDATE flavors SET gpu_count = 0"),
    ("flavors_gpus_check", "UPDATE flavors SET gpu_model = NULL"),
    ("flavors_iops_check", "UPDATE flavors SET iops = 0"),
    ("flavors_ram_bytes_check", "UPDATE flavors SET ram_bytes = 0"),
    ("floating_ips_ip_check", "UPDATE floating_ips SET ip = '203.0.113.0/28' WHERE ip = '203.0.113.1'"),
    (
        "floating_ips_left_check",
        "DELETE FROM subnets WHERE purpose = 'floating' AND id NOT IN (SELECT subnet_id FROM floating_ips); UPDATE subnets SET purpose = 'addresses'; INSERT INTO floating_ips (environment_id) VALUES (1)",
    ),
    ("floating_ips_subnet_check", "UPDATE floating_ips SET ip = '192.0.2.99' WHERE vm_id IS NULL"),
    (
        "floating_ips_subnet_given_check",
        "ALTER TABLE floating_ips DISABLE TRIGGER floating_ips_fill; UPDATE floating_ips SET subnet_id = NULL",
    ),
    ("floating_ips_environment_check", "UPDATE floating_ips SET environment_id = 2 WHERE vm_id IS NOT NULL"),
    ("gpus_address_check", "UPDATE gpus SET address = '3b:00.0'"),
    ("gpus_model_check", "UPDATE gpus SET model = ''"),
    ("gpus_vm_check", "UPDATE gpus SET hypervisor_id = 2 WHERE vm_id IS NOT NULL"),
    ("hypervisors_disk_bps_check", "UPDATE hypervisors SET disk_bps = 0"),
    ("hypervisors_iops_check", "UPDATE hypervisors SET iops = 0"),
    ("hypervisors_reserved_cores_check", "UPDATE hypervisors SET reserved_cores = cores + 1"),
    ("hypervisors_reserved_ram_bytes_check", "UPDATE hypervisors SET reserved_ram_bytes = -1"),
    ("ip_claims_held_check", "UPDATE ip_claims SET held_node_id = 1"),
    ("ip_claims_ip_check", "INSERT INTO ip_claims (ip) VALUES ('10.9.9.0/24')"),
    ("keys_public_key_check", "UPDATE keys SET public_key = 'ssh-ed25519'"),
    ("keys_public_key_check", "UPDATE keys SET public_key = public_key || E'\\nssh-rsa AAAA'"),
    ("labels_check", "UPDATE vms SET labels = '{a b}'"),
    ("labels_check", "UPDATE vms SET labels = NULL"),
    ("labels_check", "UPDATE vms SET labels = '{NULL}'"),
    ("networks_audience_check", "UPDATE networks SET audience = 'all', environment_id = NULL"),
    ("networks_environment_check", "UPDATE networks SET audience = 'nodes' WHERE environment_id IS NOT NULL"),
    ("placement_groups_policy_check", "UPDATE placement_groups SET policy = 'near'"),
    ("placement_groups_scope_check", "UPDATE placement_groups SET scope = 'rack'"),
    ("profiles_user_data_check", "UPDATE profiles SET user_data = ''"),
    ("security_rules_direction_check", "UPDATE security_rules SET direction = 'up'"),
    ("security_rules_ethertype_check", "UPDATE security_rules SET ethertype = 'ARP', remote_ip_prefix = NULL"),
    ("security_rules_family_check", "UPDATE security_rules SET remote_ip_prefix = '2001:db8::/32'"),
    ("security_rules_port_range_max_check", "UPDATE security_rules SET port_range_max = 65536"),
    ("security_rules_port_range_min_check", "UPDATE security_rules SET port_range_min = 0"),
    ("security_rules_ports_check", "UPDATE security_rules SET port_range_min = NULL"),
    ("security_rules_ports_check", "UPDATE security_rules SET protocol = 'icmp'"),
    (
        "security_rules_protocol_check",
        "UPDATE security_rules SET protocol = 'sctp', port_range_min = NULL, port_range_max = NULL",
    ),
    ("subnets_first_check", "UPDATE subnets SET first = '10.0.0.1', last = NULL WHERE family(cidr) = 4"),
    ("subnets_gateway_check", "UPDATE subnets SET gateway = '10.0.0.1'"),
    ("subnets_last_check", "UPDATE subnets SET last = '192.0.2.0/25' WHERE first = '192.0.2.10'"),
    ("subnets_purpose_check", "UPDATE subnets SET purpose = 'none'"),
    ("subnets_range_check", "UPDATE subnets SET last = '192.0.2.9' WHERE first = '192.0.2.10'"),
    ("vms_callback_url_check", "UPDATE vms SET callback_url = 'ftp://example.com'"),
    ("vms_firewall_check", "UPDATE vms SET firewall = 'some'"),
    (
        "vms_floating_ips_check",
        "UPDATE volumes SET vm_id = NULL; UPDATE vms SET environment_id = NULL WHERE id IN (SELECT vm_id FROM floating_ips)",
    ),
    ("vms_group_check", "UPDATE vms SET group_id = (SELECT max(id) FROM placement_groups) WHERE environment_id = 1"),
    (
        "vms_keys_check",
        "INSERT INTO vm_keys SELECT v.id, k.id FROM vms v, keys k WHERE v.environment_id <> k.environment_id",
    ),
    ("pending_actions_action_check", "INSERT INTO pending_actions VALUES (1, 'waiting', 1)"),
    ("vms_restarts_check", "UPDATE vms SET restarts = -1"),
    ("vms_user_data_check", "UPDATE vms SET user_data = ''"),
    ("volumes_lifetime_check", "UPDATE volumes SET lifetime = 'long'"),
    ("volumes_write_bps_limit_check", "UPDATE volumes SET write_bps_limit = 0"),
    ("volumes_write_iops_limit_check", "UPDATE volumes SET write_iops_limit = -1"),
];

/// For `$bare`: a hypervisor that offers every method and has no place for a volume.
const BARE: &str = "
    CREATE FUNCTION bare() RETURNS bigint LANGUAGE sql AS
        $$SELECT h.id FROM hypervisors h JOIN nodes n ON n.id = h.node_id WHERE fqdn = 'bare'$$;
    INSERT INTO nodes (fqdn, state_id) VALUES ('bare', 1);
    INSERT INTO hypervisors (node_id, cores, ram_bytes) SELECT id, 1, 1 FROM nodes WHERE fqdn = 'bare';
    INSERT INTO hypervisor_virt_methods SELECT bare(), id FROM virt_methods";

/// For `$run`.
const RUN: &str = "
    INSERT INTO runs (node, tool, run, started_at, status, mode, total, changed, failed, out_of_sync, messages)
        VALUES ('hv01.example.com', 'puppet', gen_random_uuid(), now(), 'unchanged', 'apply', 0, 0, 0, 0, '[]')";

/// The checks of tables, of domains, and those that triggers make (`CONSTRAINT = '…'` in their source).
const NAMES: &str = "
    SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    UNION SELECT replace(match[1], 'TG_TABLE_NAME', '') FROM pg_proc, regexp_matches(prosrc, '(?:CONSTRAINT =|THEN|:=) ''([a-z_]+_check)''', 'g') AS match
        WHERE pronamespace = 'public'::regnamespace
    UNION SELECT tgname FROM pg_trigger WHERE tgfoid = 'volume_place_check'::regproc";

/// A statement for every foreign key that names nothing, and for every unique constraint that makes all rows the same.
const OTHERS: &str = "
    SELECT conname, format('UPDATE %1$s SET %2$I = -1 WHERE ctid = (SELECT ctid FROM %1$s WHERE %2$I IS NOT NULL LIMIT 1)',
        conrelid::regclass, attname)
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
    WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    UNION ALL SELECT indexrelid::regclass::text, format('UPDATE %1$s SET (%2$s) = (SELECT %2$s FROM %1$s LIMIT 1)', indrelid::regclass,
        (SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey)))
    FROM pg_index WHERE indisunique AND NOT indisprimary AND NOT 0 = ANY (indkey)
        -- The id alone makes it unique; it is there to be referred to.
        AND indexrelid <> 'bonds_id_node_id_key'::regclass
        -- A volume that is of a VM has its environment; it is tried with those that are of none.
        AND indexrelid <> 'volumes_name_key'::regclass
        AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)";

/// What Postgres says that a statement breaks. Nothing is kept of it.
async fn broken_by(dsn: &str, statement: &str) -> String {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.expect("connects");
    tokio::spawn(connection);
    match client.batch_execute(&format!("BEGIN; {statement}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK")).await {
        Ok(()) => "nothing".into(),
        Err(error) => {
            let error = error.as_db_error().expect("of the database");
            error.constraint().map_or_else(|| error.message().to_owned(), str::to_owned)
        }
    }
}

#[rocket::async_test]
async fn every_rule_holds_in_the_database() {
    let app = demo().await;
    let mut wrong = vec![];
    for (rule, statement) in CHECKS {
        let broken = broken_by(&app.dsn, &statement.replace("$bare", BARE).replace("$run", RUN)).await;
        if broken != *rule {
            wrong.push(format!("{rule}: {statement} breaks {broken}"));
        }
    }
    let tried: BTreeSet<&str> = CHECKS.iter().map(|(rule, _)| *rule).collect();
    let all: Vec<String> = rows(&app.dsn, NAMES).await.into_iter().flatten().collect();
    wrong.extend(all.iter().filter(|rule| !tried.contains(rule.as_str())).map(|rule| format!("{rule} is not tried")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rocket::async_test]
async fn every_reference_and_every_key_holds_in_the_database() {
    let app = demo().await;
    // One more of each, for of one alone nothing is the same.
    for (list, body) in [
        ("ceph-clusters", json!({"name": "second"})),
        ("ceph-pools", json!({"name": "second", "cluster": "second"})),
        (
            "tombstones",
            json!({"hypervisor": "hv01.example.com", "uuid": "00000000-0000-4000-8000-000000000098",
            "number": 98, "storage_type": "rbd",
            "ceph_pool": "second", "not_before": "2026-12-01T02:00:00Z"}),
        ),
        (
            "tombstones",
            json!({"hypervisor": "hv01.example.com", "uuid": "00000000-0000-4000-8000-000000000099",
            "number": 99, "storage_type": "rbd", "ceph_pool": "second", "not_before": "2026-12-01T02:00:00Z"}),
        ),
        ("images", json!({"name": "second", "format": "raw", "path": "/second", "size_bytes": 1})),
        ("teams", json!({"organization": "acme", "name": "second", "role": "viewer", "users": ["hank"]})),
        ("users", json!({"name": "second", "account_type": "person", "state": "active"})),
        ("compilers", json!({"name": "first", "certname": "a", "serves": "listed", "nodes": ["hv01.example.com"]})),
        ("compilers", json!({"name": "second", "certname": "b", "serves": "all"})),
        ("tokens", json!({"name": "a node's", "scope": "all", "node": "hv01.example.com"})),
        ("tokens", json!({"name": "a compiler's", "scope": "all", "compiler": "first"})),
    ] {
        app.post(&format!("/v1/{list}"), body).await.is(Status::Created);
    }
    app.post("/v1/tokens/2/secret", json!(null)).await.is(Status::Created);
    let password = json!({"password": "correct horse battery"});
    app.json(Method::Put, "/v1/users/hank/password", password).await.is(Status::NoContent);
    sql(&app.dsn, "UPDATE users SET openid_subject = name").await;
    sql(&app.dsn, &format!("{RUN}; {RUN}; INSERT INTO node_facts (node_id, facts) SELECT id, '{{}}' FROM nodes")).await;
    sql(&app.dsn, "INSERT INTO pending_actions SELECT id, 'rebooting', 1 FROM vms").await;
    sql(&app.dsn, "INSERT INTO pending_restores SELECT id, 0 FROM volumes").await;
    sql(&app.dsn, "UPDATE ip_claims SET held_node_id = 1, held_generation = 1").await;
    sql(
        &app.dsn,
        "INSERT INTO signing_secrets (webhook_id, organization_id, secret) SELECT id, NULL, 'a' FROM webhooks
            UNION ALL SELECT NULL, id, 'a' FROM organizations;
        INSERT INTO webhook_deliveries (webhook_id, organization_id, event_id, collection, object_id, object_key, action, url, body)
            SELECT id, organization_id, gen_random_uuid(), 'vms', 1, 'a', 'create', url, '{}' FROM webhooks;
        INSERT INTO vm_tellings (vm_id, state) SELECT id, 'started' FROM vms;
        INSERT INTO deleted_vms (id, uuid, name, environment_id, organization_id, object)
            SELECT id, gen_random_uuid(), name, id, organization_id, '{}' FROM environments",
    )
    .await;
    sql(&app.dsn, "INSERT INTO node_approvals (node_id, generation) SELECT id, 1 FROM nodes").await;
    assert_eq!(Browser::new(&app).log_in("", TOKEN).await.status, 303);
    let mut wrong = vec![];
    for row in rows(&app.dsn, OTHERS).await {
        let broken = broken_by(&app.dsn, &row[1]).await;
        // Where a row refers and is referred to, either foreign key may speak first; and so may the rule that a volume
        // is where its VM is.
        let first = broken.ends_with("_fkey") || broken == row[0].replace("_id_fkey", "_check");
        if broken != row[0] && !(row[0].ends_with("_fkey") && first) {
            wrong.push(format!("{}: {} breaks {broken}", row[0], row[1]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
