//! The last good answer about each node, kept for the time when the server is away.
//!
//! One file per address, named by its hash: neither a certname nor another server's answer can stand in for it. The
//! directory belongs to the caller alone, for whoever may write here decides what the nodes become.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::document::Document;

/// An answer that the server confirmed.
#[derive(Debug, Serialize, Deserialize)]
pub struct LastGood {
    /// The address it came from.
    url: String,
    /// When the server last said so (200 or 304), in seconds since 1970.
    confirmed_at: u64,
    /// Its version, to ask for changes only.
    pub etag: Option<String>,
    /// The document as it came.
    pub document: String,
}

impl LastGood {
    pub fn new(document: String, etag: Option<String>, confirmed_at: SystemTime) -> Self {
        let confirmed_at = confirmed_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { url: String::new(), confirmed_at, etag, document }
    }

    /// Seconds since the server confirmed it; `None` if that lies in the future.
    pub fn age(&self, now: SystemTime) -> Option<u64> {
        let confirmed_at = UNIX_EPOCH.checked_add(Duration::from_secs(self.confirmed_at))?;
        now.duration_since(confirmed_at).ok().map(|age| age.as_secs())
    }
}

/// The place of one address's copy.
#[derive(Debug)]
pub struct Copies {
    dir: PathBuf,
    url: String,
    file: PathBuf,
}

impl Copies {
    pub fn new(dir: &Path, url: &str) -> Self {
        let file = dir.join(format!("{:x}.json", Sha256::digest(url)));
        Self { dir: dir.to_owned(), url: url.to_owned(), file }
    }

    /// The copy, if there is one. It is checked as strictly as an answer of the server.
    pub fn load(&self, certname: &str) -> Result<Option<LastGood>, String> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.says(&error)),
        };
        self.check_owner()?;
        let kept: LastGood = serde_json::from_str(&text).map_err(|error| self.says(&error))?;
        if kept.url != self.url {
            return Err(self.says(&"it is the copy of another address"));
        }
        Document::parse(&kept.document, certname).map_err(|reason| self.says(&reason))?;
        Ok(Some(kept))
    }

    /// Put the copy in place, whole: a reader sees the old one or the new one.
    pub fn save(&self, good: &LastGood) -> Result<(), String> {
        let create = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        create.map_err(|error| format!("{}: {error}", self.dir.display()))?;
        self.check_owner()?;
        let kept =
            LastGood { url: self.url.clone(), etag: good.etag.clone(), document: good.document.clone(), ..*good };
        let text = serde_json::to_vec(&kept).map_err(|error| self.says(&error))?;
        let draft = self.file.with_extension(format!("{}.draft", std::process::id()));
        self.write(&draft, &text).map_err(|error| format!("{}: {error}", draft.display()))
    }

    fn write(&self, draft: &Path, text: &[u8]) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(draft)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(draft, &self.file)
    }

    /// Remove the copy.
    pub fn forget(&self) -> Result<(), String> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.says(&error)),
            _ => Ok(()),
        }
    }

    fn check_owner(&self) -> Result<(), String> {
        let dir = fs::metadata(&self.dir).map_err(|error| format!("{}: {error}", self.dir.display()))?;
        if dir.uid() != rustix::process::geteuid().as_raw() || dir.mode() & 0o077 != 0 {
            return Err(format!("{}: it must belong to the calling user alone (mode 0700)", self.dir.display()));
        }
        Ok(())
    }

    fn says(&self, reason: &dyn std::fmt::Display) -> String {
        format!("{}: {reason}", self.file.display())
    }
}
