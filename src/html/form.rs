//! The form that creates or edits an object, also with what is wrong with it. The form is sent to the object's own
//! address: there is one way to write.

use askama::Template;
use serde_json::Value;

use crate::auth::Actor;
use crate::column::Column;
use crate::consequences::Consequence;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::html::foreseen::Foreseen;
use crate::html::labels;
use crate::html::layout::{Layout, Link, collection};
use crate::html::options::{self, Options};
use crate::html::values::Values;
use crate::html::widget::Widget;
use crate::kind::{self, Kind};
use crate::policy;
use crate::value_type::Type;
use crate::{etag, natural_key, refs};

/// The page.
#[derive(Template)]
#[template(path = "form.html")]
pub struct Form {
    layout: Layout,
    heading: String,
    about: &'static str,
    collection: Link,
    /// The object, if there is one.
    object: Option<Link>,
    /// Where the form is sent.
    action: String,
    /// What the person saw; of a new object nothing.
    if_match: Option<String>,
    /// By which a new object that is sent twice is known.
    idempotency_key: Option<String>,
    /// Why, as it was typed.
    message: String,
    refusal: Option<Refusal>,
    /// Whether it was only tried, and is right.
    tried: bool,
    /// What it would change then, if the person may know.
    foreseen: Option<Foreseen>,
    required: Vec<Field>,
    optional: Vec<Field>,
    submit: String,
    cancel: String,
    /// The form with what is stored now, if that is not what the person saw.
    reload: Option<String>,
}

/// Why a form was not taken.
pub struct Refusal {
    /// In a few words.
    pub heading: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// Each mistake, with a link to its field if it has one.
    pub mistakes: Vec<Link>,
}

/// A field of the form.
struct Field {
    name: &'static str,
    label: String,
    required: bool,
    help: String,
    /// A list to look in.
    look_up: Option<Link>,
    mistakes: Vec<String>,
    /// What is stored, where that is not what stands in the form.
    stored: Option<String>,
    widget: Widget,
}

/// What became of what a person sent.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// It was not taken.
    Refused(&'a Error),
    /// It was only tried; with what would become of documents, if the person may know.
    Tried(Option<&'a [Consequence]>),
}

impl<'a> Outcome<'a> {
    /// What is wrong.
    pub fn error(self) -> Option<&'a Error> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Tried(_) => None,
        }
    }

    /// What would become of documents.
    pub fn foreseen(self) -> Option<Foreseen> {
        match self {
            Self::Tried(Some(consequences)) => Some(Foreseen::new(consequences)),
            _ => None,
        }
    }
}

/// What a person sent, and what became of it.
pub struct Sent<'a> {
    /// The fields of the form.
    pub pairs: &'a [(String, String)],
    /// What became of it.
    pub outcome: Outcome<'a>,
}

impl Sent<'_> {
    fn field(&self, name: &str) -> Option<String> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    }

    fn is_stale(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(Error::Stale))
    }
}

impl Form {
    /// The form for a new object: empty, filled from an address, or as it was sent.
    ///
    /// # Errors
    /// [`Error::Away`], or an address that fills a field which does not exist.
    pub async fn create(
        tx: &Tx,
        kind: &'static dyn Kind,
        given: &[(String, String)],
        sent: Option<Sent<'_>>,
    ) -> Result<Self> {
        tx.may_read(kind)?;
        let writable = |name: &str| Column::named(kind.columns(), name).is_some_and(|column| column.writable);
        if let Some((name, _)) = given.iter().find(|(name, _)| !writable(name)) {
            return Err(Error::Parameter(name.clone(), "is no field of this form".into()));
        }
        let values = Values::typed(kind, sent.as_ref().map_or(given, |sent| sent.pairs));
        let options = Options::read(tx, kind).await?;
        let fields = fields(&tx.actor, kind, &values, None, &options, sent.as_ref());
        let heading = format!("New {}", labels::singular(kind));
        Ok(Self::new(&tx.actor, kind, heading, format!("Create {}", labels::singular(kind)), fields, sent.as_ref()))
    }

    /// The form for an object: with what is stored, or as it was sent.
    ///
    /// # Errors
    /// [`Error::Away`], or [`Error::NotFound`].
    pub async fn edit(tx: &Tx, kind: &'static dyn Kind, key: &str, sent: Option<Sent<'_>>) -> Result<Self> {
        let (item, tag) = read(tx, kind, key).await?;
        let stored = Values::stored(kind, &item);
        let stale = sent.as_ref().is_some_and(Sent::is_stale);
        let typed = sent.as_ref().map(|sent| Values::typed(kind, sent.pairs));
        let options = Options::read(tx, kind).await?;
        let values = typed.as_ref().unwrap_or(&stored);
        let fields = fields(&tx.actor, kind, values, Some(&stored).filter(|_| stale), &options, sent.as_ref());
        let title = labels::title(kind, &item);
        let heading = format!("Edit {title}");
        let (href, edit) =
            (refs::href(kind, kind::id(&item)), format!("/forms/{}/edit/{}", kind.name(), kind::id(&item)));
        let seen = sent.as_ref().filter(|_| !stale).and_then(|sent| sent.field("_if_match"));
        let submit = if stale { "Save my version" } else { "Save" };
        Ok(Self {
            object: Some(Link::new(title, href.clone())),
            action: href.clone(),
            cancel: href,
            // After a try, or a refusal for another reason, still what the person saw.
            if_match: Some(seen.unwrap_or(tag)),
            idempotency_key: None,
            reload: stale.then_some(edit),
            ..Self::new(&tx.actor, kind, heading, submit.into(), fields, sent.as_ref())
        })
    }

    fn new(
        reader: &Actor,
        kind: &'static dyn Kind,
        heading: String,
        submit: String,
        fields: Vec<Field>,
        sent: Option<&Sent<'_>>,
    ) -> Self {
        let (required, optional) = fields.into_iter().partition(|field| field.required);
        Self {
            layout: Layout::new(heading.clone(), Some(kind), Some(reader)),
            heading,
            about: kind.about(),
            collection: Link::new(labels::capitalized(&labels::plural(kind)), collection(kind)),
            object: None,
            action: collection(kind),
            if_match: None,
            idempotency_key: Some(uuid::Uuid::new_v4().to_string()),
            message: sent.and_then(|sent| sent.field("_change_message")).unwrap_or_default(),
            refusal: sent.and_then(|sent| sent.outcome.error()).map(|error| Refusal::of(kind, error)),
            tried: sent.is_some_and(|sent| matches!(sent.outcome, Outcome::Tried(_))),
            foreseen: sent.and_then(|sent| sent.outcome.foreseen()),
            required,
            optional,
            submit,
            cancel: collection(kind),
            reload: None,
        }
    }
}

/// An object whose references are shown as such, and its entity tag.
pub async fn read(tx: &Tx, kind: &'static dyn Kind, key: &str) -> Result<(Value, String)> {
    let mut rows = [kind.find(tx, &natural_key::condition(kind, key)?).await?];
    refs::fill_lists(tx, kind, &mut rows).await?;
    let tag = etag::object(kind, &rows[0]);
    let item = refs::with_references(tx, kind, rows.into()).await?.pop().ok_or(Error::NotFound)?;
    Ok((item, tag))
}

fn fields(
    editor: &Actor,
    kind: &'static dyn Kind,
    values: &Values,
    stored: Option<&Values>,
    options: &Options,
    sent: Option<&Sent<'_>>,
) -> Vec<Field> {
    let mistakes = sent.and_then(|sent| sent.outcome.error()).map(mistakes).unwrap_or_default();
    let field = |column: &'static Column| Field {
        name: column.name,
        label: labels::column(column),
        required: column.required,
        help: help(column, options),
        look_up: options::chosen_from(column)
            .filter(|target| options.choices(*target, &[]).is_none())
            .map(|target| Link::new(format!("Look up {}", labels::plural(target)), collection(target))),
        mistakes: mistakes.iter().filter(|(name, _)| name == column.name).map(|(_, told)| told.clone()).collect(),
        stored: stored.filter(|stored| !stored.same(values, column)).map(|stored| match stored.of(column.name) {
            [] => "nothing".to_owned(),
            texts => texts.join(", "),
        }),
        widget: Widget::for_field(column, values.of(column.name), options),
    };
    let offered = |column: &&'static Column| column.writable && policy::sets(editor, column);
    kind.columns().iter().filter(offered).map(field).collect()
}

fn help(column: &Column, options: &Options) -> String {
    let how = match column.ty {
        Type::Int if column.holds_bytes() => "Bytes, or with a unit: 64 GiB, 1 TB.",
        Type::Owned(_) | Type::Labels => "One per line.",
        Type::Many(link) if options.choices(link.kind, &[]).is_none_or(|choices| choices.is_empty()) => "One per line.",
        Type::Json => "A JSON object.",
        Type::Time => "In UTC.",
        _ => "",
    };
    [column.about, how].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

/// The fields at fault, and what is wrong with each: `must be an address`, `item 2: names none of vlans`.
fn mistakes(error: &Error) -> Vec<(String, String)> {
    let (Error::Invalid(fields) | Error::Conflict(fields)) = error else { return vec![] };
    let told = |(path, detail): &(String, String)| {
        let (name, below) = path.split_once('/').unwrap_or((path, ""));
        let item: Option<usize> = below.split('/').next().and_then(|first| first.parse().ok());
        let detail = item.map_or_else(|| detail.clone(), |item| format!("item {}: {detail}", item + 1));
        (name.to_owned(), detail)
    };
    fields.iter().map(told).collect()
}

impl Refusal {
    /// What to tell a person.
    pub fn of(kind: &'static dyn Kind, error: &Error) -> Self {
        let (heading, advice) = match error {
            Error::Stale => (
                "Somebody else changed this in the meantime",
                "Nothing was saved. Below is what you typed; where something else is stored now, the field says so. \
                 Save your version over it, or start again from what is stored.",
            ),
            Error::Conflict(_) => ("This conflicts with what is already there", "Nothing was saved."),
            _ => ("Not everything is right yet", "Nothing was saved."),
        };
        let link = |(name, detail): (String, String)| match Column::named(kind.columns(), &name) {
            Some(column) => Link::new(format!("{} {detail}", labels::column(column)), format!("#field-{name}")),
            None if name.is_empty() => Link::new(format!("It {detail}"), ""),
            None => Link::new(format!("{name} {detail}"), ""),
        };
        Self { heading, advice, mistakes: mistakes(error).into_iter().map(link).collect() }
    }
}
