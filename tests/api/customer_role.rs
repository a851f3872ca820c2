//! The role of the database in which the server acts for a customer: what it reaches at all.

use crate::harness::{App, rows};

/// What the role of customers may touch, and is not shown row by row, is named here.
#[rocket::async_test]
async fn every_table_that_customers_reach_shows_them_their_own_rows_only() {
    let app = App::start().await;
    let open = rows(
        &app.dsn,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND (has_table_privilege('virtapi_customer', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                OR has_any_column_privilege('virtapi_customer', oid, 'SELECT, INSERT, UPDATE, REFERENCES'))
            AND NOT relrowsecurity ORDER BY 1",
    )
    .await;
    let named = [
        "cache_options",
        "deleted_vms_with_status",
        "flavors",
        "hypervisor_convergence",
        "images",
        "node_states",
        "own_organizations",
        "owned_organizations",
        "storage_types",
        "tombstone_convergence",
        "virt_methods",
        "vm_states",
        "vms_with_status",
        "writable_environments",
    ];
    assert_eq!(open.concat(), named);
    let written = rows(
        &app.dsn,
        "SELECT DISTINCT table_name::text FROM information_schema.role_table_grants WHERE grantee = 'virtapi_customer'
            AND privilege_type <> 'SELECT' ORDER BY 1",
    )
    .await;
    let named = [
        "environments",
        "floating_ips",
        "keys",
        "memberships",
        "placement_groups",
        "profiles",
        "security_rules",
        "snapshots",
        "team_users",
        "teams",
        "vm_keys",
        "vms",
        "volumes",
        "webhooks",
    ];
    assert_eq!(written.concat(), named);
}
