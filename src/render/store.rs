//! The documents that are kept, by node. None is given away unless its version is the committed one.

use quick_cache::{Weighter, sync::Cache};
use serde_json::Value;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use crate::auth::Actor;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::render::PATIENCE;
use crate::render::check::Checks;
use crate::render::document::{Document, Version};
use crate::render::served::Served;
use crate::render::versions;
use crate::{etag, yaml_safe};

/// How many documents that is, roughly.
const DOCUMENTS: usize = 16_384;
/// How many documents may be built at the same time: more than there are connections.
const TURNS: usize = 256;

/// A view of a document: how a tool wants it, from the tree.
pub type View = fn(&Value) -> Value;

/// How many views there are.
pub const VIEWS: usize = 4;

/// The documents of all nodes.
pub struct Documents {
    db: Db,
    checks: Checks,
    kept: Cache<String, Arc<Kept>, ByBytes>,
    /// Who builds a document holds the one of its name; the others wait, and then look at what was built.
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
}

/// A document as bytes, each view made when it is first asked for.
pub struct Kept {
    version: Version,
    /// A moment before it was read from the database.
    begun: Instant,
    tree: Vec<u8>,
    views: [OnceLock<Result<Arc<Served>, Arc<Error>>>; VIEWS],
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
        let turns = std::array::from_fn(|_| Mutex::default());
        let asked = db.clone();
        let checks = Checks::start(move |names| versions::committed(asked.clone(), names));
        Self { checks, db, kept, turns, hasher: RandomState::new() }
    }

    /// The document of a node as of some moment after this was called.
    ///
    /// # Errors
    /// Not found for an unknown node; [`Error::Away`] when it cannot be made sure that the document is current.
    pub async fn get(&self, fqdn: &str) -> Result<Arc<Kept>> {
        // What cannot be stored names nothing, and would fail the check of all who ask at the same time.
        if fqdn.contains('\0') {
            return Err(Error::NotFound);
        }
        let asked = Instant::now();
        loop {
            let held = self.kept.get(fqdn);
            let committed = self.checks.committed(fqdn, held.as_ref().map(|kept| &kept.version)).await?;
            let Some(committed) = committed else {
                self.kept.remove(fqdn);
                return Err(Error::NotFound);
            };
            if let Some(kept) = held.as_ref().filter(|kept| kept.version == committed) {
                return Ok(kept.clone());
            }
            // Boxed, as below: what is kept is given away without the room that it takes to build it.
            let turn = Box::pin(self.turn(fqdn)).await?;
            match self.kept.get(fqdn) {
                // Somebody has built it meanwhile, from what was there after this was called.
                Some(kept) if kept.begun >= asked => return Ok(kept),
                // Or from what was there before: that may still be current.
                Some(kept) if held.is_none_or(|held| !Arc::ptr_eq(&held, &kept)) => drop(turn),
                _ => return Box::pin(self.build(fqdn)).await,
            }
        }
    }

    /// A place among those who want to build this document.
    async fn turn(&self, fqdn: &str) -> Result<MutexGuard<'_, ()>> {
        let place = usize::try_from(self.hasher.hash_one(fqdn) % TURNS as u64).unwrap_or_default();
        let turn = &self.turns[place];
        timeout(2 * PATIENCE, turn.lock()).await.map_err(|late| Error::Away(late.into()))
    }

    async fn build(&self, fqdn: &str) -> Result<Arc<Kept>> {
        let begun = Instant::now();
        // When it takes too long, its connection goes with its transaction.
        let read = self.db.read(Actor::system("render"), async |tx: &Tx| Document::read(tx, fqdn).await);
        let read = timeout(PATIENCE, read).await;
        let document = read.map_err(|late| Error::Away(late.into()))??;
        let tree = serde_json::to_vec(&document.tree).map_err(|error| Error::Internal(error.into()))?;
        let kept = Arc::new(Kept { version: document.version, begun, tree, views: Default::default() });
        self.kept.insert(fqdn.to_owned(), kept.clone());
        Ok(kept)
    }
}

impl Kept {
    /// The id of the node.
    pub fn node(&self) -> i64 {
        self.version.node
    }

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
        let made = self.views[place].get_or_init(|| self.make(view).map_err(Arc::new));
        made.clone().map_err(|error| Error::Internal(error.into()))
    }

    fn make(&self, view: View) -> Result<Arc<Served>> {
        self.served(&view(&self.tree()?)).map(Arc::new)
    }

    /// A part or a view of the document, with an entity tag.
    ///
    /// # Errors
    /// [`Error::Internal`], when it cannot be written.
    pub fn served(&self, value: &Value) -> Result<Served> {
        let bytes = yaml_safe::to_vec(value).map_err(|error| Error::Internal(error.into()))?;
        let Version { node, generation, clusters } = &self.version;
        let mut tag = format!("\"{node}-{generation}");
        for (id, generation) in clusters {
            tag += &format!("-c{id}.{generation}");
        }
        // The digest, too: another release may render the same version in another way.
        tag += &format!("-{}\"", etag::digest(&bytes));
        Ok(Served { tag, bytes })
    }
}
