//! Migrations go both ways, any number of times, whoever owns the database.

use std::process::{Command, Stdio};
use virtapi::migrations::{migrate, revert};

use crate::harness::{empty_database, rows, sql};

/// The schema as SQL, without the lines that differ from one dump to the next.
fn dump(dsn: &str) -> String {
    let dump = Command::new("pg_dump").args(["--schema-only", "--dbname", dsn]).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let text = String::from_utf8(dump.stdout).expect("text");
    text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict")).fold(
        String::new(),
        |mut kept, line| {
            kept.push_str(line);
            kept.push('\n');
            kept
        },
    )
}

/// What there is apart from diesel's own table and what extensions bring.
const OBJECTS: &str = "
    SELECT kind, name FROM (
        SELECT 'pg_class'::regclass, oid, 'relation', relname::text, relnamespace FROM pg_class
        UNION ALL SELECT 'pg_proc'::regclass, oid, 'function', proname::text, pronamespace FROM pg_proc
        UNION ALL SELECT 'pg_type'::regclass, oid, 'type', typname::text, typnamespace FROM pg_type
            WHERE typcategory <> 'A'
    ) AS object (class, oid, kind, name, namespace)
    WHERE namespace = 'public'::regnamespace AND name NOT LIKE '%\\_\\_diesel%' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE deptype = 'e' AND pg_depend.classid = object.class AND pg_depend.objid = object.oid)";

#[rocket::async_test(flavor = "multi_thread")]
async fn up_and_down_and_up_again_gives_the_same_schema() {
    let dsn = empty_database().await;
    migrate(&dsn).await.expect("up");
    let first = dump(&dsn);
    assert!(first.contains("CREATE TABLE public.nodes"));
    revert(&dsn).await.expect("down");
    assert_eq!(rows(&dsn, OBJECTS).await, Vec::<Vec<String>>::new(), "nothing is left");
    revert(&dsn).await.expect("down, with nothing to do");
    migrate(&dsn).await.expect("up again");
    assert_eq!(dump(&dsn), first);
    migrate(&dsn).await.expect("up, with nothing to do");
    assert_eq!(dump(&dsn), first);
}

#[rocket::async_test(flavor = "multi_thread")]
async fn processes_that_migrate_at_once_wait_for_each_other() {
    let dsn = empty_database().await;
    let started: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_virtapi"));
            command.arg("migrate").env_remove("DATABASE_URL").env("VIRTAPI_DATABASE_URL", &dsn);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
        })
        .collect();
    for child in started {
        let ended = child.wait_with_output().expect("ends");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let seeds = rows(&dsn, "SELECT count(*) FROM node_states").await;
    assert_eq!(seeds, [["4"]], "seed rows are there once");
}

/// A database of its own for an owner who is no superuser, and how the owner reaches it.
async fn owned_by(owner: &str) -> (String, String) {
    let dsn = empty_database().await;
    let name = dsn.rsplit('=').next().expect("a name");
    sql(&dsn, &format!("DROP ROLE IF EXISTS {name}_{owner}; CREATE ROLE {name}_{owner} LOGIN;\n        ALTER DATABASE {name} OWNER TO {name}_{owner}")).await;
    (dsn.replace("user=postgres", &format!("user={name}_{owner}")), dsn)
}

/// What an administrator does for an owner who may create no role; in the cluster of the tests the role is there.
async fn may_act_for_all(superuser: &str, owner_dsn: &str) {
    let owner = owner_dsn.split("user=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a user");
    sql(superuser, &format!("GRANT virtapi_customer, virtapi_server TO {owner}")).await;
}

#[rocket::async_test(flavor = "multi_thread")]
async fn the_owner_of_a_database_need_not_be_a_superuser() {
    let (dsn, superuser) = owned_by("owner").await;
    let told = migrate(&dsn).await.expect_err("it may not act for customers").to_string();
    assert!(told.contains("an administrator of the database must first do: GRANT virtapi_customer TO test_"), "{told}");
    may_act_for_all(&superuser, &dsn).await;
    migrate(&dsn).await.expect("up");
    revert(&dsn).await.expect("down");
    assert_eq!(rows(&dsn, OBJECTS).await, Vec::<Vec<String>>::new(), "nothing is left");
    migrate(&dsn).await.expect("up again");
}

/// As where an administrator makes extensions, and other applications use them, too.
#[rocket::async_test(flavor = "multi_thread")]
async fn an_extension_of_somebody_else_is_used_and_stays() {
    let (dsn, superuser) = owned_by("guest").await;
    let theirs = "CREATE SCHEMA theirs CREATE TABLE words (word text);
        CREATE EXTENSION pg_trgm; CREATE INDEX ON theirs.words USING gin (word gin_trgm_ops)";
    sql(&superuser, theirs).await;
    may_act_for_all(&superuser, &dsn).await;
    for _ in 0..2 {
        migrate(&dsn).await.expect("up");
        revert(&dsn).await.expect("down");
        let left = rows(&superuser, "SELECT indexrelid FROM pg_index WHERE indrelid = 'theirs.words'::regclass").await;
        assert_eq!(left.len(), 1, "their index is still there");
    }
}
