//! What hangs on an object: what goes with it when it is deleted, and what keeps it from being deleted.

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use std::collections::HashSet;

use crate::column::{Column, OnDelete};
use crate::db::Tx;
use crate::embed;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::sql::{Sql, Statement};
use crate::value_type::Type;
use crate::{natural_key, resources::KINDS};

/// Objects of one kind that hang on another.
pub struct Dependents {
    /// Their kind.
    pub kind: &'static dyn Kind,
    /// What becomes of them when it is deleted.
    pub on_delete: OnDelete,
    /// Whether the database leaves them: they are deleted before it, as on their own.
    pub is_apart: bool,
    /// Their ids and natural keys.
    pub objects: Vec<(i64, String)>,
}

/// How many are named in an error.
const NAMED: usize = 5;

/// All that hangs on an object, and on what goes with it.
async fn of(tx: &Tx, kind: &'static dyn Kind, id: i64) -> Result<Vec<Dependents>> {
    let mut found = Vec::new();
    let mut waiting = vec![(kind, vec![id.to_string()])];
    while let Some((kind, ids)) = waiting.pop() {
        for (_, user, column) in embed::reverse(kind) {
            let mut objects = referring(tx, user, &format!("{} = ", column.sql_name()), ids.clone()).await?;
            if let Some((of, value)) = column.part_if.filter(|_| !objects.is_empty()) {
                let parts =
                    referring(tx, user, &format!("{of} = '{value}' AND named.{} = ", column.sql_name()), ids.clone())
                        .await?;
                objects.retain(|object| !parts.contains(object));
                if !parts.is_empty() {
                    waiting.push((user, parts.iter().map(|(id, _)| id.to_string()).collect()));
                    found.push(Dependents { kind: user, on_delete: OnDelete::GoAlong, is_apart: true, objects: parts });
                }
            }
            if column.on_delete == OnDelete::GoAlong && !objects.is_empty() {
                waiting.push((user, objects.iter().map(|(id, _)| id.to_string()).collect()));
            }
            add(&mut found, user, column, objects);
        }
        for (user, column, link) in lists_of(kind) {
            let through = format!("id IN (SELECT {} FROM {} WHERE {} = ", link.own, link.table, link.other);
            let objects = referring(tx, user, &through, ids.clone()).await?;
            add(&mut found, user, column, objects);
        }
    }
    Ok(found)
}

fn add(found: &mut Vec<Dependents>, kind: &'static dyn Kind, column: &Column, objects: Vec<(i64, String)>) {
    if !objects.is_empty() {
        found.push(Dependents { kind, on_delete: column.on_delete, is_apart: false, objects });
    }
}

/// The kinds that have this one in a list.
fn lists_of(
    kind: &'static dyn Kind,
) -> impl Iterator<Item = (&'static dyn Kind, &'static Column, &'static crate::value_type::Link)> {
    KINDS.iter().flat_map(move |&user| {
        user.columns().iter().filter_map(move |column| match column.ty {
            Type::Many(link) if link.kind.name() == kind.name() => Some((user, column, link)),
            _ => None,
        })
    })
}

async fn referring(tx: &Tx, user: &dyn Kind, condition: &str, ids: Vec<String>) -> Result<Vec<(i64, String)>> {
    let key = natural_key::text_sql(user, "named");
    let sql = Sql::new(format!("SELECT named.id, {key} FROM {} AS named WHERE named.{condition}", user.table()));
    let close = if condition.contains('(') { ")" } else { "" };
    let statement: Statement<(BigInt, Text)> = sql.any(ids, "int8").text(close).text(" ORDER BY 1").into();
    Ok(statement.load(&mut tx.conn()).await?)
}

/// What becomes of others when an object is deleted. In each list, each kind stands once.
pub struct Fate {
    /// They are deleted with it.
    pub goes: Vec<Dependents>,
    /// Of those, what the database would leave.
    pub apart: Vec<(&'static dyn Kind, i64)>,
    /// They stay, and no longer refer to it.
    pub cleared: Vec<Dependents>,
    /// They keep it from being deleted: they refer to it and do not go as well.
    pub keeps: Vec<Dependents>,
}

impl Fate {
    /// That of what hangs on an object.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn of(tx: &Tx, kind: &'static dyn Kind, id: i64) -> Result<Self> {
        let (mut goes, mut cleared, mut keeps) = (vec![], vec![], vec![]);
        for dependents in of(tx, kind, id).await? {
            match dependents.on_delete {
                OnDelete::GoAlong => goes.push(dependents),
                OnDelete::Clear => cleared.push(dependents),
                OnDelete::Refuse => keeps.push(dependents),
            }
        }
        let apart = goes.iter().filter(|dependents: &&Dependents| dependents.is_apart);
        let apart = apart.flat_map(|d| d.objects.iter().map(|(id, _)| (d.kind, *id))).collect();
        let goes = by_kind(goes);
        let gone: HashSet<(&str, i64)> =
            goes.iter().flat_map(|d| d.objects.iter().map(|(id, _)| (d.kind.name(), *id))).collect();
        let stays = |dependents: Vec<Dependents>| {
            let mut kinds = by_kind(dependents);
            for dependents in &mut kinds {
                let name = dependents.kind.name();
                dependents.objects.retain(|(id, _)| !gone.contains(&(name, *id)));
            }
            kinds.retain(|dependents| !dependents.objects.is_empty());
            kinds
        };
        let (cleared, keeps) = (stays(cleared), stays(keeps));
        Ok(Self { goes, apart, cleared, keeps })
    }

    /// Refuses to delete what is in use, and says by what.
    ///
    /// # Errors
    /// [`Error::Conflict`].
    pub fn refuse_if_used(&self) -> Result<()> {
        let told = |dependents: &Dependents| {
            let shown: Vec<&str> = dependents.objects.iter().take(NAMED).map(|(_, name)| name.as_str()).collect();
            let more = if dependents.objects.len() > NAMED { ", …" } else { "" };
            let (count, name) = (dependents.objects.len(), dependents.kind.name());
            (String::new(), format!("is still used by {count} {name}: {}{more}", shown.join(", ")))
        };
        if self.keeps.is_empty() { Ok(()) } else { Err(Error::Conflict(self.keeps.iter().map(told).collect())) }
    }
}

fn by_kind(found: Vec<Dependents>) -> Vec<Dependents> {
    let mut kinds: Vec<Dependents> = Vec::new();
    for dependents in found {
        match kinds.iter_mut().find(|other| other.kind.name() == dependents.kind.name()) {
            Some(same) => same.objects.extend(dependents.objects),
            None => kinds.push(dependents),
        }
    }
    for dependents in &mut kinds {
        dependents.objects.sort();
        dependents.objects.dedup();
    }
    kinds
}
