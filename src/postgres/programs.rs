//! Where the programs of Postgres are, and of which version.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;

/// The command that installs Postgres.
pub(super) const INSTALL: &str = "apt-get install postgresql";

/// The oldest version that knows what the migrations use.
pub const OLDEST: u32 = 15;

/// Where packages put them; `*` is the version.
const PLACES: [&str; 3] = ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql*/bin"];

/// A directory with initdb and postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    pub dir: PathBuf,
    pub version: u32,
}

/// The directory that the settings name, or else the newest: of the version that made the files, if there are some.
pub(super) fn find(set: Option<&Path>, made_by: Option<(u32, &Path)>) -> Result<Programs, Error> {
    let found = match set {
        Some(dir) => vec![at(dir).ok_or_else(|| Error::NoPrograms(dir.to_owned()))?],
        None => candidates().iter().filter_map(|dir| at(dir)).collect(),
    };
    choose(found, made_by)
}

fn choose(found: Vec<Programs>, made_by: Option<(u32, &Path)>) -> Result<Programs, Error> {
    let newest = found.iter().max_by_key(|programs| programs.version).cloned().ok_or(Error::NotInstalled)?;
    match made_by {
        Some((made_by, dir)) => found
            .into_iter()
            .find(|programs| programs.version == made_by)
            .ok_or_else(|| Error::OtherVersion { dir: dir.to_owned(), made_by }),
        None if newest.version < OLDEST => Err(Error::TooOld(newest.version)),
        None => Ok(newest),
    }
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    PLACES.iter().flat_map(|place| versions_of(place)).chain(std::env::split_paths(&path)).collect()
}

/// The directories that a place with a `*` stands for.
fn versions_of(place: &str) -> Vec<PathBuf> {
    let (parent, name) =
        place.split_once('*').map_or((place, ""), |(before, _)| before.rsplit_once('/').unwrap_or((before, "")));
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    named.map(|entry| entry.path().join("bin")).collect()
}

/// The programs in this directory, when they are there and run.
fn at(dir: &Path) -> Option<Programs> {
    if !dir.join("initdb").is_file() {
        return None;
    }
    let said = Command::new(dir.join("postgres")).arg("--version").output().ok()?.stdout;
    Some(Programs { dir: dir.to_owned(), version: major(&String::from_utf8_lossy(&said))? })
}

/// The first number in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major(said: &str) -> Option<u32> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(major("what?"), None);
    }

    /// A stand-in that tells a version.
    fn fake(dir: &Path, version: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(dir).expect("creates");
        for name in ["initdb", "postgres"] {
            std::fs::write(dir.join(name), format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
                .expect("writes");
            std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).expect("sets");
        }
    }

    #[test]
    fn a_place_stands_for_its_versions() {
        let root = tempfile::tempdir().expect("a directory");
        fake(&root.path().join("pgsql-9/bin"), "9.6");
        fake(&root.path().join("pgsql-16/bin"), "16.1");
        std::fs::create_dir(root.path().join("other")).expect("creates");
        let mut found = versions_of(&format!("{}/pgsql-*/bin", root.path().display()));
        found.sort();
        assert_eq!(found, [root.path().join("pgsql-16/bin"), root.path().join("pgsql-9/bin")]);
        assert_eq!(versions_of("/nowhere/*/bin"), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_set_must_hold_the_programs_of_the_right_version() {
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("bin");
        assert!(matches!(find(Some(&dir), None), Err(Error::NoPrograms(_))));
        fake(&dir, "16.1");
        assert_eq!(find(Some(&dir), None).expect("is there").version, 16);
        assert_eq!(find(Some(&dir), Some((16, root.path()))).expect("is there").version, 16);
        fake(&root.path().join("old"), "13.4");
        assert!(matches!(find(Some(&root.path().join("old")), None), Err(Error::TooOld(13))));
        let error = find(Some(&dir), Some((15, root.path()))).expect_err("another version").to_string();
        assert!(error.contains("made by Postgres 15, which is not installed"), "{error}");
    }

    #[test]
    fn a_missing_postgres_is_one_sentence_with_the_command() {
        let said = choose(Vec::new(), Some((15, Path::new("pg")))).expect_err("there is none").to_string();
        assert!(said.contains(&format!("`{INSTALL}`")) && !said.contains('\n'), "{said}");
    }
}
