//! As whom Postgres runs, and in which directory: it refuses to run as root, so root hands it to another user, who must
//! be able to get to its files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;

/// Where root's data goes when the default directory cannot be reached by the user who runs Postgres.
const ROOTS_PLACE: &str = "/var/lib/virtapi";

/// Whom Postgres runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// Who runs this program.
    Oneself,
    /// This program runs as root; Postgres as this user.
    Other { name: String, uid: u32, gid: u32 },
}

impl User {
    /// Makes a command run as this user, and apart from this program: a Ctrl-C in the terminal is not meant for it.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // The variables of Postgres's own tools would change what is started here.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.process_group(0).stdin(Stdio::null());
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Makes a directory that is this user's alone.
    pub fn create_dir(&self, dir: &Path) -> Result<(), Error> {
        fs::create_dir(dir).map_err(Error::at(dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(Error::at(dir))?;
        match self {
            Self::Oneself => Ok(()),
            Self::Other { uid, gid, .. } => {
                std::os::unix::fs::chown(dir, Some(*uid), Some(*gid)).map_err(Error::at(dir))
            }
        }
    }

    /// Whether this user can get there: asked of the system, which knows more than the permission bits say.
    fn reaches(&self, dir: &Path) -> bool {
        let mut probe = Command::new("/bin/sh");
        probe.args(["-c", "exit 0"]).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
        self.apply(&mut probe).status().is_ok_and(|status| status.success())
    }
}

/// The data directory, made when it is missing, and the user who runs Postgres in it.
pub(super) fn place(data_dir: &Path, is_default: bool) -> Result<(PathBuf, User), Error> {
    let is_new = !data_dir.exists();
    let dir = create(data_dir)?;
    let user = user_for(&dir.join("pg"))?;
    if user == User::Oneself || user.reaches(&dir) {
        return Ok((dir, user));
    }
    if is_default {
        if is_new {
            fs::remove_dir(&dir).map_err(Error::at(&dir))?;
        }
        let roots = create(Path::new(ROOTS_PLACE))?;
        let user = user_for(&roots.join("pg"))?;
        if user.reaches(&roots) {
            return Ok((roots, user));
        }
    }
    let User::Other { name, .. } = user else { return Ok((dir, user)) };
    Err(Error::Unreachable { user: name, dir })
}

fn create(dir: &Path) -> Result<PathBuf, Error> {
    if !dir.is_dir() {
        fs::create_dir_all(dir).map_err(Error::at(dir))?;
        // Whatever the umask says: the user who runs Postgres must get through.
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(Error::at(dir))?;
    }
    dir.canonicalize().map_err(Error::at(dir))
}

/// Whom Postgres runs as for this cluster, which may not exist yet.
fn user_for(cluster: &Path) -> Result<User, Error> {
    let owner = fs::metadata(cluster).ok().map(|found| (found.uid(), found.gid()));
    let own = rustix::process::geteuid();
    match owner {
        Some((uid, _)) if uid == own.as_raw() && !own.is_root() => Ok(User::Oneself),
        Some(_) if !own.is_root() => Err(Error::NotOurs(cluster.to_owned())),
        Some((uid, gid)) if uid != 0 => Ok(User::Other { name: format!("with the id {uid}"), uid, gid }),
        _ if !own.is_root() => Ok(User::Oneself),
        _ => unprivileged(),
    }
}

/// The user whom root gives the work to.
fn unprivileged() -> Result<User, Error> {
    let passwd = Path::new("/etc/passwd");
    let lines = fs::read_to_string(passwd).map_err(Error::at(passwd))?;
    let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "there is no user postgres and no user nobody");
    ["postgres", "nobody"].iter().find_map(|name| entry(&lines, name)).ok_or_else(|| Error::at(passwd)(missing()))
}

fn entry(passwd: &str, name: &str) -> Option<User> {
    let mut fields = passwd.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
    let (uid, gid) = (fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(User::Other { name: name.to_owned(), uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\npostgres:x:101:104:Admin,,,:/var:/bin/bash\n";
        assert_eq!(entry(passwd, "postgres"), Some(User::Other { name: "postgres".into(), uid: 101, gid: 104 }));
        assert_eq!(entry(passwd, "nobody"), None);
    }

    #[test]
    fn a_directory_below_a_private_one_is_out_of_reach_for_others() {
        if !rustix::process::geteuid().is_root() {
            return; // Only root can try as somebody else.
        }
        let Ok(user @ User::Other { .. }) = unprivileged() else { panic!("somebody else") };
        let outer = tempfile::tempdir().expect("a directory");
        let data = outer.path().join("data");
        let mode = |mode| fs::set_permissions(outer.path(), fs::Permissions::from_mode(mode)).expect("sets");
        mode(0o755);
        let (dir, found) = place(&data, false).expect("can be reached");
        assert_eq!(found, user);
        mode(0o700);
        assert!(!user.reaches(&dir));
        let error = place(&data, false).expect_err("is out of reach").to_string();
        assert!(error.contains("the user postgres cannot enter") && error.contains("--data-dir"), "{error}");
    }
}
