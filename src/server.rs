//! The server, put together: what it manages, which routes it has, what runs beside it.

use metrics_exporter_prometheus::PrometheusBuilder;
use std::time::Duration;

use crate::config::Settings;
use crate::error::Result;
use crate::tls::{ClientAuthorities, Material};
use crate::{auth, db, http, puppet, render, salt};

/// How often old idempotency keys are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// The server, not yet running. Call it on a runtime.
///
/// # Errors
/// When the pool of connections cannot be built.
pub fn rocket(
    settings: &Settings,
    database_url: &str,
    tls: Option<&Material>,
) -> Result<rocket::Rocket<rocket::Build>> {
    let db = db::Db::new(database_url, settings.pool_size)?;
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // A second server in the same process (as in tests) counts with the first.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics are already recorded");
    }
    let forgetting = db.clone();
    let forget = rocket::fairing::AdHoc::on_liftoff("forget idempotency keys", move |_| {
        Box::pin(async move {
            tokio::spawn(forget_keys(forgetting));
        })
    });
    // Without Rocket's Shield: its headers cost an eighth of the throughput of documents; `Headers` sets ours.
    Ok(rocket::custom(rocket::Config { tls: tls.map(Material::config), ..settings.rocket() })
        .manage(render::Documents::start(db.clone(), settings.document_cache.as_u64()))
        .manage(auth::Identities::new(db.clone()))
        .manage(ClientAuthorities::new(tls.and_then(Material::authorities).cloned()))
        .manage(db)
        .manage(metrics)
        .manage(http::body::BodyLimit(settings.request_body_limit.as_u64()))
        .attach(rocket::shield::Shield::new())
        .attach(http::headers::Headers::new(tls.is_some()))
        .attach(forget)
        .mount("/v1", http::resources::routes())
        .mount("/v1", http::secrets::routes())
        .mount("/", http::resources::start())
        .mount("/", http::pages::routes())
        .mount("/", http::health::routes())
        .mount("/", http::docs::routes())
        .mount("/", puppet::routes())
        .mount("/", salt::routes())
        .register("/", http::fallback::catchers()))
}

async fn forget_keys(db: db::Db) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    loop {
        tick.tick().await;
        let forgotten =
            db.write(auth::Actor::system("idempotency"), false, async |tx| http::idempotency::forget_old(tx).await);
        match forgotten.await {
            Ok(0) => {}
            Ok(keys) => tracing::info!(keys, "forgot old idempotency keys"),
            Err(error) => tracing::warn!(%error, "old idempotency keys stay for now"),
        }
    }
}
