//! A golden image: shared read-only by many VMs as the backing file of their volumes, or copied into them.

use super::prelude::*;
use crate::schema::images;

/// A row of `images`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = images, check_for_backend(Pg))]
pub struct Image {
    id: i64,
    name: String,
    format: String,
    path: String,
    size_bytes: i64,
    checksum: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = images, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewImage {
    name: String,
    format: String,
    path: String,
    size_bytes: i64,
    checksum: Option<String>,
}

impl Resource for Image {
    const NAME: &'static str = "images";
    const ABOUT: &'static str = "A golden image, from which the volumes of many VMs are made.";
    const KEY: &'static [&'static str] = &["name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("name", Type::Name).required().about("Unique."),
        Column::new("format", Type::Choice(&["qcow2", "raw"])).required().about("How the file is to be read."),
        Column::new("path", Type::Path).required().about("Where it is on each hypervisor."),
        Column::new("size_bytes", Type::Int)
            .required()
            .between(1, i64::MAX)
            .about("What a guest sees of it. No volume made from it is smaller."),
        Column::new("checksum", Type::Word(&CHECKSUM)).about("sha256: or sha512: and the digest of the file in hex."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"name": "debian-12", "format": "qcow2", "path": "/var/lib/libvirt/golden/debian-12.qcow2", "size_bytes": 2147483648}"#;
    const SHARED: bool = true;
    const SHOWN_IN: &'static str = "SELECT hypervisors.node_id, NULL::int8 FROM volumes JOIN vms ON vms.id = vm_id \
        JOIN hypervisors ON hypervisors.id = vms.hypervisor_id WHERE image_id = changed.id";
    const RULES: &'static [Rule] = &[
        Rule {
            constraint: "images_checksum_check",
            field: "checksum",
            detail: "must be sha256: and 64 or sha512: and 128 lower-case hex digits",
        },
        Rule {
            constraint: "images_size_of_volumes_check",
            field: "size_bytes",
            detail: "is more than a volume has that was made from it",
        },
    ];
    const REALM: Realm = Realm::Catalog;

    type New = NewImage;
    crud!(images: list find lock insert update delete);
}

static CHECKSUM: Word = Word { punctuation: ":", capitals: false, max: 135, prefix: "sha" };
