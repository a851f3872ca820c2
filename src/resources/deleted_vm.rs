//! A VM that was deleted: whether its hypervisor still has it.

use super::prelude::*;
use crate::lifecycle;
use crate::resources::Environment;
use crate::schema::deleted_vms_with_status;

/// A row of `deleted_vms_with_status`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = deleted_vms_with_status, check_for_backend(Pg))]
pub struct DeletedVm {
    id: i64,
    uuid: Uuid,
    name: String,
    #[serde(rename = "environment")]
    environment_id: Option<i64>,
    lifecycle: String,
    failure: Option<String>,
    object: Value,
    deleted_at: DateTime<Utc>,
    gone_at: Option<DateTime<Utc>>,
}

impl Resource for DeletedVm {
    const NAME: &'static str = "deleted-vms";
    const ABOUT: &'static str = "A VM that was deleted: whether its hypervisor still has it.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("uuid", Type::Uuid).required().about("The one that it had."),
        Column::server("name", Type::Text).required().about("What people called it."),
        Column::server("environment", Type::Ref(Environment::KIND))
            .about("Whose it was; none if that is gone as well, or it was the fleet's own."),
        Column::derived("lifecycle", Type::Choice(&lifecycle::LAST_WORDS))
            .required()
            .about("`deleting` until the agent of each hypervisor where it was has seen it gone, and then `deleted`."),
        Column::derived("failure", Type::Text).about("Why it is still `deleting`, if that is known."),
        Column::server("object", Type::Json).required().about("As it was shown last."),
        Column::server("deleted_at", Type::Time).required().about("When it was deleted."),
        Column::server("gone_at", Type::Time).about("When it was found to be gone."),
    ];
    const EXAMPLE: &'static str = "{}";
    const READ_ONLY: bool = true;
    const REALM: Realm = Realm::Customer;

    type New = Nothing;
    crud!(deleted_vms as deleted_vms_with_status: list find refuse);
}
