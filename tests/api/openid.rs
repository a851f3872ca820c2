//! People log in at a provider of identities: a real one, which `scripts/setup-openid` installs.

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use rocket::http::{Method, Status};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use virtapi::config::Settings;

use crate::harness::{Answer, App, database};
use crate::html::browser::{Form, page};
use crate::sessions::{Browser, is_login};

const HERE: &str = "https://virtapi.example.com";
const SECRET: &str = "the secret of virtapi";

/// The provider, for as long as a test needs it.
struct Provider {
    process: Child,
    issuer: String,
    /// It writes on, and must not find that nobody reads.
    _said: BufReader<ChildStdout>,
}

impl Provider {
    fn start() -> Self {
        let mut process = Command::new("node")
            .args(["target/tools/openid/provider.mjs", &format!("{HERE}/login/openid/callback")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs: see scripts/setup-openid");
        let mut issuer = String::new();
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        said.read_line(&mut issuer).expect("the provider says where it is");
        assert!(issuer.starts_with("http://127.0.0.1:"), "{issuer:?}: see scripts/setup-openid");
        Self { process, issuer: issuer.trim().to_owned(), _said: said }
    }

    /// A server whose people log in there.
    async fn app(&self, secret: &str) -> App {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{secret}").expect("writes");
        let settings = Settings {
            openid_issuer: Some(self.issuer.clone()),
            openid_client_id: Some("virtapi".into()),
            openid_client_secret_file: Some(file.path().to_owned()),
            public_url: Some(HERE.into()),
            pool_size: 4,
            ..Settings::default()
        };
        App::with(&database().await, settings).await
    }

    /// What a person does there: says who it is, and agrees. Returns where the provider sends it back to.
    async fn log_in(&self, url: &str, login: &str) -> String {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        let mut cookies: Vec<(String, String)> = vec![];
        let (mut url, mut form) = (url.to_owned(), None);
        for _ in 0..12 {
            if let Some(back) = url.strip_prefix(HERE) {
                return back.to_owned();
            }
            let request = match form.take() {
                Some(form) => client.post(&url).form::<Vec<(&str, &str)>>(&form),
                None => client.get(&url),
            };
            let sent: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = request.header(COOKIE, sent.join("; ")).send().await.expect("an answer");
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let (name, rest) = cookie.to_str().expect("text").split_once('=').expect("a value");
                cookies.retain(|(known, _)| known != name);
                cookies.push((name.to_owned(), rest.split(';').next().unwrap_or_default().to_owned()));
            }
            if let Some(next) = answer.headers().get(LOCATION) {
                let next = next.to_str().expect("text");
                url = if next.starts_with('/') { format!("{}{next}", self.issuer) } else { next.to_owned() };
                continue;
            }
            let text = answer.text().await.expect("a page");
            form = Some(if text.contains("name=\"login\"") {
                vec![("prompt", "login"), ("login", login), ("password", "any")]
            } else {
                vec![("prompt", "consent")]
            });
            let action = text.split("action=\"").nth(1).unwrap_or_else(|| panic!("no form in {text}"));
            let action = action.split('"').next().expect("an end");
            url = if action.starts_with('/') { format!("{}{action}", self.issuer) } else { action.to_owned() };
        }
        panic!("the provider leads in circles: {url}");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

/// To the provider; returns where that is.
async fn go(browser: &mut Browser<'_>) -> String {
    let login = browser.open("/login?next=/v1/vlans").await;
    assert!(page(&login, 200).contains("href=\"/login/openid?next=%2Fv1%2Fvlans\""));
    let answer = browser.open("/login/openid?next=%2Fv1%2Fvlans").await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("Location").to_owned()
}

async fn person(app: &App, name: &str, subject: &str) {
    let user = json!({"name": name, "account_type": "person", "role": "auditor", "state": "active", "openid_subject": subject});
    app.post("/v1/users", user).await.is(Status::Created);
}

fn refusal(answer: &Answer) -> &str {
    is_login(answer, 403).split("role=\"alert\"").nth(1).expect("a refusal").split("</div>").next().expect("an end")
}

#[rocket::async_test]
async fn people_log_in_at_a_provider_of_identities() {
    let provider = Provider::start();
    let app = provider.app(SECRET).await;
    person(&app, "alice", "alice@staff").await;
    let mut browser = Browser::new(&app);
    let url = go(&mut browser).await;
    assert!(url.starts_with(&provider.issuer) && url.contains("code_challenge_method=S256"), "{url}");
    let back = provider.log_in(&url, "alice@staff").await;
    let answer = browser.open(&back).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/v1/vlans"), "{}", answer.text());
    assert!(page(&browser.open("/v1/vlans").await, 200).contains(">alice</a>"));
    // What led back here once does not do so again.
    let mut again = Browser::new(&app);
    assert!(refusal(&again.open(&back).await).contains("another browser"));
    assert!(refusal(&browser.open(&back).await).contains("another browser"), "its cookie is gone");
    // Whom nobody here knows is told by what name to be made known.
    let mut browser = Browser::new(&app);
    let url = go(&mut browser).await;
    let back = provider.log_in(&url, "mallory").await;
    assert!(refusal(&browser.open(&back).await).contains("&#34;mallory&#34;"));
    app.json(Method::Patch, "/v1/users/alice", json!({"state": "disabled"})).await.is(Status::Ok);
    let mut browser = Browser::new(&app);
    let url = go(&mut browser).await;
    let back = provider.log_in(&url, "alice@staff").await;
    assert!(refusal(&browser.open(&back).await).contains("alice@staff"));
}

#[rocket::async_test]
async fn nobody_is_let_in_by_what_the_provider_did_not_say_to_this_browser() {
    let provider = Provider::start();
    let app = provider.app(SECRET).await;
    person(&app, "alice", "alice").await;
    let (mut victim, mut attacker) = (Browser::new(&app), Browser::new(&app));
    let (url, other) = (go(&mut victim).await, go(&mut attacker).await);
    let back = provider.log_in(&other, "alice").await;
    // A link with the attacker's code, followed by somebody else who is about to log in, and by somebody who is not.
    assert!(refusal(&victim.open(&back).await).contains("another browser"));
    let state = url.split("state=").nth(1).expect("a state").split('&').next().expect("an end");
    let code = back.split("code=").nth(1).expect("a code").split('&').next().expect("an end");
    // The right state with another attempt's code: what the provider signed says that it is not this one's.
    go(&mut victim).await;
    let forged = format!("/login/openid/callback?code={code}&state={state}");
    assert!(refusal(&victim.open(&forged).await).contains("another browser"));
    let url = go(&mut victim).await;
    let state = url.split("state=").nth(1).expect("a state").split('&').next().expect("an end");
    for (said, status) in [
        (format!("code={code}&state={state}"), 502),
        (format!("code=no-such-code&state={state}"), 502),
        (format!("error=access_denied&state={state}"), 403),
        (format!("state={state}"), 403),
        (format!("code={code}"), 403),
        (String::new(), 403),
    ] {
        let answer = victim.open(&format!("/login/openid/callback?{said}")).await;
        assert_eq!(answer.status, status, "{said} {}", answer.text());
        assert_eq!(victim.open("/v1/vlans").await.status, 401, "{said}");
    }
}

#[rocket::async_test]
async fn a_provider_that_is_away_or_does_not_know_us_lets_nobody_in_and_stops_nobody_else() {
    let provider = Provider::start();
    let app = provider.app("not the secret").await;
    person(&app, "alice", "alice").await;
    let mut browser = Browser::new(&app);
    let url = go(&mut browser).await;
    let back = provider.log_in(&url, "alice").await;
    let answer = browser.open(&back).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert!(!answer.text().contains("invalid_client"), "what it says is for the log");
    drop(provider);
    let away = Provider::start();
    let app = away.app(SECRET).await;
    drop(away);
    let answer = Browser::new(&app).open("/login/openid").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(Browser::new(&app).open("/login").await.status, 200);
    // Where none is set, there is none.
    let app = App::start().await;
    let mut browser = Browser::new(&app);
    assert!(!page(&browser.open("/login").await, 200).contains("OpenID"));
    assert_eq!(browser.open("/login/openid").await.status, 404);
    assert_eq!(browser.open("/login/openid/callback?code=x&state=y").await.status, 404);
    let form = Form::of(page(&browser.open("/login").await, 200));
    assert_eq!(form.action, "/login");
}
