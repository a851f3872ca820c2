//! How the commands that talk to a server reach it: where it is, by whose word it is that server, and who they are
//! themselves; and from where they have their settings. It knows no address of a server's own, and not what is asked there.

use std::error::Error as _;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, ClientBuilder, Identity, Url, redirect};
use secrecy::{ExposeSecret, SecretSlice, zeroize::Zeroizing};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tls::cryptography;

/// A setting that is wrong, by name.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    #[error("url {0:?}: {1}")]
    Url(String, String),
    #[error("cert and key belong together, and only {0} is set")]
    HalfIdentity(&'static str),
}

/// The settings that may stand in a file: those of the file `config`, or else of `default_config` if that is there, and
/// over them those that were given.
pub fn options<T: Serialize + DeserializeOwned>(
    config: Option<&Path>,
    default_config: &Path,
    given: &T,
) -> Result<T, Box<figment::Error>> {
    let file = config.unwrap_or(default_config);
    let mut sources = Figment::new();
    // A file that is there and cannot be read must say so, not pass for a missing one.
    if config.is_some() || file.try_exists().unwrap_or(true) {
        sources = sources.merge(Toml::file_exact(file));
    }
    sources.merge(Serialized::defaults(given)).extract().map_err(Box::new)
}

/// A server, and what is needed to talk to it.
#[derive(Debug)]
pub struct Server {
    base: Url,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Server {
    /// The server at this address, by the settings of the same names.
    pub fn new(
        url: &str,
        token_file: Option<PathBuf>,
        ca: Option<PathBuf>,
        cert: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> Result<Self, Wrong> {
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err(Wrong::HalfIdentity("cert")),
            (None, Some(_)) => return Err(Wrong::HalfIdentity("key")),
        };
        let base = base_url(url).map_err(|reason| Wrong::Url(url.to_owned(), reason))?;
        Ok(Self { base, token_file, ca, identity })
    }

    /// An address on the server.
    pub fn address(&self, path: &[&str]) -> Result<Url, Wrong> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(Wrong::Url(self.base.to_string(), "it has no path".into())),
        };
        Ok(url)
    }

    /// A client that trusts whom it should, and shows the certificate that it has. The files are read anew.
    pub fn client(&self, user_agent: &'static str) -> Result<ClientBuilder, String> {
        cryptography::choose();
        // No proxy: what is heard must not depend on what the caller's environment says about the web.
        let mut builder =
            reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).user_agent(user_agent);
        if let Some(path) = &self.ca {
            let authorities =
                Certificate::from_pem_bundle(&read_file("ca", path)?).map_err(|error| says("ca", path, &error))?;
            if authorities.is_empty() {
                return Err(says("ca", path, &"no certificate in it"));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((cert, key)) = &self.identity {
            let (certificate, key) = (read_file("cert", cert)?, SecretSlice::from(read_file("key", key)?));
            let pem = Zeroizing::new([&certificate, &b"\n"[..], key.expose_secret()].concat());
            builder =
                builder.identity(Identity::from_pem(&pem).map_err(|error| says("cert and key", cert, &chain(&error)))?);
        }
        Ok(builder)
    }

    /// Adds the token, if there is one. Its file is read anew.
    pub fn authorize(&self, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(path) = &self.token_file else { return Ok(()) };
        let token = SecretSlice::from(read_file("token_file", path)?);
        let token = token.expose_secret().trim_ascii();
        if token.is_empty() {
            return Err(says("token_file", path, &"it is empty"));
        }
        let bearer = Zeroizing::new([b"Bearer ", token].concat());
        let mut value = HeaderValue::from_bytes(&bearer).map_err(|error| says("token_file", path, &error))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

/// Accept an HTTP address that may have a path, and nothing that would be lost or shown in messages.
fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it is neither http nor https".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials do not belong here: use token_file, or cert and key".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".into());
    }
    Ok(url)
}

/// The error's last cause: that is the one that says something.
pub fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

fn read_file(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| says(setting, path, &error))
}

fn says(setting: &str, path: &Path, reason: &dyn Display) -> String {
    format!("{setting} {}: {reason}", path.display())
}
