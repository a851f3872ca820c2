//! The role in which the server acts: it serves everything and owns nothing, whoever logs in.

use diesel::dsl::sql as text;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use rocket::http::{Method, Status};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use virtapi::KINDS;
use virtapi::auth::{Actor, Authority, Scope};
use virtapi::config::Settings;
use virtapi::db::{Db, Tx};

use crate::commands::serve;
use crate::harness::{self, App, rows, sql};
use crate::start::process::run;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// How a login that is given these roles, and nothing else, reaches this database.
async fn login(dsn: &str, roles: &str) -> String {
    let name = format!("{}_{}", dsn.rsplit('=').next().expect("a name"), if roles.is_empty() { "no" } else { "one" });
    sql(dsn, &format!("DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN {roles}")).await;
    dsn.replace("user=postgres", &format!("user={name}"))
}

/// How one that may serve reaches it.
async fn member(dsn: &str) -> String {
    login(dsn, "IN ROLE virtapi_server").await
}

/// In which role a statement is run.
async fn acting(tx: &Tx) -> String {
    let role = diesel::select(text::<Text>("current_user::text"));
    role.get_result(&mut tx.conn()).await.expect("a name")
}

#[rocket::async_test]
async fn no_statement_is_run_as_who_logs_in() {
    let owner = harness::database().await;
    for dsn in [&owner, &member(&owner).await] {
        // Of one connection: what a transaction leaves, the next one finds.
        let db = Db::new(dsn, 1).expect("a pool");
        let customer = || Actor::new("user:wile", Authority::Customer(1), Scope::All, None);
        let steps = async |tx: &Tx| {
            let before = acting(tx).await;
            let meanwhile = tx.as_server(async || Ok(acting(tx).await)).await?;
            Ok([before, meanwhile, acting(tx).await])
        };
        let expected = ["virtapi_customer", "virtapi_server", "virtapi_customer"];
        assert_eq!(db.read(customer(), steps).await.expect("reads"), expected);
        for dry_run in [false, true] {
            assert_eq!(db.write(customer(), dry_run, steps).await.expect("writes"), expected);
            assert_eq!(acting(&db.connect("test").await.expect("connects")).await, "virtapi_server");
        }
        // A statement fails: the customer's, or the server's own meanwhile.
        let fails = async |tx: &Tx| Ok(tx.conn().batch_execute("SELECT 1 / 0").await?);
        assert!(db.write(customer(), false, fails).await.is_err());
        assert_eq!(acting(&db.connect("test").await.expect("connects")).await, "virtapi_server");
        assert!(db.write(customer(), false, async |tx| tx.as_server(async || fails(tx).await).await).await.is_err());
        assert_eq!(acting(&db.connect("test").await.expect("connects")).await, "virtapi_server");

        let everybody = async |tx: &Tx| Ok(acting(tx).await);
        assert_eq!(db.write(Actor::system("test"), false, everybody).await.expect("writes"), "virtapi_server");
    }
}

#[rocket::async_test]
async fn a_login_that_may_only_serve_serves_everything() {
    let dsn = member(&harness::database().await).await;
    assert!(matches!(virtapi::demo::load(&dsn).await, Ok(virtapi::demo::Outcome::Loaded(_))));
    let app = App::with(&dsn, Settings { pool_size: 4, ..Settings::default() }).await;
    for kind in KINDS {
        app.get(&format!("/v1/{}?count=exact", kind.name())).await.is(Status::Ok);
    }
    for url in ["/ready", "/v1/vms?q=web&embed=interfaces.addresses", "/puppet/enc/hv01.example.com"] {
        app.get(url).await.is(Status::Ok);
    }
    app.get("/salt/pillar/st01.example.com").await.is(Status::Ok);
    let headers = [JSON, ("Idempotency-Key", "once")];
    for _ in 0..2 {
        app.send(Method::Post, "/v1/vlans", &headers, br#"{"name": "new", "tag": 4000}"#).await.is(Status::Created);
    }
    app.json(Method::Patch, "/v1/vlans/new", json!({"tag": 4001})).await.is(Status::Ok);
    app.json(Method::Delete, "/v1/vlans/new", Value::Null).await.is(Status::NoContent);
    let events = app.get("/v1/audit-events?object_key=new").await.is(Status::Ok);
    assert_eq!(events["total"], 3);

    // And a customer, whom it lets in.
    let user = json!({"name": "peter", "account_type": "person", "state": "active"});
    let organization = json!({"name": "initech", "full_name": "Initech"});
    let membership = json!({"organization": organization, "user": user, "role": "owner"});
    app.post("/v1/memberships", membership).await.is(Status::Created);
    let token = app.post("/v1/tokens", json!({"name": "test", "user": "peter", "scope": "all"})).await;
    let url = format!("/v1/tokens/{}/secret", token.is(Status::Created)["id"]);
    let secret = app.post(&url, Value::Null).await.is(Status::Created)["secret"].as_str().expect("a secret").to_owned();
    let headers = [JSON, ("Authorization", &*format!("Bearer {secret}"))];
    let shop = br#"{"organization": "initech", "name": "shop"}"#;
    app.send(Method::Post, "/v1/environments", &headers, shop).await.is(Status::Created);
    let vms = app.send(Method::Get, "/v1/vms", &headers, b"").await.is(Status::Ok);
    assert_eq!(vms["total"], 0, "those of the demo are the fleet's own");
}

/// What no server has to do, and what says that it may not.
const REFUSED: &[&str] = &[
    "CREATE TABLE theirs (id int)",
    "CREATE SCHEMA theirs",
    "CREATE FUNCTION theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX ON nodes (created_at)",
    "CREATE TRIGGER theirs BEFORE INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION audit_events_stay()",
    "ALTER TABLE nodes ADD COLUMN theirs text",
    "ALTER TABLE vms DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay",
    "ALTER FUNCTION audit_events_stay() RENAME TO theirs",
    "CREATE POLICY theirs ON vms USING (true)",
    "DROP POLICY vms_read ON vms",
    "DROP TABLE nodes",
    "TRUNCATE nodes CASCADE",
    "TRUNCATE snapshots",
    "UPDATE audit_events SET actor = 'nobody'",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "SELECT FROM audit_events FOR UPDATE",
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('1')",
    "DELETE FROM __diesel_schema_migrations",
    "CREATE ROLE theirs",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "SET session_replication_role = replica",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY nodes TO '/tmp/theirs'",
    "COPY nodes TO PROGRAM 'cat'",
];

#[rocket::async_test]
async fn who_may_only_serve_changes_neither_the_schema_nor_what_is_recorded() {
    let owner = harness::database().await;
    let (client, connection) =
        tokio_postgres::connect(&member(&owner).await, tokio_postgres::NoTls).await.expect("connects");
    rocket::tokio::spawn(connection);
    for role in ["NONE", "virtapi_server", "virtapi_customer"] {
        for statement in REFUSED {
            client.batch_execute(&format!("SET ROLE {role}")).await.expect(role);
            let refused = client.batch_execute(statement).await.expect_err(statement);
            assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{role} {statement}: {refused:?}");
            if statement.contains("audit_events") && !statement.contains("TRIGGER") && !statement.contains("FUNCTION") {
                let said = refused.as_db_error().map(|error| error.message().to_owned());
                let said = said.expect("the database says so");
                assert_eq!(said, "permission denied for table audit_events", "{statement}: not just by the trigger");
            }
        }
    }
}

/// A new table is in no list of grants: then this fails, and somebody decides.
#[rocket::async_test]
async fn the_server_is_granted_what_it_needs_and_nothing_else() {
    let dsn = harness::database().await;
    let granted = "SELECT c.relname, c.relkind, string_agg(p, ' ' ORDER BY n) FILTER (WHERE CASE c.relkind
            WHEN 'S' THEN p IN ('SELECT', 'UPDATE') AND has_sequence_privilege('virtapi_server', c.oid, p)
            ELSE has_table_privilege('virtapi_server', c.oid, p) END)
        FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
            WITH ORDINALITY AS every (p, n)
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        GROUP BY c.oid ORDER BY 1";
    for row in rows(&dsn, granted).await {
        let [name, kind, privileges] = row.as_slice() else { panic!("{row:?}") };
        let needed = match (name.as_str(), kind.as_str()) {
            ("events", _) => "SELECT INSERT DELETE",
            ("events_forgotten" | "broker_leases", _) => "SELECT UPDATE",
            // A report is kept as it came, until its week is forgotten; a week is no table of its own to the server.
            ("audit_events" | "runs" | "run_events", _) => "SELECT INSERT",
            (week, _) if week.starts_with("runs_20") || week.starts_with("run_events_20") => "",
            // They go with their node.
            ("node_observations" | "node_facts", _) => "SELECT INSERT UPDATE",
            // What is seen of what agents have made true; whether the schema is the one that it knows.
            (
                "node_convergence"
                | "nodes_with_status"
                | "hypervisor_convergence"
                | "vms_with_status"
                | "deleted_vms_with_status"
                | "tombstone_convergence"
                | "tombstones_in_force"
                | "volume_claims"
                | "ip_claims_in_force"
                | "__diesel_schema_migrations",
                _,
            ) => "SELECT",
            // Its triggers write it; who places a VM locks it.
            ("hypervisor_usage", _) => "SELECT UPDATE",
            // What customers may is asked in the name of the owner; ids are taken from a sequence by their column.
            (_, "v" | "S") => "",
            _ => "SELECT INSERT UPDATE DELETE",
        };
        assert_eq!(privileges, needed, "{name}");
    }
    let nothing = Vec::<Vec<String>>::new();
    for (what, query) in [
        (
            "a table of which it is shown no rows, for it has no policy",
            "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT EXISTS (SELECT FROM pg_policy
                WHERE polrelid = pg_class.oid AND polroles = ARRAY['virtapi_server'::regrole::oid] AND polcmd = '*'
                AND polpermissive AND pg_get_expr(polqual, polrelid) = 'true' AND polwithcheck IS NULL)",
        ),
        (
            "a right that is more than it needs",
            "SELECT rolname FROM pg_roles WHERE rolname = 'virtapi_server' AND (rolsuper OR rolbypassrls OR rolcanlogin
                OR rolcreaterole OR rolcreatedb OR rolreplication OR has_schema_privilege(oid, 'public', 'CREATE')
                OR has_database_privilege(oid, current_database(), 'CREATE'))",
        ),
        ("what it owns", "SELECT oid FROM pg_class WHERE relowner = 'virtapi_server'::regrole"),
        (
            "what it may be",
            "SELECT roleid FROM pg_auth_members WHERE member = 'virtapi_server'::regrole
            AND roleid <> 'virtapi_customer'::regrole",
        ),
    ] {
        assert_eq!(rows(&dsn, query).await, nothing, "{what}");
    }
}

/// The one complaint of a command that fails.
fn complaint(words: &[&str], dsn: &str) -> String {
    let (code, out, err) = run(&[words, &["--database-url", dsn]].concat());
    assert_eq!((code, &*out, err.trim_end().lines().count()), (Some(1), "", 1), "{words:?}: {err}");
    err
}

#[rocket::async_test]
async fn who_may_only_serve_needs_a_schema_that_is_up_to_date() {
    let owner = harness::empty_database().await;
    let member = member(&owner).await;
    let stranger = login(&owner, "").await;
    let all: &[&[&str]] = &[&["serve", "--port", "0"], &["migrate"], &["user", "list"], &["demo"]];
    let behind = "_one is not its owner: its owner must first do `virtapi migrate`";
    for words in all {
        assert!(complaint(words, &member).contains(behind), "{words:?}");
    }
    assert_eq!(run(&["migrate", "--database-url", &owner]).0, Some(0));
    assert_eq!(run(&["migrate", "--database-url", &member]).0, Some(0), "there is nothing to do");
    let (mut server, lines) = serve(&member, 2);
    server.kill().expect("may kill");
    server.wait().expect("ends");
    assert!(lines[0].contains("administrator's token") && lines[1].starts_with("virtapi listens on"), "{lines:?}");
    assert!(run(&["user", "list", "--database-url", &member]).1.contains("admin\tadministrator\t"));

    let must = "the owner of the schema must first do: GRANT virtapi_server TO test_";
    for words in all {
        assert!(complaint(words, &stranger).contains(must), "{words:?}");
    }
    let newest = "DELETE FROM __diesel_schema_migrations
        WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)";
    sql(&owner, newest).await;
    for words in all {
        assert!(complaint(words, &member).contains(behind), "{words:?}");
    }
}
