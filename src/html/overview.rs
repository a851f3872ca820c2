//! The start page: what there is, and how much of it.

use askama::Template;
use futures_util::future::try_join_all;

use crate::count;
use crate::db::Tx;
use crate::error::Result;
use crate::html::labels;
use crate::html::layout::{Layout, Link, collection, grouped};
use crate::html::list::told;
use crate::kind::Kind;
use crate::policy;
use crate::query::Query;

/// The page.
#[derive(Template)]
#[template(path = "overview.html")]
pub struct Overview {
    layout: Layout,
    groups: Vec<Group>,
    /// What the server says about itself.
    server: Vec<Link>,
}

struct Group {
    name: &'static str,
    cards: Vec<Card>,
}

/// A collection.
struct Card {
    name: String,
    about: &'static str,
    count: String,
    href: String,
    create: Option<String>,
}

impl Overview {
    /// Counts everything, in one round trip.
    ///
    /// # Errors
    /// [`crate::error::Error::Away`].
    pub async fn read(tx: &Tx) -> Result<Self> {
        let groups = grouped(Some(&tx.actor)).into_iter().map(|(name, kinds)| async move {
            let cards = try_join_all(kinds.into_iter().map(|kind| card(tx, kind))).await?;
            Ok::<_, crate::error::Error>(Group { name, cards })
        });
        let server = [
            ("API documentation", "/docs"),
            ("OpenAPI", "/api-docs"),
            ("Readiness", "/ready"),
            ("Metrics", "/metrics"),
        ];
        Ok(Self {
            layout: Layout { is_home: true, ..Layout::new("Overview", None, Some(&tx.actor)) },
            groups: try_join_all(groups).await?,
            server: server.iter().map(|(text, href)| Link::new(*text, *href)).collect(),
        })
    }
}

async fn card(tx: &Tx, kind: &'static dyn Kind) -> Result<Card> {
    let total = count::total(tx, kind, &Query::parse(kind, &[])?).await?;
    Ok(Card {
        name: labels::capitalized(&labels::plural(kind)),
        about: kind.about(),
        count: told(&total),
        href: collection(kind),
        create: policy::writes(&tx.actor, kind).then(|| format!("/forms/{}/create", kind.name())),
    })
}
