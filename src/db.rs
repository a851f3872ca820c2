//! The database: a pool, and [`Tx`], which every operation is given. It knows no table.

use deadpool::{Runtime, managed::Timeouts};
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection,
    TransactionManager,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::time::Duration;

use crate::auth::Actor;
use crate::error::{Error, Result};

/// A pool of connections.
#[derive(Clone)]
pub struct Db(Pool<AsyncPgConnection>);

/// A connection and who uses it. Dropped halfway (a panic, a cancelled request), it rolls back: the pool throws a
/// connection with an open transaction away.
pub struct Tx {
    conn: Object<AsyncPgConnection>,
    /// On whose behalf.
    pub actor: Actor,
}

/// How long a request waits for a free connection before it is told that the database is away.
const WAIT: Duration = Duration::from_secs(5);
/// How long a connection is used. It keeps every statement that it prepared, and lists have many.
const LIFETIME: Duration = Duration::from_mins(15);

impl Db {
    /// A pool for this database; connects when first asked for a connection.
    ///
    /// # Errors
    /// When the pool cannot be built, which is a fault of this program.
    pub fn new(url: &str, size: usize) -> Result<Self> {
        let mut config = ManagerConfig::default();
        // The default sends a statement before each use; a closed connection is seen without it.
        config.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::new_with_config(url, config);
        let too_old = Hook::sync_fn(|_, metrics| match metrics.age() {
            age if age > LIFETIME => Err(HookError::message("it is old")),
            _ => Ok(()),
        });
        let timeouts = Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) };
        let pool = Pool::builder(manager)
            .max_size(size)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .pre_recycle(too_old)
            .build();
        Ok(Self(pool.map_err(|error| Error::Internal(error.into()))?))
    }

    /// For one statement, which sees what is committed when it starts.
    ///
    /// # Errors
    /// [`Error::Away`] when the database is away.
    pub async fn connect(&self, actor: Actor) -> Result<Tx> {
        Ok(Tx { conn: self.0.get().await?, actor })
    }

    /// Reads several tables as of one moment.
    ///
    /// # Errors
    /// [`Error::Away`], or what the work fails with.
    pub async fn read<T>(&self, actor: Actor, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin(actor, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let done = work(&tx).await;
        tx.finish(done, false).await
    }

    /// The one transaction of a request that writes: committed when all went well, unless it is only a rehearsal.
    ///
    /// # Errors
    /// [`Error::Away`], or what the work fails with. After an [`Error::Deadlock`] it can be done again at once.
    pub async fn write<T>(&self, actor: Actor, dry_run: bool, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin(actor, "BEGIN").await?;
        let done = work(&tx).await;
        tx.finish(done, dry_run).await
    }

    async fn begin(&self, actor: Actor, how: &str) -> Result<Tx> {
        let mut tx = self.connect(actor).await?;
        // Through the manager, not by plain SQL: the pool must know that a transaction is open.
        AnsiTransactionManager::begin_transaction_sql(&mut *tx.conn, how).await?;
        Ok(tx)
    }
}

impl Tx {
    /// The connection. Statements that run at the same time (`try_join!`) share one round trip.
    pub fn conn(&self) -> &AsyncPgConnection {
        &self.conn
    }

    /// Closes the connection, for a statement under way on it that nobody waits for any more.
    pub fn abandon(self) {
        drop(Object::take(self.conn));
    }

    async fn finish<T>(mut self, done: Result<T>, dry_run: bool) -> Result<T> {
        if done.is_ok() && !dry_run {
            AnsiTransactionManager::commit_transaction(&mut *self.conn).await?;
            return done;
        }
        let checked = match &done {
            // What a commit would check, a rehearsal checks, too.
            Ok(_) => self.conn.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await,
            Err(_) => Ok(()),
        };
        AnsiTransactionManager::rollback_transaction(&mut *self.conn).await?;
        checked?;
        done
    }
}

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// A failure that ends the program.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Brings the schema up to date; replicas that start together wait for each other. Needs the multi-thread runtime.
///
/// # Errors
/// When the database is away, or a migration does not apply.
pub async fn migrate(url: &str) -> Result<(), Failure> {
    migration_harness(url).await?.run_pending_migrations(MIGRATIONS)?;
    Ok(()) // The lock goes with the connection.
}

/// Takes every migration back, newest first. What the database holds is lost.
///
/// # Errors
/// When the database is away, or a migration does not apply.
pub async fn revert(url: &str) -> Result<(), Failure> {
    migration_harness(url).await?.revert_all_migrations(MIGRATIONS)?;
    Ok(())
}

async fn migration_harness(url: &str) -> Result<AsyncMigrationHarness<AsyncPgConnection>, Failure> {
    let mut conn = AsyncPgConnection::establish(url).await?;
    // Any number that nobody else uses.
    conn.batch_execute("SET client_min_messages = warning; SELECT pg_advisory_lock(7305)").await?;
    Ok(AsyncMigrationHarness::new(conn))
}
