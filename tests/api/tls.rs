//! TLS, as the program speaks it.

pub mod authority;
pub mod client;
mod reload;

use authority::{Authority, Leaf};
use client::{Client, head};
use std::path::{Path, PathBuf};

use crate::certificates::NODE;
use crate::start::process::{DataDir, Server, program, run, said};

/// The files that the settings name.
pub struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    /// Those of a server with this certificate.
    pub fn of(leaf: &Leaf) -> Self {
        let files = Self { dir: tempfile::tempdir().expect("a directory") };
        files.write("server.pem", &leaf.certificate);
        files.write("server.key", &leaf.key);
        files
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file at once, as those do who replace what is in use.
    pub fn write(&self, name: &str, text: &str) {
        let draft = self.path("draft");
        std::fs::write(&draft, text).expect("writes");
        std::fs::rename(draft, self.path(name)).expect("renames");
    }

    /// The flags that name these files.
    pub fn flags(&self, names: &[(&str, &str)]) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        names.iter().flat_map(|(flag, name)| [(*flag).to_owned(), text(&self.path(name))]).collect()
    }
}

/// The flags of a server that speaks TLS.
pub const TLS: [(&str, &str); 2] = [("--tls-certificate", "server.pem"), ("--tls-key", "server.key")];

pub fn start(data: &DataDir, flags: &[String]) -> Server {
    Server::start(data, &flags.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn with_a_certificate_there_is_only_tls() {
    let authority = Authority::new("Puppet");
    let files = Files::of(&authority.issue("virtapi.example.com", 10));
    let data = DataDir::new();
    let server = start(&data, &[files.flags(&TLS), vec!["--demo".to_owned()]].concat());
    assert_eq!(server.scheme, "https");
    let client = Client::new(&authority.bundle(), None);
    let token = format!("Authorization: Bearer {}", server.token);
    let answer = client.ask(&server, "GET /v1/nodes", &[&token]).expect("answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.to_lowercase().contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer:?}");
    let answer = client.ask(&server, "GET /health", &[]).expect("answers");
    assert!(answer.status == 200 && answer.body.contains("alive"), "{answer:?}");
    // Who does not speak TLS gets no answer, and who trusts another authority does not send a request.
    assert!(server.plain("GET /health").is_none());
    let stranger = Client::new(&Authority::new("Another").bundle(), None);
    let refused = stranger.ask(&server, "GET /health", &[]).expect_err("is not trusted").to_string();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    // What it says to try works.
    let commands: Vec<&str> =
        server.announced.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{}", server.announced);
    for command in commands {
        let run = std::process::Command::new("sh").args(["-c", &format!("{command} -sSf")]).output().expect("runs");
        let (code, out, err) = said(run);
        assert!(code == Some(0) && out.starts_with('{'), "{command} {out} {err}");
    }
    server.stop();
}

#[test]
fn without_one_there_is_none() {
    let data = DataDir::new();
    let server = Server::start(&data, &[]);
    assert_eq!(server.scheme, "http");
    let answer = server.plain("GET /health").expect("answers");
    assert!(!answer.to_lowercase().contains("strict-transport-security"), "{answer}");
    server.stop();
}

/// Names, in the words of the settings, what is wrong with files.
fn refused(files: &Files, flags: &[String], setting: &str, reason: &str) {
    // `serve` would start a Postgres next, which these arguments do not let it.
    let nowhere = files.path("nowhere/data").display().to_string();
    for command in [&["check-config"][..], &["serve", "--data-dir", &nowhere, "--postgres-bin", "/nowhere"]] {
        let out = program(command).args(flags).output().expect("runs");
        let (code, _, err) = said(out);
        assert_eq!(code, Some(2), "{command:?} {flags:?}: {err}");
        assert!(err.contains(&format!("wrong setting {setting} (")) && err.contains(reason), "{command:?}: {err}");
    }
}

#[test]
fn a_file_that_is_wrong_is_named_and_stops_the_start() {
    let authority = Authority::new("Puppet");
    let (leaf, other) = (authority.issue("virtapi.example.com", 10), authority.issue("other.example.com", 11));
    let files = Files::of(&leaf);
    files.write("other.key", &other.key);
    files.write("garbage", "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n");
    files.write("empty", "");
    let (certificate, key) = (("--tls-certificate", "server.pem"), ("--tls-key", "server.key"));
    for (flags, setting, reason) in [
        (vec![certificate], "tls_certificate", "needs tls_key"),
        (vec![key], "tls_key", "needs tls_certificate"),
        (vec![("--tls-certificate", "missing"), key], "tls_certificate", "missing: cannot be read: No such file"),
        (vec![certificate, ("--tls-key", "missing")], "tls_key", "missing: cannot be read: No such file"),
        (vec![("--tls-certificate", "garbage"), key], "tls_certificate", "garbage: "),
        (vec![("--tls-certificate", "empty"), key], "tls_certificate", "empty: holds no certificate"),
        (vec![("--tls-certificate", "server.key"), key], "tls_certificate", "server.key: holds no certificate"),
        (vec![certificate, ("--tls-key", "empty")], "tls_key", "empty: "),
        (vec![certificate, ("--tls-key", "server.pem")], "tls_key", "server.pem: "),
        (vec![certificate, ("--tls-key", "other.key")], "tls_key", "other.key: is not the key of the certificate"),
    ] {
        refused(&files, &files.flags(&flags), setting, reason);
    }
    let another = Authority::new("Puppet");
    files.write("ca.pem", &authority.bundle());
    files.write("crl.pem", &authority.revoke(&[]));
    files.write("another.pem", &another.revoke(&[]));
    files.write("stranger.pem", &Authority::new("Another").revoke(&[]));
    files.write("part.pem", &authority.without_list_of_root());
    files.write("twice.pem", &authority.revoke(&[]).repeat(2));
    let (ca, crl) = (("--tls-client-ca", "ca.pem"), ("--tls-crl", "crl.pem"));
    let more = |pairs: &[(&'static str, &'static str)]| [&TLS[..], pairs].concat();
    for (flags, setting, reason) in [
        (vec![ca], "tls_client_ca", "needs tls_certificate"),
        (more(&[crl]), "tls_crl", "needs tls_client_ca"),
        (more(&[("--tls-client-ca", "missing")]), "tls_client_ca", "missing: cannot be read"),
        (more(&[("--tls-client-ca", "empty")]), "tls_client_ca", "empty: holds no certificate"),
        (more(&[ca, ("--tls-crl", "missing")]), "tls_crl", "missing: cannot be read"),
        (more(&[ca, ("--tls-crl", "empty")]), "tls_crl", "empty: holds no list of CN=Puppet intermediate"),
        (more(&[ca, ("--tls-crl", "part.pem")]), "tls_crl", "part.pem: holds no list of CN=Puppet root"),
        (more(&[ca, ("--tls-crl", "twice.pem")]), "tls_crl", "twice.pem: holds two lists of CN=Puppet intermediate"),
        (more(&[ca, ("--tls-crl", "another.pem")]), "tls_crl", "is not signed by CN=Puppet intermediate"),
        (more(&[ca, ("--tls-crl", "stranger.pem")]), "tls_crl", "Another intermediate, which is not in tls_client_ca"),
    ] {
        refused(&files, &files.flags(&flags), setting, reason);
    }
    let good = files.flags(&more(&[ca, crl]));
    let words: Vec<&str> = ["check-config"].into_iter().chain(good.iter().map(String::as_str)).collect();
    assert_eq!(run(&words).0, Some(0));
}

/// The flags of a server that takes client certificates.
pub const MUTUAL: [(&str, &str); 4] = [TLS[0], TLS[1], ("--tls-client-ca", "ca.pem"), ("--tls-crl", "crl.pem")];

#[test]
fn a_client_certificate_is_verified_before_anything_is_read() {
    let (authority, another) = (Authority::new("Puppet"), Authority::new("Puppet"));
    let revoked = authority.issue(NODE, 21);
    let files = Files::of(&authority.issue("virtapi.example.com", 10));
    files.write("ca.pem", &authority.bundle());
    files.write("crl.pem", &authority.revoke(&[&revoked]));
    let data = DataDir::new();
    let server = start(&data, &files.flags(&MUTUAL));
    let bundle = authority.bundle();
    let token = format!("Authorization: Bearer {}", server.token);
    let (json, node) = ("Content-Type: application/json", format!(r#"{{"fqdn": "{NODE}", "state": "running"}}"#));
    let mut connection = Client::new(&bundle, None).connect(&server).expect("without a certificate, too");
    let length = format!("Content-Length: {}", node.len());
    connection.send(&format!("{}\r\n{node}", head("POST /v1/nodes", &[&token, json, &length]))).expect("sends");
    assert_eq!(connection.answer().expect("answers").status, 201);
    let document = format!("GET /puppet/enc/{NODE}");
    assert_eq!(connection.ask(&document, &[]).expect("answers").status, 401);

    let mut node = Client::new(&bundle, Some(&authority.issue(NODE, 20))).connect(&server).expect("connects");
    assert_eq!(node.ask(&document, &[]).expect("answers").status, 200);
    assert_eq!(node.ask("GET /puppet/enc/hv02.example.com", &[]).expect("answers").status, 404);
    assert_eq!(node.ask("GET /v1/nodes", &[&token]).expect("answers").status, 200);

    let answer = Client::new(&bundle, Some(&revoked)).ask(&server, &document, &[]).expect("answers");
    assert!(answer.status == 401 && answer.body.contains("is revoked"), "{answer:?}");
    // The classifier is known by the same means, and says why when it is not.
    let node = authority.issue(NODE, 24);
    for (name, text) in
        [("node.pem", &node.certificate), ("node.key", &node.key), ("revoked.pem", &revoked.certificate)]
    {
        files.write(name, text);
    }
    files.write("revoked.key", &revoked.key);
    for (name, code, told) in [("node", 0, "virtapi"), ("revoked", 1, "401")] {
        let mut words = vec!["enc".to_owned(), NODE.to_owned(), "--max-age".to_owned(), "0".to_owned()];
        words.extend(["--url".to_owned(), format!("https://{}", server.at)]);
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        words.extend(files.flags(&[("--ca", "ca.pem"), ("--cert", &cert), ("--key", &key), ("--cache-dir", "copies")]));
        let (found, out, err) = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(found == Some(code) && out.contains(told), "{name} {out} {err}");
    }
    // What is not of this authority, or is out of date, does not get as far as a request, whatever its name.
    for (leaf, reason) in [
        (another.issue(NODE, 20), "DecryptError"),
        (authority.issue_until(NODE, 22, 2025), "CertificateExpired"),
        (authority.issue_for_servers(NODE, 23), "alert"),
    ] {
        let refused = Client::new(&bundle, Some(&leaf)).ask(&server, "GET /health", &[]).expect_err("is refused");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    server.stop();
}
