//! The column lists say what the database does: types, what must be given, what refers to what, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use virtapi::{Column, KINDS, Kind, OnDelete, Type};

use crate::harness::{database, rows};

/// Table, column, type, whether it is never null, whether Postgres has a value of its own for it.
const COLUMNS: &str = "
    SELECT c.relname, a.attname, COALESCE(base.typname, t.typname), a.attnotnull OR t.typnotnull,
        a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type base ON base.oid = t.typbasetype
    WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace";

/// Table, first column, table that is referred to, what a deletion does.
const FOREIGN_KEYS: &str = "
    SELECT c.conrelid::regclass, a.attname, c.confrelid::regclass, c.confdeltype
    FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace";

/// Table and what a unique index is over.
const UNIQUE: &str = "
    SELECT indrelid::regclass, (SELECT string_agg(pg_get_indexdef(indexrelid, n, true), ',' ORDER BY n)
        FROM generate_series(1, indnkeyatts) AS n)
    FROM pg_index WHERE indisunique AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)";

/// Foreign keys whose columns no index begins with: each deletion of what they refer to would read the whole table.
const WITHOUT_INDEX: &str = "
    SELECT c.conname FROM pg_constraint c WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)";

/// Constraints that `error.rs` could not turn into a field.
const ILL_NAMED: &str = "
    SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 0
    AND conrelid::regclass::text NOT LIKE '\\_\\_diesel%' AND conname !~ ('^' || conrelid::regclass || '_.*(' || CASE contype
        WHEN 'c' THEN 'check' WHEN 'f' THEN 'fkey' WHEN 'u' THEN 'key' WHEN 'x' THEN 'key' WHEN 'p' THEN 'pkey' ELSE 'trigger' END || ')$')
    AND conname <> conrelid::regclass || '_pkey'
    AND NOT (SELECT relispartition FROM pg_class WHERE pg_class.oid = conrelid)";

/// What the database knows.
struct Catalog {
    /// By table and column: type, never null, own value.
    columns: BTreeMap<(String, String), (String, bool, bool)>,
    /// By table and column: the tables that are referred to, and what a deletion does.
    foreign_keys: BTreeMap<(String, String), Vec<(String, String)>>,
    unique: BTreeSet<(String, String)>,
}

impl Catalog {
    async fn read(dsn: &str) -> Self {
        let pair = |row: &[String]| (row[0].clone(), row[1].clone());
        let columns = rows(dsn, COLUMNS).await;
        let columns = columns.iter().map(|row| (pair(row), (row[2].clone(), row[3] == "t", row[4] == "t"))).collect();
        let mut foreign_keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in rows(dsn, FOREIGN_KEYS).await {
            foreign_keys.entry(pair(&row)).or_default().push(pair(&row[2..]));
        }
        let unique = rows(dsn, UNIQUE).await.iter().map(|row| pair(row)).collect();
        Self { columns, foreign_keys, unique }
    }

    /// Whether this column refers to this table, and a deletion there does this.
    fn refers(&self, table: &str, column: &str, target: &str, on_delete: &str) -> bool {
        let found = self.foreign_keys.get(&(table.to_owned(), column.to_owned()));
        found.is_some_and(|keys| keys.contains(&(target.to_owned(), on_delete.to_owned())))
    }

    /// What is wrong with a column that is kept in the kind's own table.
    fn check_stored(&self, kind: &dyn Kind, column: &Column) -> Option<String> {
        let name = column.sql_name().trim_matches('"').to_owned();
        // Of a view Postgres does not know what is never null.
        let place = if column.is_derived() { kind.source() } else { kind.table() };
        let Some((sql_type, never_null, has_value)) = self.columns.get(&(place.to_owned(), name.clone())) else {
            return Some(format!("is no column of {place}"));
        };
        let fits = match column.ty.sql_type() {
            "int8" => ["int4", "int8"].contains(&sql_type.as_str()),
            "text[]" => sql_type == "_text",
            other => sql_type == other,
        };
        if !fits {
            return Some(format!("is {sql_type} in the table"));
        }
        // A UUID that need not be given is made by the server.
        let is_made = column.ty.is_uuid() && !column.required;
        let must_be_given = *never_null && !has_value && !is_made;
        if column.writable && column.required != must_be_given {
            return Some(format!("is required: {}, must be given to the table: {must_be_given}", column.required));
        }
        if !column.writable && !column.is_derived() && column.required != *never_null {
            return Some(format!("is never null: {}, in the table: {never_null}", column.required));
        }
        let target = column.target()?;
        let on_delete = match column.on_delete {
            OnDelete::Refuse => "a",
            OnDelete::GoAlong => "c",
            OnDelete::Clear => "n",
        };
        let refers = self.refers(kind.table(), &name, target.table(), on_delete);
        (!refers).then(|| format!("does not refer to {} with {on_delete:?}", target.table()))
    }

    /// What is wrong with a list that is kept elsewhere.
    fn check_list(&self, kind: &dyn Kind, column: &Column) -> Option<String> {
        let sound = match column.ty {
            Type::Many(link) => {
                self.refers(link.table, link.own, kind.table(), "c")
                    && self.refers(link.table, link.other, link.kind.table(), "a")
                    && self.unique.contains(&(link.table.to_owned(), format!("{},{}", link.own, link.other)))
            }
            Type::Owned(list) => {
                let owner = Column::named(list.kind.columns(), list.owner)?;
                owner.on_delete == OnDelete::GoAlong
                    && owner.target().is_some_and(|target| target.name() == kind.name())
            }
            _ => true,
        };
        (!sound).then(|| "is not kept as it says".into())
    }
}

#[rocket::async_test]
async fn every_column_list_says_what_the_database_does() {
    let dsn = database().await;
    let catalog = Catalog::read(&dsn).await;
    let mut wrong = vec![];
    for &kind in KINDS {
        let table = kind.table();
        for column in kind.columns() {
            let found =
                if column.is_stored() { catalog.check_stored(kind, column) } else { catalog.check_list(kind, column) };
            wrong.extend(found.map(|what| format!("{table}.{} {what}", column.name)));
        }
        let listed: BTreeSet<String> =
            kind.columns().iter().map(|column| column.sql_name().trim_matches('"').to_owned()).collect();
        let kept = catalog.columns.keys().filter(|(of, name)| of == table && !listed.contains(name));
        wrong.extend(kept.map(|(_, name)| format!("{table}.{name} is in no column list")));
        let key: Vec<String> = kind
            .key()
            .iter()
            .filter_map(|name| Column::named(kind.columns(), name))
            .map(|column| match column.ty {
                Type::Inet => format!("host({})", column.name),
                _ => column.sql_name().trim_matches('"').to_owned(),
            })
            .collect();
        if !catalog.unique.contains(&(table.to_owned(), key.join(","))) {
            wrong.push(format!("{table}: nothing makes its natural key {key:?} unique"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[rocket::async_test]
async fn every_foreign_key_has_an_index_and_every_constraint_a_name_that_tells_its_field() {
    let dsn = database().await;
    for query in [WITHOUT_INDEX, ILL_NAMED] {
        let found: Vec<String> = rows(&dsn, query).await.into_iter().flatten().collect();
        assert!(found.is_empty(), "{found:?}{query}");
    }
}
