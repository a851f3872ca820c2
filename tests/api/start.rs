//! The program itself: how it starts, on what it refuses to start, and how it ends.

pub mod process;

use process::{DataDir, Server, answer, begin, is_root, program, run, said, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const VLAN: &str = r#"{"name": "customers", "tag": 100}"#;

fn has_vlan(server: &Server) -> bool {
    server.ask("GET /v1/vlans/customers", "").0 == 200
}

#[test]
fn a_second_start_reuses_the_data_of_the_first() {
    let data = DataDir::new();
    let first = Server::start(&data, &[]);
    assert!(!has_vlan(&first));
    assert_eq!(first.ask("POST /v1/vlans", VLAN).0, 201);
    first.stop();
    assert!(!data.pid_file().exists(), "its Postgres stops with it");

    let second = Server::start(&data, &[]);
    assert!(has_vlan(&second));
    second.stop();
}

#[test]
fn what_a_killed_server_leaves_does_not_block_the_next_start() {
    let data = DataDir::new();
    let server = Server::start(&data, &[]);
    assert_eq!(server.ask("POST /v1/vlans", VLAN).0, 201);
    server.kill();
    let orphan = data.postgres().expect("Postgres was left running");

    let server = Server::start(&data, &[]);
    assert!(has_vlan(&server));
    assert_eq!(data.postgres(), Some(orphan), "the running Postgres is used again");
    server.kill();
    data.kill_postgres();

    let server = Server::start(&data, &[]);
    assert!(has_vlan(&server), "recovered");
    server.stop();
    assert!(data.postgres().is_none());

    // After a reboot, anybody may have the process id of the Postgres that was killed.
    let own = std::process::id();
    let left = format!("{own}\n{0}\n1\n5432\n{0}\n\n 5432001 0\nready   \n", data.path.join("pg").display());
    std::fs::write(data.pid_file(), left).expect("writes");
    // And a first start may have been killed before its cluster was whole.
    std::fs::create_dir(data.path.join("pg.new")).expect("creates");
    let server = Server::start(&data, &[]);
    assert!(has_vlan(&server));
    server.stop();
}

#[test]
fn a_stop_finishes_the_requests_under_way_and_waits_for_nothing_else() {
    let data = DataDir::new();
    let server = Server::start(&data, &[]);
    let (begun, rest) = VLAN.split_at(20);
    let mut slow = begin(&server, "POST /v1/vlans", VLAN.len());
    slow.write_all(begun.as_bytes()).expect("sends");
    let mut idle = server.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sends");
    assert_ne!(idle.read(&mut [0; 1000]).expect("answers"), 0);
    let _silent = server.connect();

    server.terminate();
    let at = server.at.clone();
    until("no new connection is taken", || TcpStream::connect(&at).is_err());
    std::thread::sleep(Duration::from_millis(500));
    slow.write_all(rest.as_bytes()).expect("is still connected");
    let answered = Instant::now();
    assert_eq!(answer(&mut slow).0, 201);
    assert_eq!(server.ended(), Some(0));
    assert!(answered.elapsed() < Duration::from_secs(20), "did not wait out the grace period of 30 seconds");
}

#[test]
fn a_stop_cuts_off_what_takes_longer_than_the_grace_period() {
    let data = DataDir::new();
    let server = Server::start(&data, &["--shutdown-grace", "1"]);
    let slow = begin(&server, "POST /v1/vlans", VLAN.len());
    server.terminate();
    assert_eq!(server.ended(), Some(1));
    drop(slow);
    assert!(!data.pid_file().exists());
}

#[test]
fn two_servers_share_a_data_directory() {
    let data = DataDir::new();
    let (first, second) = (Server::start(&data, &[]), Server::start(&data, &[]));
    assert_eq!(first.ask("POST /v1/vlans", VLAN).0, 201);
    first.stop();
    assert!(has_vlan(&second));
    second.stop();
    assert!(!data.pid_file().exists(), "the last one stops Postgres");
}

#[test]
fn a_data_directory_may_have_any_name() {
    let data = DataDir::named(&format!("it's \"my\" data, {}", "and long ".repeat(20)));
    let server = Server::start(&data, &[]);
    assert_eq!(server.ask("POST /v1/vlans", VLAN).0, 201);
    server.stop();
}

#[test]
fn an_ordinary_user_needs_nobody_else() {
    if !is_root() {
        return; // Then every other test here is this one.
    }
    let data = DataDir::new().for_nobody();
    let server = Server::start_as_nobody(&data);
    assert_eq!(server.ask("POST /v1/vlans", VLAN).0, 201);
    server.stop();
    // Root goes on with the same data, and leaves it to its owner.
    let server = Server::start(&data, &[]);
    assert!(has_vlan(&server));
    server.stop();
    let server = Server::start_as_nobody(&data);
    assert!(has_vlan(&server));
    server.stop();
}

#[test]
fn the_demo_fleet_goes_into_an_empty_database_only() {
    let data = DataDir::new();
    let server = Server::start(&data, &["--demo"]);
    let commands: Vec<&str> =
        server.announced.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{}", server.announced);
    for command in commands {
        assert!(command.contains(&server.at), "{command}");
        let (code, out, err) =
            said(Command::new("sh").args(["-c", &format!("{command} -sSf")]).output().expect("runs"));
        assert!(code == Some(0) && out.starts_with('{'), "{command} {out} {err}");
    }
    assert_eq!(server.ask("DELETE /v1/snapshots/b0000000-0000-4000-8000-000000000001%2Fgolden", "").0, 204);
    let (code, out, err) = run(&["demo", "--data-dir", &data.path.display().to_string()]);
    assert_eq!((code, out.trim()), (Some(0), "the database is not empty: nothing was loaded"), "{err}");
    server.stop();
}

#[test]
fn a_wrong_setting_is_named_and_stops_the_start() {
    for (args, variable, named) in [
        (&["serve", "--port", "http"][..], ("A", ""), "--port"),
        (&["serve"][..], ("VIRTAPI_PORT", "http"), "VIRTAPI_PORT"),
        (&["migrate"][..], ("VIRTAPI_POOL_SIZE", "0"), "VIRTAPI_POOL_SIZE"),
        (&["demo"][..], ("VIRTAPI_PROT", "1"), "VIRTAPI_PROT"),
        (&["check-config", "--config", "/nowhere"][..], ("A", ""), "/nowhere"),
    ] {
        let (code, out, err) = said(program(args).env(variable.0, variable.1).output().expect("runs"));
        assert_eq!((code, &*out), (Some(2), ""), "{err}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
}

#[test]
fn what_cannot_be_used_is_one_sentence() {
    let data = DataDir::new();
    let dir = data.path.display().to_string();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = taken.local_addr().expect("is bound").port().to_string();
    let mut cases = vec![
        (vec!["serve", "--data-dir", &dir, "--postgres-bin", "/nowhere"], "apt-get install postgresql"),
        (vec!["serve", "--data-dir", &dir, "--port", &port], "cannot listen on 127.0.0.1:"),
        (vec!["serve", "--data-dir", "/dev/null/x"], "/dev/null/x"),
        (vec!["migrate", "--database-url", "postgres://x@127.0.0.1:1/x"], "Connection refused"),
        (vec!["serve", "--database-url", "postgres://x:y@[::1]:1/x"], "cannot use the database postgres://x:***@"),
    ];
    let closed = tempfile::tempdir().expect("a directory");
    let below = closed.path().join("data").display().to_string();
    std::fs::set_permissions(closed.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("sets");
    if is_root() {
        cases.push((vec!["serve", "--data-dir", &below], "Postgres does not run as root: give a --data-dir"));
    }
    for (args, named) in cases {
        let (code, out, err) = run(&args);
        assert_eq!((code, &*out), (Some(1), ""), "{args:?}: {err}");
        assert!(err.contains(named) && err.trim_end().lines().count() == 1, "{args:?}: {err}");
    }
}

#[test]
fn the_settings_are_shown_without_the_password() {
    let (code, out, _) = run(&["check-config", "--database-url", "postgres://me:hunter2@db/x", "--port", "1"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("port = 1 ") && out.contains("# flag --port") && out.contains("me:***@db"), "{out}");
    assert!(!out.contains("hunter2"));
}

#[test]
fn every_command_explains_itself() {
    let (_, help, _) = run(&["--help"]);
    for command in ["serve", "migrate", "demo", "check-config", "openapi", "enc"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let (code, out, _) = run(&[command, "--help"]);
        assert_eq!(code, Some(0));
        assert!(out.contains(&format!("Usage: virtapi {command}")), "{out}");
    }
}

#[test]
fn the_description_of_the_api_is_printed() {
    let (code, out, _) = run(&["openapi"]);
    let description: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &description["openapi"]), (Some(0), &serde_json::json!("3.1.0")));
}
