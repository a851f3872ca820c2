//! What is told is published to a real broker.

mod broker;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Connection, ConnectionProperties, Consumer, ExchangeKind};
use rocket::http::{Method, Status};
use rocket::tokio::time::timeout;
use serde_json::{Value, json};
use std::time::Duration;
use virtapi::config::Settings;
use virtapi::db::Db;
use virtapi::telling::Publisher;

use self::broker::Broker;
use crate::harness::{App, database, rows, sql};
use crate::tls::authority::Authority;

const EXCHANGE: &str = "virtapi";

fn settings(broker: &Broker) -> Settings {
    Settings { pool_size: 4, amqp_url: Some(broker.url().into()), ..Settings::default() }
}

fn publisher(app: &App, settings: &Settings) -> Publisher {
    Publisher::new(Db::new(&app.dsn, 2).expect("a pool"), settings).expect("settings that fit").expect("a broker")
}

/// A durable queue for what these keys get, and who reads it.
async fn queue(broker: &Broker, name: &str, keys: &[&str]) -> (Connection, Consumer) {
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.expect("connects");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default;
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, durable, none()).await.expect("an exchange");
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, none()).await.expect("a queue");
    for key in keys {
        let bind = channel.queue_bind(name.into(), EXCHANGE.into(), (*key).into(), QueueBindOptions::default(), none());
        bind.await.expect("binds");
    }
    let consumer = channel.basic_consume(name.into(), "".into(), BasicConsumeOptions::default(), none()).await;
    (connection, consumer.expect("reads"))
}

/// The next message: its key, what it says in short, and whether it outlives the broker.
async fn next(consumer: &mut Consumer) -> (String, String, Value) {
    let delivery =
        timeout(Duration::from_secs(30), consumer.next()).await.expect("in time").expect("one").expect("good");
    delivery.ack(BasicAckOptions::default()).await.expect("acknowledges");
    let body: Value = serde_json::from_slice(&delivery.data).expect("JSON");
    let properties = &delivery.properties;
    assert_eq!(properties.delivery_mode(), &Some(2), "persistent");
    assert_eq!(properties.message_id().as_ref().map(ShortString::as_str), body["id"].as_str());
    assert_eq!(properties.content_type().as_ref().map(ShortString::as_str), Some("application/json"));
    let said = format!("{} {}", body["kind"].as_str().unwrap(), body["action"].as_str().unwrap());
    (delivery.routing_key.as_str().to_owned(), said, body)
}

/// Whoever publishes has not for a minute.
async fn release(app: &App) {
    sql(&app.dsn, "UPDATE broker_leases SET leased_until = now() - interval '1 second'").await;
}

async fn waiting(app: &App) -> String {
    rows(&app.dsn, "SELECT count(*) FROM broker_messages").await.concat().concat()
}

#[rocket::async_test]
async fn what_a_hypervisor_has_is_published_for_its_queue_and_nothing_is_lost() {
    let mut broker = Broker::start().await;
    let settings = settings(&broker);
    let app = App::with(&database().await, settings.clone()).await;
    let publisher = publisher(&app, &settings);
    let (_open, mut all) = queue(&broker, "all", &["#"]).await;
    let (_open_too, mut tasks) = queue(&broker, "tasks", &["hypervisor.hv01.example.com"]).await;
    let hypervisor = json!({"node": {"fqdn": "hv01.example.com", "state": "running"}, "cores": 8, "ram_bytes": 1_i64 << 40,
        "virt_methods": ["KVM"], "local_storage_path": "/var/lib/images"});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let vm = json!({"uuid": "a0000000-0000-4000-8000-000000000001", "name": "web", "cores": 1, "ram_bytes": 1_i64 << 20, "state": "running",
        "virt_method": "KVM", "hypervisor": "hv01.example.com"});
    app.post("/v1/vms", vm).await.is(Status::Created);
    let volume = json!({"uuid": "b0000000-0000-4000-8000-000000000001", "vm": "a0000000-0000-4000-8000-000000000001",
        "size_bytes": 1_000_000, "storage_type": "qcow2", "cache_option": "none"});
    app.post("/v1/volumes", volume).await.is(Status::Created);
    app.post("/v1/vlans", json!({"name": "blue", "tag": 7})).await.is(Status::Created);
    app.post("/v1/vlans?dry_run=true", json!({"name": "red", "tag": 8})).await.is(Status::Created);
    assert_eq!(waiting(&app).await, "5");
    assert_eq!(publisher.publish_due().await.expect("publishes"), 5);
    assert_eq!((waiting(&app).await, publisher.publish_due().await.expect("asks")), ("0".to_owned(), 0));
    let hv01 = "hypervisor.hv01.example.com";
    for (key, expected) in [
        ("nodes.create", "nodes create"),
        (hv01, "hypervisors create"),
        (hv01, "vms create"),
        (hv01, "volumes create"),
        ("vlans.create", "vlans create"),
    ] {
        let (found, said, _) = next(&mut all).await;
        assert_eq!((&*found, &*said), (key, expected));
    }
    for said in ["hypervisors create", "vms create", "volumes create"] {
        assert_eq!(next(&mut tasks).await.1, said);
    }

    // While one server publishes, another does not.
    let other = self::publisher(&app, &settings);
    app.json(Method::Delete, "/v1/vlans/blue", Value::Null).await.is(Status::NoContent);
    assert_eq!(other.publish_due().await.expect("asks"), 0);
    release(&app).await;
    assert_eq!(other.publish_due().await.expect("publishes"), 1);
    assert_eq!(next(&mut all).await.1, "vlans delete");

    // What the broker has not confirmed is published when it is there again.
    release(&app).await;
    broker.kill();
    app.json(Method::Delete, "/v1/volumes/b0000000-0000-4000-8000-000000000001", Value::Null)
        .await
        .is(Status::NoContent);
    app.json(Method::Delete, "/v1/vms/a0000000-0000-4000-8000-000000000001", Value::Null).await.is(Status::NoContent);
    for _ in 0..2 {
        assert!(publisher.publish_due().await.is_err(), "there is no broker");
    }
    let left: i32 = waiting(&app).await.parse().expect("a number");
    assert!(left >= 2, "{left}");
    broker.run().await;
    let (_again, mut tasks) = queue(&broker, "tasks", &[]).await;
    let count = publisher.publish_due().await.expect("publishes");
    assert_eq!((i32::try_from(count).unwrap(), waiting(&app).await), (left, "0".to_owned()));
    // What it had not yet written down as read comes again before; and what is deleted leaves tombstones.
    let mut deleted = vec![];
    while deleted.len() < 2 {
        let said = next(&mut tasks).await.1;
        deleted.extend((!said.ends_with("create")).then_some(said));
    }
    assert_eq!(deleted, ["volumes delete", "vms delete"]);
}

#[rocket::async_test]
async fn over_tls_only_the_broker_that_is_meant_is_told_and_nothing_is_lost() {
    let (ours, others) = (Authority::new("Brokers"), Authority::new("Others"));
    let broker = Broker::start_with_tls(&ours.issue_for_servers("broker", 7), &ours.bundle()).await;
    let files = tempfile::tempdir().expect("a directory");
    for (name, text) in [("ours", ours.bundle()), ("others", others.bundle()), ("none", "nothing".into())] {
        std::fs::write(files.path().join(name), text).expect("writes");
    }
    let settings = |host: &str, ca: Option<&str>| Settings {
        amqp_url: Some(broker.tls_url(host).into()),
        amqp_ca: ca.map(|name| files.path().join(name)),
        ..settings(&broker)
    };
    let app = App::with(&database().await, settings("127.0.0.1", Some("ours"))).await;
    let (_open, mut all) = queue(&broker, "all", &["#"]).await;
    app.post("/v1/vlans", json!({"name": "blue", "tag": 7})).await.is(Status::Created);
    for (host, ca, why) in [
        ("127.0.0.1", None, "UnknownIssuer"),
        ("127.0.0.1", Some("others"), "UnknownIssuer"),
        ("localhost", Some("ours"), "not valid for name \"localhost\""),
    ] {
        let refused =
            publisher(&app, &settings(host, ca)).publish_due().await.expect_err("it is not the one that is meant");
        // As the log says it.
        let said = refused.to_string();
        assert!(said.contains("invalid peer certificate") && said.contains(why), "{host} {ca:?}: {said}");
        assert!(!said.contains("guest"), "{said}");
        assert_eq!(waiting(&app).await, "1");
        release(&app).await;
    }
    assert_eq!(publisher(&app, &settings("127.0.0.1", Some("ours"))).publish_due().await.expect("publishes"), 1);
    assert_eq!((next(&mut all).await.1, waiting(&app).await), ("vlans create".to_owned(), "0".to_owned()));
    for (ca, why) in [("none", "holds no certificate in PEM"), ("missing", "No such file")] {
        let db = Db::new(&app.dsn, 1).expect("a pool");
        let Err(wrong) = Publisher::new(db, &settings("127.0.0.1", Some(ca))) else { panic!("{ca}") };
        assert!(wrong.to_string().starts_with("amqp_ca ") && wrong.to_string().contains(why), "{wrong}");
    }
}
