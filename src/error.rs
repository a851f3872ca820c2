//! Everything that can go wrong, and how it is told (RFC 9457). It knows the database's errors, and no request.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Violation, Error as Db};
use diesel_async::pooled_connection::deadpool::PoolError;
use serde_json::{Value, json};

use crate::resources;

/// One field and what is wrong with it.
pub type Field = (String, String);

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// 400: the body or the address cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// 400: a query parameter.
    #[error("the query parameter {0:?} is not understood: {1}")]
    Parameter(String, String),
    /// 401.
    #[error("a token is needed: as Authorization: Bearer, or as the password of Basic; people log in at /login")]
    Unauthorized,
    /// 401: what is wrong with a client certificate.
    #[error("the client certificate is not taken: {0}")]
    Certificate(String),
    /// 403.
    #[error("you may not do this")]
    Forbidden,
    /// 403: a browser's session alone is no proof that somebody wants this.
    #[error("this comes from no form that this server made for you; load the page again, and send its form")]
    Unconfirmed,
    /// 404.
    #[error("there is no such thing")]
    NotFound,
    /// 404: the node with this name, which does not exist for whoever asks. Told as [`Self::NotFound`].
    #[error("there is no such thing")]
    Hidden(String),
    /// 405, with what is allowed.
    #[error("this address allows {0}")]
    MethodNotAllowed(String),
    /// 406.
    #[error("nothing acceptable can be produced; there are JSON, MessagePack, YAML, CSV and HTML")]
    NotAcceptable,
    /// 409: with the field, if it is about one.
    #[error("the request conflicts with what exists")]
    Conflict(Vec<Field>),
    /// 412.
    #[error("the object is not what you expect to be there: it has changed since you read it, or exists already")]
    Stale,
    /// 413.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// 415.
    #[error("the content type is not understood; send JSON, MessagePack or a form")]
    UnsupportedMediaType,
    /// 422.
    #[error("some fields are invalid")]
    Invalid(Vec<Field>),
    /// 429: of what there was too much, and the seconds after which to try again.
    #[error("{0}; try again in {1} seconds")]
    TooMany(&'static str, u64),
    /// 502: the provider of identities.
    #[error("the provider of identities does not answer as it should; try again, or log in with a password")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// 503: it waited for another change that waited for it. Already tried again, in vain.
    #[error("the request met others that change the same; try it again")]
    Deadlock(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// 503: a statement was given up, for it took too long, or waited too long for others.
    #[error("this takes longer than is allowed; ask for less, or try it again")]
    Overtime(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// 503: to be tried again.
    #[error("the database is away")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// 500: a fault of this program.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A result with our error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// One wrong field.
    pub fn field(name: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![(name.to_owned(), detail.into())])
    }

    /// One field that does not go with what exists.
    pub fn conflict(name: &str, detail: impl Into<String>) -> Self {
        Self::Conflict(vec![(name.to_owned(), detail.into())])
    }

    /// The same error, of a part of a larger body.
    #[must_use]
    pub fn below(self, parent: &str) -> Self {
        let moved = |fields: Vec<Field>| fields.into_iter().map(|(f, d)| (join(parent, &f), d)).collect();
        match self {
            Self::Invalid(fields) => Self::Invalid(moved(fields)),
            Self::Conflict(fields) => Self::Conflict(moved(fields)),
            other => other,
        }
    }

    /// Without the place in a list: for who did not send one.
    #[must_use]
    pub fn without_place(self) -> Self {
        let moved = |fields: Vec<Field>| {
            let told = |(path, detail): Field| match path.split_once('/') {
                Some((place, rest)) if place.bytes().all(|byte| byte.is_ascii_digit()) => (rest.to_owned(), detail),
                None if path.bytes().all(|byte| byte.is_ascii_digit()) => (String::new(), detail),
                _ => (path, detail),
            };
            fields.into_iter().map(told).collect()
        };
        match self {
            Self::Invalid(fields) => Self::Invalid(moved(fields)),
            Self::Conflict(fields) => Self::Conflict(moved(fields)),
            other => other,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Parameter(..) => 400,
            Self::Unauthorized | Self::Certificate(_) => 401,
            Self::Forbidden | Self::Unconfirmed => 403,
            Self::NotFound | Self::Hidden(_) => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::NotAcceptable => 406,
            Self::Conflict(_) => 409,
            Self::Stale => 412,
            Self::TooLarge(_) => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid(_) => 422,
            Self::TooMany(..) => 429,
            Self::Provider(_) => 502,
            Self::Away(_) | Self::Deadlock(_) | Self::Overtime(_) => 503,
            Self::Internal(_) => 500,
        }
    }

    /// The problem as an object, in whatever format it is then sent.
    pub fn problem(&self) -> Value {
        let fields = match self {
            Self::Conflict(fields) | Self::Invalid(fields) => fields.as_slice(),
            _ => &[],
        };
        let errors: Vec<_> = fields
            .iter()
            .map(|(field, detail)| {
                let pointer = if field.is_empty() { String::new() } else { format!("/{field}") };
                json!({"pointer": pointer, "detail": detail})
            })
            .collect();
        let title = rocket::http::Status::new(self.status()).reason_lossy();
        json!({"type": "about:blank", "title": title, "status": self.status(), "detail": self.detail(), "errors": errors})
    }

    /// The same in one sentence that names every field at fault, for who does not get them apart.
    pub fn named(&self) -> String {
        match self {
            Self::Conflict(fields) | Self::Invalid(fields) if fields.len() > 1 => {
                fields.iter().map(|(field, detail)| format!("{field} {detail}")).collect::<Vec<_>>().join("; ")
            }
            _ => self.detail(),
        }
    }

    /// In a sentence; with one field at fault, it is named.
    fn detail(&self) -> String {
        match self {
            Self::Conflict(fields) | Self::Invalid(fields) => match fields.as_slice() {
                [(field, detail)] if field.is_empty() => format!("it {detail}"),
                [(field, detail)] => format!("{field} {detail}"),
                _ => self.to_string(),
            },
            _ => self.to_string(),
        }
    }
}

/// A field's name as a part of a pointer (RFC 6901).
pub fn segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn join(parent: &str, field: &str) -> String {
    if field.is_empty() { parent.to_owned() } else { format!("{parent}/{field}") }
}

/// Failures that pass when tried again (`lc_messages` is C, or the text is not recognised).
const TRANSIENT: &[&str] = &["terminating connection", "the database system is", "canceling statement"];

/// What took longer than the limits that `db.rs` sets.
const OVERTIME: &[&str] = &["canceling statement due to statement timeout", "canceling statement due to lock timeout"];

/// A row that its writer may not write, or a table.
const DENIED: &[&str] = &["violates row-level security policy", "permission denied for"];

/// One of those that wait for each other is told so, and can be tried again at once.
const DEADLOCK: &str = "deadlock detected";

/// `nodes_state_id_fkey` on `nodes` is about the field `state`.
fn field_of(info: &dyn DatabaseErrorInformation) -> String {
    let name = info.constraint_name().or(info.column_name()).unwrap_or_default();
    let name = info.table_name().and_then(|t| name.strip_prefix(t)).unwrap_or(name).trim_start_matches('_');
    let name = ["_key", "_fkey", "_check", "_pkey"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    name.strip_suffix("_id").unwrap_or(name).to_owned()
}

impl From<Db> for Error {
    fn from(error: Db) -> Self {
        let Db::DatabaseError(kind, info) = error else {
            return if matches!(error, Db::NotFound) { Self::NotFound } else { Self::Internal(error.into()) };
        };
        let field = field_of(&*info);
        let in_use = info.message().starts_with("update or delete");
        let rule = info.constraint_name().and_then(resources::rule).filter(|_| !in_use);
        match kind {
            Violation::ForeignKeyViolation if in_use => {
                let user = info.table_name().and_then(resources::of_table).unwrap_or("something else");
                Self::Conflict(vec![(String::new(), format!("is still used by {user}"))])
            }
            Violation::UniqueViolation => Self::Conflict(vec![(field, "is already taken".into())]),
            Violation::ExclusionViolation => {
                let told = rule.map(|rule| (rule.field.to_owned(), rule.detail.to_owned()));
                Self::Conflict(vec![told.unwrap_or((field, "overlaps another".into()))])
            }
            Violation::ForeignKeyViolation | Violation::CheckViolation if rule.is_some() => {
                rule.map_or(Self::NotFound, |rule| Self::field(rule.field, rule.detail))
            }
            Violation::ForeignKeyViolation => Self::field(&field, "names nothing that exists"),
            Violation::CheckViolation => Self::field(&field, "is not allowed"),
            Violation::NotNullViolation => Self::field(&field, "is required"),
            Violation::SerializationFailure => Self::Deadlock(Db::DatabaseError(kind, info).into()),
            Violation::Unknown if info.message().starts_with(DEADLOCK) => {
                Self::Deadlock(Db::DatabaseError(kind, info).into())
            }
            Violation::UnableToSendCommand | Violation::ClosedConnection => {
                Self::Away(Db::DatabaseError(kind, info).into())
            }
            // What the database keeps from a customer (diesel has no kind for it, and hides the SQLSTATE).
            Violation::Unknown if DENIED.iter().any(|part| info.message().contains(part)) => Self::Forbidden,
            Violation::Unknown if OVERTIME.iter().any(|text| info.message() == *text) => {
                Self::Overtime(Db::DatabaseError(kind, info).into())
            }
            // Diesel has no kind for these, and hides the SQLSTATE.
            Violation::Unknown if TRANSIENT.iter().any(|start| info.message().starts_with(start)) => {
                Self::Away(Db::DatabaseError(kind, info).into())
            }
            kind => Self::Internal(Db::DatabaseError(kind, info).into()),
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        Self::Away(error.into())
    }
}

/// A rule that concerns a whole object has the name of the constraint that says the same in the database.
impl From<validator::ValidationErrors> for Error {
    fn from(errors: validator::ValidationErrors) -> Self {
        let mut fields = Vec::new();
        for (field, wrong) in errors.field_errors() {
            fields.extend(wrong.iter().map(|error| match resources::rule(&error.code) {
                Some(rule) => (rule.field.to_owned(), rule.detail.to_owned()),
                None => (field.to_string(), error.message.as_ref().unwrap_or(&error.code).to_string()),
            }));
        }
        Self::Invalid(fields)
    }
}
