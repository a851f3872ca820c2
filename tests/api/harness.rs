//! A private Postgres, a migrated template, a database per test, and the server in this process.

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::tokio::sync::OnceCell;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::SimpleQueryMessage;
use virtapi::config::Settings;
use virtapi::sightings::Sightings;

/// The private cluster, started by `tests/pg`, with a migrated template of this process.
static CLUSTER: OnceCell<String> = OnceCell::const_new();
/// The secret of the administrator whom every database from the template has.
pub const TOKEN: &str = "virtapi_00000000_of-the-administrator-in-all-of-these-tests";
static NEXT: AtomicU32 = AtomicU32::new(0);

async fn cluster() -> String {
    let started = Command::new("tests/pg").output().expect("tests/pg runs");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let dsn = String::from_utf8(started.stdout).expect("text").trim().to_owned();
    drop_left_over(&format!("{dsn} dbname=postgres")).await;
    let name = template();
    sql(&format!("{dsn} dbname=postgres"), &format!("CREATE DATABASE {name}")).await;
    let template = format!("{dsn} dbname={name}");
    virtapi::migrations::migrate(&template).await.expect("migrates");
    administrator(&template).await;
    dsn
}

/// Makes the first administrator, and gives it the secret that the tests have.
pub async fn administrator(dsn: &str) {
    let db = virtapi::db::Db::new(dsn, 1).expect("a pool");
    virtapi::bootstrap::first_administrator(&db).await.expect("is made").expect("is the first");
    // Else the token's use would be noted, and a test that nothing was written would see it.
    let used = "UPDATE tokens SET last_used_at = now() + interval '1 day'";
    sql(dsn, &format!("UPDATE token_secrets SET digest = sha256('{TOKEN}'); {used}")).await;
}

fn template() -> String {
    format!("template_{}", std::process::id())
}

/// Several test programs may run side by side; what is left over is of those that have ended.
async fn drop_left_over(dsn: &str) {
    for row in rows(dsn, "SELECT datname FROM pg_database WHERE datname ~ '^(test|template)_[0-9]+'").await {
        let pid = row[0].split('_').nth(1).unwrap_or_default();
        if pid == std::process::id().to_string() || !std::path::Path::new("/proc").join(pid).exists() {
            sql(dsn, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", row[0])).await;
        }
    }
}

/// A new database, as the migrations make it.
pub async fn database() -> String {
    let dsn = CLUSTER.get_or_init(cluster).await;
    create(dsn, &format!("TEMPLATE {}", template())).await
}

/// A new database with nothing in it.
pub async fn empty_database() -> String {
    create(CLUSTER.get_or_init(cluster).await, "").await
}

/// A new database with what another one holds; nobody may be connected to that.
pub async fn copy(dsn: &str) -> String {
    let (cluster, name) = dsn.rsplit_once(" dbname=").expect("a name");
    create(cluster, &format!("TEMPLATE {name}")).await
}

async fn create(dsn: &str, options: &str) -> String {
    let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    sql(&format!("{dsn} dbname=postgres"), &format!("CREATE DATABASE {name} {options}")).await;
    format!("{dsn} dbname={name}")
}

/// What nobody can guess of a token's secret. It may have underscores itself, so it is what follows the first two:
/// what follows the last may be a single character, which is anywhere.
pub fn random_part(secret: &str) -> &str {
    secret.splitn(3, '_').last().expect("a part")
}

/// As HTTP Basic has it.
pub fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes)
}

/// Runs a statement.
pub async fn sql(dsn: &str, statement: &str) {
    let mut conn = AsyncPgConnection::establish(dsn).await.expect("connects");
    conn.batch_execute(statement).await.expect(statement);
}

/// The rows of a query, as text; null is empty.
pub async fn rows(dsn: &str, query: &str) -> Vec<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.expect("connects");
    rocket::tokio::spawn(connection);
    let found = client.simple_query(query).await.expect(query);
    let text = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect()
    };
    found.iter().filter_map(|m| if let SimpleQueryMessage::Row(row) = m { Some(text(row)) } else { None }).collect()
}

/// A server for this database, not yet running.
pub fn server(dsn: &str) -> rocket::Rocket<rocket::Build> {
    server_with(dsn, unlimited(4))
}

/// Settings that limit nobody's requests: a test sends them as fast as the machine can, which may be faster than anyone
/// is allowed to. `rates` looks at the limit.
fn unlimited(pool_size: usize) -> Settings {
    Settings { pool_size, request_rate: 0, ..Settings::default() }
}

fn server_with(dsn: &str, settings: Settings) -> rocket::Rocket<rocket::Build> {
    let tls = virtapi::tls::Material::load(&settings).expect("the files are right");
    virtapi::rocket(&settings, dsn, tls.as_ref()).expect("a pool")
}

/// A server with a database of its own.
pub struct App {
    client: Client,
    pub dsn: String,
}

/// What came back.
pub struct Answer {
    /// The request, for the message of a failed test.
    pub asked: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
}

impl App {
    pub async fn start() -> Self {
        Self::on(&database().await).await
    }

    /// One more server for a database.
    pub async fn on(dsn: &str) -> Self {
        Self::with_pool(dsn, 4).await
    }

    /// One with so many connections.
    pub async fn with_pool(dsn: &str, pool_size: usize) -> Self {
        Self::with(dsn, unlimited(pool_size)).await
    }

    /// One with these settings.
    pub async fn with(dsn: &str, settings: Settings) -> Self {
        let client = Client::untracked(server_with(dsn, settings)).await.expect("ignites");
        Self { client, dsn: dsn.to_owned() }
    }

    /// Closes its connections, for a test that starts many.
    pub async fn end(self) {
        let name = self.dsn.split("dbname=").last().unwrap_or_default().to_owned();
        let dsn = CLUSTER.get_or_init(cluster).await;
        sql(&format!("{dsn} dbname=postgres"), &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }

    pub async fn send(&self, method: Method, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.client.req(method, url.to_owned()).body(body);
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            request.add_header(Header::new("Authorization", format!("Bearer {TOKEN}")));
        }
        Answer::read(format!("{method} {url}"), request.dispatch().await).await
    }

    /// An answer that is read while it comes.
    pub async fn open(&self, url: &str, headers: &[(&str, &str)]) -> LocalResponse<'_> {
        let mut request = self.client.get(url.to_owned());
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        request.dispatch().await
    }

    /// A request on a connection with this client certificate.
    pub async fn send_with(&self, certificate: &str, method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.req(method, url.to_owned()).identity(certificate.as_bytes());
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        Answer::read(format!("{method} {url}"), request.dispatch().await).await
    }

    /// The same with a body.
    pub async fn send_body_with(&self, certificate: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.client.post(url.to_owned()).identity(certificate.as_bytes()).body(body);
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        Answer::read(format!("POST {url}"), request.dispatch().await).await
    }

    /// A request without a token, from this address if one is given.
    pub async fn send_as_stranger(
        &self,
        from: Option<&str>,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = self.client.req(method, url.to_owned()).body(body);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "Cookie") {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        // Rocket's client does not read the header.
        let cookies = headers.iter().filter(|(name, _)| *name == "Cookie").flat_map(|(_, value)| value.split("; "));
        for (name, value) in cookies.filter_map(|cookie| cookie.split_once('=')) {
            request = request.cookie((name.to_owned(), value.to_owned()));
        }
        if let Some(from) = from {
            request.set_remote(std::net::SocketAddr::new(from.parse().expect("an address"), 4711));
        }
        Answer::read(format!("{method} {url}"), request.dispatch().await).await
    }

    /// The status of a request that comes from this address.
    pub async fn send_from(&self, from: &str, method: Method, url: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = self.client.req(method, url.to_owned());
        request.set_remote(std::net::SocketAddr::new(from.parse().expect("an address"), 4711));
        for (name, value) in headers {
            request.add_header(Header::new((*name).to_owned(), (*value).to_owned()));
        }
        request.dispatch().await.status().code
    }

    /// Ends all that is endless, as a stop does.
    pub fn stop(&self) {
        self.client.rocket().shutdown().notify();
    }

    /// Has the server forget what is old by now, as one that runs does when it starts and from time to time.
    pub async fn forget_old(&self) {
        let db = self.client.rocket().state::<virtapi::db::Db>().expect("is managed");
        virtapi::housekeeping::forget_old(db, &Settings::default()).await;
    }

    /// Has the server take away tombstones and old approvals, as one that runs does from time to time.
    pub async fn clear_removals(&self) {
        virtapi::housekeeping::clear_removals(self.client.rocket().state::<virtapi::db::Db>().expect("is managed"))
            .await;
    }

    /// What the server has seen, and has not recorded yet.
    pub fn sightings(&self) -> &Sightings {
        self.client.rocket().state::<Arc<Sightings>>().expect("is managed")
    }

    /// A digest of every row of every table: the same, if nothing was written. That somebody was refused, or has read
    /// something, is recorded a moment later, and is no part of it.
    pub async fn contents(&self) -> Vec<Vec<String>> {
        let digest = "SELECT table_name, query_to_xml(format($$SELECT count(*), md5(string_agg(t::text, '|' \
            ORDER BY t::text)) FROM %I AS t %s$$, table_name, CASE table_name WHEN 'audit_events' \
            THEN $$WHERE action NOT IN ('refuse', 'read')$$ ELSE '' END), false, true, '') \
            FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
        rows(&self.dsn, digest).await
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.send(Method::Get, url, &[], b"").await
    }

    pub async fn json(&self, method: Method, url: &str, body: Value) -> Answer {
        let json = ContentType::JSON.to_string();
        self.send(method, url, &[("Content-Type", &json)], body.to_string().as_bytes()).await
    }

    pub async fn post(&self, url: &str, body: Value) -> Answer {
        self.json(Method::Post, url, body).await
    }
}

impl Answer {
    async fn read(asked: String, response: LocalResponse<'_>) -> Self {
        let headers = response.headers().iter().map(|h| (h.name().to_string(), h.value().to_owned())).collect();
        let status = response.status().code;
        // A stream has no end to wait for; its own tests read it.
        let is_endless = response.content_type() == Some(ContentType::EventStream);
        let bytes = if is_endless { vec![] } else { response.into_bytes().await.unwrap_or_default() };
        Self { asked, status, headers, bytes }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("text")
    }

    /// The body, after the status has been checked.
    pub fn is(&self, status: Status) -> Value {
        assert_eq!(self.status, status.code, "{} {}", self.asked, String::from_utf8_lossy(&self.bytes));
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }
}
