//! What one transaction has to remember while it writes: names that it has looked up, and whose documents show what it
//! has changed. It knows no particular kind.

use diesel::sql_types::{BigInt, Integer};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use std::collections::HashMap;

use crate::audit::Trail;
use crate::error::{Error, Result};
use crate::shown::Shown;
use crate::sql::{Sql, Statement};
use crate::{db::Tx, deleted, kind::Kind, natural_key, telling};

/// The work of one transaction.
pub struct Work<'t> {
    /// The transaction.
    pub tx: &'t Tx,
    /// Whose documents show what was changed.
    pub shown: Shown,
    /// What was changed.
    pub trail: Trail,
    /// The ids of what was found or made: by whether the server saw it, for it sees more than who asks, by collection, and by how it
    /// was named.
    found: HashMap<(bool, &'static str, String), i64>,
}

impl<'t> Work<'t> {
    /// Nothing yet.
    pub fn new(tx: &'t Tx) -> Self {
        Self { tx, shown: Shown::default(), trail: Trail::default(), found: HashMap::new() }
    }

    /// The id of what a value means. A list of many objects names the same few again and again.
    pub async fn find_id(&mut self, kind: &dyn Kind, given: &Value) -> Result<Option<i64>> {
        let name = (self.tx.acts_for_server(), kind.name(), given.to_string());
        if let Some(id) = self.found.get(&name) {
            return Ok(Some(*id));
        }
        let Ok(condition) = natural_key::condition_of(kind, given) else { return Ok(None) };
        let sql = Sql::new(format!("SELECT id FROM {} WHERE ", kind.table())).then(condition);
        let ids: Vec<i64> = Statement::<BigInt>::from(sql).load(&mut self.tx.conn()).await?;
        let id = ids.into_iter().next();
        if let Some(id) = id {
            self.found.insert(name, id);
            self.is_there(kind, id);
        }
        Ok(id)
    }

    /// Finds in one statement what will be asked for by [`Self::find_id`]. What cannot be found says so when it is asked for.
    pub async fn find_ids(&mut self, wanted: &[(&'static dyn Kind, &Value)]) -> Result<()> {
        let sees = self.tx.acts_for_server();
        let (mut names, mut parts) = (Vec::new(), Vec::new());
        for (kind, given) in wanted {
            let name = (sees, kind.name(), given.to_string());
            if self.found.contains_key(&name) {
                continue;
            }
            if let Ok(condition) = natural_key::condition_of(*kind, given) {
                let select = format!("SELECT {}, id FROM {} WHERE ", names.len(), kind.table());
                parts.push(Sql::new(select).then(condition));
                names.push((*kind, name));
            }
        }
        let Some(all) = parts.into_iter().reduce(|all, part| all.text(" UNION ALL ").then(part)) else { return Ok(()) };
        let found: Vec<(i32, i64)> = Statement::<(Integer, BigInt)>::from(all).load(&mut self.tx.conn()).await?;
        for (place, id) in found {
            if let Some((kind, name)) = usize::try_from(place).ok().and_then(|place| names.get(place)) {
                self.found.insert(name.clone(), id);
                self.is_there(*kind, id);
            }
        }
        Ok(())
    }

    /// The id of what a field names; none where it says nothing.
    ///
    /// # Errors
    /// That it names nothing, at that field; or [`Error::Away`].
    pub async fn named(&mut self, kind: &dyn Kind, field: &str, given: Option<&Value>) -> Result<Option<i64>> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(None) };
        let found = self.find_id(kind, given).await?;
        found.map(Some).ok_or_else(|| Error::field(field, format!("names none of {}", kind.name())))
    }

    /// What was just made, or found, or is referred to by what was found, need not be looked for by its id.
    pub fn is_there(&mut self, kind: &dyn Kind, id: i64) {
        self.found.insert((self.tx.acts_for_server(), kind.name(), id.to_string()), id);
    }

    /// What is new: kinds and ids.
    pub fn made(&self) -> Vec<(&'static dyn Kind, i64)> {
        self.trail.made()
    }

    /// Raises the generations of what shows the changes, and records them. Whose they are is the answer.
    pub async fn finish(self) -> Result<Shown> {
        let Self { tx, mut shown, trail, .. } = self;
        tx.as_server(async || {
            shown.raise_generations(tx).await?;
            // Last, for it reads what all that has made of the objects.
            let events = trail.write(tx).await?;
            telling::tell(tx, &events).await?;
            deleted::keep(tx, &events).await?;
            Ok(shown)
        })
        .await
    }

    /// Forgets what was found: a name may now mean something else.
    pub fn forget_names(&mut self) {
        self.found.clear();
    }
}
