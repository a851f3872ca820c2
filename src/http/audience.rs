//! Of which nodes somebody hears while a stream lasts: what it may hear, as that is now, and what it wishes to. It knows
//! the feed's batches, and not how they are sent.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::auth::{Actor, Identities, Serves};
use crate::error::{Error, Result};
use crate::events::{Batch, Feed};
use crate::http::proof::Proof;
use crate::policy;

/// Who listens, and to what.
pub struct Audience {
    proof: Proof,
    identities: Arc<Identities>,
    actor: Actor,
    /// What it may hear.
    serves: Serves,
    /// What it wishes to hear; nothing for all that it may.
    wanted: BTreeSet<String>,
}

impl Audience {
    /// Somebody who wishes to hear of these nodes, or of all.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or [`Error::Hidden`] for a node that is not there for it; [`Error::Away`].
    pub async fn find(
        actor: Actor,
        proof: Proof,
        identities: Arc<Identities>,
        wanted: BTreeSet<String>,
        feed: &Feed,
    ) -> Result<Self> {
        let serves = policy::events(&actor)?;
        let audience = Self { proof, identities, actor, serves, wanted: wanted.clone() };
        if let Some(other) = audience.first_of_others().await? {
            return Err(Error::Hidden(other));
        }
        if let Some(first) = wanted.first()
            && !feed.knows(&wanted).await?
        {
            return Err(Error::Hidden(first.clone()));
        }
        Ok(audience)
    }

    /// In whose name it listens.
    pub fn name(&self) -> &str {
        self.actor.name()
    }

    /// A node that it wishes to hear of and may not.
    async fn first_of_others(&self) -> Result<Option<String>> {
        let found = match &self.serves {
            Serves::All => None,
            Serves::Listed(names) => self.wanted.iter().find(|name| !names.contains(*name)),
            Serves::Matching(_) if self.wanted.iter().any(|name| name.contains('\0')) => self.wanted.first(),
            Serves::Matching(filter) => {
                let matching = self.identities.matching(filter, self.wanted.iter().cloned().collect()).await?;
                self.wanted.iter().find(|name| !matching.contains(*name))
            }
        };
        Ok(found.cloned())
    }

    /// Asks again who this is, and what it may hear; says whether that is something else than before.
    ///
    /// # Errors
    /// It may not hear anything any more, or not what it wishes to; [`Error::Away`].
    pub async fn renew(&mut self) -> Result<bool> {
        self.actor = self.proof.whose(&self.identities).await?;
        let serves = policy::events(&self.actor)?;
        let has_changed = serves != self.serves;
        self.serves = serves;
        match self.first_of_others().await? {
            Some(_) => Err(Error::NotFound),
            // What it has not heard of before makes no difference to who wishes to hear of certain nodes.
            None => Ok(has_changed && self.wanted.is_empty()),
        }
    }

    /// The places of what it hears of in a batch.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::Away`].
    pub async fn hears(&self, batch: &Batch) -> Result<Vec<usize>> {
        let wanted = || self.wanted.iter().filter_map(|name| batch.find(name)).collect::<Vec<_>>();
        match &self.serves {
            // It is known that it may, since it was asked last.
            Serves::All | Serves::Listed(_) if !self.wanted.is_empty() => Ok(wanted()),
            Serves::All => Ok(batch.all()),
            Serves::Listed(names) => {
                let mut places: Vec<_> = names.iter().filter_map(|name| batch.find(name)).collect();
                places.sort_unstable();
                Ok(places)
            }
            Serves::Matching(filter) => {
                let mut places = if self.wanted.is_empty() { batch.all() } else { wanted() };
                let name = |place: &usize| batch.get(*place).map(|changed| changed.node.clone());
                let names: Vec<String> = places.iter().filter_map(name).collect();
                if names.is_empty() {
                    return Ok(places);
                }
                let matching = self.identities.matching(filter, names).await?;
                places.retain(|place| batch.get(*place).is_some_and(|changed| matching.contains(&changed.node)));
                Ok(places)
            }
        }
    }
}
