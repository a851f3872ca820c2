//! What an order asks of the database: as little as it can, for each statement costs more than the rows that it reads.

use rocket::http::Status;
use std::collections::BTreeMap;

use crate::harness::App;
use crate::orders::order;
use crate::relations::demo;
use crate::statements::{Log, Relay};

/// The next order of one connection on which a few have prepared their statements: what it asks, and how often it waits.
async fn ask_of_one_order() -> (Vec<String>, usize) {
    let app = demo().await;
    let mut log = Log::start(&app.dsn).await;
    let relay = Relay::start(&app.dsn);
    let fresh = App::with_pool(&relay.dsn, 1).await;
    let nameless = || {
        let mut order = order();
        order.as_object_mut().unwrap().remove("name");
        order
    };
    for _ in 0..3 {
        fresh.post("/v1/vms", nameless()).await.is(Status::Created);
    }
    log.statements().await;
    relay.round_trips();
    fresh.post("/v1/vms", nameless()).await.is(Status::Created);
    let (statements, trips) = (log.statements().await, relay.round_trips());
    // Who asks is looked up once a second: a question, and a note that the token was used.
    let known = statements.iter().filter(|text| text.contains("token_secrets")).count();
    let ours = statements.into_iter().filter(|text| !text.contains("token_secrets") && !text.contains("UPDATE tokens"));
    (ours.collect(), trips - 2 * known)
}

#[rocket::async_test]
async fn an_order_looks_nothing_up_twice_and_prepares_nothing_anew() {
    let (statements, trips) = ask_of_one_order().await;
    let shown = statements.join("\n");
    assert!(statements.len() <= 39, "{} statements:\n{shown}", statements.len());
    // A statement that is not kept is described to Postgres each time, which is one more.
    assert!(trips <= 29, "{trips} round trips for {} statements", statements.len());
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for name in statements.iter().filter(|text| text.starts_with("SELECT id FROM ")) {
        *times.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = times.into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
