//! The database: a pool, and [`Tx`], which every operation is given, with what its actor may see. It knows no table.

use deadpool::{Runtime, managed::Timeouts};
use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

use crate::auth::{Actor, Authority};
use crate::column::Column;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::policy;
use crate::telling;

/// A pool of connections. Each acts in the role that serves, whoever logs in: what owns the schema does no work.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
    telling: Arc<telling::Rules>,
}

/// A connection and who uses it. For a customer it acts in the role to which the database shows what is the customer's
/// and nothing else. Dropped halfway (a panic, a cancelled request), it rolls back: the pool throws a
/// connection with an open transaction away.
pub struct Tx {
    conn: Object<AsyncPgConnection>,
    /// On whose behalf.
    pub actor: Actor,
    /// Whether what is done now is the server's own, whoever asked for it.
    is_servers: AtomicBool,
    /// Whom a change may be told to.
    pub telling: Arc<telling::Rules>,
    /// Whether nothing of it will stay.
    pub is_rehearsal: bool,
    uuids: Mutex<Uuids>,
}

/// The UUIDs that are made in a transaction: those of an earlier one that did the same, and then new ones.
#[derive(Default)]
struct Uuids {
    known: Vec<Uuid>,
    used: usize,
}

/// How often a change is tried that meets others. Of those that wait for each other Postgres gives one up, which is then
/// done again.
pub struct Attempts(usize);

impl Default for Attempts {
    fn default() -> Self {
        Self(8)
    }
}

impl Attempts {
    /// Whether it is to be tried again: else the error is the answer.
    ///
    /// # Errors
    /// That error.
    pub fn after(&mut self, error: Error) -> Result<()> {
        self.0 -= 1;
        match error {
            Error::Deadlock(error) if self.0 > 0 => {
                tracing::debug!(error = &*error, "a deadlock: again");
                Ok(())
            }
            error => Err(error),
        }
    }
}

/// Acts in the role that serves, for as long as the connection lives.
pub const AS_SERVER: &str = "SET ROLE virtapi_server";

/// The same within a customer's transaction. `RESET ROLE` would act as who logs in, which may be the schema's owner.
const AS_SERVER_FOR_NOW: &str = "SET LOCAL ROLE virtapi_server";

/// Acts for a customer until the transaction ends. The database looks at the setting, and never at what a request says.
const AS_CUSTOMER: &str = "SET LOCAL ROLE virtapi_customer";

/// Checks what a commit would check.
const AS_COMMITTED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// What a write looks up it finds by its keys: such a statement is planned once for all values, which costs more than to run it.
const BEGIN_TO_WRITE: &str = "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan";

/// How long a request waits for a free connection before it is told that the database is away.
const WAIT: Duration = Duration::from_secs(5);
/// How long a connection is used. It keeps every statement that it prepared, and lists have many.
const LIFETIME: Duration = Duration::from_mins(15);

/// What statements of a server go by.
#[derive(Clone)]
pub struct Terms {
    /// After this, statements, and waits within a transaction, end with [`Error::Overtime`].
    pub limit: Duration,
    /// A node that was silent for so long is stale.
    pub stale_after: Duration,
    /// For so long, what is removed is kept on its hypervisor.
    pub grace_period: Duration,
    /// What MAC addresses are given away, as `52:54:00:00:00:00/24`.
    pub mac_range: String,
    /// Which VLAN tags, as `FIRST-LAST`; none without.
    pub vlan_pool: Option<String>,
    /// Which VNIs, likewise.
    pub vni_pool: Option<String>,
}

impl Db {
    /// A pool for this database; connects when first asked for a connection.
    ///
    /// # Errors
    /// When the pool cannot be built, which is a fault of this program.
    pub fn new(url: &str, size: usize) -> Result<Self> {
        Self::with_setup(url, size, AS_SERVER.to_owned())
    }

    /// One for a server, which goes by these terms.
    ///
    /// # Errors
    /// As [`Db::new`].
    pub fn serving(url: &str, size: usize, terms: &Terms) -> Result<Self> {
        let limit = terms.limit.as_millis();
        let (stale_after, grace_period) = (terms.stale_after.as_secs(), terms.grace_period.as_secs());
        // The first is for work, the second for others' locks, the third for ourselves.
        let setup = format!(
            "{AS_SERVER}; SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
             SET idle_in_transaction_session_timeout = {limit}; SET virtapi.stale_after = '{stale_after} seconds'; \
             SET virtapi.grace_period = '{grace_period} seconds'; SET virtapi.mac_range = '{}'; \
             SET virtapi.vlan_pool = '{}'; SET virtapi.vni_pool = '{}'",
            terms.mac_range,
            terms.vlan_pool.as_deref().unwrap_or_default(),
            terms.vni_pool.as_deref().unwrap_or_default(),
        );
        Self::with_setup(url, size, setup)
    }

    fn with_setup(url: &str, size: usize, setup: String) -> Result<Self> {
        let mut config = ManagerConfig::default();
        config.custom_setup = Box::new(move |url| {
            let (url, setup) = (url.to_owned(), setup.clone());
            Box::pin(async move {
                let mut conn = AsyncPgConnection::establish(&url).await?;
                conn.batch_execute(&setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            })
        });
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
        let pool = pool.map_err(|error| Error::Internal(error.into()))?;
        Ok(Self { pool, telling: Arc::default() })
    }

    /// The same, of which changes are told by these rules.
    #[must_use]
    pub fn telling(self, telling: Arc<telling::Rules>) -> Self {
        Self { telling, ..self }
    }

    /// For one statement of the server's own, which sees what is committed when it starts.
    ///
    /// # Errors
    /// [`Error::Away`] when the database is away.
    pub async fn connect(&self, part: &str) -> Result<Tx> {
        self.of(Actor::system(part)).await
    }

    async fn of(&self, actor: Actor) -> Result<Tx> {
        let conn = self.pool.get().await?;
        let telling = self.telling.clone();
        Ok(Tx { conn, actor, is_servers: false.into(), telling, is_rehearsal: false, uuids: Mutex::default() })
    }

    /// Reads several tables as of one moment.
    ///
    /// # Errors
    /// [`Error::Away`], or what the work fails with.
    pub async fn read<T>(&self, actor: Actor, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin(actor, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let done = work(&tx).await;
        tx.finish(done).await
    }

    /// The one transaction of a request that writes: committed when all went well, unless it is only a rehearsal.
    ///
    /// # Errors
    /// [`Error::Unconfirmed`], [`Error::Away`], or what the work fails with. After an [`Error::Deadlock`] it can be done
    /// again at once.
    pub async fn write<T>(&self, actor: Actor, dry_run: bool, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        // Here, for no write goes another way.
        if !actor.is_confirmed() {
            return Err(Error::Unconfirmed);
        }
        if dry_run {
            return self.rehearse(actor, work).await;
        }
        let tx = self.begin(actor, BEGIN_TO_WRITE).await?;
        let done = work(&tx).await;
        tx.finish(done).await
    }

    /// What a write would do, as of one moment, and nothing of it stays. What others write meanwhile can be in its way
    /// like a deadlock.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn rehearse<T>(&self, actor: Actor, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin(actor, "BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        let tx = Tx { is_rehearsal: true, ..tx };
        let done = match work(&tx).await {
            Ok(done) => tx.run(AS_COMMITTED).await.map(|()| done),
            refused => refused,
        };
        tx.roll_back(done).await
    }

    async fn begin(&self, actor: Actor, how: &str) -> Result<Tx> {
        let mut tx = self.of(actor).await?;
        // Through the manager, not by plain SQL: the pool must know that a transaction is open.
        AnsiTransactionManager::begin_transaction_sql(&mut *tx.conn, how).await?;
        if let Authority::Customer(user) = tx.actor.authority() {
            let both = format!("SET LOCAL virtapi.user_id = '{user}'; {AS_CUSTOMER}");
            tx.run(&both).await?;
        }
        Ok(tx)
    }
}

impl Tx {
    /// The connection. Statements that run at the same time (`try_join!`) share one round trip.
    pub fn conn(&self) -> &AsyncPgConnection {
        &self.conn
    }

    /// Does what the server does on its own account while it acts for a customer: it sees everything, and nothing of
    /// what it sees may be answered. No other statement may be under way.
    ///
    /// # Errors
    /// What the work fails with, or [`Error::Away`].
    pub async fn as_server<T>(&self, work: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        if !matches!(self.actor.authority(), Authority::Customer(_)) || self.acts_for_server() {
            return work().await;
        }
        self.run(AS_SERVER_FOR_NOW).await?;
        self.is_servers.store(true, Ordering::Relaxed);
        let done = work().await;
        self.is_servers.store(false, Ordering::Relaxed);
        // Fails only after a statement that failed: then that is the error.
        let restored = self.run(AS_CUSTOMER).await;
        let done = done?;
        restored?;
        Ok(done)
    }

    async fn run(&self, statements: &str) -> Result<()> {
        let mut conn = self.conn();
        Ok(conn.batch_execute(statements).await?)
    }

    /// Whether objects of this kind may be read now.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_read(&self, kind: &dyn Kind) -> Result<()> {
        if self.acts_for_server() { Ok(()) } else { policy::read(&self.actor, kind) }
    }

    /// Whether it is the server that sees, and not who asks.
    pub fn acts_for_server(&self) -> bool {
        self.is_servers.load(Ordering::Relaxed)
    }

    /// Whether objects of this kind may be changed now.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_write(&self, kind: &dyn Kind) -> Result<()> {
        if self.acts_for_server() { Ok(()) } else { policy::write(&self.actor, kind) }
    }

    /// Whether this field may be set now.
    pub fn may_set(&self, column: &Column) -> bool {
        self.acts_for_server() || policy::sets(&self.actor, column)
    }

    /// Closes the connection, for a statement under way on it that nobody waits for any more.
    pub fn abandon(self) {
        drop(Object::take(self.conn));
    }

    /// Does something and undoes it, so that what was there before can be read beside it.
    ///
    /// # Errors
    /// What the work fails with, after which the transaction is of no use; or [`Error::Away`].
    pub async fn undo<T>(&self, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        self.run("SAVEPOINT before").await?;
        let done = work(self).await?;
        self.run(&format!("{AS_COMMITTED}; ROLLBACK TO SAVEPOINT before")).await?;
        Ok(done)
    }

    /// Does something, of which nothing is left if it fails: the transaction goes on all the same.
    ///
    /// # Errors
    /// What the work fails with, or [`Error::Away`].
    pub async fn attempt<T>(&self, work: impl AsyncFnOnce(&Self) -> Result<T>) -> Result<T> {
        self.run("SAVEPOINT attempt").await?;
        let done = work(self).await;
        let end = if done.is_ok() { "" } else { "ROLLBACK TO SAVEPOINT attempt; " };
        self.run(&format!("{end}RELEASE SAVEPOINT attempt")).await?;
        done
    }

    /// A UUID for a new object.
    pub fn new_uuid(&self) -> Uuid {
        let mut uuids = self.uuids.lock().unwrap_or_else(PoisonError::into_inner);
        let place = uuids.used;
        uuids.used += 1;
        if let Some(known) = uuids.known.get(place) {
            return *known;
        }
        let new = Uuid::new_v4();
        uuids.known.push(new);
        new
    }

    /// From now on, the UUIDs for new objects are these, and then new ones. What is done again makes the same that way.
    pub fn begin_uuids(&self, known: Vec<Uuid>) {
        *self.uuids.lock().unwrap_or_else(PoisonError::into_inner) = Uuids { known, used: 0 };
    }

    /// The UUIDs for new objects since they began.
    pub fn uuids(&self) -> Vec<Uuid> {
        self.uuids.lock().unwrap_or_else(PoisonError::into_inner).known.clone()
    }

    async fn finish<T>(mut self, done: Result<T>) -> Result<T> {
        if done.is_err() {
            return self.roll_back(done).await;
        }
        AnsiTransactionManager::commit_transaction(&mut *self.conn).await?;
        done
    }

    async fn roll_back<T>(mut self, done: Result<T>) -> Result<T> {
        AnsiTransactionManager::rollback_transaction(&mut *self.conn).await?;
        done
    }
}

/// A failure that ends the program.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
