//! A public key with which people log in to VMs.

use super::prelude::*;
use crate::resources::Environment;
use crate::schema::keys;

/// A row of `keys`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = keys, check_for_backend(Pg))]
pub struct Key {
    id: i64,
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    public_key: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = keys, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewKey {
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    public_key: String,
}

impl Resource for Key {
    const NAME: &'static str = "keys";
    const ABOUT: &'static str = "A public SSH key of an environment, with which people log in to its VMs.";
    const KEY: &'static [&'static str] = &["environment", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("environment", Type::Ref(Environment::KIND)).required().belongs().about("Whose it is."),
        Column::new("name", Type::Name).required().about("Unique in its environment."),
        Column::new("public_key", Type::Lines(16_384))
            .required()
            .about("As in an authorized_keys file (sshd(8)): type, key, comment."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "laptop", "environment": {"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}, "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVsbG8gdGhlcmUsIHRoaXMgaXMgYW4gZXhhbXBsZS4h wile@laptop"}"#;
    // In the seeds of the VMs that have it.
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT DISTINCT node_id, NULL::int8 FROM vm_keys JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE key_id = changed.id";
    const RULES: &'static [Rule] = &[Rule {
        constraint: "keys_public_key_check",
        field: "public_key",
        detail: "must be one line of an authorized_keys file: ssh-ed25519, ssh-rsa, ecdsa-sha2-… or sk-…, the key in base64, and a comment",
    }];
    const REALM: Realm = Realm::Customer;

    type New = NewKey;
    crud!(keys: list find lock insert update delete);
}
