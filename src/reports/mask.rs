//! Agents say what they change, from what and to what, and some of it is secret. What can be known for a secret, by its
//! name or its shape, is not kept. What cannot is: who writes a class or a state says there that a value is sensitive.

use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What stands in its place.
pub const MASKED: &str = "[masked]";

/// What a secret is called.
const NAMES: &str = "pass(?:word|wd|phrase)?|secret|token|api_?key|private_?key|credential|cephx|keyring|auth_?key";

/// A pattern, and what it becomes.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // A private key, whole or cut off (RFC 7468).
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)".to_owned(), MASKED),
        // `password = x`, `"secret": "x"`: to the end of the word, or of the quotes.
        (
            format!(r#"(?i)([\w.-]*(?:{NAMES})[\w.-]*["']?\s*(?:=>|[:=])\s*)("[^"]*"|'[^']*'|[^\s,;}}"']+)"#),
            "${1}[masked]",
        ),
        // `--token x`
        (format!(r#"(?i)(-[\w-]*(?:{NAMES})[\w-]*\s+)("[^"]*"|'[^']*'|[^\s"']+)"#), "${1}[masked]"),
        // `https://user:password@host`
        (r"([a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/@]+@".to_owned(), "${1}[masked]@"),
        // `Authorization: Bearer x`
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/_.=~-]{8,}".to_owned(), "${1} [masked]"),
        // Our own tokens; keys of cephx; hashes of passwords (crypt(5)).
        (r"virtapi_[0-9a-f]{8}_[A-Za-z0-9_-]{16,}".to_owned(), MASKED),
        (r"\bAQ[A-Za-z0-9+/]{36}==".to_owned(), MASKED),
        (r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2id?)\$[^\s:,']{8,}".to_owned(), MASKED),
    ]
    .into_iter()
    .filter_map(|(pattern, masked)| Some((Regex::new(&pattern).ok()?, masked)))
    .collect()
});

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("(?i){NAMES}")).ok());

static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"'[^']*'|"[^"]*"|'.*|".*"#).ok());

/// Whether something is called a secret.
#[must_use]
pub fn names_secret(name: &str) -> bool {
    NAME.as_ref().is_none_or(|pattern| pattern.is_match(name))
}

/// The same of something that is called a secret: nothing that stands in quotes is told.
#[must_use]
pub fn quotes(text: &str) -> String {
    QUOTED.as_ref().map_or_else(|| MASKED.to_owned(), |pattern| pattern.replace_all(text, MASKED).into_owned())
}

/// A text without what is secret.
#[must_use]
pub fn text(text: &str) -> String {
    let masked = |text: Cow<'_, str>, (pattern, masked): &(Regex, &str)| match pattern.replace_all(&text, *masked) {
        Cow::Borrowed(_) => None,
        Cow::Owned(replaced) => Some(replaced),
    };
    PATTERNS.iter().fold(text.to_owned(), |text, pattern| masked(Cow::Borrowed(&text), pattern).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), 8);
        assert!(NAME.is_some() && QUOTED.is_some());
        assert_eq!(
            quotes("change from 'a' to \"b\" failed: no 'c"),
            "change from [masked] to [masked] failed: no [masked]"
        );
    }

    #[test]
    fn what_can_be_known_for_a_secret_is_masked() {
        for text in [
            "password changed: password = hunter2",
            "-rgw_secret_key=hunter2",
            r#"{"db_password": "hunter2 and more", "port": 5}"#,
            "  admin_password: 'hunter2'",
            "+PGPASSWORD=hunter2",
            "DB_PASSWD => hunter2,",
            "/usr/bin/x --password hunter2 --verbose",
            "cloning https://deploy:hunter2@git.example.com/x.git",
            "Authorization: Bearer hunter2hunter2",
            "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nhunter2",
            "is virtapi_0123abcd_hunter2hunter2hunter2-_x",
            "key AQhunter2hunter2hunter2hunter2hunter2h==",
            "root:$6$salt$hunter2hunter2:19000:0:99999:7:::",
        ] {
            let masked = super::text(text);
            assert!(!masked.contains("hunter2"), "{text} {masked}");
            assert!(masked.contains(MASKED), "{masked}");
        }
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "content changed '{md5}d41d8cd98f00b204e9800998ecf8427e' to '{md5}9e107d9d372bb6826bd81d3542a419d6'",
            "Command \"exit 3\" run",
            "current_value 'stopped', should be 'running' (noop)",
            "the secret is not there, nor a token",
            "https://mirror.example.com/debian is not there",
            "mode changed '0644' to '0600'",
        ] {
            assert_eq!(super::text(text), text);
        }
        assert!(names_secret("Ini_setting[db password]") && names_secret("api_key"));
        assert!(!names_secret("File[/etc/motd]") && !names_secret("Service[ceph-mon@a]"));
    }
}
