//! From what was shown, a secret, a session's or the name in a certificate, to the actor whose it is. What was found is
//! believed for a second, so that to be known costs a busy agent nothing; a token that is revoked, a user who is
//! disabled, or a node that is deleted, is refused after that second everywhere.

use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use quick_cache::sync::Cache;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::auth::failures::{Failures, HELD};
use crate::auth::{Actor, Authority, Scope, Serves, SessionLimits, SessionSecret};
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::etag::hex;
use crate::node_filter;
use crate::sql::{Sql, Statement};

/// For how long what was found is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// How many holders are remembered.
const HOLDERS: usize = 10_000;

/// What somebody has shown.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Shown {
    /// A digest of a secret, and from where it came.
    Secret([u8; 32], Option<IpAddr>),
    /// The same of a session.
    Session([u8; 32], Option<IpAddr>),
    /// The name in a certificate that is good.
    Certname(String),
}

/// Whose is what is shown.
pub struct Identities {
    pub(super) db: Db,
    pub(super) sessions: SessionLimits,
    known: Cache<Shown, (Instant, Actor)>,
    pub(super) failures: Failures,
    /// Filters of compilers, and nodes that they match.
    matched: Cache<(String, String), Instant>,
}

type Columns = (
    Nullable<BigInt>,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Array<Text>,
);
type Row = (
    Option<i64>,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Vec<String>,
);

/// A user, its role, and its id if it is in an organization; a node; a compiler, what it serves, its filter, and the
/// nodes that are listed for it.
const HOLDER: &str = "u.name::text, u.role, CASE WHEN EXISTS (SELECT FROM memberships WHERE user_id = u.id)
        OR EXISTS (SELECT FROM team_users WHERE user_id = u.id) THEN u.id END, n.fqdn, c.name::text, c.serves, c.node_filter,
    ARRAY(SELECT fqdn FROM compiler_nodes l JOIN nodes m ON m.id = l.node_id WHERE l.compiler_id = c.id)";

const BY_SECRET: &str = "
    FROM token_secrets s JOIN tokens t ON t.id = s.token_id LEFT JOIN users u ON u.id = t.user_id
    LEFT JOIN nodes n ON n.id = t.node_id LEFT JOIN compilers c ON c.id = t.compiler_id
    WHERE (t.expires_at IS NULL OR t.expires_at > now()) AND u.state IS DISTINCT FROM 'disabled' AND s.digest = decode(";

const BY_SESSION: &str = "
    FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN tokens t ON t.id = s.token_id
    LEFT JOIN nodes n ON FALSE LEFT JOIN compilers c ON FALSE
    WHERE s.expires_at > now() AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.state <> 'disabled'
        AND s.digest = decode(";

/// What is both a compiler and a node is the compiler.
const BY_CERTNAME: &str = " AS name) s LEFT JOIN users u ON FALSE LEFT JOIN compilers c ON c.certname = s.name
    LEFT JOIN nodes n ON n.fqdn = s.name AND c.id IS NULL WHERE c.id IS NOT NULL OR n.id IS NOT NULL";

impl Identities {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(db: Db, sessions: SessionLimits) -> Self {
        let (known, matched) = (Cache::new(HOLDERS), Cache::new(HOLDERS));
        Self { db, sessions, known, failures: Failures::new(), matched }
    }

    /// Who holds the secret with this digest, shown from this address; nobody, if it is not taken.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn identify(&self, digest: [u8; 32], from: Option<IpAddr>) -> Result<Option<Actor>> {
        self.whose(Shown::Secret(digest, from)).await
    }

    /// Whose session this is, shown from this address; nobody's, if it has ended.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn of_session(&self, secret: &SessionSecret, from: Option<IpAddr>) -> Result<Option<Actor>> {
        let found = self.whose(Shown::Session(secret.digest(), from)).await?;
        Ok(found.map(|actor| actor.by_session(secret.form_token())))
    }

    /// Forgets a session that has ended: here it ends at once, on other servers within a second.
    pub fn forget_session(&self, secret: &SessionSecret, from: Option<IpAddr>) {
        self.known.remove(&Shown::Session(secret.digest(), from));
    }

    /// Whose certificate has this name; nobody's, if it is none of a compiler or a node.
    ///
    /// # Errors
    /// [`Error::Away`].
    pub async fn of_certificate(&self, certname: &str) -> Result<Option<Actor>> {
        // What cannot be stored names nobody.
        if certname.contains('\0') {
            return Ok(None);
        }
        let actor = self.whose(Shown::Certname(certname.to_owned())).await?;
        Ok(actor.map(Actor::by_certificate))
    }

    /// Whether a compiler's filter matches this node. What it does not match is asked anew each time: it may have come
    /// just now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a filter that another release has understood, or [`Error::Away`].
    pub async fn matches(&self, filter: &str, fqdn: &str) -> Result<bool> {
        let asked = (filter.to_owned(), fqdn.to_owned());
        if self.matched.get(&asked).is_some_and(|since| since.elapsed() < BELIEVED) {
            return Ok(true);
        }
        let now = Instant::now();
        let tx = self.db.connect("auth").await?;
        let matches = node_filter::matches(&tx, filter, fqdn).await.map_err(|error| refused(filter, error))?;
        if matches {
            self.matched.insert(asked, now);
        }
        Ok(matches)
    }

    /// Which of these nodes a compiler's filter matches now.
    ///
    /// # Errors
    /// As [`Identities::matches`].
    pub async fn matching(&self, filter: &str, names: Vec<String>) -> Result<HashSet<String>> {
        let tx = self.db.connect("auth").await?;
        node_filter::among(&tx, filter, names).await.map_err(|error| refused(filter, error))
    }

    async fn whose(&self, shown: Shown) -> Result<Option<Actor>> {
        if let Some((since, actor)) = self.known.get(&shown)
            && since.elapsed() < BELIEVED
        {
            return Ok(Some(actor));
        }
        // Boxed: nobody who is known carries about the room that it needs.
        Box::pin(self.find(shown)).await
    }

    async fn find(&self, shown: Shown) -> Result<Option<Actor>> {
        let from = if let Shown::Secret(_, from) | Shown::Session(_, from) = &shown { *from } else { None };
        // What was good lately is asked about all the same: whoever shares an address with others is not to suffer.
        if self.known.peek(&shown).is_none() && self.failures.hold(from) {
            return Err(Error::TooMany("too many false tokens have come from this address", HELD.as_secs()));
        }
        let now = Instant::now();
        let tx = self.db.connect("auth").await?;
        let found = match &shown {
            Shown::Secret(digest, from) => find_by_secret(&tx, digest, *from).await?,
            Shown::Session(digest, from) => find_by_session(&tx, digest, *from, self.sessions).await?,
            Shown::Certname(name) => find_by_certname(&tx, name).await?,
        };
        let Some(actor) = found else {
            self.known.remove(&shown);
            self.failures.note(from);
            return Ok(None);
        };
        self.known.insert(shown, (now, actor.clone()));
        Ok(Some(actor))
    }
}

/// The user with this name, to act as whom somebody else has the right; nobody, if it is disabled.
///
/// # Errors
/// [`Error::Away`].
pub async fn user(tx: &Tx, name: &str) -> Result<Option<Actor>> {
    let sql = Sql::new(format!(
        "SELECT NULL::int8, 'all', {HOLDER} FROM users u LEFT JOIN nodes n ON FALSE LEFT JOIN compilers c ON FALSE \
         WHERE u.state <> 'disabled' AND u.name = "
    ));
    let rows: Vec<Row> = Statement::<Columns>::from(sql.one(name, "text")).load(&mut tx.conn()).await?;
    rows.into_iter().next().map(actor).transpose()
}

pub(super) async fn find_by_secret(tx: &Tx, digest: &[u8; 32], from: Option<IpAddr>) -> Result<Option<Actor>> {
    let sql = Sql::new(format!("SELECT t.id, t.scope, {HOLDER} {BY_SECRET}")).one(hex(digest), "text");
    let sql = taken_from(sql.text(", 'hex')"), from);
    let rows: Vec<Row> = Statement::<Columns>::from(sql).load(&mut tx.conn()).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    if let Some(token) = row.0 {
        let used = Sql::new("UPDATE tokens SET last_used_at = now() WHERE id = ").one(token.to_string(), "int8");
        let used = used.text(" AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')");
        Statement::<BigInt>::from(used).execute(&mut tx.conn()).await?;
    }
    actor(row).map(Some)
}

/// The condition that a token, if there is one, is taken from here; without an address, only what is taken from
/// everywhere.
fn taken_from(sql: Sql, from: Option<IpAddr>) -> Sql {
    let sql = sql.text(" AND (t.source_network IS NULL");
    match from {
        Some(address) => {
            sql.text(" OR t.source_network >>= ").one(address.to_canonical().to_string(), "inet").text(")")
        }
        None => sql.text(")"),
    }
}

/// A session that began with a token is good for no more than that, and for no longer.
async fn find_by_session(
    tx: &Tx,
    digest: &[u8; 32],
    from: Option<IpAddr>,
    limits: SessionLimits,
) -> Result<Option<Actor>> {
    let sql =
        Sql::new(format!("SELECT t.id, coalesce(t.scope, 'all'), {HOLDER} {BY_SESSION}")).one(hex(digest), "text");
    let sql = sql.text(", 'hex') AND s.last_used_at > now() - ");
    let sql = taken_from(sql.one(format!("{} seconds", limits.idle.as_secs()), "interval"), from);
    let rows: Vec<Row> = Statement::<Columns>::from(sql).load(&mut tx.conn()).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let used = Sql::new("UPDATE sessions SET last_used_at = now() WHERE last_used_at < now() - interval '1 minute'");
    let used = used.text(" AND digest = decode(").one(hex(digest), "text").text(", 'hex')");
    Statement::<BigInt>::from(used).execute(&mut tx.conn()).await?;
    actor(row).map(Some)
}

/// A certificate is good for documents only.
async fn find_by_certname(tx: &Tx, name: &str) -> Result<Option<Actor>> {
    let sql = Sql::new(format!("SELECT NULL::int8, 'documents', {HOLDER} FROM (SELECT ")).one(name, "text");
    let rows: Vec<Row> = Statement::<Columns>::from(sql.text(BY_CERTNAME)).load(&mut tx.conn()).await?;
    rows.into_iter().next().map(actor).transpose()
}

fn actor((token, scope, user, role, member, node, compiler, serves, filter, listed): Row) -> Result<Actor> {
    let scope = match scope.as_str() {
        "all" => Scope::All,
        "read" => Scope::Read,
        "documents" => Scope::Documents,
        other => return Err(unknown("scope", other)),
    };
    let (name, authority) = if let Some(user) = user {
        let authority = match (role.as_deref(), member) {
            (None, None) => Authority::Nothing,
            (None, Some(id)) => Authority::Customer(id),
            (Some("administrator"), _) => Authority::Administrator,
            (Some("operator"), _) => Authority::Operator,
            (Some("auditor"), _) => Authority::Auditor,
            (Some(other), _) => return Err(unknown("role", other)),
        };
        (format!("user:{user}"), authority)
    } else if let Some(node) = node {
        (format!("node:{node}"), Authority::Node(node))
    } else {
        let serves = match (serves.as_deref(), filter) {
            (Some("all"), _) => Serves::All,
            (Some("listed"), _) => Serves::Listed(listed.into_iter().collect()),
            (Some("filter"), Some(filter)) => Serves::Matching(filter),
            (other, _) => return Err(unknown("kind of service", other.unwrap_or_default())),
        };
        (format!("compiler:{}", compiler.unwrap_or_default()), Authority::Compiler(serves))
    };
    Ok(Actor::new(name, authority, scope, token))
}

/// What a filter of a compiler that is not understood means for it.
fn refused(filter: &str, error: Error) -> Error {
    match error {
        Error::Parameter(..) | Error::Malformed(_) => {
            tracing::error!(filter, "a compiler's filter of nodes is not understood, so it reads nothing: {error}");
            Error::Forbidden
        }
        error => error,
    }
}

/// A newer release has written it: better nobody than somebody with the wrong rights.
fn unknown(what: &str, value: &str) -> Error {
    Error::Internal(format!("the {what} {value:?} is not known").into())
}
