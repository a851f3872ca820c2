//! Webhooks: who is told of what, by real messages to a real receiver.

mod customers;
mod guard;
mod receiver;

use ring::hmac;
use rocket::http::{Method, Status};
use serde_json::{Value, json};
use virtapi::config::Settings;
use virtapi::db::Db;
use virtapi::telling::Courier;

use self::receiver::{Message, Receiver};
use crate::convergence::{self, Fleet};
use crate::harness::{App, database, rows, sql};

/// A server that may reach a receiver on this machine, and what sends its messages.
struct Told {
    app: App,
    courier: Courier,
    receiver: Receiver,
}

fn settings(receiver: &Receiver) -> Settings {
    Settings {
        pool_size: 4,
        webhook_networks: "127.0.0.0/8".parse().expect("a network"),
        webhook_ca: Some(receiver.ca.path().to_owned()),
        ..Settings::default()
    }
}

fn courier(dsn: &str, settings: &Settings) -> Courier {
    Courier::new(Db::new(dsn, 4).expect("a pool"), settings).expect("settings that fit")
}

impl Told {
    async fn start() -> Self {
        let receiver = Receiver::start();
        let app = App::with(&database().await, settings(&receiver)).await;
        let courier = courier(&app.dsn, &settings(&receiver));
        Self { app, courier, receiver }
    }

    /// A webhook of the fleet with a secret: its id, and the secret.
    async fn webhook(&self, more: Value) -> (String, String) {
        let mut body = json!({"name": "test", "url": self.receiver.url, "state": "active"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let id = self.app.post("/v1/webhooks", body).await.is(Status::Created)["id"].to_string();
        let secret = self.secret(&id).await;
        // Of the webhook itself everybody is told as well.
        sql(&self.app.dsn, "DELETE FROM webhook_deliveries").await;
        (id, secret)
    }

    async fn secret(&self, webhook: &str) -> String {
        let answer = self.app.post(&format!("/v1/webhooks/{webhook}/secret"), Value::Null).await;
        assert_eq!(answer.header("Cache-Control"), "no-store");
        answer.is(Status::Created)["secret"].as_str().expect("a secret").to_owned()
    }

    async fn vlan(&self, name: &str, tag: u16) {
        self.app.post("/v1/vlans", json!({"name": name, "tag": tag})).await.is(Status::Created);
    }

    async fn change(&self, url: &str, body: Value) {
        self.app.json(Method::Patch, url, body).await.is(Status::Ok);
    }

    /// What is due is sent, and what was received.
    async fn sent(&self) -> Vec<Message> {
        self.courier.send_due().await.expect("sends");
        self.receiver.take()
    }

    /// What was tried in vain is due now.
    async fn hurry(&self) {
        sql(&self.app.dsn, "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE status = 'pending'").await;
    }

    async fn deliveries(&self, query: &str) -> Vec<Value> {
        let list = self.app.get(&format!("/v1/webhook-deliveries?{query}")).await.is(Status::Ok);
        list["items"].as_array().expect("a list").clone()
    }
}

/// What a message says, in short.
fn said(messages: &[Message]) -> Vec<String> {
    let key = |object: &Value| object["name"].as_str().or(object["key"].as_str()).unwrap_or_default().to_owned();
    messages
        .iter()
        .map(|m| format!("{} {} {}", m.body["kind"], m.body["action"], key(&m.body["object"])).replace('"', ""))
        .collect()
}

/// Which of these secrets a message is signed with, as a receiver finds out.
fn signed_with(message: &Message, secrets: &[&str]) -> Vec<bool> {
    let signed = format!("{}.{}", message.headers["x-virtapi-timestamp"], message.text);
    let signatures: Vec<&str> = message.headers["x-virtapi-signature"].split(',').collect();
    let is_good = |secret: &&str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let bytes = |signature: &str| -> Vec<u8> {
            let hex = signature.strip_prefix("v1=").expect("a version").as_bytes();
            hex.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
        };
        signatures.iter().any(|signature| hmac::verify(&key, signed.as_bytes(), &bytes(signature)).is_ok())
    };
    secrets.iter().map(is_good).collect()
}

#[rocket::async_test]
async fn a_change_is_told_and_signed_with_two_live_secrets() {
    let told = Told::start().await;
    let (id, first) = told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    let [message] = &told.sent().await[..] else { panic!("one message") };
    assert_eq!(message.headers["content-type"], "application/json");
    assert_eq!(message.headers["x-virtapi-event-id"], message.body["id"].as_str().unwrap());
    assert_eq!((&message.body["kind"], &message.body["action"]), (&json!("vlans"), &json!("create")));
    let shown = told.app.get("/v1/vlans/blue").await.is(Status::Ok);
    assert_eq!((&message.body["object"], message.body.get("before")), (&shown, None));
    let now = chrono::Utc::now();
    let happened: chrono::DateTime<chrono::Utc> =
        message.body["happened_at"].as_str().unwrap().parse().expect("a time");
    assert!(happened <= now);
    assert_eq!(signed_with(message, &[&first, "another"]), [true, false]);

    let second = told.secret(&id).await;
    told.change("/v1/vlans/blue", json!({"tag": 8})).await;
    let [message] = &told.sent().await[..] else { panic!("one message") };
    assert_eq!((&message.body["action"], &message.body["before"]), (&json!("update"), &json!({"tag": 7})));
    assert_eq!(message.body["object"]["tag"], 8);
    assert_eq!(signed_with(message, &[&first, &second]), [true, true]);

    let third = told.secret(&id).await;
    told.app.json(Method::Delete, "/v1/vlans/blue", Value::Null).await.is(Status::NoContent);
    let [message] = &told.sent().await[..] else { panic!("one message") };
    assert_eq!((&message.body["action"], &message.body["object"]["tag"]), (&json!("delete"), &json!(8)));
    assert_eq!(signed_with(message, &[&first, &second, &third]), [false, true, true]);
    assert_eq!(rows(&told.app.dsn, "SELECT count(*) FROM signing_secrets").await.concat(), ["2"]);

    // All of it is in the log, and the secrets are nowhere; that they were issued is recorded.
    let log = told.deliveries("sort=id").await;
    let brief: Vec<_> =
        log.iter().map(|d| (d["status"].as_str(), d["answer"].as_i64(), d["attempts"].as_i64())).collect();
    assert_eq!(brief, [(Some("delivered"), Some(204), Some(1)); 3]);
    assert_eq!(log[2]["body"], message.body);
    let events = told.app.get("/v1/audit-events?collection=webhooks&action=issue").await.is(Status::Ok);
    assert_eq!(events["total"], 3);
    let page = told.app.get(&format!("/v1/webhooks/{id}")).await.is(Status::Ok).to_string();
    assert!([first, second, third].iter().all(|secret| !page.contains(secret)));
}

#[rocket::async_test]
async fn what_fails_is_sent_again_and_what_follows_of_the_same_object_waits() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    told.receiver.answer(&["500 Internal Server Error"]);
    assert_eq!(said(&told.sent().await), ["vlans create blue"]);
    told.change("/v1/vlans/blue", json!({"tag": 8})).await;
    told.vlan("red", 9).await;
    assert_eq!(said(&told.sent().await), ["vlans create red"], "another object waits for nobody");
    let log = told.deliveries("sort=id").await;
    assert_eq!(
        (&log[0]["status"], &log[0]["answer"], &log[0]["attempts"]),
        (&json!("pending"), &json!(500), &json!(1))
    );
    assert_eq!(log[0]["error"], "it answered 500 Internal Server Error");
    assert!(log[0]["next_attempt_at"].as_str() > log[0]["last_attempt_at"].as_str(), "{}", log[0]);
    told.hurry().await;
    let again = told.sent().await;
    assert_eq!(said(&again), ["vlans create blue"]);
    assert_eq!(again[0].body["id"], log[0]["event_id"], "it is the same event");
    assert_eq!(said(&told.sent().await), ["vlans update blue"]);
    assert_eq!(told.courier.send_due().await.expect("sends"), 0);
    assert!(told.deliveries("status__ne=delivered").await.is_empty());
}

#[rocket::async_test]
async fn after_a_day_it_is_given_up_and_can_be_sent_again() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    sql(&told.app.dsn, "UPDATE webhook_deliveries SET give_up_at = now()").await;
    told.receiver.answer(&["503 Service Unavailable"]);
    assert_eq!(told.sent().await.len(), 1);
    let [given_up] = &told.deliveries("status=failed").await[..] else { panic!("one") };
    assert_eq!((&given_up["next_attempt_at"], &given_up["answer"]), (&Value::Null, &json!(503)));
    told.change("/v1/vlans/blue", json!({"tag": 8})).await;
    assert_eq!(said(&told.sent().await), ["vlans update blue"], "what is given up is waited for no more");
    let url = format!("/v1/webhook-deliveries/{}/resend", given_up["id"]);
    told.app.post(&format!("{url}?dry_run=true"), Value::Null).await.is(Status::Accepted);
    assert!(told.sent().await.is_empty());
    told.app.post(&url, Value::Null).await.is(Status::Accepted);
    let again = told.sent().await;
    assert_eq!((said(&again), &again[0].body["id"]), (vec!["vlans create blue".to_owned()], &given_up["event_id"]));
    assert!(told.deliveries("status=failed").await.is_empty());
    let events = told.app.get("/v1/audit-events?action=resend").await.is(Status::Ok);
    assert_eq!((&events["total"], &events["items"][0]["object_id"]), (&json!(1), &given_up["id"]));
    assert_eq!(told.app.post("/v1/webhook-deliveries/4711/resend", Value::Null).await.status, 404);
    told.app.forget_old().await;
    assert_eq!(told.deliveries("").await.len(), 2);
    sql(&told.app.dsn, "UPDATE webhook_deliveries SET happened_at = now() - interval '31 days'").await;
    told.app.forget_old().await;
    assert!(told.deliveries("").await.is_empty());
}

#[rocket::async_test]
async fn of_several_servers_one_sends_each_message() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    for tag in 1..=40 {
        told.vlan(&format!("v{tag}"), tag).await;
    }
    let other = courier(&told.app.dsn, &settings(&told.receiver));
    let mut sent = vec![];
    while sent.len() < 40 {
        let (one, two) = rocket::tokio::join!(told.courier.send_due(), other.send_due());
        assert!(one.expect("sends") + two.expect("sends") > 0, "{}", sent.len());
        sent.extend(told.receiver.take().into_iter().map(|message| message.body["object"]["name"].to_string()));
    }
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 40);
}

#[rocket::async_test]
async fn what_a_server_that_died_had_leased_is_sent_by_another() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.vlan("blue", 7).await;
    let leased = told.courier.lease(10).await.expect("leases");
    assert_eq!(leased.len(), 1);
    let other = courier(&told.app.dsn, &settings(&told.receiver));
    assert_eq!(other.send_due().await.expect("asks"), 0, "it is leased");
    drop(leased);
    sql(&told.app.dsn, "UPDATE webhook_deliveries SET leased_until = now() - interval '1 second'").await;
    assert_eq!(other.send_due().await.expect("sends"), 1);
    assert_eq!(said(&told.receiver.take()), ["vlans create blue"]);
}

#[rocket::async_test]
async fn what_is_not_done_is_not_told() {
    let told = Told::start().await;
    told.webhook(json!({})).await;
    told.app.post("/v1/vlans?dry_run=true", json!({"name": "a", "tag": 1})).await.is(Status::Created);
    assert_eq!(told.app.post("/v1/vlans", json!([{"name": "a", "tag": 1}, {"name": "b", "tag": 0}])).await.status, 422);
    told.vlan("blue", 7).await;
    told.change("/v1/vlans/blue", json!({"tag": 7})).await;
    assert_eq!(said(&told.sent().await), ["vlans create blue"]);
}

#[rocket::async_test]
async fn a_webhook_is_told_of_what_it_asks_for() {
    let told = Told::start().await;
    let (id, _) = told.webhook(json!({"kinds": ["vlans", "networks"], "actions": ["create", "delete"]})).await;
    told.vlan("blue", 7).await;
    told.change("/v1/vlans/blue", json!({"tag": 8})).await;
    told.app.post("/v1/nodes", json!({"fqdn": "hv01.example.com", "state": "running"})).await.is(Status::Created);
    assert_eq!(said(&told.sent().await), ["vlans create blue"]);
    told.change(&format!("/v1/webhooks/{id}"), json!({"labels": ["tier=db"], "kinds": ["vms", "vlans"]})).await;
    for (name, labels) in [("a", json!([])), ("b", json!(["web", "tier=db"])), ("c", json!(["tier=web"]))] {
        let vm = json!({"name": name, "cores": 1, "ram_bytes": 1_i64 << 20, "state": "running", "virt_method": "KVM", "labels": labels});
        told.app.post("/v1/vms", vm).await.is(Status::Created);
    }
    told.vlan("grey", 11).await;
    assert_eq!(said(&told.sent().await), ["vms create b"]);
    told.change(&format!("/v1/webhooks/{id}"), json!({"state": "paused", "labels": []})).await;
    told.vlan("red", 9).await;
    told.change(&format!("/v1/webhooks/{id}"), json!({"state": "active", "kinds": null, "actions": null})).await;
    assert!(told.sent().await.iter().all(|message| message.body["kind"] == "webhooks"));
    for (field, value, why) in [
        ("kinds", json!(["vlans", "unicorns"]), "collections"),
        ("kinds", json!([""]), "1 to 63"),
        ("kinds", json!(["audit-events"]), "collections"),
        ("actions", json!(["create", "explode"]), "must be of create, update, delete"),
        ("state", json!("off"), "active"),
        ("name", json!(""), "1 to 255"),
    ] {
        let answer = told.app.json(Method::Patch, &format!("/v1/webhooks/{id}"), json!({field: value})).await;
        assert!(answer.status == 422 && answer.text().contains(why), "{field} {value} {}", answer.text());
    }
    // Without a secret nothing is sent.
    sql(&told.app.dsn, "DELETE FROM signing_secrets").await;
    told.vlan("green", 10).await;
    assert!(told.sent().await.is_empty());
    assert!(
        told.deliveries("status=pending")
            .await
            .iter()
            .any(|d| d["error"] == "no secret has been issued to sign it with")
    );
}

#[rocket::async_test]
async fn a_vm_calls_back_signed_by_its_organization() {
    let told = Told::start().await;
    let Told { app, courier, receiver } = told;
    for name in ["acme", "globex"] {
        app.post("/v1/organizations", json!({"name": name, "full_name": name})).await.is(Status::Created);
    }
    app.post("/v1/environments", json!({"organization": "acme", "name": "shop"})).await.is(Status::Created);
    let mut secrets = vec![];
    for url in
        ["/v1/organizations/acme/callback-secret", "/v1/organizations/globex/callback-secret", "/v1/callback-secret"]
    {
        let issued = app.post(url, Value::Null).await.is(Status::Created);
        secrets.push(issued["secret"].as_str().expect("a secret").to_owned());
    }
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let fleet = Fleet::of(app).await;
    convergence::hypervisor(&fleet).await;
    let app = &fleet.app;
    let sent = async || {
        courier.send_due().await.expect("sends");
        receiver.take()
    };
    let address = |uuid: &str| format!("/v1/vms/{uuid}");
    let mut uuids = vec![];
    for (environment, signed) in [(json!("acme/shop"), [true, false, false]), (Value::Null, [false, false, true])] {
        let name = if environment.is_null() { "fleets" } else { "acmes" };
        let vm = json!({"name": name, "cores": 1, "ram_bytes": 1_i64 << 20, "state": "running", "virt_method": "KVM",
            "environment": environment, "hypervisor": "hv01.example.com", "callback_url": receiver.url});
        let created = app.post("/v1/vms", vm.clone()).await;
        let uuid = created.is(Status::Created)["uuid"].as_str().expect("a UUID").to_owned();
        let messages = sent().await;
        assert_eq!(said(&messages), [format!("vms create {name}")]);
        assert_eq!(signed_with(&messages[0], &secrets), signed);
        // What it shall be it is told by who wants it.
        fleet.change(&address(&uuid), json!({"cores": 2})).await;
        assert!(sent().await.is_empty());
        uuids.push(uuid);
    }
    let running: serde_json::Map<String, Value> = uuids.iter().map(|uuid| (uuid.clone(), json!("running"))).collect();
    fleet.report(&[fleet.applied().await, json!({"observed": {"vms": running}})], "changed", false).await;
    assert_eq!(said(&sent().await), ["vms started acmes", "vms started fleets"]);
    for (uuid, name, signed) in
        [(&uuids[0], "acmes", [true, false, false]), (&uuids[1], "fleets", [false, false, true])]
    {
        app.json(Method::Delete, &address(uuid), Value::Null).await.is(Status::NoContent);
        let messages = sent().await;
        assert_eq!(said(&messages), [format!("vms delete {name}")]);
        assert_eq!(signed_with(&messages[0], &secrets), signed);
    }
    // That they are gone they are told by whoever has seen it, once; though their environment is gone by then.
    app.json(Method::Delete, "/v1/environments/acme/shop", Value::Null).await.is(Status::NoContent);
    fleet.report(&[json!({"observed": {"vms": {}}})], "changed", false).await;
    assert!(sent().await.is_empty());
    let gone = [fleet.applied().await, json!({"observed": {"vms": {}}})];
    fleet.report(&gone, "changed", false).await;
    let mut messages = sent().await;
    messages.sort_by_key(|message| message.body["object"]["id"].as_i64());
    assert_eq!(said(&messages), ["vms deleted acmes", "vms deleted fleets"]);
    for (message, signed) in messages.iter().zip([[true, false, false], [false, false, true]]) {
        assert_eq!(signed_with(message, &secrets), signed);
    }
    assert_eq!(messages[0].body["object"]["uuid"], uuids[0]);
    fleet.report(&gone, "changed", false).await;
    app.clear_removals().await;
    assert!(sent().await.is_empty());
    // One that was nowhere is gone at once.
    let vm = json!({"name": "nowhere", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM", "callback_url": receiver.url});
    let vm = app.post("/v1/vms", vm).await.is(Status::Created);
    let url = format!("/v1/vms/{}", vm["id"]);
    app.json(Method::Delete, &format!("{url}?dry_run=true"), Value::Null).await;
    app.json(Method::Delete, &url, Value::Null).await.is(Status::NoContent);
    let mut about = vec![];
    loop {
        let messages = sent().await;
        if messages.is_empty() {
            break;
        }
        about.extend(said(&messages));
    }
    assert_eq!(about, ["vms create nowhere", "vms delete nowhere", "vms deleted nowhere"]);
    let inside = json!({"name": "x", "cores": 1, "ram_bytes": 1, "state": "running", "virt_method": "KVM",
        "callback_url": "https://169.254.169.254/latest"});
    let answer = app.post("/v1/vms", inside).await;
    assert!(answer.status == 422 && answer.text().contains("/callback_url"), "{}", answer.text());
    let issued = app.get("/v1/audit-events?action=issue&sort=id").await.is(Status::Ok);
    let of: Vec<&str> = issued["items"].as_array().unwrap().iter().filter_map(|e| e["collection"].as_str()).collect();
    // The first is the administrator's token.
    assert_eq!(of[1..4], ["organizations", "organizations", "callbacks"]);
}

#[rocket::async_test]
async fn what_a_vm_does_by_itself_is_told_once() {
    let told = Told::start().await;
    told.webhook(json!({"kinds": ["vms"], "actions": ["started", "stopped", "failed"]})).await;
    let Told { app, courier, receiver } = told;
    let fleet = Fleet::of(app).await;
    convergence::hypervisor(&fleet).await;
    let sent = async || {
        courier.send_due().await.expect("sends");
        let messages = receiver.take();
        messages
            .iter()
            .map(|m| format!("{} {}", m.body["action"], m.body["reason"]).replace('"', ""))
            .collect::<Vec<_>>()
    };
    let observed = |state: &str| json!({"observed": {"vms": {convergence::VM: state}}});
    let seen = async |state: &str| fleet.report(&[fleet.applied().await, observed(state)], "changed", false).await;
    // It was never there.
    fleet.report(&[observed("stopped")], "changed", false).await;
    assert_eq!(sent().await, [""; 0]);
    for (state, expected) in [
        ("running", vec!["started null"]),
        ("running", vec![]),
        ("crashed", vec!["failed it does not run, though its agent has done its work"]),
        ("crashed", vec![]),
        ("running", vec!["started null"]),
    ] {
        seen(state).await;
        assert_eq!(sent().await, expected, "{state}");
    }
    fleet.change(&format!("/v1/vms/{}", convergence::VM), json!({"state": "stopped"})).await;
    seen("running").await;
    assert_eq!(sent().await, ["failed it still runs, though its agent has done its work"]);
    seen("stopped").await;
    assert_eq!(sent().await, ["stopped null"]);
    // A report that is not kept tells nothing.
    fleet.report(&[], "changed", false).await;
    assert_eq!(sent().await, [""; 0]);
}
