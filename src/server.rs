//! The server, put together: what it manages, which routes it has, what runs beside it.

use chrono::{TimeDelta, Utc};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::sightings::Sightings;
use crate::tls::{ClientAuthorities, Material};
use crate::{auth, db, events, http, puppet, render, reports, salt};

/// How often it is counted how many are in sync.
const COUNT_EVERY: Duration = Duration::from_mins(1);

/// How often old idempotency keys, sessions, runs and events are forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// What lasts while one listener takes the place of another.
pub struct Server {
    settings: Settings,
    db: db::Db,
    documents: Arc<render::Documents>,
    feed: Arc<events::Feed>,
    identities: Arc<auth::Identities>,
    rates: Arc<auth::Rates>,
    authorities: Arc<ClientAuthorities>,
    openid: Option<Arc<auth::OpenId>>,
    sightings: Arc<Sightings>,
    metrics: PrometheusHandle,
}

impl Server {
    /// Starts what runs beside the listeners. Call it on a runtime.
    ///
    /// # Errors
    /// When the pool of connections cannot be built, or the secret for the provider of identities not be read.
    pub fn start(settings: &Settings, database_url: &str) -> Result<Self, db::Failure> {
        let seconds = |number: u32| Duration::from_secs(number.into());
        let (limit, stale_after) = (seconds(settings.query_timeout), seconds(settings.stale_after));
        let db = db::Db::serving(database_url, settings.pool_size, limit, stale_after)?;
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        // A second server in the same process (as in tests) counts with the first.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("metrics are already recorded");
        }
        tokio::spawn(forget_old(db.clone(), settings.clone()));
        tokio::spawn(count_statuses(db.clone()));
        let sightings = Arc::new(Sightings::new(db.clone()));
        tokio::spawn(sightings.clone().keep_recording());
        Ok(Self {
            settings: settings.clone(),
            feed: Arc::new(events::Feed::new(db.clone(), db::Db::serving(database_url, 1, limit, stale_after)?)),
            documents: Arc::new(render::Documents::start(db.clone(), settings.document_cache.as_u64())),
            identities: Arc::new(auth::Identities::new(db.clone(), settings.session_limits())),
            rates: Arc::new(auth::Rates::new(settings.request_rate)),
            authorities: Arc::default(),
            openid: auth::OpenId::new(settings)?.map(Arc::new),
            sightings,
            db,
            metrics,
        })
    }

    /// What is known of client certificates, for all listeners.
    #[must_use]
    pub fn authorities(&self) -> &ClientAuthorities {
        &self.authorities
    }

    /// What is seen by all listeners, and not recorded yet.
    #[must_use]
    pub fn sightings(&self) -> Arc<Sightings> {
        self.sightings.clone()
    }

    /// A listener on this port, not yet running.
    #[must_use]
    pub fn listener(&self, port: u16, tls: Option<&Material>) -> rocket::Rocket<rocket::Build> {
        let settings = &self.settings;
        let config = rocket::Config { port, tls: tls.map(Material::config), ..settings.rocket() };
        // Without Rocket's Shield: its headers cost an eighth of the throughput of documents; `Headers` sets ours.
        let server = rocket::custom(config);
        let server = match &self.openid {
            Some(openid) => server.manage(openid.clone()),
            None => server,
        };
        server
            .manage(self.documents.clone())
            .manage(self.feed.clone())
            .manage(self.identities.clone())
            .manage(self.rates.clone())
            .manage(self.authorities.clone())
            .manage(self.sightings.clone())
            .manage(self.db.clone())
            .manage(self.metrics.clone())
            .manage(http::session::Cookies::new(settings.is_public_over_tls()))
            .manage(http::body::BodyLimit(settings.request_body_limit.as_u64()))
            .attach(rocket::shield::Shield::new())
            .attach(http::headers::Headers::new(tls.is_some(), self.sightings.clone()))
            .mount("/v1", http::events::routes())
            .mount("/v1", http::resources::routes())
            .mount("/v1", http::secrets::routes())
            .mount("/v1", http::passwords::routes())
            .mount("/", http::resources::start())
            .mount("/", http::pages::routes())
            .mount("/", http::passwords::pages())
            .mount("/", http::session::routes())
            .mount("/", http::openid::routes())
            .mount("/", http::account::routes())
            .mount("/", http::health::routes())
            .mount("/", http::docs::routes())
            .mount("/", puppet::routes())
            .mount("/", salt::routes())
            .register("/", http::fallback::catchers())
    }
}

/// The whole server with one listener, not yet running. Call it on a runtime.
///
/// # Errors
/// As [`Server::start`].
pub fn rocket(
    settings: &Settings,
    database_url: &str,
    tls: Option<&Material>,
) -> Result<rocket::Rocket<rocket::Build>, db::Failure> {
    let server = Server::start(settings, database_url)?;
    server.authorities().replace(tls);
    Ok(server.listener(settings.port, tls))
}

async fn forget_old(db: db::Db, settings: Settings) {
    let mut tick = tokio::time::interval(FORGET_EVERY);
    let before = |days: u32| Utc::now() - TimeDelta::days(days.into());
    let events_kept = TimeDelta::seconds(settings.event_retention.into());
    loop {
        tick.tick().await;
        let forgotten = db.write(auth::Actor::system("forgetting"), false, async |tx| {
            let keys = http::idempotency::forget_old(tx).await?;
            let sessions = auth::forget_old(tx, settings.session_limits()).await?;
            Ok((keys, sessions, events::forget_old(tx, Utc::now() - events_kept).await?))
        });
        match forgotten.await {
            Ok((0, 0, 0)) => {}
            Ok((keys, sessions, events)) => tracing::info!(keys, sessions, events, "forgot what is old"),
            Err(error) => tracing::warn!(%error, "what is old stays for now"),
        }
        let turned = db.write(auth::Actor::system("reports"), false, async |tx| {
            reports::prepare_partitions(tx).await?;
            reports::drop_partitions(tx, before(settings.run_retention), before(settings.run_event_retention)).await
        });
        match turned.await {
            Ok(0) => {}
            Ok(weeks) => tracing::info!(weeks, "forgot old runs"),
            Err(error) => tracing::warn!(%error, "old runs stay for now, and there may be no place for new ones"),
        }
    }
}

async fn count_statuses(db: db::Db) {
    let mut tick = tokio::time::interval(COUNT_EVERY);
    loop {
        tick.tick().await;
        let actor = auth::Actor::system("metrics");
        if let Err(error) = db.read(actor, async |tx| reports::count_statuses(tx).await).await {
            tracing::debug!(%error, "nobody knows how many are in sync for now");
        }
    }
}
