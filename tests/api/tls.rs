//! TLS, as the program speaks it.

pub mod authority;
pub mod client;

use authority::{Authority, Leaf};
use client::Client;
use std::path::{Path, PathBuf};

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
        (vec![certificate], "tls_key", "is needed by tls_certificate"),
        (vec![key], "tls_certificate", "is needed by tls_key"),
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
    let good = files.flags(&TLS);
    let words: Vec<&str> = ["check-config"].into_iter().chain(good.iter().map(String::as_str)).collect();
    assert_eq!(run(&words).0, Some(0));
}
