//! The shell at a pseudo-terminal: what is typed, and what comes back.

use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use rocket::http::Status;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use crate::harness::{App, rows};
use crate::start::process::program;

/// A shell that somebody types into.
struct Typed {
    session: PtySession,
    /// Holds what the shell keeps.
    state: tempfile::TempDir,
}

const PATIENCE: u64 = 60_000;

impl Typed {
    fn start(dsn: &str, options: &[&str]) -> Self {
        Self::in_state(tempfile::tempdir().expect("a directory"), dsn, options)
    }

    fn in_state(state: tempfile::TempDir, dsn: &str, options: &[&str]) -> Self {
        let mut command = program(&[&["shell", "--database-url", dsn], options].concat());
        command.env("XDG_STATE_HOME", state.path()).env("TERM", "xterm").stdin(Stdio::inherit());
        let options = Options::new().timeout_ms(Some(PATIENCE)).strip_ansi_escape_codes(true);
        let session = spawn_with_options(command, options).expect("starts");
        let mut typed = Self { session, state };
        typed.until("exit leaves.");
        typed.until("> ");
        typed
    }

    fn history(&self) -> PathBuf {
        self.state.path().join("virtapi/shell_history")
    }

    fn send(&mut self, keys: &str) {
        self.session.send(keys).expect("reads");
        self.session.flush().expect("reads");
    }

    /// Types a line, and ends it.
    fn line(&mut self, line: &str) {
        self.send(&format!("{line}\r"));
    }

    /// Waits until this is said.
    fn until(&mut self, said: &str) -> String {
        self.session.exp_string(said).unwrap_or_else(|error| panic!("waits for {said:?}: {error}"))
    }

    /// Types a line, and waits until this is said, and then for the prompt.
    fn says(&mut self, line: &str, said: &str, prompt: &str) {
        self.line(line);
        self.until(said);
        self.until(prompt);
    }

    /// Waits for the end.
    fn ends(mut self) -> tempfile::TempDir {
        self.session.exp_eof().expect("ends");
        self.state
    }
}

const NODE: &str = "nodes.create(#{fqdn: \"a.example.com\", state: \"running\", location: \"rack 1\"})";

#[rocket::async_test]
async fn what_is_done_in_the_sandbox_is_seen_there_alone_until_it_is_committed() {
    let app = App::start().await;
    let before = app.contents().await;
    let mut shell = Typed::start(&app.dsn, &["-m", "from the start"]);
    shell.says(NODE, "desired_generation", "virtapi[1]> ");
    shell.says("nodes.count()", "\n1\r\n", "virtapi[1]> ");
    assert_eq!(app.contents().await, before, "what is rehearsed stays nowhere");
    shell.says("rollback", "1 change forgotten", "virtapi> ");
    shell.says("nodes.count()", "\n0\r\n", "virtapi> ");
    assert_eq!(app.contents().await, before);
    shell.says("commit", "there is nothing to commit", "virtapi> ");

    shell.says(NODE, "desired_generation", "virtapi[1]> ");
    shell.says("nodes.update(\"a.example.com\", #{location: \"rack 2\"}).location", "\nrack 2", "virtapi[2]> ");
    shell.line("commit \"a new rack\"");
    shell.until("+ nodes a.example.com");
    shell.until("another document for a.example.com");
    shell.until("Commit? [y/N] ");
    shell.line("n");
    shell.until("not committed");
    shell.until("virtapi[2]> ");
    assert_eq!(app.contents().await, before);
    shell.line("commit \"a new rack\"");
    shell.until("Commit? [y/N] ");
    shell.line("y");
    shell.until("2 changes committed");
    shell.until("virtapi> ");
    assert_eq!(app.get("/v1/nodes/a.example.com").await.is(Status::Ok)["location"], "rack 2");
    let events = "SELECT action, actor, message FROM audit_events WHERE collection = 'nodes' ORDER BY id";
    let recorded = [["create", "system:command line", "a new rack"], ["update", "system:command line", "a new rack"]];
    assert_eq!(rows(&app.dsn, events).await, recorded);
    let requests =
        "SELECT count(DISTINCT request) FROM audit_events WHERE collection = 'nodes' AND request ~ '^shell-'";
    assert_eq!(rows(&app.dsn, requests).await, [["1"]]);

    // Who leaves is asked, and who then ends the input has answered.
    shell.says("nodes.delete(\"a.example.com\")", "", "virtapi[1]> ");
    shell.line("exit");
    shell.until("1 change not committed. Forget and leave? [y/N] ");
    shell.line("");
    shell.until("virtapi[1]> ");
    shell.send("\u{4}");
    shell.until("Forget and leave? [y/N] ");
    shell.send("\u{4}");
    shell.ends();
    app.get("/v1/nodes/a.example.com").await.is(Status::Ok);
}

#[rocket::async_test]
async fn nobody_waits_for_a_sandbox_and_what_others_change_meanwhile_is_not_overwritten() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "a.example.com", "state": "running", "location": "rack 1"}))
        .await
        .is(Status::Created);
    let mut shell = Typed::start(&app.dsn, &[]);
    shell.says("nodes.update(\"a.example.com\", #{location: \"rack 2\"}).location", "\nrack 2", "virtapi[1]> ");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND (xact_start IS NOT NULL AND backend_type = 'client backend')";
    assert_eq!(rows(&app.dsn, open).await, [["0"]], "a transaction is open while nothing is said");
    let patch = json!({"state": "maintenance"});
    app.json(rocket::http::Method::Patch, "/v1/nodes/a.example.com", patch).await.is(Status::Ok);
    shell.says("nodes.count()", "cannot be done any more, at its change 1, update of nodes", "virtapi[1]> ");
    shell.line("commit");
    shell.until("412");
    shell.until("virtapi[1]> ");
    shell.says("rollback", "1 change forgotten", "virtapi> ");
    shell.says("nodes.find(\"a.example.com\").location", "\nrack 1", "virtapi> ");
}

#[rocket::async_test]
async fn each_statement_is_committed_at_once_when_that_is_wanted() {
    let app = App::start().await;
    let mut shell = Typed::start(&app.dsn, &["--commit"]);
    shell.says(NODE, "desired_generation", "virtapi!> ");
    let node = app.get("/v1/nodes/a.example.com").await.is(Status::Ok);
    shell.says("nodes.find(\"a.example.com\").id", &format!("\n{}\r\n", node["id"]), "virtapi!> ");
    // A statement counts whole or not at all.
    shell.says("nodes.delete(\"a.example.com\"); throw \"no\"", "no", "virtapi!> ");
    app.get("/v1/nodes/a.example.com").await.is(Status::Ok);
    shell.line("exit");
    shell.ends();
}

#[rocket::async_test]
async fn tab_completes_collections_fields_and_names() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    let mut shell = Typed::start(&app.dsn, &[]);
    shell.send("hyperv\t.cre\t#{no\t\"hv0\t");
    shell.until("hypervisors.create(#{node: \"hv01.example.com");
    shell.line("\", co\t4, ram_b\t4096, virt_methods: [\"KV\t\"]}).cores");
    shell.until("\n4\r\n");
    shell.until("virtapi[1]> ");
    // Also what is not committed, by the name that people gave.
    shell.says(
        "vms.create(#{name: \"web-1\", cores: 3, ram_bytes: 4096, state: \"running\", virt_method: \"KVM\"}).cores",
        "\n3\r\n",
        "virtapi[2]> ",
    );
    shell.send("vms.find(\"we\t");
    shell.until("web-1");
    shell.says("\").cores", "\n3\r\n", "virtapi[2]> ");
    // Several are listed.
    shell.send("ceph_\t\t");
    shell.until("ceph_clusters");
    shell.until("ceph_pools");
}

#[rocket::async_test]
async fn a_statement_may_have_several_lines_and_ctrl_c_ends_it_and_not_the_shell() {
    let app = App::start().await;
    let mut shell = Typed::start(&app.dsn, &[]);
    shell.line("nodes.create(#{");
    shell.line("  fqdn: \"a.example.com\",");
    shell.line("  state: \"running\"");
    shell.says("}).fqdn", "\na.example.com\r\n", "virtapi[1]> ");
    // What is being typed.
    shell.send("nodes.delete(\"a.exam\u{3}");
    shell.until("virtapi[1]> ");
    // What runs.
    shell.line("print(\"begins\"); nodes.update(\"a.example.com\", #{location: \"here\"}); loop {}");
    shell.until("loop {}");
    let busy =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    while rows(&app.dsn, busy).await != [["1"]] {
        rocket::tokio::task::yield_now().await;
    }
    shell.send("\u{3}");
    shell.until("interrupted");
    shell.until("virtapi[1]> ");
    shell.says("nodes.find(\"a.example.com\").location == ()", "\ntrue", "virtapi[1]> ");
}

#[rocket::async_test]
async fn lines_are_kept_for_their_owner_alone_and_without_secrets() {
    let app = App::start().await;
    let mut shell = Typed::start(&app.dsn, &[]);
    shell.says("let kept = 40", "", "virtapi> ");
    shell.says(" let spaced = 1", "", "virtapi> ");
    shell.says("let x = #{db_password: \"hunter2\"}; 1 + 1", "\n2\r\n", "virtapi> ");
    shell.says("let token = \"virtapi_0123abcd_hunter2hunter2hunter2-_x\"; 1 + 2", "\n3\r\n", "virtapi> ");
    shell.says("let last = 2", "", "virtapi> ");
    let file = shell.history();
    shell.line("exit");
    let state = shell.ends();
    let text = std::fs::read_to_string(&file).expect("is kept");
    assert!(text.contains("let kept = 40") && text.contains("let last = 2"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("spaced"), "{text}");
    assert_eq!(std::fs::metadata(&file).expect("is there").permissions().mode() & 0o777, 0o600);
    let dir = file.parent().expect("a directory");
    assert_eq!(std::fs::metadata(dir).expect("is there").permissions().mode() & 0o777, 0o700);

    // The next shell has them: `exit`, and the two before.
    let mut shell = Typed::in_state(state, &app.dsn, &[]);
    shell.send("\u{1b}[A\u{1b}[A\u{1b}[A");
    shell.until("let kept = 40");
    shell.says(" + 2", "", "virtapi> ");
    shell.says("kept", "\n42\r\n", "virtapi> ");
}

#[rocket::async_test]
async fn the_prompt_says_in_whose_name() {
    let app = App::start().await;
    let mut shell = Typed::start(&app.dsn, &["--as", "admin"]);
    shell.says(NODE, "desired_generation", "admin@virtapi[1]> ");
    shell.line("commit");
    shell.until("Commit? [y/N] ");
    shell.line("y");
    shell.until("1 change committed");
    shell.until("admin@virtapi> ");
    assert_eq!(rows(&app.dsn, "SELECT actor FROM audit_events WHERE collection = 'nodes'").await, [["user:admin"]]);
    // Rights are looked up each time.
    crate::harness::sql(&app.dsn, "UPDATE users SET state = 'disabled'").await;
    shell.says("nodes.count()", "there is no user \"admin\" who is not disabled", "admin@virtapi> ");
}
