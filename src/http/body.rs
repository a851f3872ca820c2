//! The body of a request: JSON, MessagePack, or a form, whose texts get their types from the columns of the kind.

use rocket::data::{Data, FromData, Outcome, ToByteUnit};
use rocket::http::Status;
use rocket::request::Request;
use serde_json::{Map, Value};

use crate::column::Column;
use crate::error::{Error, Result};
use crate::http::{ask, tree};
use crate::value_type::Type;
use crate::{etag, kind::Kind};

/// The largest body in bytes; managed by Rocket.
pub struct BodyLimit(pub u64);

/// The field of a form that stands for `If-Match`.
const IF_MATCH: &str = "_if_match";

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

impl Body {
    async fn read(request: &Request<'_>, data: Data<'_>) -> Result<Self> {
        let limit = request.rocket().state::<BodyLimit>().map_or(1 << 20, |limit| limit.0);
        let read = data.open(limit.bytes()).into_bytes().await;
        let bytes = read.map_err(|error| Error::Malformed(error.to_string()))?;
        if !bytes.is_complete() {
            return Err(Error::TooLarge(limit));
        }
        let media = request.content_type().filter(|media| media.top() == "application");
        let sub = media.map(|media| media.sub().as_str().to_ascii_lowercase()).unwrap_or_default();
        let content = match sub.as_str() {
            "json" | "merge-patch+json" => Content::Tree(tree::from_json(&bytes).map_err(Error::Malformed)?),
            "msgpack" | "x-msgpack" | "vnd.msgpack" => {
                Content::Tree(tree::from_msgpack(&bytes).map_err(Error::Malformed)?)
            }
            "x-www-form-urlencoded" => {
                let text = std::str::from_utf8(&bytes).map_err(|error| Error::Malformed(error.to_string()))?;
                Content::Form(ask::pairs(text)?)
            }
            _ => return Err(Error::UnsupportedMediaType),
        };
        Ok(Self { content, digest: etag::digest(&bytes) })
    }

    /// The tree, and the `If-Match` that a form carries as a field.
    ///
    /// # Errors
    /// When a form holds what cannot be stored.
    pub fn tree(self, kind: &dyn Kind) -> Result<(Value, Option<String>)> {
        match self.content {
            Content::Tree(tree) => Ok((tree, None)),
            Content::Form(pairs) if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) => {
                Err(Error::Malformed("the form holds a NUL, which cannot be stored".into()))
            }
            Content::Form(pairs) => {
                let tag = pairs.iter().find(|(name, _)| name == IF_MATCH).map(|(_, tag)| tag.clone());
                Ok((form(kind, pairs)?, tag))
            }
        }
    }
}

/// Fields that begin with `_` are for the server. A list is one field with several lines, or several fields.
fn form(kind: &dyn Kind, pairs: Vec<(String, String)>) -> Result<Value> {
    let mut fields = Map::new();
    for (name, text) in pairs.into_iter().filter(|(name, _)| !name.starts_with('_')) {
        let column = Column::named(kind.columns(), &name);
        if let Some(Type::Many(_) | Type::Owned(_)) = column.map(|column| column.ty) {
            let items = text.split(['\n', '\r', ',']).map(str::trim).filter(|item| !item.is_empty()).map(Value::from);
            match fields.entry(name).or_insert_with(|| Value::Array(vec![])) {
                Value::Array(list) => list.extend(items),
                _ => return Err(Error::Malformed("a list is not a list".into())),
            }
        } else if fields.contains_key(&name) {
            return Err(Error::Malformed(format!("the field {name:?} stands twice")));
        } else {
            let value = column.map_or_else(|| text.as_str().into(), |column| column.form_value(&text));
            fields.insert(name, value);
        }
    }
    Ok(fields.into())
}
