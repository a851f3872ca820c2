//! The body of a request: JSON, MessagePack, or a form, whose texts get their types from the columns of the kind.

use rocket::data::{Data, FromData, Outcome, ToByteUnit};
use rocket::http::Status;
use rocket::request::Request;
use serde_json::{Map, Value};

use crate::column::Column;
use crate::error::{Error, Result};
use crate::http::ask::Ask;
use crate::http::caller;
use crate::http::tree;
use crate::value_type::Type;
use crate::{etag, kind::Kind, query};

/// The largest body in bytes; managed by Rocket.
pub struct BodyLimit(pub u64);

/// The field by which a form is known to be one of ours.
pub const FORM_TOKEN: &str = "_form_token";
/// The fields of a form that stand for `If-Match`, `Idempotency-Key` and `X-Change-Message`.
const IF_MATCH: &str = "_if_match";
const IDEMPOTENCY_KEY: &str = "_idempotency_key";
const CHANGE_MESSAGE: &str = "_change_message";

/// A body.
pub struct Body {
    content: Content,
    /// Of its bytes.
    pub digest: String,
}

enum Content {
    Tree(Value),
    Form(Vec<(String, String)>),
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Body {
    type Error = Error;
    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match Self::read(request, data).await {
            Ok(body) => Outcome::Success(body),
            Err(error) => Outcome::Error((Status::new(error.status()), error)),
        }
    }
}

/// All of a body of somebody who is known: nobody's is not even read.
///
/// # Errors
/// Who it is not, [`Error::TooLarge`], or that it broke off.
pub async fn bytes(request: &Request<'_>, data: Data<'_>, limit: u64) -> Result<Vec<u8>> {
    caller::of(request).await?;
    let read = data.open(limit.bytes()).into_bytes().await;
    let bytes = read.map_err(|error| Error::Malformed(error.to_string()))?;
    if bytes.is_complete() { Ok(bytes.into_inner()) } else { Err(Error::TooLarge(limit)) }
}

impl Body {
    async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Self> {
        let limit = request.rocket().state::<BodyLimit>().map_or(1 << 20, |limit| limit.0);
        let bytes = bytes(request, data, limit).await?;
        let media = request.content_type().filter(|media| media.top() == "application");
        let sub = media.map(|media| media.sub().as_str().to_ascii_lowercase()).unwrap_or_default();
        let content = match sub.as_str() {
            "json" | "merge-patch+json" => Content::Tree(tree::from_json(&bytes).map_err(Error::Malformed)?),
            "msgpack" | "x-msgpack" | "vnd.msgpack" => {
                Content::Tree(tree::from_msgpack(&bytes).map_err(Error::Malformed)?)
            }
            "x-www-form-urlencoded" => {
                let text = std::str::from_utf8(&bytes).map_err(|error| Error::Malformed(error.to_string()))?;
                Content::Form(query::pairs(text)?)
            }
            _ => return Err(Error::UnsupportedMediaType),
        };
        Ok(Self { content, digest: etag::digest(&bytes) })
    }

    /// The fields, if it is a form.
    pub fn pairs(&self) -> Option<&[(String, String)]> {
        if let Content::Form(pairs) = &self.content { Some(pairs) } else { None }
    }

    /// What stands in a field of the form, if it is one.
    pub fn field(&self, wanted: &str) -> Option<String> {
        self.pairs().into_iter().flatten().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    }

    /// What a form says in fields that other clients say in headers, or need not say.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`], or when such a field cannot be what it stands for.
    pub fn complete(&self, ask: &mut Ask) -> Result<()> {
        let field = |wanted| self.field(wanted);
        if let Some(given) = field(FORM_TOKEN) {
            ask.actor = ask.actor.clone().with_form(&given);
        }
        // Before anything is looked at: `Db::write` would refuse it as well, but only what is written.
        if !ask.actor.is_confirmed() {
            return Err(Error::Unconfirmed);
        }
        let seen = &mut ask.preconditions.if_match;
        *seen = seen.take().or_else(|| field(IF_MATCH));
        ask.idempotency_key = ask.idempotency_key.take().or_else(|| field(IDEMPOTENCY_KEY));
        field(CHANGE_MESSAGE).map_or(Ok(()), |why| ask.explain(why))
    }

    /// Texts by their names, of a form or of an object, for what is of no kind. What others send along is refused.
    ///
    /// # Errors
    /// When it is no such thing.
    pub fn texts<const N: usize>(self, names: [&str; N]) -> Result<[Option<String>; N]> {
        let fields = self.fields(&names)?;
        let mut texts = [const { None }; N];
        for (place, name) in texts.iter_mut().zip(names) {
            *place = match fields.get(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(_) => return Err(Error::field(name, "must be a text")),
            };
        }
        Ok(texts)
    }

    /// The one number that this is about, of a form or of an object.
    ///
    /// # Errors
    /// When it is no such thing.
    pub fn number(self, name: &str) -> Result<i64> {
        let number = match self.fields(&[name])?.get(name) {
            None | Some(Value::Null) => return Err(Error::field(name, "is required")),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
        };
        number.ok_or_else(|| Error::field(name, "must be a whole number"))
    }

    /// These fields and no others.
    fn fields(self, names: &[&str]) -> Result<Map<String, Value>> {
        let fields: Map<String, Value> = match self.content {
            Content::Tree(Value::Object(fields)) => fields,
            Content::Tree(_) => return Err(Error::field("", "must be an object")),
            Content::Form(pairs) => {
                pairs.into_iter().filter(|(name, _)| !name.starts_with('_')).map(|(n, v)| (n, v.into())).collect()
            }
        };
        match fields.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(Error::field(name, "is not known")),
            None => Ok(fields),
        }
    }

    /// The tree.
    ///
    /// # Errors
    /// When a form holds what cannot be stored.
    pub fn tree(self, kind: &dyn Kind) -> Result<Value> {
        match self.content {
            Content::Tree(tree) => Ok(tree),
            Content::Form(pairs) if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) => {
                Err(Error::Malformed("the form holds a NUL, which cannot be stored".into()))
            }
            Content::Form(pairs) => form(kind, pairs),
        }
    }
}

/// The body of a request that needs none, such as a deletion: only a form's is read, for the fields that stand for
/// headers.
pub struct FormBody(pub Option<Body>);

#[rocket::async_trait]
impl<'r> FromData<'r> for FormBody {
    type Error = Error;
    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        if !request.content_type().is_some_and(|media| media.is_form()) {
            return Outcome::Success(Self(None));
        }
        Body::from_data(request, data).await.map(|body| Self(Some(body)))
    }
}

/// Fields that begin with `_` are for the server. A list is one field with several lines, or several fields.
///
/// # Errors
/// When a field stands twice, or holds what cannot be read.
pub fn form(kind: &dyn Kind, pairs: Vec<(String, String)>) -> Result<Value> {
    let mut fields = Map::new();
    for (name, text) in pairs.into_iter().filter(|(name, _)| !name.starts_with('_')) {
        let column = Column::named(kind.columns(), &name);
        if column.is_some_and(|column| column.ty.is_list()) {
            let items = text.split(['\n', '\r', ',']).map(str::trim).filter(|item| !item.is_empty()).map(Value::from);
            match fields.entry(name).or_insert_with(|| Value::Array(vec![])) {
                Value::Array(list) => list.extend(items),
                _ => return Err(Error::Malformed("a list is not a list".into())),
            }
        } else if fields.contains_key(&name) {
            return Err(Error::Malformed(format!("the field {name:?} stands twice")));
        } else {
            let value = match column {
                // Read as strictly as any other JSON.
                Some(column) if matches!(column.ty, Type::Json) && !text.trim().is_empty() => {
                    let read = tree::from_json(text.as_bytes());
                    read.map_err(|detail| Error::field(&name, format!("is not JSON: {detail}")))?
                }
                // Browsers end each line with two characters.
                Some(column) if matches!(column.ty, Type::Lines(_)) => column.form_value(&text.replace("\r\n", "\n")),
                Some(column) if matches!(column.ty, Type::Text) => column.form_value(&text),
                Some(column) => column.form_value(text.trim()),
                None => text.into(),
            };
            fields.insert(name, value);
        }
    }
    Ok(fields.into())
}
