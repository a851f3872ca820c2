//! Bytes that nobody can guess, for secrets. It knows none of them.

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::zeroize::Zeroizing;

use crate::error::{Error, Result};

/// New ones. They leave nothing in memory.
///
/// # Errors
/// [`Error::Internal`] when the system has none.
pub fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| Error::Internal("the system has no random bytes".into()))?;
    Ok(bytes)
}
