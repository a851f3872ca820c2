//! An address that is told of changes: all of them, or those of some kinds, actions and labels.

use super::prelude::*;
use crate::resources::{self, Organization};
use crate::schema::webhooks;
use crate::telling;

/// A row of `webhooks`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = webhooks, check_for_backend(Pg))]
pub struct Webhook {
    id: i64,
    uuid: Uuid,
    #[serde(rename = "organization")]
    organization_id: Option<i64>,
    name: String,
    url: String,
    kinds: Vec<String>,
    actions: Vec<String>,
    labels: Vec<String>,
    state: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// What a client may set.
#[derive(Insertable, AsChangeset, Deserialize, Validate)]
#[diesel(table_name = webhooks, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct NewWebhook {
    uuid: Uuid,
    #[serde(rename = "organization")]
    organization_id: Option<i64>,
    name: String,
    url: String,
    #[serde(default, deserialize_with = "or_default")]
    #[validate(custom(function = known_kinds))]
    kinds: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    #[validate(custom(function = known_actions))]
    actions: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    labels: Vec<String>,
    state: String,
}

fn known_kinds(kinds: &[String]) -> Result<(), ValidationError> {
    let is_known = |kind: &String| resources::kind(kind).is_some_and(|kind| !kind.is_read_only());
    if kinds.iter().all(is_known) {
        return Ok(());
    }
    Err(ValidationError::new("kinds").with_message("must be collections, such as vms".into()))
}

fn known_actions(actions: &[String]) -> Result<(), ValidationError> {
    if actions.iter().all(|action| telling::ACTIONS.contains(&action.as_str())) {
        return Ok(());
    }
    let detail = format!("must be of {}", telling::ACTIONS.join(", "));
    Err(ValidationError::new("actions").with_message(detail.into()))
}

impl Resource for Webhook {
    const NAME: &'static str = "webhooks";
    const ABOUT: &'static str = "An address that is told of changes. Its secret is issued apart, and shown once.";
    const KEY: &'static [&'static str] = &["uuid"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::new("uuid", Type::Uuid).about("Made by the server unless given."),
        Column::new("organization", Type::Ref(Organization::KIND)).belongs().about(
            "Whose it is: it is told of what is that organization's. Without one it is the fleet's, and told of all.",
        ),
        Column::new("name", Type::Text).required().about("What people call it; need not be unique."),
        Column::new("url", Type::Url).required().about(
            "Where messages are posted to, over https; of the internet, unless the server's settings allow more.",
        ),
        Column::new("kinds", Type::Labels).about("Of which collections it is told; of all unless given."),
        Column::new("actions", Type::Labels)
            .about("Of which of create, update, delete, started, stopped, failed and deleted; of all unless given."),
        Column::new("labels", Type::Labels).about("Of objects with one of these labels; of all unless given."),
        Column::new("state", Type::Choice(&["active", "paused"]))
            .required()
            .about("While it is paused it is told of nothing new."),
        Column::CREATED_AT,
        Column::UPDATED_AT,
    ];
    const EXAMPLE: &'static str = r#"{"organization": {"name": "acme", "full_name": "Acme"}, "name": "billing",
        "url": "https://billing.example.com/virtapi", "kinds": ["vms", "volumes"],
        "actions": ["create", "delete"], "labels": ["tier=web"], "state": "active"}"#;
    const ACTIONS: &'static [Action] = &[Action { path: "secret", text: "Issue a new secret", sends: None }];
    const REALM: Realm = Realm::Customer;

    type New = NewWebhook;

    crud!(webhooks: list find lock insert update delete);
}
