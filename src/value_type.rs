//! What a column can hold: each type with its Postgres type, its check, and the text that it accepts in a URL. It knows
//! no table.

use chrono::{DateTime, Datelike, Utc};
use ipnet::IpNet;
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;

use crate::kind::Kind;
use crate::types::Mac;

/// What a column holds.
#[derive(Clone, Copy)]
pub enum Type {
    /// A whole number of 64 bits.
    Int,
    /// A number with a fraction.
    Float,
    /// Free text of one line.
    Text,
    /// Text of any number of lines, so many bytes at most.
    Lines(usize),
    /// Words by which objects are found: names, or names with a value (`tier=web`). Never null.
    Labels,
    /// A natural key: text that can stand in a URL.
    Name,
    /// The name of a node.
    Fqdn,
    /// A word of a tool's configuration, with its pattern's description.
    Word(&'static Word),
    /// True or false.
    Bool,
    /// An absolute path.
    Path,
    /// An address of the web, with http or https.
    Url,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A moment, RFC 3339.
    Time,
    /// An IP address without a prefix length.
    Ip,
    /// An IP address with the prefix length of its network.
    Inet,
    /// A network.
    Cidr,
    /// A MAC address.
    Mac,
    /// A UUID.
    Uuid,
    /// A JSON object.
    Json,
    /// A reference: the id of an object of another kind.
    Ref(&'static dyn Kind),
    /// References, kept in a table of their own (N:M).
    Many(&'static Link),
    /// Objects of another kind that belong to this one and go with it.
    Owned(&'static Owned),
}

/// The rule of a [`Type::Word`].
pub struct Word {
    /// What else than ASCII letters and digits it may hold.
    pub punctuation: &'static str,
    /// Whether capitals are allowed.
    pub capitals: bool,
    /// How long it may be, in characters.
    pub max: usize,
    /// How it must begin; empty if that does not matter.
    pub prefix: &'static str,
}

/// The table of an N:M relation.
pub struct Link {
    /// Its name.
    pub table: &'static str,
    /// The column that refers to the kind which has the list.
    pub own: &'static str,
    /// The column that refers to the listed kind.
    pub other: &'static str,
    /// The listed kind.
    pub kind: &'static dyn Kind,
}

/// A list of objects that belong to one.
pub struct Owned {
    /// Their kind, which has a natural key of one column.
    pub kind: &'static dyn Kind,
    /// Their reference to the owner.
    pub owner: &'static str,
}

/// The longest text of one line.
const MAX_TEXT: usize = 255;
/// The longest natural key.
const MAX_NAME: usize = 64;

impl Type {
    /// The Postgres type to which the text of a value is cast.
    #[must_use]
    pub fn sql_type(self) -> &'static str {
        match self {
            Self::Int | Self::Ref(_) | Self::Many(_) | Self::Owned(_) => "int8",
            Self::Float => "float8",
            Self::Bool => "bool",
            Self::Text
            | Self::Lines(_)
            | Self::Name
            | Self::Fqdn
            | Self::Word(_)
            | Self::Path
            | Self::Url
            | Self::Choice(_) => "text",
            Self::Labels => "text[]",
            Self::Time => "timestamptz",
            Self::Ip | Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::Mac => "macaddr",
            Self::Uuid => "uuid",
            Self::Json => "json",
        }
    }

    /// Whether it is text that is searched. What programs write for programs is not.
    #[must_use]
    pub fn is_text(self) -> bool {
        self.sql_type() == "text" && !matches!(self, Self::Lines(_))
    }

    /// Whether lists are put in order by it.
    #[must_use]
    pub fn is_sortable(self) -> bool {
        !matches!(self, Self::Json | Self::Lines(_) | Self::Labels)
    }

    /// Whether it is a list of values, in this table or elsewhere.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self, Self::Labels | Self::Many(_) | Self::Owned(_))
    }

    /// Whether it is a UUID, which the server makes unless it is given.
    #[must_use]
    pub fn is_uuid(self) -> bool {
        matches!(self, Self::Uuid)
    }

    /// The text of a value as Postgres can cast it, so that it is never asked to do what it would refuse.
    #[must_use]
    pub fn canonical(self, text: &str) -> Option<String> {
        match self {
            Self::Int | Self::Ref(_) => text.parse::<i64>().ok().map(|number| number.to_string()),
            Self::Float => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|n| n.to_string()),
            Self::Text
            | Self::Lines(_)
            | Self::Name
            | Self::Fqdn
            | Self::Word(_)
            | Self::Path
            | Self::Url
            | Self::Choice(_)
            | Self::Labels => Some(text.to_owned()).filter(|text| !text.contains('\0')),
            Self::Bool => text.parse::<bool>().ok().map(|yes| yes.to_string()),
            Self::Time => moment(text).map(|moment| moment.to_rfc3339()),
            Self::Ip => text.parse::<IpAddr>().ok().map(|ip| ip.to_string()),
            Self::Inet => {
                let ip = text.parse::<IpAddr>().ok().map(|ip| ip.to_string());
                ip.or_else(|| text.parse::<IpNet>().ok().map(|net| net.to_string()))
            }
            Self::Cidr => text.parse::<IpNet>().ok().filter(|net| *net == net.trunc()).map(|net| net.to_string()),
            Self::Mac => text.parse::<Mac>().ok().map(|mac| mac.to_string()),
            Self::Uuid => text.parse::<Uuid>().ok().map(|uuid| uuid.to_string()),
            Self::Json | Self::Many(_) | Self::Owned(_) => None,
        }
    }

    /// Whether this text can be cast.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        self.canonical(text).is_some()
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Ref(_) | Self::Many(_) | Self::Owned(_), _)
            | (Self::Float, Value::Number(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Json, Value::Object(_)) => Ok(()),
            (Self::Int, Value::Number(n)) if n.is_i64() => Ok(()),
            (Self::Int, Value::Number(n)) if n.is_u64() => Err(format!("must be at most {}", i64::MAX)),
            (Self::Int, _) => Err("must be a whole number".into()),
            (Self::Float, _) => Err("must be a number".into()),
            (Self::Bool, _) => Err("must be true or false".into()),
            (Self::Json, _) => Err("must be an object".into()),
            (Self::Labels, value) => check_labels(value),
            (_, Value::String(text)) => self.check_text(text),
            _ => Err("must be a string".into()),
        }
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        let fine = |ok: bool, rule: &str| if ok { Ok(()) } else { Err(rule.to_owned()) };
        match self {
            Self::Text => {
                let length = text.chars().count();
                fine((1..=MAX_TEXT).contains(&length), "must have 1 to 255 characters")?;
                fine(!text.chars().any(|c| c.is_control() && c != '\u{7f}' && c < '\u{80}'), "must be one line")
            }
            Self::Lines(most) => {
                fine((1..=most).contains(&text.len()), &format!("must have 1 to {most} bytes"))?;
                let wrong = |c: char| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t');
                fine(!text.contains(wrong), "must not hold control characters")
            }
            Self::Name => {
                fine((1..=MAX_NAME).contains(&text.chars().count()), "must have 1 to 64 characters")?;
                fine(text.contains(|c: char| !c.is_ascii_digit()), "must not be all digits")?;
                fine(!text.contains(|c: char| c == '/' || c.is_control()), "must not hold '/' or control characters")?;
                let edges =
                    text.starts_with(|c: char| c == '.' || c.is_whitespace()) || text.ends_with(char::is_whitespace);
                fine(!edges, "must not begin with '.' or begin or end with a space")?;
                // As a key it merges, even when it is quoted.
                fine(text != "<<", "cannot be read back from YAML")
            }
            Self::Fqdn => fine(is_fqdn(text), "must be a host name in lower case, and not all digits"),
            Self::Word(word) => word.check(text),
            Self::Path => {
                let ok = text.starts_with('/') && text.len() <= 4096 && !text.contains(char::is_control);
                fine(ok, "must be an absolute path")
            }
            Self::Url => {
                let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
                let ok = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
                fine(
                    ok && text.len() <= 2048 && !text.contains(|c: char| c.is_control() || c.is_whitespace()),
                    "must be an address of the web, such as https://example.com/told",
                )
            }
            Self::Choice(words) => fine(words.contains(&text), &format!("must be one of {}", words.join(", "))),
            Self::Time => fine(self.accepts(text), "must be a time such as 2026-12-01T02:00:00Z"),
            Self::Ip => fine(self.accepts(text), "must be an IP address"),
            Self::Inet => fine(
                text.parse::<IpNet>().is_ok(),
                "must be an IP address with its prefix length, such as 192.0.2.10/24",
            ),
            Self::Cidr => fine(self.accepts(text), "must be a network such as 192.0.2.0/24, without host bits"),
            Self::Mac => fine(self.accepts(text), "must be a MAC address such as 52:54:00:12:34:56"),
            Self::Uuid => fine(self.accepts(text), "must be a UUID"),
            _ => Ok(()),
        }
    }
}

impl Word {
    fn check(&self, text: &str) -> Result<(), String> {
        let allowed = |c: char| {
            c.is_ascii_digit()
                || c.is_ascii_lowercase()
                || (self.capitals && c.is_ascii_uppercase())
                || self.punctuation.contains(c)
        };
        let rest = text.strip_prefix(self.prefix);
        let starts_well = self.prefix.is_empty() || rest.is_some();
        let starts_plain = !self.prefix.is_empty() || text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        if starts_well
            && starts_plain
            && rest.is_some_and(|r| !r.is_empty() && r.chars().all(allowed))
            && text.len() <= self.max
        {
            return Ok(());
        }
        let letters = if self.capitals { "letters" } else { "lower-case letters" };
        let start = if self.prefix.is_empty() { String::new() } else { format!(", beginning with {}", self.prefix) };
        Err(format!("must have 1 to {} characters of {letters}, digits and {:?}{start}", self.max, self.punctuation))
    }
}

/// What a label is, as a pattern of Postgres and of the description as well.
pub const LABEL: &str = "^[A-Za-z0-9]([A-Za-z0-9_./:=-]{0,61}[A-Za-z0-9])?$";
/// How many labels an object can have.
pub const MAX_LABELS: usize = 64;

fn check_labels(value: &Value) -> Result<(), String> {
    let Value::Array(items) = value else { return Err("must be a list".into()) };
    let edge = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| edge(c) || "_./:=-".contains(c);
    let is_label =
        |text: &str| text.len() <= 63 && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner);
    if items.len() > MAX_LABELS {
        return Err(format!("must have at most {MAX_LABELS} labels"));
    }
    for (i, item) in items.iter().enumerate() {
        match item {
            Value::String(text) if !is_label(text) => {
                return Err(format!(
                    "item {i}: must have 1 to 63 letters, digits and \"_./:=-\", and begin and end with one of the first two"
                ));
            }
            Value::String(_) if items[..i].contains(item) => return Err(format!("item {i}: is given twice")),
            Value::String(_) => {}
            _ => return Err(format!("item {i}: must be a string")),
        }
    }
    Ok(())
}

/// A moment in the years that people write with four digits.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    Some(moment).filter(|moment| (1..=9999).contains(&moment.year()))
}

fn is_fqdn(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.starts_with(inner)
            && label.ends_with(inner)
            && label.chars().all(|c| inner(c) || c == '-')
    };
    text.len() <= 253 && text.contains(|c: char| !c.is_ascii_digit()) && text.split('.').all(label)
}
