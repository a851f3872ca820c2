//! A snapshot of a volume, as desired state: its name, when it is taken, how long it is kept.

use super::prelude::*;
use crate::resources::Volume;
use crate::schema::snapshots;

/// A row of `snapshots`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = snapshots, check_for_backend(Pg))]
pub struct Snapshot {
    id: i64,
    #[serde(rename = "volume")]
    volume_id: i64,
    name: String,
    take_at: DateTime<Utc>,
    keep_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = snapshots, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewSnapshot {
    #[serde(rename = "volume")]
    volume_id: i64,
    name: String,
    take_at: DateTime<Utc>,
    keep_until: Option<DateTime<Utc>>,
}

impl Resource for Snapshot {
    const NAME: &'static str = "snapshots";
    const ABOUT: &'static str = "A snapshot of a volume: its name, when it is taken, how long it is kept.";
    const KEY: &'static [&'static str] = &["volume", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("volume", Type::Ref(Volume::KIND)).required().belongs().about("Of what."),
        Column::new("name", Type::Word(&HOST_LABEL))
            .required()
            .about("Unique for its volume; the storage calls it `virtapi-` and this."),
        Column::new("take_at", Type::Time).required().about("When it is to be taken."),
        Column::new("keep_until", Type::Time).about("When it goes; it stays unless given."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"volume": {"size_bytes": 1073741824, "storage_type": "qcow2", "cache_option": "none"}, "name": "before-upgrade",
        "take_at": "2026-12-01T02:00:00Z", "keep_until": "2026-12-08T02:00:00Z"}"#;
    const SHOWN_IN: &'static str = "SELECT node_id, NULL::int8 FROM snapshots JOIN volumes ON volumes.id = volume_id JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE snapshots.id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule { constraint: "snapshots_keep_until_check", field: "keep_until", detail: "must be after take_at" },
        Rule {
            constraint: "snapshots_snapshots_check",
            field: "volume",
            detail: "is of a type that holds no snapshots: only qcow2 and rbd do",
        },
    ];
    const REALM: Realm = Realm::Customer;

    type New = NewSnapshot;
    crud!(snapshots: list find lock insert update delete);
}
