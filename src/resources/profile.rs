//! What orders have in common.

use super::prelude::*;
use crate::resources::{Environment, Flavor, Image, Network, vm::USER_DATA};
use crate::schema::profiles;

/// A row of `profiles`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = profiles, check_for_backend(Pg))]
pub struct Profile {
    id: i64,
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    #[serde(rename = "flavor")]
    flavor_id: Option<i64>,
    #[serde(rename = "image")]
    image_id: Option<i64>,
    #[serde(rename = "network")]
    network_id: Option<i64>,
    user_data: Option<String>,
    labels: Vec<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = profiles, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewProfile {
    #[serde(rename = "environment")]
    environment_id: i64,
    name: String,
    #[serde(rename = "flavor")]
    flavor_id: Option<i64>,
    #[serde(rename = "image")]
    image_id: Option<i64>,
    #[serde(rename = "network")]
    network_id: Option<i64>,
    #[validate(custom(function = crate::user_data::valid))]
    user_data: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<String>,
}

impl Resource for Profile {
    const NAME: &'static str = "profiles";
    const ABOUT: &'static str = "What an order of an environment says unless it says something else.";
    const KEY: &'static [&'static str] = &["environment", "name"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("environment", Type::Ref(Environment::KIND)).required().belongs().about("Whose it is."),
        Column::new("name", Type::Name).required().about("Unique in its environment."),
        Column::new("flavor", Type::Ref(Flavor::KIND)).about("The size."),
        Column::new("image", Type::Ref(Image::KIND)).about("What the boot volume is made from."),
        Column::new("network", Type::Ref(Network::KIND)).about("Where its interface is."),
        Column::new("user_data", USER_DATA).about("What its cloud-init is given."),
        Column::new("labels", Type::Labels).about("Labels that are added to those of the order."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r##"{"name": "web", "user_data": "#cloud-config\npackage_update: true\n", "labels": ["web"], "environment": {"organization": {"name": "acme", "full_name": "Acme"}, "name": "shop"}}"##;
    const REALM: Realm = Realm::Customer;

    type New = NewProfile;
    crud!(profiles: list find lock insert update delete);
}
