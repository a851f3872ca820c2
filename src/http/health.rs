//! Whether the server is alive, whether it can serve, and what it has counted.

use metrics_exporter_prometheus::PrometheusHandle;
use rocket::{Route, State, get, routes};
use serde_json::json;

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
async fn ready(db: &State<Db>) -> Result<Reply> {
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
