//! A person's password: what it must be, and what is kept of it, which is slow to try (argon2id, RFC 9106, as a PHC
//! string). It knows no table.

use argon2::Argon2;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier, phc::PasswordHash};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// The shortest and the longest, in characters and in bytes. NIST SP 800-63B asks for length, and for no mixture of
/// characters.
const SHORTEST: usize = 12;
const LONGEST: usize = 1024;

/// How many are worked on at a time: each takes 19 MiB and a core.
static WORK: Semaphore = Semaphore::const_new(4);

/// Compared with when there is no password, so that it takes as long to be told so: nobody knows what this is of.
const OF_NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$VE0e3g7DalWHgDwou3nuRA$uC6TER156UQfk0lNQ5+jHM0l5poVjPA1he/Tyn9J4Zw";

/// A password. It never shows itself.
#[derive(Debug)]
pub struct Password(SecretString);

impl Password {
    /// What somebody says that it is.
    #[must_use]
    pub fn given(text: String) -> Self {
        Self(text.into())
    }

    /// As it was given.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of a new password of this user.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is too short or too long, or that everybody would try first.
    pub async fn keep(self, user: &str) -> Result<String> {
        let wrong = |detail: String| Err(Error::field("password", detail));
        let lower = self.expose().to_lowercase();
        let mut characters = lower.chars().collect::<Vec<_>>();
        if characters.len() < SHORTEST {
            return wrong(format!("must have at least {SHORTEST} characters"));
        }
        if self.expose().len() > LONGEST {
            return wrong(format!("must have at most {LONGEST} bytes"));
        }
        characters.sort_unstable();
        characters.dedup();
        if characters.len() < 5 || lower.replace(&user.to_lowercase(), "").chars().count() < SHORTEST / 2 {
            return wrong("is too easy to guess".into());
        }
        self.work(|password| Ok(Argon2::default().hash_password(password)?.to_string())).await
    }

    /// Whether this is the password of which that is kept. Without any, it takes as long to say no.
    ///
    /// # Errors
    /// [`Error::Internal`] for what no password was kept as.
    pub async fn is(self, kept: Option<String>) -> Result<bool> {
        let exists = kept.is_some();
        let kept = kept.unwrap_or_else(|| OF_NOBODY.to_owned());
        if self.expose().len() > LONGEST {
            return Ok(false);
        }
        let same =
            self.work(move |password| match Argon2::default().verify_password(password, &PasswordHash::new(&kept)?) {
                Err(HashError::PasswordInvalid) => Ok(false),
                compared => compared.map(|()| true),
            });
        Ok(same.await? && exists)
    }

    /// Not on a thread that answers requests: it takes as long as a hundred of them.
    async fn work<T: Send + 'static>(
        self,
        work: impl FnOnce(&[u8]) -> Result<T, HashError> + Send + 'static,
    ) -> Result<T> {
        let internal = |error: String| Error::Internal(error.into());
        let _permit = WORK.acquire().await.map_err(|error| internal(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || work(self.expose().as_bytes())).await;
        done.map_err(|error| internal(error.to_string()))?.map_err(|error| internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rocket::async_test]
    async fn a_password_is_kept_so_that_only_itself_fits() {
        let kept = Password::given("correct horse battery".into()).keep("alice").await.expect("taken");
        let ours = PasswordHash::new(&kept).expect("a PHC string");
        let of_nobody = PasswordHash::new(OF_NOBODY).expect("a PHC string");
        // Who is not there is to take as long as who is.
        assert_eq!(
            (ours.algorithm, ours.version, &ours.params),
            (of_nobody.algorithm, of_nobody.version, &of_nobody.params)
        );
        assert_eq!(ours.algorithm.as_str(), "argon2id");
        let is = async |text: &str, kept: Option<&String>| {
            Password::given(text.into()).is(kept.cloned()).await.expect("compared")
        };
        assert!(is("correct horse battery", Some(&kept)).await);
        assert!(!is("correct horse batterx", Some(&kept)).await);
        assert!(!is("", Some(&kept)).await && !is("correct horse battery", None).await);
        assert!(!is(&"x".repeat(LONGEST + 1), Some(&kept)).await);
        let other = Password::given("correct horse battery".into()).keep("alice").await.expect("taken");
        assert_ne!(kept, other, "it has a salt");
        assert!(!format!("{:?}", Password::given("hunter2".into())).contains("hunter2"));
    }

    #[rocket::async_test]
    async fn what_everybody_would_try_first_is_not_taken() {
        for wrong in ["", "elevenchars", "aaaaaaaaaaaaaaaa", "abababababab", "alice.liddell1", &"long".repeat(300)] {
            let refused = Password::given(wrong.into()).keep("alice.liddell").await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{wrong}");
        }
        assert!(Password::given("пароль от сервера".into()).keep("alice").await.is_ok());
    }
}
