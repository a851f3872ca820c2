//! `src/schema.rs` is what the migrations make: written from the database, by this test when it is asked to.

use std::fmt::Write;

use crate::harness::{database, rows};

const FILE: &str = "src/schema.rs";
const HOW: &str = "UPDATE_SCHEMA=1 cargo test schema";

/// Every table and every view that a kind is read from, its primary key, and its columns in order, each with its base
/// type. Postgres does not know of a column of a view that it is never null: it is if that of the table is, and so are
/// the status and the lifecycle.
const COLUMNS: &str = "
    SELECT c.relname, a.attname, COALESCE(base.typname, t.typname), a.attnotnull OR t.typnotnull OR c.relkind = 'v' AND (
            a.attname IN ('status', 'lifecycle') OR EXISTS (SELECT FROM pg_attribute kept WHERE kept.attnotnull
                AND kept.attrelid = to_regclass(replace(c.relname, '_with_status', '')) AND kept.attname = a.attname)),
        a.attnum = ANY (p.conkey) OR c.relkind = 'v' AND a.attname = 'id'
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type base ON base.oid = t.typbasetype
    LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
    WHERE (c.relkind IN ('r', 'p') AND NOT c.relispartition OR c.relkind = 'v' AND c.relname LIKE '%\\_with\\_status') AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '\\_\\_diesel%'
    ORDER BY c.relname COLLATE \"C\", a.attnum";

async fn generated() -> String {
    let mut text = format!("//! The tables, as the migrations make them. Written by a test: `{HOW}`.\n");
    let columns = rows(&database().await, COLUMNS).await;
    for table in columns.chunk_by(|a, b| a[0] == b[0]) {
        let key: Vec<&str> = table.iter().filter(|column| column[4] == "t").map(|column| column[1].as_str()).collect();
        write!(text, "\ndiesel::table! {{\n    {} ({}) {{\n", table[0][0], key.join(", ")).expect("writes");
        for column in table {
            let (first, rest) = column[2].trim_start_matches('_').split_at(1);
            let ty = first.to_uppercase() + rest;
            let ty = if column[2].starts_with('_') { format!("Array<{ty}>") } else { ty };
            let ty = if column[3] == "t" { ty } else { format!("Nullable<{ty}>") };
            writeln!(text, "        {} -> {ty},", column[1]).expect("writes");
        }
        text.push_str("    }\n}\n");
    }
    text
}

#[rocket::async_test]
async fn the_schema_is_what_the_migrations_make() {
    let generated = generated().await;
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(FILE, &generated).expect("writes");
    }
    let written = std::fs::read_to_string(FILE).expect("reads");
    let differs = written.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(
        written == generated,
        "{FILE} is not what the migrations make, from line {differs:?} (from 0) on; run\n\n    {HOW}\n"
    );
}
