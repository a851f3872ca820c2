//! What the server gives away by its settings: MAC addresses, VLAN tags, VNIs.

use rocket::http::Status;
use serde_json::{Value, json};
use virtapi::config::Settings;

use crate::harness::{App, database};
use crate::orders::{order, told};
use crate::relations::demo;

async fn with(settings: Settings) -> App {
    let app = demo().await;
    App::with(&app.dsn, Settings { pool_size: 4, request_rate: 0, ..settings }).await
}

#[rocket::async_test]
async fn addresses_are_in_the_range_of_the_server() {
    let app = with(Settings { mac_range: "02:ab:cd:ef:80:00/33".into(), ..Settings::default() }).await;
    let vm = app.post("/v1/vms", order()).await.is(Status::Created);
    let interfaces = app.get(&format!("/v1/interfaces?vm={}", vm["id"])).await.is(Status::Ok);
    let mac = interfaces["items"][0]["mac"].as_str().unwrap();
    assert!(mac.starts_with("02:ab:cd:ef:") && u8::from_str_radix(&mac[12..14], 16).unwrap() >= 0x80, "{mac}");
}

#[rocket::async_test]
async fn a_segment_without_a_number_gets_the_first_that_is_free() {
    let app = App::with(
        &database().await,
        Settings { pool_size: 4, vlan_pool: Some("100-103".into()), ..Settings::default() },
    )
    .await;
    let post = async |body: Value| app.post("/v1/vlans", body).await;
    // What was given by hand is somebody's, within the pool or not.
    for (name, tag) in [("a", 101), ("b", 7)] {
        post(json!({"name": name, "tag": tag})).await.is(Status::Created);
    }
    for (name, tag) in [("c", 100), ("d", 102), ("e", 103)] {
        let made = post(json!({"name": name})).await.is(Status::Created);
        assert_eq!((&made["tag"], &made["vni"]), (&json!(tag), &Value::Null), "{name}");
    }
    let problem = post(json!({"name": "f"})).await.is(Status::Conflict);
    assert_eq!(told(&problem), [("/tag".to_owned(), "or vni must be given: the server's pool is used up".to_owned())]);
    assert_eq!(app.json(rocket::http::Method::Delete, "/v1/vlans/a", Value::Null).await.status, 204);
    assert_eq!(post(json!({"name": "f"})).await.is(Status::Created)["tag"], 101);
    post(json!({"name": "g", "tag": 1, "vni": 1})).await.is(Status::UnprocessableEntity);

    let other = App::with(
        &app.dsn,
        Settings {
            pool_size: 4,
            vni_pool: Some("5000-5001".into()),
            vlan_pool: Some("100-103".into()),
            ..Settings::default()
        },
    )
    .await;
    let made = other.post("/v1/vlans", json!({"name": "h"})).await.is(Status::Created);
    assert_eq!((&made["tag"], &made["vni"]), (&Value::Null, &json!(5000)));
    // Without a pool it has to be said.
    let plain = App::on(&app.dsn).await;
    let problem = plain.post("/v1/vlans", json!({"name": "i"})).await.is(Status::UnprocessableEntity);
    assert_eq!(told(&problem), [("/tag".to_owned(), "or vni must be set, and not both".to_owned())]);
}

#[rocket::async_test]
async fn those_who_ask_at_once_get_numbers_of_their_own() {
    let app =
        App::with(&database().await, Settings { pool_size: 8, vni_pool: Some("1-20".into()), ..Settings::default() })
            .await;
    let made =
        rocket::futures::future::join_all((0..20).map(|i| app.post("/v1/vlans", json!({"name": format!("s{i}")}))))
            .await;
    let mut numbers: Vec<i64> = made.iter().map(|made| made.is(Status::Created)["vni"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
