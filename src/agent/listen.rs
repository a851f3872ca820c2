//! Listens to the feed, for as long as the agent lives: connects, hears, and comes back when it is cut off, later each
//! time.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::events::Events;
use super::settings::Settings;
use crate::client::chain;

const USER_AGENT: &str = concat!("virtapi-agent/", env!("CARGO_PKG_VERSION"));

/// By when a server has answered that will answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// After how long a silent server is taken for dead. It says something every 15 seconds, or a bit later.
const SILENCE: Duration = Duration::from_mins(1);

/// How long a connection must have held for the next one to be tried at once.
const STEADY: Duration = Duration::from_secs(10);

/// The media type of events.
const STREAM: &str = "text/event-stream";

/// How long to wait before the first try after a connection was lost, and before the last ones.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Who listens.
pub struct Listener {
    settings: Arc<Settings>,
    /// Told that a run is wanted.
    wanted: Arc<Notify>,
    /// Told that it was tried to connect, whatever came of it.
    tried: watch::Sender<bool>,
    /// How far it has heard.
    last: Option<String>,
    /// Until when the connection that was lost had held.
    connected: Option<Instant>,
}

impl Listener {
    /// One that has heard nothing yet.
    pub fn new(settings: Arc<Settings>, wanted: Arc<Notify>, tried: watch::Sender<bool>) -> Self {
        Self { settings, wanted, tried, last: None, connected: None }
    }

    /// Listens, and never ends.
    pub async fn listen(mut self) {
        let mut pauses = pauses();
        loop {
            self.connected = None;
            let why = self.hear().await;
            self.tried.send_replace(true);
            if self.connected.is_some_and(|since| since.elapsed() >= STEADY) {
                pauses = self::pauses();
            }
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            tracing::warn!(again_in = ?pause, "events are not heard, and until they are only the timer starts runs: {why}");
            sleep(pause).await;
        }
    }

    /// Hears what there is until the connection is lost; returns why it is.
    async fn hear(&mut self) -> String {
        let mut response = match self.connect().await {
            Ok(response) => response,
            Err(why) => return why,
        };
        self.connected = Some(Instant::now());
        tracing::info!(resumes = self.last.is_some(), "events are heard");
        if self.last.is_none() {
            // What has changed before is not told.
            self.wanted.notify_one();
        }
        self.tried.send_replace(true);
        let mut events = Events::after(self.last.take());
        let why = loop {
            let bytes = match timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break "the server has ended the stream".into(),
                Ok(Err(error)) => break chain(&error),
                Err(late) => break format!("the server is silent: {late}"),
            };
            match events.read(&bytes) {
                Ok(names) => names.iter().for_each(|name| self.heard(name)),
                Err(why) => break why,
            }
        };
        self.last = events.last;
        why
    }

    fn heard(&self, name: &str) {
        match name {
            "document" | "reset" => {
                tracing::info!(event = name, "a run is wanted");
                self.wanted.notify_one();
            }
            other => tracing::debug!(event = other, "an event that a later server may send"),
        }
    }

    async fn connect(&self) -> Result<Response, String> {
        let settings = &self.settings;
        let client = settings.server.client(USER_AGENT)?;
        let client = client.build().map_err(|error| format!("cannot start: {}", chain(&error)))?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(STREAM));
        if let Some(last) = &self.last {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_str(last).map_err(|error| error.to_string())?);
        }
        settings.server.authorize(&mut headers)?;
        let mut url = settings.server.address(&["v1", "events"]).map_err(|wrong| wrong.to_string())?;
        url.query_pairs_mut().append_pair("node", &settings.node);
        let asked = timeout(PATIENCE, client.get(url).headers(headers).send()).await;
        let response = asked.map_err(|late| format!("no answer: {late}"))?;
        let response = response.map_err(|error| format!("no answer: {}", chain(&error)))?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match (response.status(), content_type) {
            (StatusCode::OK, Some(found)) if found.split(';').next() == Some(STREAM) => Ok(response),
            (StatusCode::OK, _) => Err("what it answers is no stream of events".into()),
            (status, _) => Err(format!("the server answers {status}")),
        }
    }
}

/// How long to wait before the next try: longer each time, and by chance up to twice that, so that those whom a server
/// has lost do not all come back to it at the same moment.
fn pauses() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(SHORTEST_PAUSE).with_max_delay(LONGEST_PAUSE);
    pauses.with_jitter().without_max_times().build()
}
