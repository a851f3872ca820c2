//! Whether the server is alive, whether it can serve, and what it has counted.

use metrics_exporter_prometheus::PrometheusHandle;
use rocket::{Route, State, get, routes};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::auth::Rates;
use crate::db::Db;
use crate::error::Result;
use crate::http::format::Format;
use crate::http::reply::Reply;
use diesel_async::SimpleAsyncConnection;

#[get("/health")]
fn health() -> Reply {
    Reply::new(200, Format::Json, json!({"status": "alive", "version": env!("CARGO_PKG_VERSION")}))
}

#[get("/ready")]
async fn ready(db: &State<Db>, rates: &State<Arc<Rates>>, from: Option<SocketAddr>) -> Result<Reply> {
    // Nobody says who it is here, and it costs a question to the database.
    rates.take_from(from.map(|from| from.ip()))?;
    let tx = db.connect("ready").await?;
    let mut conn = tx.conn();
    conn.batch_execute("SELECT 1 FROM nodes LIMIT 0").await?;
    Ok(Reply::new(200, Format::Json, json!({"status": "ready"})))
}

#[get("/metrics")]
fn metrics(recorder: &State<PrometheusHandle>) -> (rocket::http::ContentType, String) {
    (rocket::http::ContentType::new("text", "plain"), recorder.render())
}

/// The routes under `/`.
pub fn routes() -> Vec<Route> {
    routes![health, ready, metrics]
}
