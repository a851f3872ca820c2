//! The columns of a kind: one list that drives validation, filters, sorting, `fields`, cursors, references, CSV, forms
//! and OpenAPI. It knows names and types, and neither rows nor requests.

use serde_json::Value;

use crate::byte_size;
use crate::kind::Kind;
use crate::value_type::Type;

/// What becomes of an object when what it refers to is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It is in use, and stays.
    Refuse,
    /// The object belongs to it and is deleted with it.
    GoAlong,
    /// The reference is cleared.
    Clear,
}

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the table of its kind.
    Table,
    /// Only in the view that its kind is read from: it says what is, and not what is wanted.
    View,
}

/// A column as the API shows it.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its name in the API. A reference `node` is the column `node_id` of the table.
    pub name: &'static str,
    /// What it holds.
    pub ty: Type,
    /// Whether a client may set it.
    pub writable: bool,
    /// Whether a client must set it; of what the server sets, whether it is never null.
    pub required: bool,
    /// The smallest and largest number that it may hold.
    pub range: Option<(i64, i64)>,
    /// Whether, of what customers may write, only operators set it.
    pub by_operators: bool,
    /// Where it is.
    pub place: Place,
    /// What becomes of the object when what this column refers to is deleted.
    pub on_delete: OnDelete,
    /// Of what kind of object, by another of its columns and that one's value, the object is deleted first all the same.
    pub part_if: Option<(&'static str, &'static str)>,
    /// What it means, in a sentence, for forms and OpenAPI.
    pub about: &'static str,
}

impl Column {
    /// The first column of every kind.
    pub const ID: Self = Self::server("id", Type::Int).required().about("Set by the server.");
    /// When the object was created.
    pub const CREATED_AT: Self = Self::server("created_at", Type::Time).required().about("When it was created.");
    /// When the object was last changed.
    pub const UPDATED_AT: Self = Self::server("updated_at", Type::Time).required().about("When it was last changed.");

    /// A column that clients set, or leave out.
    #[must_use]
    pub const fn new(name: &'static str, ty: Type) -> Self {
        Self {
            name,
            ty,
            writable: true,
            required: false,
            range: None,
            by_operators: false,
            place: Place::Table,
            on_delete: OnDelete::Refuse,
            part_if: None,
            about: "",
        }
    }

    /// A column that only the server sets.
    #[must_use]
    pub const fn server(name: &'static str, ty: Type) -> Self {
        Self { writable: false, ..Self::new(name, ty) }
    }

    /// A column that follows from what agents report.
    #[must_use]
    pub const fn derived(name: &'static str, ty: Type) -> Self {
        Self { place: Place::View, ..Self::server(name, ty) }
    }

    /// Must be given; of what the server sets: is never null.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Holds a number from `low` to `high`.
    #[must_use]
    pub const fn between(self, low: i64, high: i64) -> Self {
        Self { range: Some((low, high)), ..self }
    }

    /// Is set by operators, or by the server, and by no customer.
    #[must_use]
    pub const fn by_operators(self) -> Self {
        Self { by_operators: true, ..self }
    }

    /// Refers to what the object belongs to, and goes with (`ON DELETE CASCADE`).
    #[must_use]
    pub const fn belongs(self) -> Self {
        Self { on_delete: OnDelete::GoAlong, ..self }
    }

    /// Refers to what the object goes with, where another of its columns has this value: it is deleted first, and not by the database.
    #[must_use]
    pub const fn belongs_if(self, column: &'static str, value: &'static str) -> Self {
        Self { part_if: Some((column, value)), ..self }
    }

    /// Is cleared when what it refers to is deleted (`ON DELETE SET NULL`).
    #[must_use]
    pub const fn clears(self) -> Self {
        Self { on_delete: OnDelete::Clear, ..self }
    }

    /// Means this.
    #[must_use]
    pub const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// The column with this name.
    #[must_use]
    pub fn named(columns: &'static [Self], name: &str) -> Option<&'static Self> {
        columns.iter().find(|column| column.name == name)
    }

    /// Whether it is a column of the table, and not a list that is kept elsewhere.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !matches!(self.ty, Type::Many(_) | Type::Owned(_))
    }

    /// Whether it follows from what agents report.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        self.place == Place::View
    }

    /// Whether the server makes it, once, unless it is given.
    #[must_use]
    pub fn is_made_once(&self) -> bool {
        self.writable && self.ty.is_uuid() && !self.required
    }

    /// The kind that it refers to, if it is one reference.
    #[must_use]
    pub fn target(&self) -> Option<&'static dyn Kind> {
        if let Type::Ref(kind) = self.ty { Some(kind) } else { None }
    }

    /// The kind that it refers to, whether by one reference or by a list of them.
    #[must_use]
    pub fn any_target(&self) -> Option<&'static dyn Kind> {
        match self.ty {
            Type::Ref(kind) => Some(kind),
            Type::Many(link) => Some(link.kind),
            Type::Owned(owned) => Some(owned.kind),
            _ => None,
        }
    }

    /// Its name in the table, quoted.
    #[must_use]
    pub fn sql_name(&self) -> String {
        let suffix = if matches!(self.ty, Type::Ref(_)) { "_id" } else { "" };
        format!("\"{}{suffix}\"", self.name)
    }

    /// Checks a value that a client sent, references aside.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        if value.is_null() {
            return if self.required { Err("is required".into()) } else { Ok(()) };
        }
        self.ty.check(value)?;
        match (self.range, value.as_f64()) {
            (Some((low, high)), Some(number)) if number < as_float(low) || number > as_float(high) => Err(match high {
                i64::MAX => format!("must be at least {low}"),
                _ => format!("must be between {low} and {high}"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether it holds a number of bytes.
    #[must_use]
    pub fn holds_bytes(&self) -> bool {
        matches!(self.ty, Type::Int) && (self.name.ends_with("_bytes") || self.name.contains("_bps_"))
    }

    /// What an HTML form's text means.
    #[must_use]
    pub fn form_value(&self, text: &str) -> Value {
        match self.ty {
            _ if text.is_empty() => Value::Null,
            Type::Int if self.holds_bytes() => byte_size::parse(text).map_or_else(|| text.into(), Value::from),
            Type::Int => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
            // Browsers send a moment without its zone.
            Type::Time => ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"]
                .iter()
                .find_map(|form| chrono::NaiveDateTime::parse_from_str(text, form).ok())
                .map_or_else(|| text.into(), |moment| moment.and_utc().to_rfc3339().into()),
            Type::Bool => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
            Type::Float => text.parse::<f64>().map_or_else(|_| text.into(), Value::from),
            _ => text.into(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the bounds of columns are small, or the largest number there is")]
fn as_float(bound: i64) -> f64 {
    bound as f64
}

/// A value as one line of text: a cell of CSV or HTML, a part of a cursor.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // A reference shows its natural key: `{"id", key, "href"}`.
        Value::Object(object) if object.contains_key("href") => object.values().nth(1).map_or_else(String::new, text),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
