//! `virtapi user` and `virtapi token`, the way in for whoever has the database: what they make is known to the server.

use rocket::http::{Method, Status};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::harness::{self, App};
use crate::sessions::Browser;
use crate::start::process::{program, said};

/// A command about this database: whether it was content, what it printed, what it complained of.
fn command(dsn: &str, words: &str) -> (Option<i32>, String, String) {
    let args: Vec<_> = words.split(' ').chain(["--database-url", dsn]).collect();
    said(program(&args).output().expect("runs"))
}

/// What a command printed that was content.
fn done(dsn: &str, words: &str) -> String {
    let (code, out, complaint) = command(dsn, words);
    assert_eq!(code, Some(0), "{words}: {complaint}");
    out
}

/// What the server answers who shows this secret. A server that was just started remembers nobody.
async fn answer(dsn: &str, secret: &str) -> u16 {
    let bearer = format!("Bearer {secret}");
    App::on(dsn).await.send(Method::Get, "/v1/vlans", &[("Authorization", &bearer)], b"").await.status
}

#[rocket::async_test]
async fn a_user_who_was_made_on_the_command_line_is_known_until_it_is_disabled() {
    let dsn = harness::database().await;
    assert_eq!(done(&dsn, "user create bob --role auditor"), "");
    assert!(done(&dsn, "user list").contains("bob\tauditor\tperson\tactive\n"));
    done(&dsn, "user create robot --service");
    assert!(done(&dsn, "user list").contains("robot\t-\tservice\tactive\n"));

    let secret = done(&dsn, "token create laptop --user bob --source-network 192.0.2.0/24 --days 30");
    let line = format!("\tbob\t-\t-\tall\t192.0.2.0/24\t{}", (chrono::Utc::now() + chrono::Days::new(30)).date_naive());
    assert!(done(&dsn, "token list").contains(&line), "{line} in {}", done(&dsn, "token list"));
    assert_eq!(answer(&dsn, secret.trim()).await, 401, "it does not come from there");

    let secret = done(&dsn, "token create laptop --user bob --scope read");
    assert_eq!(answer(&dsn, secret.trim()).await, 200);
    done(&dsn, "user disable bob");
    assert_eq!(answer(&dsn, secret.trim()).await, 401);
    done(&dsn, "user enable bob");
    assert_eq!(answer(&dsn, secret.trim()).await, 200);

    let tokens = done(&dsn, "token list");
    let own = tokens.lines().find(|line| line.contains("\tread\t")).expect("is listed");
    assert!(secret.starts_with(own.split('\t').nth(1).expect("a prefix")), "{own}");
    done(&dsn, &format!("token revoke {}", own.split('\t').next().expect("an id")));
    assert_eq!(answer(&dsn, secret.trim()).await, 401);
}

#[rocket::async_test]
async fn a_password_is_read_from_standard_input() {
    let app = App::start().await;
    done(&app.dsn, "user create bob --role auditor");
    let set = |name: &str, typed: &str| {
        let mut command = program(&["user", "password", name, "--database-url", &app.dsn]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("runs");
        running.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("reads");
        said(running.wait_with_output().expect("ends"))
    };
    let (code, out, complaint) = set("bob", "correct horse battery\n");
    assert_eq!((code, out.as_str()), (Some(0), ""), "{complaint}");
    assert_eq!(Browser::new(&app).log_in("bob", "correct horse battery").await.status, 303);
    for (name, typed, reason) in [
        ("bob", "short\n", "must have at least 12 characters"),
        ("bob", "", "must have at least 12 characters"),
        ("nobody", "correct horse battery\n", "there is no such thing"),
    ] {
        let (code, _, complaint) = set(name, typed);
        assert_eq!(code, Some(1), "{complaint}");
        assert!(complaint.contains(reason) && !complaint.contains("battery"), "{complaint}");
    }
}

#[rocket::async_test]
async fn a_node_and_a_compiler_get_tokens_for_documents_on_the_command_line() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "a.example.com", "state": "running"})).await.is(Status::Created);
    for holder in ["--node a.example.com", "--compiler puppet.example.com"] {
        let secret = done(&app.dsn, &format!("token create agents {holder} --scope documents"));
        let bearer = format!("Bearer {}", secret.trim());
        for (url, status) in [("/puppet/enc/a.example.com", 200), ("/v1/nodes", 403)] {
            let answer = app.send(Method::Get, url, &[("Authorization", &bearer)], b"").await;
            assert_eq!(answer.status, status, "{holder} {url}: {}", answer.text());
        }
    }
}

#[rocket::async_test]
async fn a_member_of_an_organization_acts_for_it_until_the_membership_ends() {
    let dsn = harness::database().await;
    done(&dsn, "user create wile");
    done(&dsn, "org create acme --full-name Acme");
    assert!(done(&dsn, "org list").contains("acme\tAcme\n"));
    let secret = done(&dsn, "token create laptop --user wile");
    assert_eq!(answer(&dsn, secret.trim()).await, 403, "a user without a role");
    for role in ["viewer", "owner"] {
        done(&dsn, &format!("org member acme wile --role {role}"));
        assert_eq!(done(&dsn, "org members"), format!("acme\twile\t{role}\n"));
    }
    assert_eq!(answer(&dsn, secret.trim()).await, 200);
    done(&dsn, "org member acme wile");
    assert_eq!(done(&dsn, "org members"), "");
    assert_eq!(answer(&dsn, secret.trim()).await, 403);
}

#[rocket::async_test]
async fn a_wrong_command_says_what_is_wrong_and_changes_nothing() {
    let app = App::start().await;
    let before = app.contents().await;
    for (words, complaint) in [
        ("user create bob --role king", "role "),
        ("user create admin", "name "),
        ("user disable nobody", "no such"),
        ("token create laptop --user nobody", "user "),
        ("token create laptop --user admin --scope some", "scope "),
        ("token create laptop --user admin --source-network here", "source_network "),
        ("token create laptop --user admin --days 0", "--days"),
        ("token create laptop", "--user"),
        ("token create laptop --user admin --node a", "cannot be used with"),
        ("token revoke 4711", "no such"),
        ("org member nobody admin --role owner", "organization "),
        ("org member nobody admin", "no such"),
    ] {
        let (code, out, complained) = command(&app.dsn, words);
        assert_ne!(code, Some(0), "{words}");
        assert_eq!(out, "", "{words}");
        assert!(complained.contains(complaint), "{words}: {complained}");
    }
    assert_eq!(app.contents().await, before);
}

#[rocket::async_test]
async fn the_first_start_on_a_given_database_prints_the_administrators_token_once() {
    let dsn = harness::empty_database().await;
    let (mut server, lines) = serve(&dsn, 2);
    server.kill().expect("may kill");
    server.wait().expect("ends");
    let secret = lines[0].rsplit(' ').next().expect("words").trim();
    assert!(lines[0].contains("administrator's token") && secret.starts_with("virtapi_"), "{lines:?}");
    assert!(lines[1].starts_with("virtapi listens on"), "{lines:?}");
    assert_eq!(answer(&dsn, secret).await, 200);

    let (mut server, lines) = serve(&dsn, 1);
    server.kill().expect("may kill");
    server.wait().expect("ends");
    assert!(lines[0].starts_with("virtapi listens on"), "{lines:?}");
}

/// A server, and the first lines that it prints.
pub fn serve(dsn: &str, lines: usize) -> (Child, Vec<String>) {
    let mut command = program(&["serve", "--port", "0", "--database-url", dsn]);
    let mut server = command.stdout(Stdio::piped()).spawn().expect("starts");
    let out = BufReader::new(server.stdout.take().expect("is piped"));
    (server, out.lines().take(lines).map(|line| line.expect("says something")).collect())
}
