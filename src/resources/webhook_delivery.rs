//! A message to one receiver: what it says, and what became of it.

use super::prelude::*;
use crate::resources::{Organization, Webhook};
use crate::schema::webhook_deliveries;

/// A row of `webhook_deliveries`, but for who sends it now.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = webhook_deliveries, check_for_backend(Pg))]
pub struct WebhookDelivery {
    id: i64,
    #[serde(rename = "webhook")]
    webhook_id: Option<i64>,
    #[serde(rename = "organization")]
    organization_id: Option<i64>,
    event_id: Uuid,
    collection: String,
    object_id: i64,
    object_key: String,
    action: String,
    happened_at: DateTime<Utc>,
    status: String,
    attempts: i32,
    next_attempt_at: Option<DateTime<Utc>>,
    give_up_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    answer: Option<i32>,
    error: Option<String>,
    url: String,
    body: Value,
}

impl Resource for WebhookDelivery {
    const NAME: &'static str = "webhook-deliveries";
    const ABOUT: &'static str = "A message to one receiver: what it says, and what became of it.";
    const KEY: &'static [&'static str] = &["id"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("webhook", Type::Ref(Webhook::KIND))
            .belongs()
            .about("To whom; without one, to the callback of a VM."),
        Column::server("organization", Type::Ref(Organization::KIND))
            .belongs()
            .about("Whose receiver that is; without one, the fleet's."),
        Column::server("event_id", Type::Uuid)
            .required()
            .about("The id of what is told, the same for all who are told of it."),
        Column::server("collection", Type::Text).required().about("The collection of the object."),
        Column::server("object_id", Type::Int).required().about("The id of the object."),
        Column::server("object_key", Type::Text).required().about("The natural key of the object at that time."),
        Column::server("action", Type::Choice(crate::telling::ACTIONS))
            .required()
            .about("What was done to it, or what it did."),
        Column::server("happened_at", Type::Time).required().about("When."),
        Column::server("status", Type::Choice(&["pending", "delivered", "failed"]))
            .required()
            .about("Whether it was taken: pending is sent again until it is, or given up."),
        Column::server("attempts", Type::Int).required().about("How often it was sent."),
        Column::server("next_attempt_at", Type::Time).about("When it is sent next."),
        Column::server("give_up_at", Type::Time).required().about("When it is given up."),
        Column::server("last_attempt_at", Type::Time).about("When it was sent last."),
        Column::server("answer", Type::Int).about("The HTTP status of the last answer."),
        Column::server("error", Type::Text).about("Why the last attempt failed."),
        Column::server("url", Type::Url).required().about("Where it was sent last, or is sent to."),
        Column::server("body", Type::Json).required().about("The message."),
    ];
    const EXAMPLE: &'static str = "{}";
    const ACTIONS: &'static [Action] = &[Action { path: "resend", text: "Send it again", sends: None }];
    const READ_ONLY: bool = true;
    const REALM: Realm = Realm::Customer;

    type New = Nothing;
    crud!(webhook_deliveries: list find refuse);
}
