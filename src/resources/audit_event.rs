//! Something that was done: who, when, from where, and what it was before and after. A change is written with the
//! change itself, what was only seen a moment later; neither is ever written again.

use super::prelude::*;
use crate::error::Error;
use crate::schema::audit_events;
use crate::sql::Statement;
use crate::types::Ip;
use diesel::sql_types::BigInt;

/// A row of `audit_events`.
#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = audit_events, check_for_backend(Pg))]
pub struct AuditEvent {
    id: i64,
    happened_at: DateTime<Utc>,
    actor: String,
    action: String,
    collection: Option<String>,
    object_key: Option<String>,
    detail: Option<String>,
    times: i64,
    object_id: Option<i64>,
    message: Option<String>,
    address: Option<Ip>,
    request: Option<String>,
    token_id: Option<i64>,
    before: Option<Value>,
    after: Option<Value>,
}

/// What is added.
#[derive(Serialize)]
pub struct NewAuditEvent {
    /// When, if not in this transaction.
    pub happened_at: Option<DateTime<Utc>>,
    /// Who, as it is shown: `user:alice`.
    pub actor: String,
    /// The token that was used.
    pub token_id: Option<i64>,
    /// From where.
    pub address: Option<Ip>,
    /// In which request.
    pub request: Option<String>,
    /// One of the action's words.
    pub action: &'static str,
    /// The kind of the object, if it is about one.
    pub collection: Option<&'static str>,
    /// The object.
    pub object_id: Option<i64>,
    /// Its natural key at that time.
    pub object_key: Option<String>,
    /// For how many like it this stands.
    pub times: i64,
    /// What the other columns do not say.
    pub detail: Option<String>,
    /// Why, in the words of whoever did it.
    pub message: Option<String>,
    /// The object as it was.
    pub before: Option<Value>,
    /// The object as it is from now on.
    pub after: Option<Value>,
}

/// How many are added by one statement.
const AT_ONCE: usize = 1000;

/// As one value, so that there is one statement for any number, which is prepared once.
const ADD: &str = "INSERT INTO audit_events (happened_at, actor, token_id, address, request, action, collection, object_id, \
    object_key, times, detail, message, before, after) SELECT COALESCE(happened_at, now()), actor, token_id, address, request, \
    action, collection, object_id, object_key, times, detail, message, before, after FROM json_to_recordset(";
const COLUMNS: &str = ") AS (happened_at timestamptz, actor text, token_id int8, address inet, request text, action text, \
    collection text, object_id int8, object_key text, times int8, detail text, message text, before json, after json)";

/// Adds events.
///
/// # Errors
/// [`Error::Away`].
pub async fn record(tx: &Tx, events: &[NewAuditEvent]) -> Result<()> {
    for events in events.chunks(AT_ONCE) {
        let events = serde_json::to_string(events).map_err(|error| Error::Internal(error.into()))?;
        let add = Sql::new(ADD).one(events, "json").text(COLUMNS);
        Statement::<BigInt>::from(add).execute(&mut tx.conn()).await?;
    }
    Ok(())
}

const ACTIONS: &[&str] = &[
    "create",
    "update",
    "delete",
    "issue",
    "approve",
    "resend",
    "set_password",
    "remove_password",
    "login",
    "refuse",
    "read",
];

impl Resource for AuditEvent {
    const NAME: &'static str = "audit-events";
    const ABOUT: &'static str = "Something that was done: who, when, from where, and what it was before and after.";
    const KEY: &'static [&'static str] = &["id"];
    const COLUMNS: &'static [Column] = &[
        Column::ID,
        Column::server("happened_at", Type::Time).required().about("When it was done; of several times, the last."),
        Column::server("actor", Type::Text).required().about("Who did it, such as user:alice; nobody, if not known."),
        Column::server("action", Type::Choice(ACTIONS))
            .required()
            .about("What was done; a token's secret is issued, and what was not allowed is refused."),
        Column::server("collection", Type::Text).about("The collection of the object, if it is about one."),
        Column::server("object_key", Type::Text).about("The natural key of the object at that time."),
        Column::server("detail", Type::Text).about("What was refused or read, or how somebody has logged in."),
        Column::server("times", Type::Int).required().about("How many like it this event stands for."),
        Column::server("object_id", Type::Int).about("The id of the object."),
        Column::server("message", Type::Text).about("Why, in the words of whoever did it."),
        Column::server("address", Type::Ip).about("From where."),
        Column::server("request", Type::Text).about("The request that did it: it may have done more."),
        Column::server("token_id", Type::Int).about("The id of the token that was used."),
        Column::server("before", Type::Json).about("The object as it was; nothing for what was created."),
        Column::server("after", Type::Json).about("The object as it was then; nothing for what was deleted."),
    ];
    const EXAMPLE: &'static str = "{}";
    const READ_ONLY: bool = true;

    type New = Nothing;
    crud!(audit_events: list find refuse);
}
