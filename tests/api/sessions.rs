//! People log in with a browser: by a password or a token, until they leave or are made to; and what their browsers
//! send without their knowing does nothing.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::KINDS;
use virtapi::config::Settings;

use crate::access::{issue, refused_by, routes};
use crate::every_kind::example;
use crate::harness::{Answer, App, database, rows, sql};
use crate::html::browser::{ACCEPT, Form, page};

const PASSWORD: &str = "correct horse battery staple";
const FORM: &str = "application/x-www-form-urlencoded";

/// A browser, as far as a session needs one.
pub struct Browser<'a> {
    app: &'a App,
    cookies: Vec<(String, String)>,
    from: Option<&'static str>,
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a App) -> Self {
        Self { app, cookies: vec![], from: None }
    }

    /// Sends a request, and keeps the cookies of the answer.
    pub async fn send(&mut self, method: Method, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [&[("Accept", ACCEPT), ("Cookie", &cookies)], headers].concat();
        let answer = self.app.send_as_stranger(self.from, method, url, &headers, body).await;
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie")) {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !cookie.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    pub async fn open(&mut self, url: &str) -> Answer {
        self.send(Method::Get, url, &[], b"").await
    }

    pub async fn submit(&mut self, form: &Form) -> Answer {
        let body = serde_urlencoded::to_string(&form.fields).unwrap();
        self.send(Method::Post, &form.action, &[("Content-Type", FORM)], body.as_bytes()).await
    }

    /// Fills the login page in, and sends it.
    pub async fn log_in(&mut self, name: &str, password: &str) -> Answer {
        let answer = self.open("/login").await;
        let form = Form::of(page(&answer, 200)).with("name", name).with("password", password);
        self.submit(&form).await
    }

    pub fn cookie(&self, name: &str) -> &str {
        self.cookies.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A user with a password.
async fn person(app: &App, name: &str, role: Option<&str>) {
    let user = json!({"name": name, "account_type": "person", "role": role, "state": "active"});
    app.post("/v1/users", user).await.is(Status::Created);
    set_password(app, name, PASSWORD).await.is(Status::NoContent);
}

async fn set_password(app: &App, name: &str, password: &str) -> Answer {
    app.json(Method::Put, &format!("/v1/users/{name}/password"), json!({"password": password})).await
}

/// What a page of somebody who is not known says.
pub fn is_login(answer: &Answer, status: u16) -> &str {
    let text = page(answer, status);
    assert!(text.contains("action=\"/login\""), "{text}");
    text
}

#[rocket::async_test]
async fn people_log_in_with_a_password_and_out_again() {
    let app = App::start().await;
    person(&app, "alice", Some("operator")).await;
    let mut browser = Browser::new(&app);
    let answer = browser.open("/v1/nodes?state=running").await;
    // A browser that is asked for `Basic` opens a window of its own.
    assert!(answer.header("WWW-Authenticate").starts_with("Bearer"));
    let form = Form::of(is_login(&answer, 401));
    assert_eq!(form.value("next"), "/v1/nodes?state=running");
    assert!(!answer.text().contains("role=\"alert\"") && !answer.text().contains("id=\"navigation\""));
    let answer = browser.submit(&form.with("name", "alice").with("password", PASSWORD)).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/v1/nodes?state=running"), "{}", answer.text());
    let cookie = answer.headers.iter().find(|(_, value)| value.starts_with("virtapi_session=")).unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.1.contains(part), "{part} in {cookie:?}");
    }
    assert!(!cookie.1.contains("Secure"), "there is no TLS");
    assert!(page(&browser.open("/v1/nodes").await, 200).contains("href=\"/account\">alice</a>"));
    // Other formats, too: a link to a list as CSV is followed by a browser.
    assert_eq!(browser.open("/v1/nodes.csv").await.status, 200);

    let before = browser.cookies.clone();
    let account = browser.open("/account").await;
    let leave = Form::of(page(&account, 200));
    assert_eq!(leave.action, "/logout");
    let answer = browser.submit(&leave).await;
    assert_eq!((answer.status, answer.header("Location")), (303, "/login"));
    assert_eq!(browser.cookie("virtapi_session"), "");
    browser.cookies = before;
    is_login(&browser.open("/v1/nodes").await, 401);
}

#[rocket::async_test]
async fn over_tls_a_session_stays_on_it_and_on_its_host() {
    let settings =
        Settings { public_url: Some("https://virtapi.example.com".into()), pool_size: 4, ..Settings::default() };
    let app = App::with(&database().await, settings).await;
    person(&app, "alice", Some("auditor")).await;
    let mut browser = Browser::new(&app);
    let answer = browser.log_in("alice", PASSWORD).await;
    let cookie = answer.headers.iter().find(|(_, value)| value.starts_with("__Host-virtapi_session=")).unwrap();
    assert!(cookie.1.contains("Secure") && cookie.1.contains("Path=/") && !cookie.1.contains("Domain"), "{cookie:?}");
    assert_eq!(browser.open("/v1/nodes").await.status, 200);
}

#[rocket::async_test]
async fn whoever_does_not_know_the_password_learns_nothing_and_has_ten_tries() {
    let app = App::start().await;
    for name in ["alice", "mallory", "gone"] {
        person(&app, name, Some("auditor")).await;
    }
    app.json(Method::Patch, "/v1/users/gone", json!({"state": "disabled"})).await.is(Status::Ok);
    let user = json!({"name": "new", "account_type": "person", "state": "active"});
    app.post("/v1/users", user).await.is(Status::Created);
    let mut told = vec![];
    for (name, password) in [
        ("alice", "wrong"),
        ("alice", ""),
        ("alice", &"x".repeat(5000)),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("new", ""),
        ("al\0ice", PASSWORD),
        ("alice' OR 'a'='a", PASSWORD),
        ("alice", "virtapi_00000000_no-such-token"),
    ] {
        let mut browser = Browser::new(&app);
        let answer = browser.log_in(name, password).await;
        let form = Form::of(is_login(&answer, 401));
        assert_eq!(form.value("password"), "", "what was typed is not sent back");
        // The page says nothing but what was typed, and a word of its own.
        let page = answer.text().replace(form.value("_form_token"), "");
        let name = name.replace('\'', "&#39;");
        told.push(page.replace(&format!("value=\"{name}\""), ""));
        assert_eq!(browser.cookie("virtapi_session"), "");
    }
    assert!(told.iter().all(|page| page == &told[0]), "{told:#?}");

    // Each counts before it is looked at: of many at once, no more than ten are.
    for _ in 0..10 {
        is_login(&Browser::new(&app).log_in("mallory", "guessed").await, 401);
    }
    is_login(&Browser::new(&app).log_in("mallory", PASSWORD).await, 401);
    assert_eq!(Browser::new(&app).log_in("alice", PASSWORD).await.status, 303, "that is another's");
    // Time passes.
    sql(&app.dsn, "UPDATE user_passwords SET attempted_at = attempted_at - interval '16 minutes'").await;
    assert_eq!(Browser::new(&app).log_in("mallory", PASSWORD).await.status, 303);
    for _ in 0..10 {
        is_login(&Browser::new(&app).log_in("mallory", "guessed").await, 401);
    }
    // An administrator helps.
    set_password(&app, "mallory", PASSWORD).await.is(Status::NoContent);
    assert_eq!(Browser::new(&app).log_in("mallory", PASSWORD).await.status, 303);
}

#[rocket::async_test]
async fn an_address_that_tries_too_many_passwords_is_not_listened_to() {
    let app = App::start().await;
    person(&app, "alice", Some("auditor")).await;
    let mut answers = vec![];
    for n in 0..130 {
        let mut browser = Browser { from: Some("192.0.2.1"), ..Browser::new(&app) };
        answers.push(browser.log_in(&format!("user-{n}"), "guessed").await.status);
    }
    assert!(answers[..60].iter().all(|status| *status == 401), "{answers:?}");
    assert_eq!(answers.last(), Some(&429), "{answers:?}");
    let mut elsewhere = Browser { from: Some("192.0.2.2"), ..Browser::new(&app) };
    assert_eq!(elsewhere.log_in("alice", PASSWORD).await.status, 303);
}

#[rocket::async_test]
async fn a_session_changes_nothing_without_a_form_of_ours() {
    let app = App::start().await;
    person(&app, "alice", Some("administrator")).await;
    person(&app, "eve", Some("administrator")).await;
    let (mut browser, mut other) = (Browser::new(&app), Browser::new(&app));
    assert_eq!(browser.log_in("alice", PASSWORD).await.status, 303);
    assert_eq!(other.log_in("eve", PASSWORD).await.status, 303);
    let foreign = Form::of(page(&other.open("/account").await, 200)).value("_form_token").to_owned();
    let own = Form::of(page(&browser.open("/account").await, 200)).value("_form_token").to_owned();
    let before = app.contents().await;
    let unsafe_routes: Vec<_> = routes().into_iter().filter(|r| r.method != Method::Get && r.url != "/login").collect();
    assert!(unsafe_routes.len() > 80);
    for route in &unsafe_routes {
        let (url, kind) = (&route.url, route.kind.unwrap_or("users"));
        let valid = KINDS.iter().find(|known| known.name() == kind).map_or(json!({}), |kind| example(*kind));
        let valid = match url.as_str() {
            "/account/password" => json!({"password": PASSWORD, "current_password": PASSWORD}),
            url if url.ends_with("/password") => json!({"password": PASSWORD}),
            _ => valid,
        };
        let fields: Vec<(String, String)> = valid
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        let url = url.replace("/users/999999", "/users/eve");
        for word in [None, Some(""), Some(&foreign), Some(&format!("{own}x"))] {
            let mut fields = fields.clone();
            fields.extend(word.map(|word| ("_form_token".to_owned(), word.to_owned())));
            let body = serde_urlencoded::to_string(&fields).unwrap();
            let answer = browser.send(route.method, &url, &[("Content-Type", FORM)], body.as_bytes()).await;
            // What a form cannot say is refused for that.
            assert!([400, 403, 422].contains(&answer.status), "{} {}", answer.asked, answer.text());
        }
        let answer = browser
            .send(route.method, &url, &[("Content-Type", "application/json")], valid.to_string().as_bytes())
            .await;
        assert!([400, 403, 415].contains(&answer.status), "{} {}", answer.asked, answer.text());
    }
    assert_eq!(app.contents().await, before, "something was written");
    // The same browser, when a form of ours says so.
    let vlan = [("tag", "7"), ("name", "x"), ("_form_token", &own)];
    let body = serde_urlencoded::to_string(vlan).unwrap();
    let answer = browser.send(Method::Post, "/v1/vlans", &[("Content-Type", FORM)], body.as_bytes()).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    // A page of somebody else's, which cannot know it, is refused for that alone.
    let headers = [("Content-Type", FORM), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(browser.send(Method::Post, "/v1/vlans", &headers, body.as_bytes()).await.status, 403);
}

#[rocket::async_test]
async fn nobody_is_logged_in_or_out_by_the_page_of_another_site() {
    let app = App::start().await;
    person(&app, "alice", Some("auditor")).await;
    let mut browser = Browser::new(&app);
    let form = Form::of(page(&browser.open("/login").await, 200)).with("name", "alice").with("password", PASSWORD);
    let body = serde_urlencoded::to_string(&form.fields).unwrap();
    let headers = [("Content-Type", FORM), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(browser.send(Method::Post, "/login", &headers, body.as_bytes()).await.status, 403);
    let headers = [("Content-Type", FORM), ("Origin", "https://evil.example.com"), ("Host", "localhost")];
    assert_eq!(browser.send(Method::Post, "/login", &headers, body.as_bytes()).await.status, 403);
    // With a word that it has got for a browser of its own.
    is_login(&Browser::new(&app).submit(&form).await, 403);
    assert_eq!(browser.submit(&form).await.status, 303);
    for wrong in ["", "x"] {
        let body = format!("_form_token={wrong}");
        let answer = browser.send(Method::Post, "/logout", &[("Content-Type", FORM)], body.as_bytes()).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    for wrong in ["{}", "[]", ""] {
        let answer =
            browser.send(Method::Post, "/login", &[("Content-Type", "application/json")], wrong.as_bytes()).await;
        assert_eq!(answer.status, 415, "{}", answer.text());
    }
    assert_eq!(browser.open("/v1/nodes").await.status, 200, "still logged in");
}

#[rocket::async_test]
async fn every_form_works_in_a_session() {
    let app = App::start().await;
    person(&app, "alice", Some("administrator")).await;
    let mut browser = Browser::new(&app);
    assert_eq!(browser.log_in("alice", PASSWORD).await.status, 303);
    let vlan = Form::of(page(&browser.open("/forms/vlans/create").await, 200)).with("tag", "7").with("name", "seven");
    let made = browser.submit(&vlan).await;
    let at = made.header("Location").to_owned();
    assert_eq!(made.status, 303, "{}", made.text());
    let edit = at.replace("/v1/vlans/", "/forms/vlans/edit/");
    let form = Form::of(page(&browser.open(&edit).await, 200)).with("name", "");
    // Refused, it comes back with what it needs.
    let again = browser.submit(&form.with("tag", "5000")).await;
    let form = Form::of(page(&again, 422)).with("tag", "8").with("name", "eight");
    assert_eq!(browser.submit(&form).await.status, 303);
    let delete = Form::of(page(&browser.open(&at.replace("/v1/vlans/", "/forms/vlans/delete/")).await, 200));
    assert_eq!(browser.submit(&delete).await.status, 303);
    let (id, _) = issue(&app, json!({"user": "alice"})).await;
    let token = browser.open(&format!("/v1/tokens/{id}")).await;
    let secret = browser.submit(&Form::of(page(&token, 200))).await;
    assert!(page(&secret, 201).contains("virtapi_"));
    let user = browser.open("/v1/users/alice").await;
    assert!(page(&user, 200).contains("Set a password"));
    let mut password = Form::of(page(&browser.open("/forms/users/password/1").await, 200)).with("password", PASSWORD);
    is_refused(&browser.submit(&password.clone().with("again", "differs")).await, "again differs from the password");
    password = password.with("again", PASSWORD);
    assert_eq!(browser.submit(&password).await.status, 303);
    is_refused(
        &browser.submit(&password.with("password", "short").with("again", "short")).await,
        "password must have at least 12 characters",
    );
}

fn is_refused(answer: &Answer, mistake: &str) {
    assert!(page(answer, 422).contains(mistake), "{mistake} in {}", answer.text());
}

#[rocket::async_test]
async fn a_token_logs_a_user_in_for_what_the_token_is_good_for() {
    let app = App::start().await;
    let alice = json!({"name": "alice", "account_type": "person", "role": "operator", "state": "active"});
    let (id, secret) = issue(&app, json!({"user": alice, "scope": "read", "source_network": "192.0.2.0/24"})).await;
    is_login(&Browser::new(&app).log_in("", &secret).await, 401);
    let mut browser = Browser { from: Some("192.0.2.7"), ..Browser::new(&app) };
    assert_eq!(browser.log_in("whoever", &secret).await.status, 303);
    assert_eq!(browser.open("/v1/nodes").await.status, 200);
    let form = Form::of(page(&browser.open("/forms/vlans/create").await, 200)).with("tag", "7").with("name", "x");
    assert_eq!(browser.submit(&form).await.status, 403, "it may only read");
    browser.from = Some("198.51.100.7");
    is_login(&browser.open("/v1/nodes").await, 401);
    browser.from = Some("192.0.2.7");
    app.post(&format!("/v1/tokens/{id}/secret"), Value::Null).await.is(Status::Created);
    refused_by(async || browser.open("/v1/nodes").await.status).await;
    // Nodes and compilers have nothing to look at.
    let (_, of_compiler) = issue(&app, json!({"compiler": {"name": "c", "serves": "all"}})).await;
    is_login(&Browser::new(&app).log_in("c", &of_compiler).await, 401);
}

#[rocket::async_test]
async fn a_session_ends_when_it_is_old_or_unused_or_its_user_is_not_what_it_was() {
    let app = App::start().await;
    person(&app, "alice", Some("auditor")).await;
    for end in [
        "UPDATE sessions SET expires_at = now()",
        "UPDATE sessions SET last_used_at = now() - interval '61 minutes'",
        "UPDATE users SET state = 'disabled' WHERE name = 'alice'",
        "DELETE FROM users WHERE name = 'alice'",
    ] {
        sql(&app.dsn, "UPDATE users SET state = 'active'").await;
        let mut browser = Browser::new(&app);
        assert_eq!(browser.log_in("alice", PASSWORD).await.status, 303, "{end}");
        assert_eq!(browser.open("/v1/nodes").await.status, 200);
        sql(&app.dsn, end).await;
        refused_by(async || browser.open("/v1/nodes").await.status).await;
    }
}

#[rocket::async_test]
async fn people_change_their_own_password_when_they_know_it() {
    let app = App::start().await;
    person(&app, "alice", None).await;
    let membership = json!({"organization": {"name": "acme", "full_name": "Acme"}, "user": "alice", "role": "viewer"});
    app.post("/v1/memberships", membership).await.is(Status::Created);
    let (mut here, mut there) = (Browser::new(&app), Browser::new(&app));
    assert_eq!(here.log_in("alice", PASSWORD).await.status, 303);
    assert_eq!(there.log_in("alice", PASSWORD).await.status, 303);
    let account = here.open("/account").await;
    let second = page(&account, 200).split("</form>").nth(2).unwrap().to_owned() + "</form>";
    let form = Form::of(&second).with("password", "another horse entirely").with("again", "another horse entirely");
    assert_eq!(form.action, "/account/password");
    is_refused(
        &here.submit(&form.clone().with("current_password", "guessed")).await,
        "current_password is not your password",
    );
    is_refused(&here.submit(&form).await, "current_password is not your password");
    let form = form.with("current_password", PASSWORD);
    is_refused(&here.submit(&form.clone().with("again", PASSWORD)).await, "again differs from the password");
    assert!(page(&here.submit(&form).await, 200).contains("It is changed"));
    assert_eq!(here.open("/v1/vms").await.status, 200);
    refused_by(async || there.open("/v1/vms").await.status).await;
    is_login(&there.log_in("alice", PASSWORD).await, 401);
    assert_eq!(there.log_in("alice", "another horse entirely").await.status, 303);
    // It is recorded, and what it is, is not.
    let events = app.get("/v1/audit-events?action=set_password&sort=id").await.is(Status::Ok);
    let seen: Vec<_> = events["items"].as_array().unwrap().iter().map(|e| (&e["actor"], &e["object_key"])).collect();
    assert_eq!(seen, [(&json!("user:admin"), &json!("alice")), (&json!("user:alice"), &json!("alice"))]);
    for row in rows(&app.dsn, "SELECT a::text FROM audit_events a").await {
        assert!(!row[0].contains("argon2") && !row[0].contains("horse"), "{row:?}");
    }
    app.json(Method::Delete, "/v1/users/alice/password", Value::Null).await.is(Status::NoContent);
    let id = &app.get("/v1/users/alice").await.is(Status::Ok)["id"];
    let history = app.send(Method::Get, &format!("/history/users/{id}"), &[("Accept", ACCEPT)], b"").await;
    for done in ["set the password of", "took away the password of"] {
        assert!(page(&history, 200).contains(done), "{done}: {}", history.text());
    }
}

#[rocket::async_test]
async fn what_is_no_password_is_refused_and_programs_have_none() {
    let app = App::start().await;
    person(&app, "alice", Some("auditor")).await;
    for wrong in [
        json!({}),
        json!({"password": 7}),
        json!({"password": "short"}),
        json!({"password": "aaaaaaaaaaaaaaaa"}),
        json!([]),
        json!({"password": PASSWORD, "role": "administrator"}),
    ] {
        app.json(Method::Put, "/v1/users/alice/password", wrong.clone()).await.is(Status::UnprocessableEntity);
    }
    let user = json!({"name": "robot", "account_type": "service", "state": "active"});
    app.post("/v1/users", user).await.is(Status::Created);
    set_password(&app, "robot", PASSWORD).await.is(Status::UnprocessableEntity);
    set_password(&app, "nobody", PASSWORD).await.is(Status::NotFound);
    app.json(Method::Put, "/v1/users/alice/password?dry_run=true", json!({"password": "quite another one"}))
        .await
        .is(Status::NoContent);
    assert_eq!(Browser::new(&app).log_in("alice", PASSWORD).await.status, 303);
    app.json(Method::Delete, "/v1/users/alice/password", Value::Null).await.is(Status::NoContent);
    is_login(&Browser::new(&app).log_in("alice", PASSWORD).await, 401);
    app.json(Method::Delete, "/v1/users/alice/password", Value::Null).await.is(Status::NotFound);
}

#[rocket::async_test]
async fn who_logs_in_is_recorded_and_who_fails_to_as_whom() {
    let app = App::start().await;
    person(&app, "alice", Some("auditor")).await;
    let mut browser = Browser { from: Some("192.0.2.7"), ..Browser::new(&app) };
    assert_eq!(browser.log_in("alice", PASSWORD).await.status, 303);
    let (id, secret) = issue(&app, json!({"user": "alice"})).await;
    assert_eq!(Browser::new(&app).log_in("", &secret).await.status, 303);
    // The second is somebody's password, typed into the wrong field.
    for name in ["alice", "hunter2-hunter2"] {
        is_login(&Browser { from: Some("192.0.2.8"), ..Browser::new(&app) }.log_in(name, "guessed").await, 401);
    }
    let logins = app.get("/v1/audit-events?action=login&sort=id").await.is(Status::Ok);
    let told =
        |event: &Value| [&event["actor"], &event["detail"], &event["address"], &event["token_id"]].map(Clone::clone);
    let logins: Vec<_> = logins["items"].as_array().unwrap().iter().map(told).collect();
    let alice = json!("user:alice");
    assert_eq!(logins[0], [alice.clone(), json!("password"), json!("192.0.2.7"), Value::Null]);
    assert_eq!(logins[1], [alice, json!("token"), Value::Null, json!(id)]);
    app.sightings().record_all().await.expect("records");
    let events = app.get("/v1/audit-events?action=refuse&address=192.0.2.8&sort=id").await.is(Status::Ok);
    let refused = events["items"].as_array().unwrap();
    let mut as_whom: Vec<_> = refused.iter().map(|event| event["object_key"].as_str().unwrap_or("nobody")).collect();
    as_whom.sort_unstable();
    assert_eq!(as_whom, ["alice", "nobody"]);
    assert!(!json!(refused).to_string().contains("hunter2"));
}
