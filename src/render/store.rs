//! The documents that are kept, by node. None is given away unless its version is the committed one.

use quick_cache::{Weighter, sync::Cache};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

use crate::auth::Actor;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::render::check::Checks;
use crate::render::document::{Document, Version};
use crate::render::served::Served;
use crate::{etag, render::statements, yaml_safe};

/// How many documents that is, roughly.
const DOCUMENTS: usize = 16_384;

/// A view of a document: how a tool wants it, from the tree.
pub type View = fn(&Value) -> Value;

/// How many views there are.
pub const VIEWS: usize = 4;

/// The documents of all nodes.
pub struct Documents {
    db: Db,
    checks: Checks,
    kept: Cache<String, Arc<Kept>, ByBytes>,
}

/// A document as bytes, each view made when it is first asked for.
pub struct Kept {
    version: Version,
    tree: Vec<u8>,
    views: [OnceLock<Result<Arc<Served>, String>>; VIEWS],
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Arc<Kept>> for ByBytes {
    fn weight(&self, name: &String, kept: &Arc<Kept>) -> u64 {
        // Two of the four views are as big as the tree.
        (name.len() + 3 * kept.tree.len() + size_of::<Kept>()) as u64
    }
}

impl Documents {
    /// An empty store for so many bytes, and the task that answers its checks. Needs a runtime.
    pub fn start(db: Db, capacity: u64) -> Self {
        let kept = Cache::with_weighter(DOCUMENTS, capacity, ByBytes);
        Self { checks: Checks::start(db.clone()), db, kept }
    }

    /// The document of a node as of some moment after this was called.
    ///
    /// # Errors
    /// Not found for an unknown node; [`Error::Away`] when it cannot be made sure that the document is current.
    pub async fn get(&self, fqdn: &str) -> Result<Arc<Kept>> {
        let held = self.kept.get(fqdn);
        let committed = self.checks.committed(fqdn, held.as_ref().map(|kept| kept.version.clone())).await?;
        let Some(committed) = committed else {
            self.kept.remove(fqdn);
            return Err(Error::NotFound);
        };
        match held.filter(|kept| kept.version == committed) {
            Some(kept) => Ok(kept),
            None => self.build(fqdn).await,
        }
    }

    async fn build(&self, fqdn: &str) -> Result<Arc<Kept>> {
        let document = read(&self.db, fqdn).await?;
        let tree = serde_json::to_vec(&document.tree).map_err(|error| Error::Internal(error.into()))?;
        let kept = Arc::new(Kept { version: document.version, tree, views: Default::default() });
        self.kept.insert(fqdn.to_owned(), kept.clone());
        Ok(kept)
    }
}

/// The document of a node, from the database.
///
/// # Errors
/// Not found for an unknown node; [`Error::Away`].
pub async fn read(db: &Db, fqdn: &str) -> Result<Document> {
    let rows = db.read(Actor::system("render"), async |tx: &Tx| statements::read(tx, fqdn).await).await?;
    Document::build(fqdn, &rows)
}

impl Kept {
    /// The tree below `virtapi`.
    ///
    /// # Errors
    /// [`Error::Internal`], when what was written cannot be read.
    pub fn tree(&self) -> Result<Value> {
        serde_json::from_slice(&self.tree).map_err(|error| Error::Internal(error.into()))
    }

    /// The document as a tool wants it. `place` is the view's own, less than [`VIEWS`].
    ///
    /// # Errors
    /// [`Error::Internal`], when what was written cannot be read.
    pub fn view(&self, place: usize, view: View) -> Result<Arc<Served>> {
        let made = self.views[place].get_or_init(|| self.make(view).map_err(|error| error.to_string()));
        made.clone().map_err(|error| Error::Internal(error.into()))
    }

    fn make(&self, view: View) -> Result<Arc<Served>, serde_json::Error> {
        let tree: Value = serde_json::from_slice(&self.tree)?;
        let bytes = yaml_safe::to_vec(&view(&tree))?;
        let Version { node, generation, clusters } = &self.version;
        let clusters: String = clusters.iter().map(|(id, generation)| format!("-c{id}.{generation}")).collect();
        // The digest, too: another release may render the same version in another way.
        let tag = format!("\"{node}-{generation}{clusters}-{}\"", etag::digest(&bytes));
        Ok(Arc::new(Served { tag, bytes }))
    }
}
