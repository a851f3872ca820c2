//! Brings the schema up to date, for its owner; tells anybody else whether it is. It knows no table but the one in
//! which diesel notes what was done.

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::db::{AS_SERVER, Failure};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Who connects, whether there is a schema, and whether it is theirs to change.
#[derive(QueryableByName)]
struct Login {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    finds_schema: bool,
    #[diesel(sql_type = Bool)]
    owns_schema: bool,
}

const LOGIN: &str = "SELECT quote_ident(session_user) AS name, t.oid IS NOT NULL AS finds_schema,
    COALESCE(pg_has_role(t.relowner, 'USAGE'), has_schema_privilege(current_schema(), 'CREATE'), FALSE) AS owns_schema
    FROM (SELECT to_regclass('__diesel_schema_migrations') AS oid) AS name LEFT JOIN pg_class t USING (oid)";

#[derive(QueryableByName)]
struct Done {
    #[diesel(sql_type = Text)]
    version: String,
}

/// Brings the schema up to date; replicas that start together wait for each other. Whoever connects and is not its
/// owner finds it so, or is told what to do. Needs the multi-thread runtime.
///
/// # Errors
/// When the database is away, a migration does not apply, or another login has to do something first.
pub async fn migrate(url: &str) -> Result<(), Failure> {
    let mut conn = AsyncPgConnection::establish(url).await?;
    let login: Login = sql_query(LOGIN).get_result(&mut conn).await?;
    if login.owns_schema {
        harness(conn).await?.run_pending_migrations(MIGRATIONS)?;
        return Ok(()); // The lock goes with the connection.
    }
    let behind = || {
        let login = &login.name;
        format!("the schema is not up to date, and {login} is not its owner: its owner must first do `virtapi migrate`")
    };
    if !login.finds_schema {
        return Err(behind().into());
    }
    // As what it will act: that also tells whether it may.
    conn.batch_execute(AS_SERVER).await.map_err(|error| {
        format!("the owner of the schema must first do: GRANT virtapi_server TO {} ({error})", login.name)
    })?;
    let done: Vec<Done> = sql_query("SELECT version FROM __diesel_schema_migrations").load(&mut conn).await?;
    let known: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations()?;
    let is_done = |name: String| done.iter().any(|done| done.version == name);
    let current = known.iter().all(|migration| is_done(migration.name().version().to_string()));
    if current { Ok(()) } else { Err(behind().into()) }
}

/// Takes every migration back, newest first. What the database holds is lost.
///
/// # Errors
/// When the database is away, or a migration does not apply.
pub async fn revert(url: &str) -> Result<(), Failure> {
    let conn = AsyncPgConnection::establish(url).await?;
    harness(conn).await?.revert_all_migrations(MIGRATIONS)?;
    Ok(())
}

async fn harness(mut conn: AsyncPgConnection) -> Result<AsyncMigrationHarness<AsyncPgConnection>, Failure> {
    // Any number that nobody else uses.
    conn.batch_execute("SET client_min_messages = warning; SELECT pg_advisory_lock(7305)").await?;
    Ok(AsyncMigrationHarness::new(conn))
}
