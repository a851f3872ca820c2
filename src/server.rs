//! The server, put together: what it manages, which routes it has, what runs beside it.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::Arc;

use crate::config::Settings;
use crate::sightings::Sightings;
use crate::tls::{ClientAuthorities, Material};
use crate::{auth, db, events, housekeeping, http, puppet, render, salt, telling};

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
    courier: telling::Courier,
    publisher: Option<telling::Publisher>,
    metrics: PrometheusHandle,
}

impl Server {
    /// All of it, at rest: it asks the database for nothing before a request does, or [`Self::keep_house`] is called.
    ///
    /// # Errors
    /// When the pool of connections cannot be built, or a file that the settings name not be read.
    pub fn new(settings: &Settings, database_url: &str) -> Result<Self, db::Failure> {
        let terms = settings.terms();
        let db = db::Db::serving(database_url, settings.pool_size, &terms)?.telling(telling::Rules::of(settings));
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        // A second server in the same process (as in tests) counts with the first.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::debug!("metrics are already recorded");
        }
        let sightings = Arc::new(Sightings::new(db.clone()));
        Ok(Self {
            settings: settings.clone(),
            feed: Arc::new(events::Feed::new(db.clone(), db::Db::serving(database_url, 1, &terms)?)),
            documents: Arc::new(render::Documents::start(db.clone(), settings.document_cache.as_u64())),
            identities: Arc::new(auth::Identities::new(db.clone(), settings.session_limits())),
            rates: Arc::new(auth::Rates::new(settings.request_rate)),
            authorities: Arc::default(),
            openid: auth::OpenId::new(settings)?.map(Arc::new),
            sightings,
            courier: telling::Courier::new(db.clone(), settings)?,
            publisher: telling::Publisher::new(db.clone(), settings)?,
            db,
            metrics,
        })
    }

    /// Starts what goes on beside the requests. Call it on a runtime.
    pub fn keep_house(&self) {
        housekeeping::start(&self.db, &self.settings);
        tokio::spawn(self.courier.clone().keep_sending());
        if let Some(publisher) = self.publisher.clone() {
            tokio::spawn(publisher.keep_publishing());
        }
        tokio::spawn(self.sightings.clone().keep_recording());
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
            .mount("/v1", http::approvals::routes())
            .mount("/v1", http::infrahub::routes())
            .mount("/v1", http::placement::routes())
            .mount("/v1", http::actions::routes())
            .mount("/v1", http::telling::routes())
            .mount("/v1", http::passwords::routes())
            .mount("/", http::resources::start())
            .mount("/", http::pages::routes())
            .mount("/", http::passwords::pages())
            .mount("/", http::session::routes())
            .mount("/", http::openid::routes())
            .mount("/", http::account::routes())
            .mount("/", http::health::routes())
            .mount("/", http::docs::routes())
            .mount("/", ahead(puppet::routes()))
            .mount("/", ahead(salt::routes()))
            .register("/", http::fallback::catchers())
    }
}

/// Routes that are looked at before all others, in the same order among themselves: agents ask more than everybody else
/// together, and to look at each of the others first took a twentieth of the time of a small document.
fn ahead(mut routes: Vec<rocket::Route>) -> Vec<rocket::Route> {
    for route in &mut routes {
        route.rank -= 100;
    }
    routes
}

/// The whole server with one listener, not yet running, and nothing beside it. Call it on a runtime.
///
/// # Errors
/// As [`Server::new`].
pub fn rocket(
    settings: &Settings,
    database_url: &str,
    tls: Option<&Material>,
) -> Result<rocket::Rocket<rocket::Build>, db::Failure> {
    let server = Server::new(settings, database_url)?;
    server.authorities().replace(tls);
    Ok(server.listener(settings.port, tls))
}
