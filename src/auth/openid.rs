//! Somebody logs in at a provider of identities: OpenID Connect Core 1.0, the authorization code flow with PKCE (RFC
//! 7636). It knows the provider, and neither cookies nor users: what comes out is the provider's name for somebody, its
//! `sub`.

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AccessTokenHash, AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse,
};
use reqwest::{Client, redirect};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::sync::RwLock;

use crate::config::Settings;
use crate::db::Failure;
use crate::error::{Error, Result};
use crate::tls::cryptography;

/// Where the provider sends people back to.
const CALLBACK: &str = "/login/openid/callback";

/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1 << 20;
/// For how long its keys and addresses are believed. It keeps old keys for longer than that.
const BELIEVED: Duration = Duration::from_mins(10);

/// A provider, and what we are to it.
pub struct OpenId {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect: RedirectUrl,
    http: Http,
    provider: RwLock<Option<(Instant, CoreProviderMetadata)>>,
}

/// What must be known again when somebody comes back. It is the browser's to keep.
pub struct Pending {
    /// Comes back in the address.
    pub state: String,
    /// Comes back in what the provider signs.
    pub nonce: String,
    /// Proves that who comes back is who went.
    pub verifier: String,
}

impl OpenId {
    /// The provider of the settings, if they name one. It is not asked for anything yet.
    ///
    /// # Errors
    /// When the file of the secret cannot be read, or an address is none.
    pub fn new(settings: &Settings) -> Result<Option<Self>, Failure> {
        let (Some(issuer), Some(id), Some(secret), Some(here)) = (
            &settings.openid_issuer,
            &settings.openid_client_id,
            &settings.openid_client_secret_file,
            &settings.public_url,
        ) else {
            return Ok(None);
        };
        cryptography::choose();
        // A provider that leads elsewhere is not followed: it could lead to what only this server reaches.
        let http = Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).build()?;
        Ok(Some(Self {
            issuer: IssuerUrl::new(issuer.clone())?,
            client_id: ClientId::new(id.clone()),
            client_secret: ClientSecret::new(read_secret(secret)?),
            redirect: RedirectUrl::new(format!("{here}{CALLBACK}"))?,
            http: Http(http),
            provider: RwLock::default(),
        }))
    }

    /// Where to send somebody, and what to know again later.
    ///
    /// # Errors
    /// [`Error::Provider`].
    pub async fn start(&self) -> Result<(String, Pending)> {
        let client = CoreClient::from_provider_metadata(self.provider().await?, self.client_id.clone(), None)
            .set_redirect_uri(self.redirect.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) =
            client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random).set_pkce_challenge(challenge).url();
        let pending =
            Pending { state: state.into_secret(), nonce: nonce.secret().clone(), verifier: verifier.into_secret() };
        Ok((url.into(), pending))
    }

    /// Who came back with this code: the provider's name for it.
    ///
    /// # Errors
    /// [`Error::Provider`] for whatever the provider does not vouch for.
    pub async fn finish(&self, pending: Pending, code: String) -> Result<String> {
        let secret = Some(self.client_secret.clone());
        let client = CoreClient::from_provider_metadata(self.provider().await?, self.client_id.clone(), secret)
            .set_redirect_uri(self.redirect.clone());
        let exchange = client.exchange_code(AuthorizationCode::new(code)).map_err(provider)?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(pending.verifier));
        let tokens = exchange.request_async(&self.http).await.map_err(provider)?;
        let id_token = tokens.id_token().ok_or_else(|| provider("it has sent no ID token"))?;
        let verifier = client.id_token_verifier();
        // Signature, issuer, audience, dates, nonce.
        let claims = id_token.claims(&verifier, &Nonce::new(pending.nonce)).map_err(provider)?;
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(provider)?;
            let key = id_token.signing_key(&verifier).map_err(provider)?;
            let found = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).map_err(provider)?;
            if found != *expected {
                return Err(provider("its tokens do not belong together"));
            }
        }
        Ok(claims.subject().to_string())
    }

    /// Its addresses and keys, asked for once in a while.
    async fn provider(&self) -> Result<CoreProviderMetadata> {
        if let Some((since, metadata)) = &*self.provider.read().await
            && since.elapsed() < BELIEVED
        {
            return Ok(metadata.clone());
        }
        // Nobody waits for the question of another: while the provider is away, each would wait in turn.
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await.map_err(provider)?;
        *self.provider.write().await = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }
}

/// How the provider is asked.
struct Http(Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unreachable;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unreachable>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(ask(&self.0, request))
    }
}

async fn ask(http: &Client, request: HttpRequest) -> Result<HttpResponse, Unreachable> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut response = HttpResponse::new(vec![]);
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    while let Some(part) = answer.chunk().await? {
        let body = response.body_mut();
        body.extend_from_slice(&part);
        if body.len() > LONGEST_ANSWER {
            return Err(Unreachable::TooLong);
        }
    }
    Ok(response)
}

/// Why the provider gave no answer.
#[derive(Debug, thiserror::Error)]
enum Unreachable {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("its answer is too long")]
    TooLong,
}

fn provider(error: impl Into<Failure>) -> Error {
    Error::Provider(error.into())
}

fn read_secret(path: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|error| format!("openid_client_secret_file {} cannot be read: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
