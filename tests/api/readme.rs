//! The tour of the README: what it says is what the server answers.

use crate::start::process::{DataDir, Server};
use std::process::Command;

const README: &str = include_str!("../../README.md");

/// The commands, and what each prints.
fn tour() -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for block in README.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines().filter(|line| !line.is_empty()) {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push((command.to_owned(), String::new())),
                (None, Some((_, printed))) => *printed += &format!("{line}\n"),
                (None, None) => panic!("{line:?} belongs to no command"),
            }
        }
    }
    steps
}

#[test]
fn the_tour_of_the_readme_is_true() {
    let data = DataDir::new();
    let server = Server::start(&data, &["--demo"]);
    let steps = tour();
    assert!(steps.len() > 5);
    for (command, printed) in steps {
        let here = command.replace("localhost:8000", &server.at).replace("curl ", "curl -sS ");
        let here = here.replace("data/admin-token", &data.path.join("admin-token").display().to_string());
        let said = Command::new("sh").args(["-c", &here]).output().expect("runs");
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        // `…` stands for the rest.
        match printed.trim_end().strip_suffix('…') {
            Some(beginning) => assert!(said.starts_with(beginning), "{command}\n{said}"),
            None => assert_eq!(said.trim_end(), printed.trim_end(), "{command}"),
        }
    }
    server.stop();
}
