//! `virtapi shell`: what scripts may and leave behind, with what rights, and within which limits.

mod terminal;

use rocket::http::Status;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

use crate::harness::{self, App, rows, sql};
use crate::start::process::{program, said};

/// A script about this database: how it ended, what it printed, what it complained of.
fn script(dsn: &str, options: &[&str], text: &str) -> (Option<i32>, String, String) {
    let args = [&["shell", "--database-url", dsn, "-e", text], options].concat();
    said(program(&args).output().expect("runs"))
}

/// What a script printed that was content.
fn done(dsn: &str, options: &[&str], text: &str) -> String {
    let (code, out, complaint) = script(dsn, options, text);
    assert_eq!(code, Some(0), "{text}: {complaint}");
    out
}

/// What a script complained of.
fn refused(dsn: &str, options: &[&str], text: &str) -> String {
    let (code, out, complaint) = script(dsn, options, text);
    assert_eq!(code, Some(1), "{text}: {out}");
    complaint
}

const NODE: &str = r#"nodes.create(#{fqdn: "a.example.com", state: "running", location: "rack 1"})"#;

#[rocket::async_test]
async fn what_a_script_changes_is_committed_by_commit_alone() {
    let app = App::start().await;
    let before = app.contents().await;
    let (code, out, told) = script(&app.dsn, &[], NODE);
    assert_eq!(code, Some(0), "{told}");
    assert!(out.contains("fqdn") && out.contains("rack 1"), "{out}");
    assert!(told.contains("+ nodes a.example.com\n") && told.contains("another document for a.example.com"), "{told}");
    assert!(told.contains("1 change to commit") && told.contains("nothing is committed"), "{told}");
    assert_eq!(app.contents().await, before);

    let out = done(&app.dsn, &["--commit", "-m", "a new rack", "--json"], NODE);
    let printed: Value = serde_json::from_str(&out).expect("JSON");
    let node = app.get("/v1/nodes/a.example.com").await.is(Status::Ok);
    assert_eq!((&printed["id"], &printed["location"]), (&node["id"], &json!("rack 1")));
    let events = rows(
        &app.dsn,
        "SELECT action, actor, message, request ~ '^shell-' FROM audit_events WHERE collection = 'nodes'",
    )
    .await;
    assert_eq!(events, [["create", "system:command line", "a new rack", "t"]]);
}

#[rocket::async_test]
async fn a_script_uses_what_it_has_made_and_all_of_it_is_there_as_it_was_shown() {
    let app = App::start().await;
    let text = r#"
        fn machine(name) { vms.create(#{name: name, cores: 2, ram_bytes: 1073741824, state: "running",
            virt_method: "KVM", hypervisor: #{node: "a.example.com", cores: 16, ram_bytes: 68719476736,
            local_storage_path: "/srv", virt_methods: ["KVM"]}}) }
        nodes.create(#{fqdn: "a.example.com", state: "running"});
        let vm = machine("web-1");
        // What is not committed has no id that would last.
        if vm.id != () { throw "an id" }
        if vm.hypervisor.id != () { throw "an id of what is referred to" }
        let volume = volumes.create(#{vm: vm, size_bytes: 1073741824, storage_type: "qcow2", cache_option: "none"});
        vm.update(#{cores: 4});
        vms.update("web-1", #{ram_bytes: 2147483648});
        if vms.find("web-1").load().cores != 4 || vms.count(#{cores__gte: 4}) != 1 { throw "it does not see itself" }
        let embedded = vms.list(#{embed: "volumes", fields: "name"});
        if embedded[0].volumes[0].uuid != volume.uuid { throw "not the same volume" }
        [vm, volume]
    "#;
    let shown: Value = serde_json::from_str(&done(&app.dsn, &["--commit", "--json"], text)).expect("JSON");
    let (vm, volume) = (shown[0]["uuid"].as_str().expect("a uuid"), shown[1]["uuid"].as_str().expect("a uuid"));
    let found = app.get(&format!("/v1/vms/{vm}")).await.is(Status::Ok);
    assert_eq!(
        (&found["id"], &found["cores"], &found["ram_bytes"]),
        (&shown[0]["id"], &json!(4), &json!(2_147_483_648_i64))
    );
    let found = app.get(&format!("/v1/volumes/{volume}")).await.is(Status::Ok);
    assert_eq!((&found["id"], &found["vm"]["uuid"]), (&shown[1]["id"], &json!(vm)));
}

#[rocket::async_test]
async fn a_script_that_fails_leaves_nothing_and_says_what_the_api_says() {
    let app = App::start().await;
    let before = app.contents().await;
    let vm = r#"vms.create(#{name: "web-1", cores: 0, ram_bytes: 1, state: "running", virt_method: "KVM", size: 3})"#;
    let told = refused(&app.dsn, &["--commit"], &format!("{NODE};\n{vm}"));
    for part in ["422 Unprocessable Entity", "/cores  must be between 1 and 4096", "/size  is not known", "line 2"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for (text, reason) in [
        (NODE.replace("running", "walking"), "/state  names none of node-states"),
        (format!("{NODE}; {NODE}"), "409 Conflict: fqdn is already taken"),
        ("vms.find(\"nobody\")".into(), "404 Not Found"),
        ("vms.list(#{colour: 1})".into(), "have no field \"colour\""),
        ("vms.list(#{limit: 100000})".into(), "between 1 and 1000"),
        ("vms.delete(17)".into(), "404 Not Found"),
        ("runs.create(#{})".into(), "405"),
        ("nothing.list()".into(), "nothing"),
        ("vms.list(".into(), "Expecting"),
        ("let x = vms.list(); x[0]".into(), "out of bounds"),
        ("node_states.find(\"running\").nam".into(), "shows no field \"nam\""),
        ("commit()".into(), "by --commit"),
        ("throw \"a \\u001b[31m word\"".into(), "a \\u{1b}[31m word"),
    ] {
        let told = refused(&app.dsn, &["--commit"], &text);
        assert!(told.contains(reason), "{text}: {told}");
    }
    assert_eq!(app.contents().await, before);

    // One that is caught is none, and what it concerned is undone alone.
    let caught = format!("{NODE}; try {{ {NODE} }} catch (e) {{ print(e.status) }}; nodes.count()");
    assert_eq!(done(&app.dsn, &["--commit"], &caught), "409\n1\n");
    assert_eq!(rows(&app.dsn, "SELECT count(*) FROM nodes").await, [["1"]]);
}

#[rocket::async_test]
async fn scripts_come_from_files_and_from_standard_input() {
    let dsn = harness::database().await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("nodes.rhai");
    std::fs::write(
        &file,
        "for n in 1..4 { nodes.create(#{fqdn: `n${n}.example.com`, state: \"running\"}) }\nprint(nodes.count());\n5",
    )
    .expect("writes");
    let file = file.display().to_string();
    let (code, out, told) =
        said(program(&["shell", "--commit", "--database-url", &dsn, &file]).output().expect("runs"));
    assert_eq!((code, out.as_str()), (Some(0), "3\n"), "{told}");

    let mut command = program(&["shell", "--database-url", &dsn]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("runs");
    running
        .stdin
        .take()
        .expect("is piped")
        .write_all(b"nodes.list(#{fields: \"fqdn\", sort: \"-fqdn\", limit: 2})")
        .expect("reads");
    let (code, out, told) = said(running.wait_with_output().expect("ends"));
    assert_eq!(code, Some(0), "{told}");
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    assert_eq!([lines[0], lines[2], lines[3]], ["fqdn", "n3.example.com", "n2.example.com"], "{out}");

    let (code, _, told) = said(program(&["shell", "--database-url", &dsn, "no/such/file"]).output().expect("runs"));
    assert_eq!(code, Some(1));
    assert!(told.contains("cannot read no/such/file"), "{told}");
}

#[rocket::async_test]
async fn all_reads_on_where_a_list_ends() {
    let dsn = harness::database().await;
    sql(&dsn, "INSERT INTO vlans (name, tag) SELECT 'v' || n, n FROM generate_series(1, 60) AS n").await;
    let out = done(
        &dsn,
        &[],
        "[vlans.list().len(), vlans.all().len(), vlans.all(#{limit: 7, tag__gt: 10}).len(), vlans.count()]",
    );
    assert!(out.starts_with("the first 50: more follow, with limit and cursor, or vlans.all()\n"), "{out}");
    let numbers: Vec<usize> = serde_json::from_str(&out[out.find('[').expect("a list")..]).expect("JSON");
    assert_eq!(numbers, [50, 60, 50, 60]);
}

/// A customer who owns an environment, another one, and a node.
fn customers(app: &App) -> String {
    let dsn = app.dsn.clone();
    let text = r#"
        for name in ["wile", "road"] {
            users.create(#{name: name, account_type: "person", state: "active"});
            organizations.create(#{name: `of-${name}`});
            memberships.create(#{organization: `of-${name}`, user: name, role: "owner"});
            environments.create(#{organization: `of-${name}`, name: "live"});
        }
        vms.create(#{name: "beep", cores: 1, ram_bytes: 1, state: "running", virt_method: "KVM", environment: "of-road/live"});
        nodes.create(#{fqdn: "a.example.com", state: "running"});
    "#;
    done(&dsn, &["--commit"], text);
    dsn
}

#[rocket::async_test]
async fn who_acts_as_a_user_has_its_rights_and_no_others() {
    let app = App::start().await;
    let dsn = customers(&app);
    let vm = r#"vms.create(#{name: "acme", cores: 1, ram_bytes: 1, state: "running", virt_method: "KVM", environment: "of-wile/live"}).uuid"#;
    let (code, out, told) = script(&dsn, &["--as", "wile", "--commit"], vm);
    assert_eq!(code, Some(0), "{told}");
    let event = format!("SELECT actor, action FROM audit_events WHERE object_key = '{}'", out.trim());
    assert_eq!(rows(&dsn, &event).await, [["user:wile", "create"]]);

    // Row-level security, policy, and what only operators set.
    assert_eq!(done(&dsn, &["--as", "wile"], "vms.all().map(|vm| vm.name)"), "[\n  \"acme\"\n]\n");
    let before = app.contents().await;
    for (text, reason) in [
        ("nodes.list()", "403 Forbidden"),
        ("nodes.update(\"a.example.com\", #{location: \"here\"})", "403 Forbidden"),
        ("users.create(#{name: \"me\"})", "403 Forbidden"),
        ("vms.find(\"beep\")", "404 Not Found"),
        ("vms.delete(\"beep\")", "404 Not Found"),
        ("vms.update(\"acme\", #{cputime_limit: 5})", "/cputime_limit  is set by the operators"),
        ("vms.update(\"acme\", #{environment: \"of-road/live\"})", "/environment  names none of environments"),
    ] {
        let told = refused(&dsn, &["--as", "wile", "--commit"], text);
        assert!(told.contains(reason), "{text}: {told}");
    }
    assert_eq!(app.contents().await, before);
    let seen = "SELECT actor, detail FROM audit_events WHERE action = 'refuse' ORDER BY detail";
    let seen = rows(&dsn, seen).await;
    assert!(seen.contains(&vec!["user:wile".into(), "update nodes in the shell 403".into()]), "{seen:?}");

    // Whoever may not read the record is told of its own changes, and of no documents.
    let (_, _, told) = script(&dsn, &["--as", "wile"], "vms.update(\"acme\", #{cores: 2})");
    assert!(told.contains("~ vms") && told.contains("1 change to commit\n"), "{told}");

    for name in ["nobody", "disabled"] {
        let user =
            "try { users.create(#{name: \"disabled\", account_type: \"person\", state: \"disabled\"}) } catch {}";
        done(&dsn, &["--commit"], user);
        let told = refused(&dsn, &["--as", name], "1");
        assert!(told.contains(&format!("there is no user \"{name}\" who is not disabled")), "{told}");
    }
}

#[rocket::async_test]
async fn a_script_that_would_not_end_is_ended() {
    let app = App::start().await;
    let before = app.contents().await;
    for (text, reason) in [
        ("loop {}", "takes longer than is allowed"),
        ("try { loop {} } catch { 1 }", "takes longer than is allowed"),
        ("fn f() { f() }; f()", "Stack overflow"),
        ("let a = [1]; loop { a += a }", "too large"),
        ("let a = \"a\"; loop { a += a }", "too large"),
    ] {
        let told = refused(&app.dsn, &["--commit", "--time-limit", "2"], &format!("{NODE}; {text}"));
        assert!(told.contains(reason), "{text}: {told}");
    }
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn help_tells_what_the_registry_knows() {
    let dsn = harness::database().await;
    let help = done(&dsn, &[], "help(vms)");
    for part in ["Natural key: uuid", "one of hypervisors", "required", "1 to 4096", "Virtual CPUs.", "vms.create(#{"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let all = done(&dsn, &[], "help(); ls()");
    for kind in virtapi::KINDS {
        let name = kind.name().replace('-', "_");
        assert!(all.contains(&name), "{name}");
        assert!(done(&dsn, &[], &format!("help({name})")).contains(kind.about()));
    }
    assert!(!done(&dsn, &[], "help(audit_events)").contains("create("));
}
